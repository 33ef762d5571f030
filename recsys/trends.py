"""What many users do: decayed popularity of items, and which items go together.

Each partition of `clicks` has one owner, who counts that partition alone (`PartitionTrends`); whoever ranks reads the
counts of all partitions and sums them (`Trends`). Counts are never incremented by a reader, so a redelivery or a second
reader cannot double them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf, log2, sqrt
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.errors import StateError
from recsys.history import Interaction
from recsys.item_table import ItemTable
from recsys.related import RelatedRows
from recsys.types import Rows

DAY_MS = 86_400_000.0
LOOKED_THROUGH = 5_000
"""Popular items tried against a filter: some 10 ms at worst, where a narrow one lets hardly any pass."""
WORKED_OUT_TOGETHER = 16
"""Items whose partners are worked out in the same arrays."""


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
            _fade(own, ts_ms, policy.half_life_days)
            own.popularity += weight * _faded(own.at_ms - ts_ms, policy.half_life_days)
            own.count += 1.0
            self.changed.setdefault(item_id, offset)
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


class _Part(NamedTuple):
    """What one partition says of an item, as a reader keeps it: 8 bytes a pair."""

    n_touched: float
    popularity: float
    at_ms: int
    rows: NDArray[np.int32]
    amounts: NDArray[np.float32]


class Trends:
    """The sum of all partitions' counts, for ranking, on the rows of an `ItemTable`.

    What it answers depends only on the records put so far and on the last `refresh`, not on their order.
    """

    def __init__(self, items: ItemTable, policy: TrendsPolicy | None = None) -> None:
        self.policy = policy or TrendsPolicy()
        self._parts: dict[int, dict[int, _Part]] = {}
        """What each partition says of an item, by the item's row."""
        self._items = items
        self._counts = np.zeros(1024)
        self._root_counts = np.ones(1024)
        self._levels = np.full(1024, -np.inf)
        """Of each item log2(popularity) plus its time in half-lives: compares at any time, however long ago."""
        self._partners = RelatedRows(self.policy.partners)
        self._stale: set[int] = set()
        """Rows of items that were put since their partners were worked out."""
        self._top: tuple[Rows, NDArray[np.float64]] = (np.empty(0, dtype=np.intp), np.empty(0))
        self._ordered: Rows | None = None

    def put(self, partition: int, item_id: str, trend: ItemTrend) -> None:
        """Take one item's counts of one partition in the place of what that partition said before."""
        pairs = trend.pairs
        row = self._items.row(item_id)
        parts = self._parts.setdefault(row, {})
        parts[partition] = _Part(
            trend.count,
            trend.popularity,
            trend.at_ms,
            self._items.rows(pairs).astype(np.int32),
            np.fromiter(pairs.values(), dtype=np.float32, count=len(pairs)),
        )
        self._stale.add(row)
        self._make_room(row)
        count = sum(part.n_touched for _, part in sorted(parts.items()))
        self._counts[row] = count
        self._root_counts[row] = sqrt(max(count, 1.0))
        self._levels[row] = self._level(parts)

    def _level(self, parts: Mapping[int, _Part]) -> float:
        """Forward decay (Cormode and others 2009) in logarithms, which neither the year 1970 nor 2100 overflows."""
        newest_ms = max(part.at_ms for part in parts.values())
        half_life_days = self.policy.half_life_days
        popularity = sum(
            part.popularity * _faded(newest_ms - part.at_ms, half_life_days) for _, part in sorted(parts.items())
        )
        return log2(popularity) + newest_ms / (half_life_days * DAY_MS) if popularity > 0 else -inf

    def count(self, row: int) -> float:
        """How often an item was touched, all partitions together."""
        return float(self._counts[row]) if row < len(self._counts) else 0.0

    def partners(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The items most often together with each of some items.

        Returns
        -------
        rows : ndarray of int32, shape (len(rows), policy.partners)
        cosines : ndarray of float64, the same shape
            0 where there is no partner.

        Notes
        -----
        Cosine of item-based collaborative filtering (Sarwar and others 2001): weighted count of the pair / sqrt(count
        of one · count of the other). An item's partners are worked out, in some tens of microseconds, when it is first
        asked for after a change.
        """
        stale = sorted(self._stale.intersection(rows.tolist()))
        self._stale.difference_update(stale)
        for start in range(0, len(stale), WORKED_OUT_TOGETHER):
            self._work_out(stale[start : start + WORKED_OUT_TOGETHER])
        related, amounts = self._partners.of(rows)
        self._make_room(len(self._items.ids) - 1)
        roots = self._root_counts
        cosines: NDArray[np.float64] = amounts / (roots[related] * roots[rows][:, None])
        return related, cosines

    def _work_out(self, rows: Sequence[int]) -> None:
        """Find the partners of some items: the pairs of all partitions summed, in their order; of too many the best."""
        parts = [[part for _, part in sorted(self._parts[row].items())] for row in rows]
        lengths = [sum(len(part.rows) for part in of_row) for of_row in parts]
        together, amounts = _sums(
            np.cumsum([0, *lengths], dtype=np.intp),
            np.concatenate([part.rows for of_row in parts for part in of_row]),
            np.concatenate([part.amounts for of_row in parts for part in of_row]),
            self._items.hashes,
            self._items.scratch(),
            self.policy.partners,
        )
        self._partners.put(np.array(rows), together, amounts)

    def refresh(self, limit: int = 300) -> None:
        """Work out anew which items are the most popular; 1 ms for 100,000 items, so at most once a second."""
        levels = self._levels[: len(self._items.ids)]
        rows = np.flatnonzero(levels > -np.inf)
        if len(rows) > limit:
            rows = rows[levels[rows] >= np.partition(levels[rows], -limit)[-limit]]
        order = np.lexsort((self._items.hashes[rows], -levels[rows]))[:limit]
        self._top = rows[order], self.popularity(rows[order])
        self._ordered = None

    def popularity(self, rows: Rows) -> NDArray[np.float64]:
        """How popular some items are relative to the most popular of them; 0 for one that nobody touched.

        Returns
        -------
        ndarray of float64, shape (n,)
        """
        self._make_room(len(self._items.ids) - 1)
        levels = self._levels[rows]
        highest = levels.max(initial=-np.inf)
        relative: NDArray[np.float64] = np.exp2(levels - highest) if highest > -np.inf else np.zeros(len(rows))
        return relative

    def interest(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How popular some items are: log2 of popularity on a common scale (-inf for none), and how often touched.

        Returns
        -------
        levels, counts : ndarrays of float64, shape (n,)
        """
        self._make_room(len(self._items.ids) - 1)
        return self._levels[rows], self._counts[rows]

    def top(self, limit: int = 300) -> tuple[Rows, NDArray[np.float64]]:
        """The most popular items at the last refresh, strongest first: rows, and popularity relative to the first."""
        rows, popularity = self._top
        return rows[:limit], popularity[:limit]

    def top_among(self, allow: Callable[[str], bool], limit: int) -> tuple[Rows, NDArray[np.float64]]:
        """`top` among the visible items that pass a condition, found among the `LOOKED_THROUGH` most popular."""
        if self._ordered is None:
            rows = np.flatnonzero(self._levels > -np.inf)
            self._ordered = rows[np.argsort(-self._levels[rows], kind="stable")][:LOOKED_THROUGH]
        items = self._items
        passing = (row for row in self._ordered.tolist() if items.visible[row] and allow(items.ids[row]))
        found = np.array(list(islice(passing, limit)), dtype=np.intp)
        return found, self.popularity(found)

    def _make_room(self, row: int) -> None:
        if row >= len(self._counts):
            added = max(len(self._counts), row + 1 - len(self._counts))
            self._counts = np.concatenate([self._counts, np.zeros(added)])
            self._root_counts = np.concatenate([self._root_counts, np.ones(added)])
            self._levels = np.concatenate([self._levels, np.full(added, -np.inf)])


@compiled
def _sums(
    bounds: Rows,
    partners: NDArray[np.int32],
    given: NDArray[np.float32],
    hashes: NDArray[np.uint64],
    scratch: Rows,
    width: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Sum what several parts say of the same pairs, and keep the strongest of each item; equal ones by rising hash.

    Parameters
    ----------
    bounds : shape (n + 1,)
        Item i's entries stand from `bounds[i]` to `bounds[i + 1]` in `partners` and `given`.
    scratch : a cell for each row, of any content

    Returns
    -------
    rows, amounts : shape (n, width), strongest first; 0 where there are no more
    """
    n_items = len(bounds) - 1
    rows = np.zeros((n_items, width), dtype=np.int32)
    amounts = np.zeros((n_items, width), dtype=np.float32)
    distinct = np.empty(len(partners), dtype=np.int32)
    sums = np.empty(len(partners))
    best = np.empty(width, dtype=np.intp)
    for item in range(n_items):
        n = 0
        for entry in range(bounds[item], bounds[item + 1]):
            partner = partners[entry]
            at = scratch[partner]
            if not (0 <= at < n and distinct[at] == partner):
                at, n = n, n + 1
                scratch[partner], distinct[at], sums[at] = at, partner, 0.0
            sums[at] += given[entry]
        kept = 0
        for place in range(n):
            at, name = kept, hashes[distinct[place]]
            while at > 0 and (
                sums[place] > sums[best[at - 1]]
                or (sums[place] == sums[best[at - 1]] and name < hashes[distinct[best[at - 1]]])
            ):
                at -= 1
            if at < width:
                kept = min(kept + 1, width)
                for later in range(kept - 1, at, -1):
                    best[later] = best[later - 1]
                best[at] = place
        for column in range(kept):
            rows[item, column], amounts[item, column] = distinct[best[column]], sums[best[column]]
    return rows, amounts


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


def summed(items: ItemTable, partitions: Mapping[int, PartitionTrends], policy: TrendsPolicy) -> Trends:
    """A reader that sums these partitions, as they stand."""
    reader = Trends(items, policy)
    for partition, counts in partitions.items():
        for item_id, trend in counts.items.items():
            reader.put(partition, item_id, trend)
    reader.refresh()
    return reader
