"""The rows that a sealed index does not know as they are: few, side by side in memory, scanned by each search."""

import numpy as np
from numpy.typing import NDArray

from recsys.index.exact import ExactSegment
from recsys.index.mask import Mask
from recsys.types import ItemRow, Rows, Vector


class UnsealedRows:
    """Copies of vectors by item row; scattered over their segment, each of its blocks would cost a scan."""

    def __init__(self, dim: int) -> None:
        self._slots = ExactSegment(dim)
        self._slot_of: dict[ItemRow, ItemRow] = {}
        self._row_of = np.zeros(1024, dtype=np.intp)

    def __len__(self) -> int:
        return len(self._slot_of)

    def put(self, row: ItemRow, vector: Vector | NDArray[np.float16]) -> None:
        slot = self._slot_of.setdefault(row, ItemRow(len(self._slot_of)))
        if slot >= len(self._row_of):
            self._row_of = np.concatenate([self._row_of, np.zeros_like(self._row_of)])
        self._row_of[slot] = row
        self._slots.put(slot, vector)

    def remove(self, row: ItemRow) -> None:
        """The last slot's row takes the place of the one removed, so that slots stay side by side."""
        slot = self._slot_of.pop(row, None)
        if slot is None:
            return
        last = ItemRow(len(self._slot_of))
        moved = self._slots.vector(last)
        if slot != last and moved is not None:
            other = ItemRow(int(self._row_of[last]))
            self._slots.put(slot, moved)
            self._slot_of[other], self._row_of[slot] = slot, other
        self._slots.remove(last)

    def search(self, query: Vector, k: int, allowed: Mask | None) -> tuple[Rows, Vector]:
        """The k best of the allowed rows, best first, with scores."""
        slots, scores = self._slots.scan(query, k, None if allowed is None else _allows(allowed, self._row_of))
        # The rows of slots only now: one that was put meanwhile may be among those found.
        return self._row_of[slots], scores


def _allows(allowed: Mask, rows: Rows) -> Mask:
    inside = rows < len(allowed)
    passing = np.zeros(len(rows), dtype=np.bool_)
    passing[inside] = allowed[rows[inside]]
    return passing
