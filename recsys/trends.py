"""What many users do: decayed popularity of items, and which items go together.

Each partition of `clicks` has one owner, who counts that partition alone (`PartitionTrends`); whoever ranks reads the
counts of all partitions and sums them (`Trends`). Counts are never incremented by a reader, so a redelivery or a second
reader cannot double them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt

import msgspec

from recsys.errors import StateError
from recsys.history import Interaction

DAY_MS = 86_400_000.0


@dataclass(frozen=True)
class TrendsPolicy:
    """How counts grow and fade.

    A pair of items counts when the same user touches both within `window` interactions, 1/(gap) for a gap of that many
    interactions, `session_boost` times as much within one session (`session_gap_ms`).
    """

    half_life_days: float = 7.0
    window: int = 10
    session_gap_ms: int = 30 * 60_000
    session_boost: float = 3.0
    row_limit: int = 96
    """Partners kept for each item: twice as many may gather before the weakest half is dropped."""


class ItemTrend(msgspec.Struct, array_like=True):
    """One item's counts in one partition, true up to `offset`; `popularity` is decayed to `at_ms`."""

    offset: int = -1
    popularity: float = 0.0
    at_ms: int = 0
    count: float = 0.0
    pairs: dict[str, float] = {}


class PartitionTrends:
    """The counts of one partition, and which of them changed since they were last published."""

    def __init__(self, policy: TrendsPolicy) -> None:
        self.policy = policy
        self.offset = -1
        self.watermark_ms = 0
        self.items: dict[str, ItemTrend] = {}
        self.changed: set[str] = set()

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
            _fade(own, ts_ms, policy.half_life_days)
            own.popularity += weight * _faded(own.at_ms - ts_ms, policy.half_life_days)
            own.count += 1.0
            self.changed.add(item_id)
        gap = 0
        partners = set()
        for other_id, _, other_ms, _ in recent:
            gap += 1
            if gap > policy.window:
                break
            if other_id == item_id or other_id in partners:
                continue
            partners.add(other_id)
            amount = 1.0 / gap
            if ts_ms - other_ms <= policy.session_gap_ms:
                amount *= policy.session_boost
            if own_is_new:
                _add_pair(own, other_id, amount, policy.row_limit)
            other = self.items.get(other_id)
            if other is None:
                other = self.items[other_id] = ItemTrend()
            if offset > other.offset:
                _add_pair(other, item_id, amount, policy.row_limit)
                other.offset = offset
                self.changed.add(other_id)
        own.offset = max(own.offset, offset)

    def take_changes(self) -> Iterator[tuple[str, ItemTrend]]:
        """The items that changed since the last call, to be published."""
        changed, self.changed = self.changed, set()
        for item_id in sorted(changed):
            yield item_id, self.items[item_id]


def _faded(age_ms: float, half_life_days: float) -> float:
    return float(2.0 ** (-max(age_ms, 0.0) / (half_life_days * DAY_MS)))


def _fade(item: ItemTrend, now_ms: int, half_life_days: float) -> None:
    if now_ms > item.at_ms:
        item.popularity *= _faded(now_ms - item.at_ms, half_life_days)
        item.at_ms = now_ms


def _add_pair(item: ItemTrend, other_id: str, amount: float, limit: int) -> None:
    pairs = item.pairs
    pairs[other_id] = pairs.get(other_id, 0.0) + amount
    if len(pairs) > 2 * limit:
        strongest = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
        item.pairs = dict(strongest)


@dataclass
class _Merged:
    """The sum over all partitions for one item, made when first asked for."""

    neighbours: tuple[tuple[str, float], ...]


@dataclass
class Trends:
    """The sum of all partitions' counts, for ranking.

    `now_ms` is the newest event time that any partition has reached.
    """

    policy: TrendsPolicy = field(default_factory=TrendsPolicy)
    partitions: dict[int, dict[str, ItemTrend]] = field(default_factory=dict)
    now_ms: int = 0
    version: int = 0
    _merged: dict[str, _Merged] = field(default_factory=dict)
    _top: tuple[int, tuple[tuple[str, float], ...]] = (-1, ())

    def put(self, partition: int, item_id: str, trend: ItemTrend) -> None:
        """Take one item's counts of one partition in the place of what that partition said before."""
        self.partitions.setdefault(partition, {})[item_id] = trend
        self._merged.pop(item_id, None)
        self.now_ms = max(self.now_ms, trend.at_ms)
        self.version += 1

    def neighbours(self, item_id: str, limit: int = 40) -> tuple[tuple[str, float], ...]:
        """The items that most go together with one, strongest first.

        Returns
        -------
        tuple of (item id, association)
            Association is the count of the pair over the geometric mean of both items' counts: the cosine of
            item-based collaborative filtering (Sarwar and others 2001), with pairs weighted as `TrendsPolicy` says.
        """
        merged = self._merged.get(item_id)
        if merged is None:
            merged = self._merged[item_id] = _Merged(self._associations(item_id))
        return merged.neighbours[:limit]

    def _associations(self, item_id: str) -> tuple[tuple[str, float], ...]:
        pairs: dict[str, float] = {}
        for items in self.partitions.values():
            trend = items.get(item_id)
            if trend is not None:
                for other_id, amount in trend.pairs.items():
                    pairs[other_id] = pairs.get(other_id, 0.0) + amount
        own = self.count(item_id) or 1.0
        scored = [
            (other_id, amount / sqrt(own * (self.count(other_id) or 1.0) + 1.0)) for other_id, amount in pairs.items()
        ]
        scored.sort(key=lambda pair: (-pair[1], pair[0]))
        return tuple(scored[: self.policy.row_limit])

    def count(self, item_id: str) -> float:
        """How often an item was touched, all partitions together."""
        return sum(items[item_id].count for items in self.partitions.values() if item_id in items)

    def top(self, limit: int = 200) -> tuple[tuple[str, float], ...]:
        """The most popular items now, strongest first, with their decayed popularity."""
        if self._top[0] != self.version or len(self._top[1]) < limit:
            self._top = (self.version, self._most_popular(limit))
        return self._top[1][:limit]

    def _most_popular(self, limit: int) -> tuple[tuple[str, float], ...]:
        totals: dict[str, float] = {}
        half_life = self.policy.half_life_days
        for items in self.partitions.values():
            for item_id, trend in items.items():
                if trend.popularity:
                    amount = trend.popularity * _faded(self.now_ms - trend.at_ms, half_life)
                    totals[item_id] = totals.get(item_id, 0.0) + amount
        return tuple(sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))[:limit])


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


def summed(trends: Mapping[int, PartitionTrends], policy: TrendsPolicy) -> Trends:
    """A reader that sums these partitions, as they stand."""
    reader = Trends(policy)
    for partition, counts in trends.items():
        for item_id, trend in counts.items.items():
            reader.put(partition, item_id, trend)
    return reader
