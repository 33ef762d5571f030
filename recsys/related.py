"""Rows related to rows, as arrays: what goes with ten items is one indexing, not ten look-ups."""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from recsys.types import Rows

Array = TypeVar("Array", NDArray[np.int32], NDArray[np.float32])
NOTHING = 0
"""The slot of every row that nothing is known of."""


class Stored(NamedTuple):
    """What is related to every row, for compiled loops: row r's stand in `rows[slots[r]]` and `amounts[slots[r]]`."""

    slots: NDArray[np.int32]
    rows: NDArray[np.int32]
    amounts: NDArray[np.float32]


class RelatedRows:
    """Up to `width` related rows with an amount each, for any number of rows of an `ItemTable`; one thread's own.

    A row takes `8 · width` bytes from its first `put` on, and a few bytes before.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._slots = np.zeros(1024, dtype=np.int32)
        self._n_slots = 1
        self._rows = np.zeros((64, width), dtype=np.int32)
        self._amounts = np.zeros((64, width), dtype=np.float32)

    def put(self, rows: Rows, related: NDArray[np.integer], amounts: NDArray[np.float32]) -> None:
        """Say what is related to some rows, in the place of what was said before.

        Parameters
        ----------
        rows : ndarray of intp, shape (n,); distinct
        related : ndarray of int, shape (n, at most `width`)
        amounts : ndarray of float32, the same shape; 0 is no entry
        """
        slots = self._slots_of(rows)
        given = related.shape[1]
        self._rows[slots, :given] = related
        self._amounts[slots, :given] = amounts
        self._amounts[slots, given:] = 0.0

    def _slots_of(self, rows: Rows) -> NDArray[np.int32]:
        """The rows' slots; new ones where they have none."""
        if rows.max() >= len(self._slots):
            self._slots = _longer(self._slots, int(rows.max()) + 1)
        without = rows[self._slots[rows] == NOTHING]
        needed = self._n_slots + len(without)
        if needed > len(self._rows):
            self._rows, self._amounts = _longer(self._rows, needed), _longer(self._amounts, needed)
        self._slots[without] = np.arange(self._n_slots, needed)
        self._n_slots = needed
        return self._slots[rows]

    def stored(self, n_rows: int) -> Stored:
        """All of it, for rows below `n_rows`; good until the next `put`."""
        if len(self._slots) < n_rows:
            self._slots = _longer(self._slots, n_rows)
        return Stored(self._slots, self._rows, self._amounts)

    def of(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """What is related to some rows: int32 and float32, shape (len(rows), width); an amount of 0 is no entry."""
        if len(self._slots) <= rows.max(initial=0):
            self._slots = _longer(self._slots, int(rows.max()) + 1)
        slots = self._slots[rows]
        return self._rows[slots], self._amounts[slots]


def _longer(array: Array, needed: int) -> Array:
    grown = np.zeros((max(needed, 2 * len(array)), *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    return grown
