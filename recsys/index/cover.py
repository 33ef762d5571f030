"""Which of a segment's rows a sealed index answers for, as they stand now."""

import numpy as np

from recsys.index.mask import Mask
from recsys.index.sealed import Passing, SealedIndex
from recsys.types import ItemRow, Rows, Vector

ALL = 0.9
"""Share of the rows from which on a few more candidates are asked for, and those that are not allowed left out: cheaper
than a filter within the index."""
FILTERED = 1.5
"""How much further a filtered search looks beyond its share: what a filter leaves lies further away."""
GONE = -1


class Cover:
    """A sealed index, the row that each of its entries was made of, and which entries are out of date.

    One thread marks; others may search meanwhile.
    """

    def __init__(self, sealed: SealedIndex, entries: Rows, trained_for: int) -> None:
        self.sealed, self.entries, self.trained_for = sealed, entries.copy(), trained_for
        self._entry_of = np.full(int(entries.max(initial=-1)) + 1, GONE, dtype=np.intp)
        current = np.flatnonzero(entries >= 0)
        self._entry_of[entries[current]] = current
        self.n_current = len(current)
        self._bits = np.packbits(entries >= 0, bitorder="little")
        self._all, self._current = Passing(), Passing(self._bits)

    def mark(self, row: ItemRow) -> None:
        """The row's entry is out of date."""
        if row < len(self._entry_of):
            entry = int(self._entry_of[row])
            if entry != GONE:
                self._entry_of[row] = self.entries[entry] = GONE
                self._bits[entry >> 3] &= 0xFF ^ (1 << (entry & 7))
                self.n_current -= 1

    def has(self, rows: Rows) -> Mask:
        """bool, shape (n,): which rows the sealed index has as they are."""
        inside = rows < len(self._entry_of)
        found = np.zeros(len(rows), dtype=np.bool_)
        found[inside] = self._entry_of[rows[inside]] != GONE
        return found

    def candidates(self, query: Vector, k: int, allowed: Mask | None, share: float) -> Rows:
        """Rows among the nearest that are as the sealed index knows them, and allowed; intp, at most k.

        Parameters
        ----------
        share : of the rows that are allowed
        """
        current = self.n_current / max(len(self.entries), 1)
        is_filtered = allowed is not None and share < ALL
        if is_filtered and allowed is not None:
            passing = Passing(np.packbits(self._allows(allowed), bitorder="little"))
            found = self.sealed.candidates(query, k, passing, share * current / FILTERED)
        else:
            found = self.sealed.candidates(query, k, self._all if current == 1 else self._current, current)
        rows: Rows = self.entries[found]
        rows = rows[rows != GONE]
        if is_filtered or allowed is None:
            return rows
        rows = rows[rows < len(allowed)]
        return rows[allowed[rows]]

    def _allows(self, allowed: Mask) -> Mask:
        """bool, shape (n_entries,): GONE takes the last, which allows nothing."""
        size = len(self._entry_of) + 1
        by_row = np.zeros(size, dtype=np.bool_)
        by_row[: min(len(allowed), size - 1)] = allowed[: size - 1]
        return np.asarray(by_row[self.entries])
