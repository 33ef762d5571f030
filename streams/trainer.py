"""The trainer: follows clicks and vectors, fits factors when it is time, publishes them, keeps a snapshot.

It is a view of the log like any other: its matrix is a fold over `clicks`, the snapshot says up to which offsets it is
true, and a damaged or missing one is made again from the log. It acks nothing and may die at any moment.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recsys.als.fit import FitPolicy
from recsys.als.model import FactorModel, Factors
from recsys.als.training import TrainingInput, train
from recsys.errors import StateError, UnavailableError
from recsys.records import CatalogueVectors, decode_vectors
from streams import click_fold, topics
from streams.click_fold import ClickFold, Folded
from streams.clock import wall_clock_ms
from streams.log.base import Log, NewRecord, Record
from streams.policy import recommend_policy
from streams.ranker_lessons import RankerLessons
from streams.retry import until_available
from streams.settings import Settings
from streams.snapshots import Complaints
from streams.until_stopped import running
from streams.views import Follower
from streams.wire.factors import MANIFEST_KEY, FactorAssembler, encode_generation, version_of

if TYPE_CHECKING:
    from streams.leadership import Leadership

LOOK_S = 0.2
"""How often it is looked whether a fit is due; no promise depends on it."""
SNAPSHOT_EVERY_S = 300.0
"""Without a fit in between; a restart reads again what came since, 100,000 events in some seconds."""
REFIT_PAUSE_S = 5.0
"""At least so long between two fits while the log is young and doubles quickly."""
REFIT_SHARE = 0.2
"""At most this share of the time goes into fits before the interval is over."""
CHUNKS_AT_ONCE = 8
"""Up to 8 MB of a model are on their way to the broker."""
READ_BACK_WITHIN_S = 30.0
"""A model that does not come back from the log in this time was overwritten by another trainer."""
logger = logging.getLogger(__name__)


class _StoppingError(Exception):
    """Ends a fit in its thread."""


@dataclass(frozen=True)
class TrainerStatus:
    """What the trainer is doing, for metrics, `/readyz` and the panel.

    `version` is the newest model in the log, whoever made it; `trained_offsets` is how far the last fit had read.
    """

    is_leader: bool
    is_caught_up: bool
    is_fitting: bool
    version: str | None
    n_events: int
    n_refused: int
    n_users: int
    n_fits: int
    n_failed_fits: int
    last_fit_s: float
    offsets: Mapping[int, int]
    trained_offsets: Mapping[int, int]


@dataclass
class _LastFit:
    """What decides when the next fit is due; `at_s` by the loop's clock."""

    offsets: Mapping[int, int] | None = None
    n_events: int = 0
    at_s: float = 0.0
    took_s: float = 0.0


