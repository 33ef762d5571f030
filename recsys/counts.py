"""What many users do, counted: decayed popularity of items, which go together, and which come next.

Each partition of `clicks` has one owner, who counts that partition alone; whoever ranks sums the counts of all
partitions (`recsys.trends`). Counts are never incremented by a reader, so a redelivery or a second reader cannot double
them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from math import exp

import msgspec

from recsys.errors import StateError
from recsys.history import Interaction

DAY_MS = 86_400_000.0
SESSION_GAP_MS = 30 * 60_000
"""A pause that ends a session."""


@dataclass(frozen=True)
class TrendsPolicy:
    """How counts grow and fade.

    A pair of items counts when the same user touches both within `window` interactions: exp(-gap / reach) for a gap of
    that many interactions, `session_boost` times as much within one session (`session_gap_ms`). What follows an item
    within `steps` interactions counts apart, 1 / gap.
    """

    half_life_days: float = 7.0
    short_half_life_days: float = 1.0
    long_half_life_days: float = 30.0
    window: int = 20
    reach: float = 20.0
    session_gap_ms: int = SESSION_GAP_MS
    session_boost: float = 2.0
    steps: int = 3
    row_limit: int = 256
    """Partners kept for each item and partition: twice as many may gather before the weakest half is dropped."""
    next_limit: int = 16
    """The same for what follows an item."""
    partners: int = 192
    """Partners that a reader looks at."""
    followers: int = 24
    """The same of what follows an item."""

    @cached_property
    def amounts(self) -> tuple[float, ...]:
        """What a pair with a gap of 1, 2, … counts."""
        return tuple(exp(-gap / self.reach) for gap in range(1, self.window + 1))


class ItemTrend(msgspec.Struct, array_like=True, gc=False):
    """One item's counts in one partition, true up to `offset`.

    `popularity`, `of_late` and `long_since` are decayed to `at_ms`, each with a half-life of its own; `next` says what
    users touched after it.
    """

    offset: int = -1
    popularity: float = 0.0
    at_ms: int = 0
    count: float = 0.0
    pairs: dict[str, float] = {}
    of_late: float = 0.0
    long_since: float = 0.0
    next: dict[str, float] = {}


class PartitionTrends:
    """The counts of one partition, and which of them changed since they were last published."""

    def __init__(self, policy: TrendsPolicy) -> None:
        self.policy = policy
        self.offset = -1
        self.watermark_ms = 0
        self.items: dict[str, ItemTrend] = {}
        self.changed: dict[str, int] = {}
        """Items to be published, by the offset of the first change that has not been; rising."""

    def observe(self, item_id: str, weight: float, ts_ms: int, offset: int, recent: Iterable[Interaction]) -> None:
        """Count one interaction.

        Parameters
        ----------
        weight : what the deed adds to the item's popularity, above 0
        offset : its place in the log; an item whose counts reach that far already is left alone, so that a replay after
            a crash counts only what was not yet published
        recent : the user's interactions before this one, newest first
        """
        policy = self.policy
        self.offset = max(self.offset, offset)
        self.watermark_ms = max(self.watermark_ms, ts_ms)
        own = self.items.get(item_id)
        if own is None:
            own = self.items[item_id] = ItemTrend()
        own_is_new = offset > own.offset
        if own_is_new:
            _touch(own, weight, ts_ms, policy)
            self.changed.setdefault(item_id, offset)
        partners = {item_id}
        for gap, amount, deed in zip(count(1), policy.amounts, recent, strict=False):
            other_id = deed.item_id
            if other_id in partners:
                continue
            partners.add(other_id)
            if ts_ms - deed.ts_ms <= policy.session_gap_ms:
                amount *= policy.session_boost
            if own_is_new:
                own.pairs = _with_pair(own.pairs, other_id, amount, policy.row_limit)
            other = self.items.get(other_id)
            if other is None:
                other = self.items[other_id] = ItemTrend()
            if offset > other.offset:
                other.pairs = _with_pair(other.pairs, item_id, amount, policy.row_limit)
                if gap <= policy.steps:
                    other.next = _with_pair(other.next, item_id, 1.0 / gap, policy.next_limit)
                other.offset = offset
                self.changed.setdefault(other_id, offset)
        own.offset = max(own.offset, offset)

    def take_changes(self, limit: int | None = None) -> list[tuple[str, ItemTrend]]:
        """Items that changed and are to be published now, those that have waited longest first."""
        taken = list(islice(self.changed, limit))
        for item_id in taken:
            del self.changed[item_id]
        return [(item_id, self.items[item_id]) for item_id in taken]

    @property
    def complete_to(self) -> int:
        """The offset up to which everything has been taken."""
        return next(iter(self.changed.values())) - 1 if self.changed else self.offset


def _faded(age_ms: float, half_life_days: float) -> float:
    return float(2.0 ** (-max(age_ms, 0.0) / (half_life_days * DAY_MS)))


def _touch(item: ItemTrend, weight: float, ts_ms: int, policy: TrendsPolicy) -> None:
    """Count one interaction in all of an item's popularities; one that comes late counts for less."""
    newer_ms = ts_ms - item.at_ms
    if newer_ms > 0:
        item.popularity *= _faded(newer_ms, policy.half_life_days)
        item.of_late *= _faded(newer_ms, policy.short_half_life_days)
        item.long_since *= _faded(newer_ms, policy.long_half_life_days)
        item.at_ms = ts_ms
    item.popularity += weight * _faded(-newer_ms, policy.half_life_days)
    item.of_late += weight * _faded(-newer_ms, policy.short_half_life_days)
    item.long_since += weight * _faded(-newer_ms, policy.long_half_life_days)
    item.count += 1.0


def _with_pair(pairs: dict[str, float], other_id: str, amount: float, limit: int) -> dict[str, float]:
    """The pairs with one more, in place, or the strongest of them where there are too many."""
    pairs[other_id] = pairs.get(other_id, 0.0) + amount
    if len(pairs) <= 2 * limit:
        return pairs
    return dict(sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:limit])


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ItemTrend).decode


def encode_trend(trend: ItemTrend) -> bytes:
    return _encode(trend)


def decode_trend(packed: bytes) -> ItemTrend:
    """Read one item's counts back; StateError when they are damaged."""
    try:
        return _decode(packed)
    except msgspec.MsgspecError as error:
        raise StateError(f"A record of the trends topic cannot be read: {error}.") from error
