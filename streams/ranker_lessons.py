"""What the trainer does about the ranker: has the newest clicks teach one, and puts it in use where it is better."""

import logging
import time
from collections.abc import Callable

from recsys.als.fit import FitPolicy
from recsys.als.interactions import InteractionArrays
from recsys.ranker import BLEND
from recsys.ranker_school import Taught, newest_clicks, teach
from recsys.ranker_weights import LEARNED
from recsys.refresh import RecommendPolicy
from streams.log.base import NewRecord, Record
from streams.wire.ranker import (
    FEATURES_DIGEST,
    IN_USE_KEY,
    SCHEMA,
    RankerRecord,
    decode_ranker,
    encode_ranker,
    is_ranker,
    packed_table,
    slot_key,
    version_of,
)

WITHOUT_A_PAUSE_S = 0.005
PAUSES = 4.0
"""Where clicks are served by the same process: a pause is so many times as long as the work before it."""
logger = logging.getLogger(__name__)


class RankerLessons:
    """Follows the rankers in `models`, and makes the next.

    Parameters
    ----------
    is_shared : whether the process serves clicks, too
    check : called often; an exception from it ends the lessons
    """

    def __init__(
        self, policy: RecommendPolicy, fit_policy: FitPolicy, *, is_shared: bool, check: Callable[[], None]
    ) -> None:
        self.in_use: RankerRecord | None = None
        self.n_taught = self.n_promoted = 0
        self._generation = 0
        self._policy, self._fit_policy, self._is_shared, self._check = policy, fit_policy, is_shared, check
        self._since_s = 0.0

    def put(self, record: Record) -> bool:
        """Take a record of `models`; False for one that is no ranker."""
        if not is_ranker(record.key):
            return False
        found = None if record.value is None else decode_ranker(record.value)
        if found is not None:
            self._generation = max(self._generation, found.generation)
        if record.key == IN_USE_KEY:
            self.in_use = found
        return True

    def teach(self, interactions: InteractionArrays, topic: str, now_ms: int) -> list[NewRecord]:
        """The records that put a better ranker in use; none where there is none. Takes seconds: for a thread."""
        if self._policy.ranker == BLEND or (self.in_use is not None and self.in_use.is_pinned):
            return []
        champion = self.in_use.weights() if self.in_use is not None else None
        self._since_s = time.monotonic()
        taught = teach(
            newest_clicks(interactions), self._policy, self._fit_policy, champion or LEARNED, "", self._breathe
        )
        if taught is None:
            return []
        self.n_taught += 1
        record = self._record(taught, now_ms)
        decision = "put in use" if taught.is_better else "not put in use, as that may be chance"
        logger.info(
            "The ranker %s foretells choices %.4f nats better (%.4f to %.4f, %d choices): %s.",
            *(record.version, taught.gain, *taught.interval, taught.n_lessons, decision),
        )
        if not taught.is_better:
            return []
        self.n_promoted += 1
        value = encode_ranker(record)
        return [NewRecord(topic, key, value, 0) for key in (slot_key(record.generation), IN_USE_KEY)]

    def _record(self, taught: Taught, now_ms: int) -> RankerRecord:
        generation, table = self._generation + 1, packed_table(taught.challenger.table)
        return RankerRecord(
            schema=SCHEMA,
            version=version_of(generation, table),
            generation=generation,
            features=FEATURES_DIGEST,
            table=table,
            n_lessons=taught.n_lessons,
            gain=taught.gain,
            low=taught.interval[0],
            high=taught.interval[1],
            taught_at_ms=now_ms,
        )

    def _breathe(self) -> None:
        self._check()
        worked_s = time.monotonic() - self._since_s
        if self._is_shared and worked_s > WITHOUT_A_PAUSE_S:
            time.sleep(PAUSES * worked_s)
            self._since_s = time.monotonic()
