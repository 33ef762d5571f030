"""Which rows hold a value (a word, a brand), kept right under adding and removing."""

from array import array
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from recsys.types import ItemRow

K = TypeVar("K", bound=Hashable)


class Postings(Generic[K]):
    """Rows and a weight each, by value: 8 bytes a posting, appending O(1), removing O(rows of the value).

    Not safe for threads by itself; what it returns are copies, which are.
    """

    def __init__(self) -> None:
        self._lists: dict[K, tuple[array[int], array[float]]] = {}

    def add(self, value: K, row: ItemRow, weight: float = 1.0) -> None:
        """The caller sees to it that a row is added once a value."""
        held = self._lists.get(value)
        if held is None:
            held = self._lists[value] = (array("i"), array("f"))
        held[0].append(row)
        held[1].append(weight)

    def remove(self, value: K, row: ItemRow) -> None:
        rows, weights = self._lists[value]
        at = int(np.flatnonzero(np.frombuffer(rows, dtype=np.int32) == row)[0])
        rows[at], weights[at] = rows[-1], weights[-1]
        rows.pop()
        weights.pop()
        if not rows:
            del self._lists[value]

    def renumber(self, new_rows: NDArray[np.int32]) -> None:
        """Let every row be `new_rows[row]`; each must still be there."""
        for rows, _ in self._lists.values():
            rows[:] = array("i", new_rows[np.array(rows)].tolist())

    def rows(self, value: K) -> NDArray[np.int32]:
        """int32, shape (n,): the value's rows in no particular order."""
        found = self._lists.get(value)
        return np.array(found[0] if found else (), dtype=np.int32)

    def weights(self, value: K) -> NDArray[np.float32]:
        """float32, shape (n,): the weights, in the order of `rows`."""
        found = self._lists.get(value)
        return np.array(found[1] if found else (), dtype=np.float32)

    def count(self, value: K) -> int:
        found = self._lists.get(value)
        return len(found[0]) if found else 0

    def __iter__(self) -> Iterator[K]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)
