"""What many users do: decayed popularity of items, and which items go together.

Each partition of `clicks` has one owner, who counts that partition alone (`PartitionTrends`); whoever ranks reads the
counts of all partitions and sums them (`Trends`). Counts are never incremented by a reader, so a redelivery or a second
reader cannot double them.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

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
    """Partners kept for each item and partition: twice as many may gather before the weakest half is dropped."""
    partners: int = 48
    """Partners that a reader looks at."""


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
        for other_id, _, other_ms, _, _ in recent:
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


class Trends:
    """The sum of all partitions' counts, for ranking.

    What it answers depends only on the records put so far and on the last `refresh`, not on their order.
    """

    def __init__(self, policy: TrendsPolicy | None = None) -> None:
        self.policy = policy or TrendsPolicy()
        self.partitions: dict[int, dict[str, ItemTrend]] = {}
        self.counts: dict[str, float] = {}
        """How often each item was touched, all partitions together."""
        self._partners: dict[str, tuple[tuple[str, float], ...]] = {}
        self._mass: dict[str, float] = {}
        self._top: tuple[tuple[str, float], ...] = ()
        self._landmark_ms = 0

    def put(self, partition: int, item_id: str, trend: ItemTrend) -> None:
        """Take one item's counts of one partition in the place of what that partition said before."""
        self.partitions.setdefault(partition, {})[item_id] = trend
        self._partners.pop(item_id, None)
        if not self._landmark_ms:
            self._landmark_ms = trend.at_ms
        half_life_ms = self.policy.half_life_days * DAY_MS
        count = mass = 0.0
        for _, items in sorted(self.partitions.items()):
            part = items.get(item_id)
            if part is not None:
                count += part.count
                # Forward decay (Cormode and others 2009): masses at one landmark compare at any later time.
                mass += part.popularity * 2.0 ** ((part.at_ms - self._landmark_ms) / half_life_ms)
        self.counts[item_id] = count
        self._mass[item_id] = mass

    def partners(self, item_id: str) -> tuple[tuple[str, float], ...]:
        """The items most often together with one, strongest first, with the weighted count of the pair.

        Notes
        -----
        amount / sqrt(counts[a] * counts[b]) is the cosine of item-based collaborative filtering (Sarwar and others
        2001); the caller divides, as counts move on while this row stands.
        """
        found = self._partners.get(item_id)
        if found is None:
            pairs: dict[str, float] = {}
            for _, items in sorted(self.partitions.items()):
                trend = items.get(item_id)
                if trend is not None:
                    for other_id, amount in trend.pairs.items():
                        pairs[other_id] = pairs.get(other_id, 0.0) + amount
            strongest = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))
            found = self._partners[item_id] = tuple(strongest[: self.policy.partners])
        return found

    def refresh(self, limit: int = 300) -> None:
        """Work out anew which items are the most popular; O(items), so at most once a second."""
        strongest = heapq.nsmallest(limit, self._mass.items(), key=lambda pair: (-pair[1], pair[0]))
        highest = strongest[0][1] if strongest and strongest[0][1] > 0 else 1.0
        self._top = tuple((item_id, mass / highest) for item_id, mass in strongest if mass > 0)

    def top(self, limit: int = 300) -> tuple[tuple[str, float], ...]:
        """The most popular items at the last refresh, strongest first, relative to the first."""
        return self._top[:limit]

    def popularity(self, item_id: str) -> float:
        """Decayed popularity of one item, relative to that of the first at the last refresh."""
        if not self._top:
            return 0.0
        highest = self._mass[self._top[0][0]] or 1.0
        return self._mass.get(item_id, 0.0) / highest


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
    reader.refresh()
    return reader
