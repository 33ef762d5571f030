"""Which of a segment's rows a sealed index answers for, as they stand now."""

from dataclasses import dataclass

import numpy as np

from recsys.index.mask import Mask
from recsys.index.sealed import SealedIndex
from recsys.types import ItemRow, Rows


@dataclass
class Cover:
    """A sealed index and two marks for each of its rows.

    Attributes
    ----------
    held : ndarray of bool, shape (n_rows,)
        Rows that have an entry in the sealed index.
    current : ndarray of bool, shape (n_rows,)
        Of these, the rows that have not been put or removed since.
    """

    sealed: SealedIndex
    held: Mask
    current: Mask
    n_current: int
    trained_for: int

    @classmethod
    def of(cls, sealed: SealedIndex, rows: Rows, trained_for: int) -> "Cover":
        held = np.zeros(int(rows[-1]) + 1 if len(rows) else 0, dtype=np.bool_)
        held[rows] = True
        return cls(sealed, held, held.copy(), len(rows), trained_for)

    def mark(self, row: ItemRow) -> None:
        """The row's entry is out of date."""
        if row < len(self.current) and self.current[row]:
            self.current[row] = False
            self.n_current -= 1

    def has(self, rows: Rows) -> Mask:
        """bool, shape (n,): which rows the sealed index has as they are."""
        inside = rows < len(self.current)
        found = np.zeros(len(rows), dtype=np.bool_)
        found[inside] = self.current[rows[inside]]
        return found

    def stale_rows(self) -> Rows:
        """intp, shape (n,): rows whose entries are to be taken out."""
        return np.flatnonzero(self.held & ~self.current)
