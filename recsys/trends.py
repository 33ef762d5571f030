"""The counts of all partitions, summed, for ranking: what is popular, what goes together, what comes next."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from math import inf, log1p, log2, sqrt
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.counts import DAY_MS, ItemTrend, PartitionTrends, TrendsPolicy
from recsys.item_table import ItemTable
from recsys.ranker import COUNT, N_LEVELS
from recsys.related import RelatedRows, Stored
from recsys.types import Rows

LOOKED_THROUGH = 5_000
"""Popular items tried against a filter: some 10 ms at worst, where a narrow one lets hardly any pass."""
WORKED_OUT_TOGETHER = 16
"""Items whose partners are worked out in the same arrays."""


class _Part(msgspec.Struct, frozen=True, gc=False):
    """What one partition says of an item, as a reader keeps it: 8 bytes a pair."""

    n_touched: float
    popularities: tuple[float, float, float]
    at_ms: int
    pairs: tuple[NDArray[np.int32], NDArray[np.float32]]
    next: tuple[NDArray[np.int32], NDArray[np.float32]]


class Together(NamedTuple):
    """Which items go together and come after one another: sums, and the roots of counts that make cosines of them."""

    partners: Stored
    following: Stored
    roots: NDArray[np.float64]


class Trends:
    """The sum of all partitions' counts, for ranking, on the rows of an `ItemTable`.

    What it answers depends only on the records put so far and on the last `refresh`, not on their order.
    """

    def __init__(self, items: ItemTable, policy: TrendsPolicy | None = None) -> None:
        self.policy = policy or TrendsPolicy()
        self._parts: dict[int, dict[int, _Part]] = {}
        """What each partition says of an item, by the item's row."""
        self._items = items
        self._root_counts = np.ones(1024)
        self._interest = _nobodys(1024)
        half_lives = self.policy.half_life_days, self.policy.short_half_life_days, self.policy.long_half_life_days
        self._half_lives_ms = tuple(days * DAY_MS for days in half_lives)
        self._partners = RelatedRows(self.policy.partners)
        self._next = RelatedRows(self.policy.followers)
        self._stale: set[int] = set()
        """Rows of items that were put since what goes with them was worked out."""
        self._tops: tuple[Rows, ...] = (np.empty(0, dtype=np.intp),) * N_LEVELS
        self._popular: dict[int, tuple[Rows, NDArray[np.float64]]] = {}
        """What `popular` has answered since the last refresh."""
        self._top: tuple[Rows, NDArray[np.float64]] = (np.empty(0, dtype=np.intp), np.empty(0))
        self._ordered: Rows | None = None

    def put(self, partition: int, item_id: str, trend: ItemTrend) -> None:
        """Take one item's counts of one partition in the place of what that partition said before."""
        row = self._items.row(item_id)
        parts = self._parts.setdefault(row, {})
        popularities = trend.popularity, trend.of_late, trend.long_since
        pairs, following = self._as_rows(trend.pairs), self._as_rows(trend.next)
        parts[partition] = _Part(trend.count, popularities, trend.at_ms, pairs, following)
        self._stale.add(row)
        self._make_room(row)
        n_touched = sum(part.n_touched for _, part in sorted(parts.items()))
        self._root_counts[row] = sqrt(max(n_touched, 1.0))
        levels = [self._level(parts, level) for level in range(N_LEVELS)]
        self._interest[row] = *levels, n_touched, log1p(n_touched)

    def _as_rows(self, pairs: Mapping[str, float]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        amounts = np.fromiter(pairs.values(), dtype=np.float32, count=len(pairs))
        return self._items.rows(pairs).astype(np.int32), amounts

    def _level(self, parts: Mapping[int, _Part], level: int) -> float:
        """Forward decay (Cormode and others 2009) in logarithms, which neither the year 1970 nor 2100 overflows."""
        newest_ms = max(part.at_ms for part in parts.values())
        half_life_ms = self._half_lives_ms[level]
        popularity = sum(
            part.popularities[level] * 2.0 ** ((part.at_ms - newest_ms) / half_life_ms)
            for _, part in sorted(parts.items())
        )
        return log2(popularity) + newest_ms / half_life_ms if popularity > 0 else -inf

    def count(self, row: int) -> float:
        """How often an item was touched, all partitions together."""
        return float(self._interest[row, COUNT]) if row < len(self._interest) else 0.0

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
        return self._cosines(self._partners, rows)

    def following(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The items most often touched after each of some items, as `partners`; shape (len(rows), policy.followers)."""
        return self._cosines(self._next, rows)

    def brought_up(self, rows: Rows) -> "Together":
        """What `partners` and `following` give, for compiled loops, true of these rows until the next `put`."""
        stale = sorted(self._stale.intersection(rows.tolist()))
        self._stale.difference_update(stale)
        for start in range(0, len(stale), WORKED_OUT_TOGETHER):
            some = stale[start : start + WORKED_OUT_TOGETHER]
            parts = [[part for _, part in sorted(self._parts[row].items())] for row in some]
            self._work_out(self._partners, some, [[part.pairs for part in of_row] for of_row in parts])
            self._work_out(self._next, some, [[part.next for part in of_row] for of_row in parts])
        n_rows = len(self._items.ids)
        self._make_room(n_rows - 1)
        return Together(self._partners.stored(n_rows), self._next.stored(n_rows), self._root_counts)

    def _cosines(self, kept: RelatedRows, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        roots = self.brought_up(rows).roots
        related, amounts = kept.of(rows)
        cosines: NDArray[np.float64] = amounts / (roots[related] * roots[rows][:, None])
        return related, cosines

    def _work_out(
        self,
        kept: RelatedRows,
        rows: Sequence[int],
        parts: Sequence[Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]]],
    ) -> None:
        """Find what goes with some items: the pairs of all partitions summed, in their order; of too many the best."""
        lengths = [sum(len(related) for related, _ in of_row) for of_row in parts]
        together, amounts = _sums(
            np.cumsum([0, *lengths], dtype=np.intp),
            np.concatenate([related for of_row in parts for related, _ in of_row]),
            np.concatenate([given for of_row in parts for _, given in of_row]),
            self._items.hashes,
            self._items.scratch(),
            kept.width,
        )
        kept.put(np.array(rows), together, amounts)

    def refresh(self, limit: int = 300) -> None:
        """Work out anew which items are the most popular; 3 ms for 100,000 items, so at most once a second."""
        self._tops = tuple(self._strongest(level, limit) for level in range(N_LEVELS))
        self._top = self._tops[0], self.popularity(self._tops[0])
        self._ordered = None
        self._popular.clear()

    def _strongest(self, level: int, limit: int) -> Rows:
        levels = self._interest[: len(self._items.ids), level]
        rows = np.flatnonzero(levels > -np.inf)
        if len(rows) > limit:
            rows = rows[levels[rows] >= np.partition(levels[rows], -limit)[-limit]]
        order = np.lexsort((self._items.hashes[rows], -levels[rows]))[:limit]
        return rows[order]

    def popularity(self, rows: Rows) -> NDArray[np.float64]:
        """How popular some items are relative to the most popular of them; 0 for one that nobody touched.

        Returns
        -------
        ndarray of float64, shape (n,)
        """
        self._make_room(len(self._items.ids) - 1)
        levels = self._interest[rows, 0]
        highest = levels.max(initial=-np.inf)
        relative: NDArray[np.float64] = np.exp2(levels - highest) if highest > -np.inf else np.zeros(len(rows))
        return relative

    @property
    def interest(self) -> NDArray[np.float64]:
        """How popular items are, by row; float64, shape (n, N_LEVELS + 2), n at least the number of items.

        Log2 of popularity on a scale for each half-life: the usual, the short, the long one, -inf for none; how often
        the item was touched; and log(1 + that).
        """
        self._make_room(len(self._items.ids) - 1)
        return self._interest

    def top(self, limit: int = 300) -> tuple[Rows, NDArray[np.float64]]:
        """The most popular items at the last refresh, strongest first: rows, and popularity relative to the first."""
        rows, popularity = self._top
        return rows[:limit], popularity[:limit]

    def popular(self, limit: int) -> tuple[Rows, NDArray[np.float64]]:
        """`top`, half as many by the long half-life and a quarter as many by the short one, each item once."""
        found = self._popular.get(limit)
        if found is None:
            usual, short, long = self._tops
            rows = np.concatenate((usual[:limit], long[: limit // 2], short[: limit // 4]))
            _, first = np.unique(rows, return_index=True)
            rows = rows[np.sort(first)]
            found = self._popular[limit] = rows, self.popularity(rows)
        return found

    def top_among(self, allow: Callable[[str], bool], limit: int) -> tuple[Rows, NDArray[np.float64]]:
        """`top` among the visible items that pass a condition, found among the `LOOKED_THROUGH` most popular."""
        if self._ordered is None:
            levels = self._interest[:, 0]
            rows = np.flatnonzero(levels > -np.inf)
            self._ordered = rows[np.argsort(-levels[rows], kind="stable")][:LOOKED_THROUGH]
        items = self._items
        passing = (row for row in self._ordered.tolist() if items.visible[row] and allow(items.ids[row]))
        found = np.array(list(islice(passing, limit)), dtype=np.intp)
        return found, self.popularity(found)

    def _make_room(self, row: int) -> None:
        if row >= len(self._interest):
            added = max(len(self._interest), row + 1 - len(self._interest))
            self._root_counts = np.concatenate([self._root_counts, np.ones(added)])
            self._interest = np.concatenate([self._interest, _nobodys(added)])


def _nobodys(n: int) -> NDArray[np.float64]:
    """Interest in items that nobody touched.

    Levels are log2(popularity) plus its time in half-lives: they compare at any time, however long ago.
    """
    rows = np.zeros((n, N_LEVELS + 2))
    rows[:, :N_LEVELS] = -np.inf
    return rows


@compiled
def _sums(
    bounds: Rows,
    partners: NDArray[np.int32],
    given: NDArray[np.float32],
    hashes: NDArray[np.uint64],
    scratch: Rows,
    width: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Sum what several parts say of the same pairs, and keep the strongest of each item; of equal ones the lowest hash.

    Parameters
    ----------
    bounds : shape (n + 1,)
        Item i's entries stand from `bounds[i]` to `bounds[i + 1]` in `partners` and `given`.
    scratch : a cell for each row, of any content

    Returns
    -------
    rows, amounts : shape (n, width), in no order of amounts; 0 where there are no more
    """
    n_items = len(bounds) - 1
    rows = np.zeros((n_items, width), dtype=np.int32)
    amounts = np.zeros((n_items, width), dtype=np.float32)
    distinct = np.empty(len(partners), dtype=np.int32)
    sums = np.empty(len(partners))
    last = np.empty(len(partners), dtype=np.intp)
    for item in range(n_items):
        n = 0
        for entry in range(bounds[item], bounds[item + 1]):
            partner = partners[entry]
            at = scratch[partner]
            if not (0 <= at < n and distinct[at] == partner):
                at, n = n, n + 1
                scratch[partner], distinct[at], sums[at] = at, partner, 0.0
            sums[at] += given[entry]
        least = np.partition(sums[:n], n - width)[n - width] if n > width else 0.0
        kept, n_last = 0, 0
        for place in range(n):
            if n <= width or sums[place] > least:
                rows[item, kept], amounts[item, kept] = distinct[place], sums[place]
                kept += 1
            elif sums[place] == least:
                last[n_last] = place
                n_last += 1
        while n > width and kept < width:
            first = 0
            for at in range(1, n_last):
                if hashes[distinct[last[at]]] < hashes[distinct[last[first]]]:
                    first = at
            rows[item, kept], amounts[item, kept] = distinct[last[first]], least
            kept, n_last = kept + 1, n_last - 1
            last[first] = last[n_last]
    return rows, amounts


def summed(items: ItemTable, partitions: Mapping[int, PartitionTrends], policy: TrendsPolicy) -> Trends:
    """A reader that sums these partitions, as they stand."""
    reader = Trends(items, policy)
    for partition, counts in partitions.items():
        for item_id, trend in counts.items.items():
            reader.put(partition, item_id, trend)
    reader.refresh()
    return reader
