"""A segment that any row of can change at any time, with a sealed index over most of its rows once there are many."""

import numpy as np
from numpy.typing import NDArray

from recsys.index.cover import Cover
from recsys.index.exact import ExactSegment, best
from recsys.index.mask import Mask as Mask
from recsys.index.sealed import SealedIndex
from recsys.index.unsealed import UnsealedRows
from recsys.types import ItemRow, Rows, Vector

BLOCK = 4_096
SPARE = 1.5
"""Candidates scored for each one wanted: what 8 bits a number misplace."""
SCAN_COST = 8.0
"""Rows scanned in the time that a search takes for one entry of its breadth, which grows with what a filter leaves."""


class MutableSegment(ExactSegment):
    """Vectors by item row: every one exact, and named by a sealed index where there are many.

    One thread writes; others may search meanwhile. A search that runs while a row is overwritten may score that one
    row by parts of both vectors; the next search is right.

    Notes
    -----
    Memory: 2 · dim bytes a row, in blocks of 4,096 rows that exist once one of their rows is written; a sealed index
    and a second copy of what changed since it was built come on top.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.cover: Cover | None = None
        self._unsealed = UnsealedRows(dim)
        self._touched: set[ItemRow] | None = None

    def put(self, row: ItemRow, vector: Vector | NDArray[np.float16]) -> None:
        """Set or overwrite a row. Raises DimensionError."""
        super().put(row, vector)
        if self.cover is not None:
            self._unsealed.put(row, vector)
        if self._touched is not None:
            self._touched.add(row)

    def remove(self, row: ItemRow) -> None:
        """Mark a row as empty; nothing happens where it is already."""
        if not self.holds(row):
            return
        super().remove(row)
        if self.cover is not None:
            self.cover.mark(row)
            self._unsealed.remove(row)
        if self._touched is not None:
            self._touched.add(row)

    @property
    def n_unsealed(self) -> int:
        """Rows that each search scans."""
        return len(self) if self.cover is None else len(self._unsealed)

    def begin_cover(self) -> None:
        """From now on note which rows change: a sealed index of the rows as they are is being built."""
        self._touched = set()

    def put_cover(self, sealed: SealedIndex | None, entries: Rows, trained_for: int) -> None:
        """Let a sealed index answer for the rows that it was built of, but for those that changed meanwhile.

        Parameters
        ----------
        entries : ndarray of intp, shape (len(sealed),)
            The row that each of its entries was made of; -1 for an entry that is out of date.
        """
        cover = None if sealed is None else Cover(sealed, entries, trained_for)
        unsealed = UnsealedRows(self.dim)
        for row in self._touched or ():
            if cover is not None:
                cover.mark(row)
                vector = self.vector(row)
                if vector is not None:
                    unsealed.put(row, vector)
        self._touched, self._unsealed, self.cover = None, unsealed, cover

    def search(self, query: Vector, k: int, allowed: Mask | None = None, *, exact: bool = False) -> tuple[Rows, Vector]:
        """The k best of the allowed filled rows, best first, with exact scores; fewer where there are fewer.

        Where there is a sealed index, some of the k best may be missed unless `exact` is asked for.

        Parameters
        ----------
        query : ndarray of float32, shape (dim,)
        k : int
            At least 1.
        allowed : ndarray of bool, shape (n_rows,), optional
            Rows beyond its end are not allowed; None allows all.
        """
        cover = self.cover
        if cover is None or exact:
            return self.scan(query, k, allowed)
        n_allowed = len(self) if allowed is None else int(np.count_nonzero(self.passing(allowed)))
        share = n_allowed / max(len(self), 1)
        if n_allowed * share < SCAN_COST * cover.sealed.breadth:
            return self.scan(query, k, allowed)
        rows = cover.candidates(query, int(SPARE * k) + 1, allowed, share)
        if self.n_unsealed:
            fresh, _ = self._unsealed.search(query, k, allowed)
            rows = np.unique(np.concatenate([rows, fresh]))
        if len(rows) < min(k, n_allowed):
            return self.scan(query, k, allowed)
        return best(rows, self.scores(query, rows), k)

    def renumbered(self, kept: Rows) -> "MutableSegment":
        """A new segment in which row i is what `kept[i]` was here, every other row gone; this one stays as it is."""
        new = MutableSegment(self.dim)
        for start in range(0, len(kept), BLOCK):
            rows = kept[start : start + BLOCK]
            held = np.flatnonzero(self.are_held(rows))
            new.fill(start + held, self.gather(rows[held]))
        return new
