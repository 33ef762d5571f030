"""Every product's vectors, searchable the moment they are put: parts of an item, each in exact segments.

An item has parts (`text`, `image`), any of which may be missing. Searching by several parts is searching the
concatenation [sqrt(w_text) text ; sqrt(w_image) image]: the score is w_text · cos + w_image · cos, weights summing to 1
over the parts that the query has, and a part that the item lacks adds nothing.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from recsys.errors import DimensionError
from recsys.ids import ItemIds
from recsys.index.mutable import SAME, Mask, MutableSegment
from recsys.types import ItemId, ItemRow, Rows, Vector

Part = Literal["text", "image"]
Hits = list[tuple[ItemId, float]]
"""Items with scores, best first; equal scores in order of item id."""

Query = list[tuple[Vector, MutableSegment]]
"""For each part of a query, a vector of length the part's weight and the segment that it is compared with."""

EQUAL_WEIGHTS: Mapping[Part, float] = {"text": 0.5, "image": 0.5}
MARGIN = 64
"""Rows asked of FAISS beyond k, so that ties at the end seldom cost a second scan."""
ROUNDING = 1e-5
"""FAISS adds up in another order than we do; scores closer than this count as possibly swapped."""


class LiveIndex:
    """Exact search over the parts of all items; callers never see a segment.

    Vectors of different encoders never meet: each encoder's vectors form a segment of their own (a generation), an
    item is in the newest one it was put with, and a query goes to the largest generation of its dimension. So a change
    of encoder fills the new generation while the old one serves who still asks with old vectors.

    One thread writes; searches may run in others (see `MutableSegment`).
    """

    def __init__(self, ids: ItemIds) -> None:
        self.ids = ids
        self._generations: dict[tuple[Part, str, int], MutableSegment] = {}

    def put(self, item_id: ItemId, part: Part, vector: Vector, encoder: str = "") -> None:
        """Set an item's part, float32, shape (dim,), of unit length; the part's older vector is gone."""
        row = self.ids.add(item_id)
        wanted = (part, encoder, len(vector))
        if wanted not in self._generations:
            self._generations = {**self._generations, wanted: MutableSegment(len(vector))}
        for key, segment in self._generations.items():
            if key[0] == part and key != wanted:
                segment.remove(row)
        self._generations[wanted].put(row, vector)
        self._drop_empty()

    def remove(self, item_id: ItemId, part: Part | None = None) -> None:
        """Take an item's part, or all of them, out of every answer."""
        row = self.ids.row(item_id)
        if row is None:
            return
        for (of, _, _), segment in self._generations.items():
            if part in (None, of):
                segment.remove(row)
        self._drop_empty()

    def vector(self, item_id: ItemId, part: Part) -> Vector | None:
        """A copy of the item's vector, float32, shape (dim,)."""
        row = self.ids.row(item_id)
        if row is None:
            return None
        held = (segment.vector(row) for (of, _, _), segment in self._generations.items() if of == part)
        return next((vector for vector in held if vector is not None), None)

    def count(self, part: Part) -> int:
        """How many items have the part."""
        return sum(len(segment) for (of, _, _), segment in self._generations.items() if of == part)

    def segment(self, part: Part, dim: int) -> MutableSegment | None:
        """The largest generation of a part with this dimension; None while the part has no vectors at all.

        Raises DimensionError where there are vectors, none of them of this dimension.
        """
        of_part = [(key[2], segment) for key, segment in self._generations.items() if key[0] == part]
        fitting = [segment for got, segment in of_part if got == dim]
        if of_part and not fitting:
            raise DimensionError(f"The query's {part} vector", expected=of_part[0][0], got=dim)
        return max(fitting, key=len, default=None)

    def search(
        self,
        parts: Mapping[Part, Vector],
        k: int,
        allowed: Mask | None = None,
        weights: Mapping[Part, float] = EQUAL_WEIGHTS,
    ) -> Hits:
        """The k best items that have at least one of the query's parts, exactly.

        Parameters
        ----------
        parts : mapping of part to ndarray of float32, shape (dim,)
            Brought to unit length here; a vector of zeros is a missing part.
        allowed : ndarray of bool, shape (n_rows,)
            By row of `ids`; rows beyond its end are not allowed. None allows all.
        """
        rows, scores = self.search_rows(parts, k, allowed, weights)
        return self._hits(rows, scores, k)

    def like(
        self, item_id: ItemId, k: int, allowed: Mask | None = None, weights: Mapping[Part, float] = EQUAL_WEIGHTS
    ) -> Hits:
        """The k items whose content is most like an item's, itself left out; nothing for an item without vectors.

        Cosines are taken from the mean of all items: what every product of a shop has in common tells none apart
        (on photographs of products, recall of the right one rises from .28 to .34).

        Notes
        -----
        Candidates are found by the inner product with the item's direction from the mean and scored in full; there are
        64 to spare, so what lies unusually near to the mean may be missed at the end of the list.
        """
        row = self.ids.row(item_id)
        query = [] if row is None else self._directions(row, weights)
        if row is None or not query:
            return []
        allowed = np.ones(len(self.ids), dtype=np.bool_) if allowed is None else allowed.copy()
        if row < len(allowed):
            allowed[row] = False
        rows, _ = _nearest(query, k + MARGIN, allowed)
        scores = np.zeros(len(rows), dtype=np.float32)
        for vector, segment in query:
            scores += segment.centred_scores(vector, rows)
        return self._hits(rows, scores, k)

    def search_rows(
        self,
        parts: Mapping[Part, Vector],
        k: int,
        allowed: Mask | None = None,
        weights: Mapping[Part, float] = EQUAL_WEIGHTS,
    ) -> tuple[Rows, Vector]:
        """At least the k best rows (where there are so many) and what lies so close that ids must decide, unordered."""
        allowed = np.ones(len(self.ids), dtype=np.bool_) if allowed is None else allowed
        return _nearest(self._query(parts, weights), k, allowed)

    def scores(self, parts: Mapping[Part, Vector], rows: Rows, weights: Mapping[Part, float] = EQUAL_WEIGHTS) -> Vector:
        """float32, shape (n,): the same scores as `search`, of rows one names."""
        return _scores(self._query(parts, weights), rows)

    def _query(self, parts: Mapping[Part, Vector], weights: Mapping[Part, float]) -> Query:
        """Each present part as a vector of length its weight, beside the segment that it is compared with."""
        lengths = {part: float(np.linalg.norm(vector)) for part, vector in parts.items()}
        total = sum(weights[part] for part, length in lengths.items() if length > 0) or 1.0
        query = []
        for part, length in lengths.items():
            segment = self.segment(part, len(parts[part])) if length > 0 else None
            if segment is not None:
                unit = np.asarray(parts[part], dtype=np.float32) / np.float32(length)
                query.append((unit * np.float32(weights[part] / total), segment))
        return query

    def _directions(self, row: ItemRow, weights: Mapping[Part, float]) -> Query:
        """From the mean to an item, for each part it has, of length the part's weight."""
        found = []
        for (part, _, _), segment in self._generations.items():
            vector = segment.vector(row)
            if vector is not None:
                direction = vector - segment.mean()
                found.append((weights[part], direction, float(np.linalg.norm(direction)), segment))
        total = sum(weight for weight, _, length, _ in found if length > SAME) or 1.0
        return [(away * np.float32(w / total / length), segment) for w, away, length, segment in found if length > SAME]

    def _hits(self, rows: Rows, scores: Vector, k: int) -> Hits:
        hits = [(self.ids[row], float(score)) for row, score in zip(rows, scores, strict=True)]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    def renumbered(self, kept: Rows) -> "LiveIndex":
        """A new index, with new ids, of the rows in `kept`; this one stays as it is for searches under way."""
        new = LiveIndex(ItemIds(self.ids[row] for row in kept))
        new._generations = {key: segment.renumbered(kept) for key, segment in self._generations.items()}
        return new

    def generations(self) -> list[tuple[Part, str, MutableSegment]]:
        """Each part's segments with the name of their encoder, for snapshots."""
        return [(part, encoder, segment) for (part, encoder, _), segment in self._generations.items()]

    def add_generation(self, part: Part, encoder: str, segment: MutableSegment) -> None:
        """Take a segment whose rows are rows of `ids`, from a snapshot."""
        self._generations = {**self._generations, (part, encoder, segment.dim): segment}

    def _drop_empty(self) -> None:
        if any(not len(segment) for segment in self._generations.values()):
            self._generations = {key: segment for key, segment in self._generations.items() if len(segment)}