class Trainer:
    """One trainer; of several, only the one that `leadership` names fits and publishes, the others follow along.

    Parameters
    ----------
    leadership : entered by the caller; without it this trainer leads
    now_ms : the wall clock, epoch milliseconds; only stamps models
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        leadership: "Leadership | None" = None,
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.settings = settings
        # The demo shares its cores with everything else; a trainer of its own takes all there are.
        self.fit_policy = FitPolicy(n_factors=settings.train_factors, num_threads=1 if settings.is_embedded else 0)
        self._log, self._leadership, self._now_ms = log, leadership, now_ms
        policy = recommend_policy(settings)
        self._confidence = policy.confidence
        self.lessons = RankerLessons(
            policy, self.fit_policy, is_shared=settings.is_embedded, check=self._check_not_stopping
        )
        self._fold = ClickFold(settings.history_size)
        self._vectors: dict[str, CatalogueVectors] = {}
        self._assembler = FactorAssembler()
        self._model: FactorModel | None = None
        self._followers: tuple[Follower, ...] = ()
        self._stop = asyncio.Event()
        self._last = _LastFit()
        self._saved_at_s = 0.0
        self._saved_offsets: Mapping[int, int] = {}
        self._complaints = Complaints("A restart will read more of the log.")
        self._is_fitting = False
        self._n_fits = self._n_failed = 0

    def status(self) -> TrainerStatus:
        return TrainerStatus(
            is_leader=self._is_leader,
            is_caught_up=self._is_caught_up,
            is_fitting=self._is_fitting,
            version=self._model.version if self._model else None,
            n_events=self._fold.n_events,
            n_refused=self._fold.n_refused,
            n_users=self._fold.n_users,
            n_fits=self._n_fits,
            n_failed_fits=self._n_failed,
            last_fit_s=self._last.took_s,
            offsets=dict(self._fold.offsets),
            trained_offsets=dict(self._last.offsets or {}),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Follow, fit and publish until `stop` is set; an unreachable broker is waited for."""
        self._stop = stop
        await self._restore()
        self._followers = (
            self._follower(topics.CLICKS, self._fold.put, self._fold.offsets),
            self._follower(topics.CATALOG, self._put_vectors),
            self._follower(topics.ITEM_FACTORS, self._put_factors),
            self._follower(topics.MODELS, self._put_model),
        )
        async with running(*(follower.run() for follower in self._followers)):
            await self._work()
        await self._save(self._fold.folded())

    def _follower(
        self, topic: str, apply: Callable[[Record], None], offsets: Mapping[int, int] | None = None
    ) -> Follower:
        return Follower(self._log, self.settings.topic_prefix + topic, apply, offsets)

    async def _restore(self) -> None:
        await self._fold.restore(self.settings.data_dir)
        topic = self.settings.topic_prefix + topics.CLICKS
        ends = await until_available(lambda: self._log.end_offsets(topic))
        if any(offset > ends.get(partition, 0) for partition, offset in self._fold.offsets.items()):
            logger.warning("The snapshot of the trainer is ahead of %s: it is another log's, and made anew.", topic)
            self._fold.clear()
        self._saved_offsets = dict(self._fold.offsets)

    async def _work(self) -> None:
        while not self._is_caught_up:
            if await self._stopped_within(LOOK_S):
                return
        loop = asyncio.get_running_loop()
        manifest = self._assembler.manifest
        if manifest is not None:
            # New events count from the newest model on, whichever trainer made it.
            self._last = _LastFit(manifest.offsets, manifest.n_events, loop.time())
        self._saved_at_s = loop.time()
        while not await self._stopped_within(LOOK_S):
            if self._is_due(loop.time()):
                await self._fit_and_publish()
            elif loop.time() - self._saved_at_s > SNAPSHOT_EVERY_S:
                await self._save(self._fold.folded())

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    @property
    def _is_caught_up(self) -> bool:
        return bool(self._followers) and all(follower.is_caught_up for follower in self._followers)

    @property
    def _is_leader(self) -> bool:
        return self._leadership is None or self._leadership.is_leader.is_set()

    def _put_vectors(self, record: Record) -> None:
        part, _, item_id = (record.key or b"").decode().partition(":")
        if part != "v":
            return
        if record.value is None:
            self._vectors.pop(item_id, None)
        else:
            self._vectors[item_id] = decode_vectors(record.value)

    def _put_model(self, record: Record) -> None:
        if not self.lessons.put(record):
            self._put_factors(record)

    def _put_factors(self, record: Record) -> None:
        model = self._assembler.feed(record)
        if model is not None:
            self._model = model

    def _is_due(self, now_s: float) -> bool:
        last, new = self._last, self._new_records()
        if not self._is_leader or new == 0 or self._fold.n_events < self.settings.train_min_events:
            return False
        waited_s = now_s - last.at_s
        if last.offsets is None or waited_s >= self.settings.train_interval_s:
            return True
        # Twice the events are worth a fit before the interval is over.
        return new >= last.n_events and waited_s >= max(REFIT_PAUSE_S, last.took_s / REFIT_SHARE)

    def _new_records(self) -> int:
        """Records of `clicks` that the last fit had not read."""
        last = self._last.offsets or {}
        gains = [offset - last.get(partition, 0) for partition, offset in self._fold.offsets.items()]
        # A re-created topic begins at 0 again: all of it is new.
        return sum(gains) if not gains or min(gains) >= 0 else self._fold.n_events

    async def _fit_and_publish(self) -> None:
        folded, loop = self._fold.folded(), asyncio.get_running_loop()
        given = TrainingInput(folded.interactions, dict(self._vectors), folded.watermark_ms, self._model)
        started_s, self._is_fitting = loop.time(), True
        try:
            trained = await asyncio.to_thread(train, given, self._confidence, self.fit_policy, self._check_not_stopping)
            if trained is not None:
                await self._publish(trained, folded)
                await self._teach(folded)
        except _StoppingError:
            return
        except StateError as error:
            self._n_failed += 1
            logger.error("A fit failed: %s The factors before stay in use.", error)
        finally:
            self._is_fitting = False
            self._last = _LastFit(folded.offsets, folded.n_events, loop.time(), loop.time() - started_s)
        await self._save(folded)

    def _check_not_stopping(self) -> None:
        if self._stop.is_set():
            raise _StoppingError

    async def _publish(self, trained: Factors, folded: Folded) -> None:
        """Write all chunks, then the manifest: until that is durable, the generation before is in use."""
        previous = self._assembler.manifest
        number = previous.generation + 1 if previous else 1
        trained = replace(trained, version=version_of(number, trained.item_ids, trained.factors))
        made = encode_generation(
            trained, previous, trained_at_ms=self._now_ms(), n_events=folded.n_events, offsets=folded.offsets
        )
        prefix = self.settings.topic_prefix
        chunks = [NewRecord(prefix + topics.ITEM_FACTORS, key, value, 0) for key, value in made.chunks]
        batches = [chunks[first : first + CHUNKS_AT_ONCE] for first in range(0, len(chunks), CHUNKS_AT_ONCE)]
        batches.append([NewRecord(prefix + topics.MODELS, MANIFEST_KEY, made.manifest_value, 0)])
        for batch in batches:
            if not self._is_leader:
                logger.warning("Another trainer leads now; the factors %s are not published.", trained.version)
                return
            await until_available(lambda batch=batch: self._log.append_many(batch))  # type: ignore[misc]
        if await self._is_read_back(trained.version):
            self._n_fits += 1
            logger.info("Factors %s: %d items, %d events.", trained.version, len(trained.item_ids), folded.n_events)

    async def _teach(self, folded: Folded) -> None:
        """Have the newest clicks teach the ranker, and put it in use where it has become better."""
        topic = self.settings.topic_prefix + topics.MODELS
        records = await asyncio.to_thread(self.lessons.teach, folded.interactions, topic, self._now_ms())
        if records and self._is_leader:
            await until_available(lambda: self._log.append_many(records))

    async def _is_read_back(self, version: str) -> bool:
        """The next fit starts from this model and leaves its slot alone, so it must have come back from the log."""
        deadline_s = asyncio.get_running_loop().time() + READ_BACK_WITHIN_S
        while self._assembler.version != version:
            if self._stop.is_set() or asyncio.get_running_loop().time() > deadline_s:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _save(self, folded: Folded) -> None:
        """Keep a snapshot, unless nothing came since the last; without room on the disk the log alone must do."""
        self._saved_at_s = asyncio.get_running_loop().time()
        if folded.offsets == self._saved_offsets:
            return
        try:
            await asyncio.to_thread(click_fold.write, self.settings.data_dir, folded)
            self._saved_offsets = folded.offsets
            self._complaints.written(click_fold.NAME)
        except UnavailableError as error:
            self._complaints.failed(error)
