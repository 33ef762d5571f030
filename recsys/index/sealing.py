"""Making a segment's next sealed index, in steps of which only the long one may run in another thread."""

import numpy as np

from recsys.index.mutable import MutableSegment
from recsys.index.planning import Step, next_step
from recsys.index.sealed import LISTS_OF_ROOT, TRAINING_ROWS_OF_LIST, Changes, SealedIndex
from recsys.types import Matrix, Rows

BLOCK = 16_384
TUNING_QUERIES = 100
"""Exact scans after each training: half a second at 100,000 rows."""
TUNING_K = 10


def is_due(segment: MutableSegment) -> bool:
    """Whether there is a step to be done."""
    return _step(segment) is not Step.NOTHING


def _step(segment: MutableSegment) -> Step:
    cover = segment.cover
    return next_step(len(segment), segment.n_unsealed, cover.trained_for if cover else None)


class Sealing:
    """One step of one segment: the writer makes it, any thread calls `build`, and the writer `put_in_use`.

    Searches go on in the old sealed index meanwhile; what is put while it is built counts as unsealed in the new one.
    """

    def __init__(self, segment: MutableSegment) -> None:
        cover = segment.cover
        self._segment = segment
        self.step = _step(segment)
        self._rows = segment.held_rows()
        self._sealed: SealedIndex | None = None
        self._trained_for = cover.trained_for if cover else 0
        if self.step is Step.REBUILD:
            self._trained_for = len(self._rows)
        if cover is not None and self.step is Step.APPEND:
            fresh = self._rows[~cover.has(self._rows)]
            self._changes = Changes(cover.stale_rows(), fresh)
            self._old = cover.sealed
        if self.step is not Step.NOTHING:
            segment.begin_cover()

    def build(self) -> None:
        """The long step: about 60 µs a row for a rebuild of 384 numbers, 10 ms and 40 µs for each row that is new."""
        if self.step is Step.REBUILD:
            n_lists = max(1, min(int(LISTS_OF_ROOT * len(self._rows) ** 0.5), len(self._rows) // 8))
            step = max(1, len(self._rows) // (n_lists * TRAINING_ROWS_OF_LIST))
            self._sealed = SealedIndex.trained(self._gather(self._rows[::step]), n_lists)
            for start in range(0, len(self._rows), BLOCK):
                block = self._rows[start : start + BLOCK]
                self._sealed.add(block, self._gather(block))
            self._tune(self._sealed)
        elif self.step is Step.APPEND:
            self._sealed = self._old.changed(self._changes, self._gather(self._changes.added))

    def _tune(self, sealed: SealedIndex) -> None:
        """By some of the segment's own rows, which an exact scan answers."""
        queries = self._gather(self._rows[:: max(1, len(self._rows) // TUNING_QUERIES)])
        every = np.ones(int(self._rows[-1]) + 1, dtype=np.bool_)
        sealed.tune(queries, [self._segment.search(query, TUNING_K, every, exact=True)[0] for query in queries])

    def put_in_use(self) -> None:
        """Swap the new sealed index in at once."""
        if self.step is not Step.NOTHING:
            self._segment.put_cover(self._sealed, self._rows, self._trained_for)

    def _gather(self, rows: Rows) -> Matrix:
        return self._segment.gather(rows).astype(np.float32)
