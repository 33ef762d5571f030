"""What a query asks of one segment, and the best rows by several of them together, exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.index.measure import Measure
from recsys.index.mutable import Mask, MutableSegment
from recsys.types import Rows, Vector

MARGIN = 64
"""Rows asked of FAISS beyond k, so that ties at the end seldom cost a second scan."""
ROUNDING = 1e-5
"""FAISS adds up in another order than we do; scores closer than this count as possibly swapped."""
MOST_CANDIDATES = 4096
"""Rows scored in full at most where rows are compared from their mean: what lies so near to the mean that 4,096 others
have larger inner products may be missed. Without a lens nothing is ever missed."""


@dataclass(frozen=True)
class Aim:
    """Part of a query's score: (inner product - offset) / length of the row + bias, for the rows it is meant for."""

    vector: Vector
    segment: MutableSegment
    offset: float = 0.0
    measure: Measure | None = None
    bias: float = 0.0
    only: Mask | None = None
    """Rows that this is meant for; None means all. Other rows, and those without a vector, score 0."""

    def scores(self, rows: Rows) -> Vector:
        """float32, shape (n,)."""
        products = self.segment.scores(self.vector, rows)
        if self.measure is None:
            return products
        scores = (products - np.float32(self.offset)) / self.measure.of(rows) + np.float32(self.bias)
        return np.where(self._meant(rows), scores, np.float32(0)).astype(np.float32)

    def search(self, k: int, allowed: Mask | None, *, exact: bool) -> tuple[Rows, Vector]:
        """The k best rows by inner product, best first, with the most that a row after them can score."""
        if self.only is not None:
            size = len(self.only) if allowed is None else min(len(allowed), len(self.only))
            allowed = self.only if allowed is None else allowed[:size] & self.only[:size]
        rows, products = self.segment.search(self.vector, k, allowed, exact=exact)
        if self.measure is None:
            return rows, products
        return rows, np.maximum(products - np.float32(self.offset), 0) / np.float32(self.measure.least) + self.bias

    def _meant(self, rows: Rows) -> Mask:
        meant = self.segment.are_held(rows)
        if self.only is not None:
            inside = rows < len(self.only)
            meant[~inside] = False
            meant[inside] &= self.only[rows[inside]]
        return meant


def nearest(aims: Sequence[Aim], k: int, allowed: Mask | None, *, exact: bool = False) -> tuple[Rows, Vector]:
    """At least the k best rows by the sum of the aims' scores, with scores, unordered.

    Where a segment has a sealed index, some may be missed unless `exact` is asked for; their scores are exact anyway.
    None for `allowed` allows all.

    Notes
    -----
    Fagin's threshold algorithm: the best m of each part are scored in full; the k best of them are the k best of
    all once the k-th beats the sum of the parts' m-th scores, which nothing unseen can pass. Else m grows.

    References
    ----------
    .. [1] R. Fagin, A. Lotem, M. Naor, "Optimal Aggregation Algorithms for Middleware", PODS 2001.
    """
    is_measured = any(aim.measure is not None for aim in aims)
    is_sealed = not exact and any(aim.segment.cover is not None for aim in aims)
    if is_sealed and len(aims) == 1 and not is_measured:
        return aims[0].search(k, allowed, exact=False)
    wanted = k + MARGIN if len(aims) == 1 and not is_measured else 4 * k + 4 * MARGIN
    while True:
        lists = [aim.search(wanted, allowed, exact=exact) for aim in aims]
        rows = np.unique(np.concatenate([rows for rows, _ in lists])) if lists else np.zeros(0, dtype=np.intp)
        scores = total(aims, rows)
        if is_sealed or all(len(found) < wanted for found, _ in lists):
            return rows, scores
        if len(rows) >= k and np.partition(scores, -k)[-k] > _unseen_at_most(lists, wanted) + ROUNDING:
            return rows, scores
        if is_measured and wanted >= max(MOST_CANDIDATES, 4 * k):
            return rows, scores
        wanted *= 4


def total(aims: Sequence[Aim], rows: Rows) -> Vector:
    """float32, shape (n,): the sum of the aims' scores."""
    scores = np.zeros(len(rows), dtype=np.float32)
    for aim in aims:
        scores += aim.scores(rows)
    return scores


def _unseen_at_most(lists: list[tuple[Rows, Vector]], wanted: int) -> float:
    """The highest score that a row in none of the lists can have."""
    last = [float(scores[-1]) if len(rows) == wanted else 0.0 for rows, scores in lists]
    return last[0] if len(last) == 1 else sum(max(score, 0.0) for score in last)