def _nearest(query: Query, k: int, allowed: Mask) -> tuple[Rows, Vector]:
    """At least the k best rows by the sum of the parts' inner products, exactly, with scores.

    Notes
    -----
    Fagin's threshold algorithm: the best m of each part are scored in full; the k best of them are the k best of
    all once the k-th beats the sum of the parts' m-th scores, which nothing unseen can pass. Else m grows.

    References
    ----------
    .. [1] R. Fagin, A. Lotem, M. Naor, "Optimal Aggregation Algorithms for Middleware", PODS 2001.
    """
    wanted = k + MARGIN if len(query) == 1 else 4 * k + 4 * MARGIN
    while True:
        lists = [segment.search(vector, wanted, allowed) for vector, segment in query]
        rows = np.unique(np.concatenate([rows for rows, _ in lists])) if lists else np.zeros(0, dtype=np.intp)
        scores = _scores(query, rows)
        if all(len(found) < wanted for found, _ in lists):
            return rows, scores
        if len(rows) >= k and np.partition(scores, -k)[-k] > _unseen_at_most(lists, wanted) + ROUNDING:
            return rows, scores
        wanted *= 4


def _scores(query: Query, rows: Rows) -> Vector:
    scores = np.zeros(len(rows), dtype=np.float32)
    for vector, segment in query:
        scores += segment.scores(vector, rows)
    return scores


def _unseen_at_most(lists: list[tuple[Rows, Vector]], wanted: int) -> float:
    """The highest score that a row in none of the lists can have."""
    last = [float(scores[-1]) if len(rows) == wanted else 0.0 for rows, scores in lists]
    return last[0] if len(last) == 1 else sum(max(score, 0.0) for score in last)
