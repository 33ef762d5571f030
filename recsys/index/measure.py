"""A length for each row of a segment, kept right while rows change."""

from collections.abc import Callable

import numpy as np

from recsys.index.mutable import MutableSegment
from recsys.types import ItemRow, Matrix, Rows, Vector

LEAST_SHARE = 0.5
"""Of the median: a vector nearer to the mean than that counts as that far, lest noise pass for likeness; and the bound
that ends a search rests on the least length."""
BLOCK = 4096


class Measure:
    """The lengths of a segment's vectors under a projection of theirs.

    Made in three steps, so that the long one can run in another thread: the segment's writer calls `watch`, any thread
    `fill`, and the writer `settle`, which measures again what changed meanwhile.
    """

    def __init__(self) -> None:
        self._length_of: Callable[[Matrix], Vector] | None = None
        self._values = np.zeros(0, dtype=np.float32)
        self._touched: set[ItemRow] | None = set()
        self.least = 1.0
        """No length is below this."""

    def watch(self, segment: MutableSegment) -> None:
        """Be told of each row that the segment gets from now on."""
        segment.measures = (*segment.measures, self)

    def fill(self, segment: MutableSegment, length_of: Callable[[Matrix], Vector]) -> None:
        """Measure all rows: `length_of` takes vectors, shape (n, dim), and gives float32, shape (n,). O(n)."""
        self._length_of = length_of
        rows = segment.held_rows()
        values = np.zeros(int(rows[-1]) + 1 if len(rows) else 0, dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            values[block] = length_of(segment.gather(block).astype(np.float32))
        if len(rows):
            self.least = max(LEAST_SHARE * float(np.median(values[rows])), 1e-6)
        self._values = np.maximum(values, np.float32(self.least))

    def settle(self, segment: MutableSegment) -> None:
        """Measure again what was put since `watch`; from here on rows are measured as they are put."""
        touched, self._touched = self._touched or set(), None
        for row in touched:
            vector = segment.vector(row)
            if vector is not None:
                self.put(row, vector)

    def put(self, row: ItemRow, vector: Vector) -> None:
        """A row has a new vector."""
        if self._touched is not None:
            self._touched.add(row)
            return
        assert self._length_of is not None  # `fill` came before `settle`
        if row >= len(self._values):
            grown = np.ones(max(2 * len(self._values), row + 1024), dtype=np.float32)
            grown[: len(self._values)] = self._values
            self._values = grown
        self._values[row] = max(float(self._length_of(vector[None])[0]), self.least)

    def of(self, rows: Rows) -> Vector:
        """float32, shape (n,): the rows' lengths; 1 for a row that was never measured."""
        values = self._values
        lengths = np.ones(len(rows), dtype=np.float32)
        inside = rows < len(values)
        lengths[inside] = values[rows[inside]]
        return lengths

    def renumbered(self, kept: Rows) -> "Measure":
        """The same, row i being what `kept[i]` was."""
        new = Measure()
        new._length_of, new._values, new._touched, new.least = self._length_of, self.of(kept), None, self.least
        return new
