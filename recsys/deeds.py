"""A user's history as an array, kept beside it: reading a hundred deeds is then one line of memory after the other."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

DEED = np.dtype([("row", np.int32), ("code", np.int32), ("ts_ms", np.int64), ("value", np.float64)])
Deeds = NDArray[np.void]
"""Of `DEED`, shape (n,), by rising time."""


class Deed(Protocol):
    """What is read of a deed (`recsys.history.Interaction`)."""

    @property
    def item_id(self) -> str: ...

    @property
    def action(self) -> int: ...

    @property
    def ts_ms(self) -> int: ...

    @property
    def value(self) -> float: ...


class DeedArray:
    """The deeds of one history, items by the rows of one table; 24 bytes each, and some to grow into.

    What is appended to the history is seen by itself; whoever drops its first deed says so, and whoever changes it
    otherwise makes a new one.
    """

    __slots__ = ("_array", "_end", "_first", "history", "table")

    def __init__(self, history: Sequence[Deed], table: object) -> None:
        self.history, self.table = history, table
        self._array: Deeds = np.empty(0, dtype=DEED)
        self._first = self._end = 0

    def dropped(self) -> None:
        """Say that the history has lost its first deed."""
        self._first = min(self._first + 1, self._end)

    def deeds(self, row: Callable[[str], int]) -> Deeds:
        """All deeds, a view; `row` gives an item's row of the table."""
        held = self._end - self._first
        if held < len(self.history):
            new: list[Any] = [(row(deed.item_id), deed.action, deed.ts_ms, deed.value) for deed in self.history[held:]]
            if self._end + len(new) > len(self._array):
                grown = np.empty((held + len(new)) * 5 // 4 + 4, dtype=DEED)
                grown[:held] = self._array[self._first : self._end]
                self._array, self._first, self._end = grown, 0, held
            self._array[self._end : self._end + len(new)] = new
            self._end += len(new)
        return self._array[self._first : self._end]
