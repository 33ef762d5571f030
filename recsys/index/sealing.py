"""Making a segment's next sealed index, in steps of which only the long one may run in another thread."""

import numpy as np

from recsys.index.half import widened
from recsys.index.mutable import MutableSegment
from recsys.index.planning import Sealed, Step, next_step
from recsys.index.sealed import GRAPH, LISTS_OF_ROOT, TRAINING_ROWS_OF_LIST, Passing, SealedIndex
from recsys.types import Matrix, Rows

BLOCK_NUMBERS = 2**24
"""Numbers put in at once, 64 MB: a graph to which a few thousand rows are added at a time is a worse one."""
RANGED_ROWS = 50_000
"""What a graph takes the range of each number from; a third of the rows costs .005 of recall."""
TUNING_QUERIES = 100
"""Exact scans after each build: half a second at 100,000 rows."""
TUNING_K = 10
RECALL = 0.99
"""Of the ten nearest rows, for queries as unlike as a shopper's words are, that the breadth is chosen by."""
ROUNDING = 1e-5
"""Scores closer than this count as equal: a scan adds up in another order."""
TURN = 0.5
"""How far the tuning queries are turned away from rows, which are easier to find by themselves than by other words."""


def is_due(segment: MutableSegment) -> bool:
    """Whether there is a step to be done."""
    return _step(segment) is not Step.NOTHING


def _step(segment: MutableSegment) -> Step:
    cover = segment.cover
    held = None
    if cover is not None:
        held = Sealed(len(cover.entries), cover.n_current, cover.trained_for, cover.sealed.kind is GRAPH)
    return next_step(len(segment), segment.n_unsealed, held)


class Sealing:
    """One step of one segment: the writer makes it, any thread calls `build`, and the writer `put_in_use`.

    Searches go on in the old sealed index meanwhile; what is put while it is built counts as unsealed in the new one.
    """

    def __init__(self, segment: MutableSegment) -> None:
        cover = segment.cover
        self._segment = segment
        self.step = _step(segment)
        self._rows = segment.held_rows()
        self._entries = self._rows
        self._trained_for = len(self._rows)
        self._sealed: SealedIndex | None = None
        if cover is not None and self.step is Step.APPEND:
            self._rows = self._rows[~cover.has(self._rows)]
            self._entries = np.concatenate([cover.entries, self._rows])
            self._trained_for, self._old = cover.trained_for, cover.sealed
        if self.step is not Step.NOTHING:
            segment.begin_cover()

    def build(self) -> None:
        """The long step: 0.1 ms a row and more for a graph, a third of that for lists."""
        if self.step is Step.APPEND:
            self._sealed = self._old.copied()
            self._fill(self._sealed)
        elif self.step in (Step.GRAPH, Step.LISTS):
            self._sealed = self._trained()
            self._fill(self._sealed)
            self._tune(self._sealed)

    def _trained(self) -> SealedIndex:
        n_lists = max(1, min(int(LISTS_OF_ROOT * len(self._rows) ** 0.5), len(self._rows) // 8))
        wanted = RANGED_ROWS if self.step is Step.GRAPH else n_lists * TRAINING_ROWS_OF_LIST
        seen, dim = self._gather(self._rows[:: max(1, len(self._rows) // wanted)]), self._segment.dim
        return SealedIndex.graph(dim, seen) if self.step is Step.GRAPH else SealedIndex.lists(dim, seen, n_lists)

    def _fill(self, sealed: SealedIndex) -> None:
        block = max(1, BLOCK_NUMBERS // self._segment.dim)
        for start in range(0, len(self._rows), block):
            sealed.add(self._gather(self._rows[start : start + block]))

    def _tune(self, sealed: SealedIndex) -> None:
        """By rows turned a little, which an exact scan answers."""
        queries = self._gather(self._rows[:: max(1, len(self._rows) // TUNING_QUERIES)])
        rng = np.random.default_rng(0)
        lengths = np.linalg.norm(queries, axis=1, keepdims=True)
        noise = rng.standard_normal(queries.shape, dtype=np.float32) * (TURN / np.sqrt(queries.shape[1]))
        turned = np.asarray(queries + lengths * noise, dtype=np.float32)
        every = np.zeros(int(self._rows[-1]) + 1, dtype=np.bool_)
        every[self._rows] = True
        # By scores, as equal vectors may stand for each other.
        least = [self._segment.scan(query, TUNING_K, every)[1].min(initial=np.inf) - ROUNDING for query in turned]
        for breadth in sealed.kind.breadths:
            sealed.breadth = breadth
            found = [self._rows[sealed.candidates(query, 2 * TUNING_K, Passing(), 1.0)] for query in turned]
            scores = [self._segment.scores(query, rows) for query, rows in zip(turned, found, strict=True)]
            n_right = sum(min(TUNING_K, int((of >= low).sum())) for of, low in zip(scores, least, strict=True))
            if n_right >= RECALL * TUNING_K * len(turned):
                return

    def put_in_use(self) -> None:
        """Swap the new sealed index in at once."""
        if self.step is not Step.NOTHING:
            self._segment.put_cover(self._sealed, self._entries, self._trained_for)

    def _gather(self, rows: Rows) -> Matrix:
        return widened(self._segment.gather(rows))
