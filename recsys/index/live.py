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
from recsys.index.mutable import Mask, MutableSegment
from recsys.types import ItemId, Rows, Vector

Part = Literal["text", "image"]
Hits = list[tuple[ItemId, float]]
"""Items with scores, best first; equal scores in order of item id."""

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
        hits = [(self.ids[row], float(score)) for row, score in zip(rows, scores, strict=True)]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    def search_rows(
        self,
        parts: Mapping[Part, Vector],
        k: int,
        allowed: Mask | None = None,
        weights: Mapping[Part, float] = EQUAL_WEIGHTS,
    ) -> tuple[Rows, Vector]:
        """At least the k best rows (where there are so many) and what lies so close that ids must decide, unordered.

        Notes
        -----
        Fagin's threshold algorithm: the best m of each part are scored in full; the k best of them are the k best of
        all once the k-th beats the sum of the parts' m-th scores, which nothing unseen can pass. Else m grows.
        """
        query = self._query(parts, weights)
        allowed = np.ones(len(self.ids), dtype=np.bool_) if allowed is None else allowed
        wanted = k + MARGIN
        while True:
            lists = [segment.search(vector, wanted, allowed) for vector, segment in query]
            rows = np.unique(np.concatenate([rows for rows, _ in lists])) if lists else np.zeros(0, dtype=np.intp)
            scores = _scores(query, rows)
            if all(len(found) < wanted for found, _ in lists):
                return rows, scores
            if len(rows) >= k and np.partition(scores, -k)[-k] > _unseen_at_most(lists, wanted) + ROUNDING:
                return rows, scores
            wanted *= 4

    def scores(self, parts: Mapping[Part, Vector], rows: Rows, weights: Mapping[Part, float] = EQUAL_WEIGHTS) -> Vector:
        """float32, shape (n,): the same scores as `search`, of rows one names."""
        return _scores(self._query(parts, weights), rows)

    def _query(
        self, parts: Mapping[Part, Vector], weights: Mapping[Part, float]
    ) -> list[tuple[Vector, MutableSegment]]:
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

    def _drop_empty(self) -> None:
        if any(not len(segment) for segment in self._generations.values()):
            self._generations = {key: segment for key, segment in self._generations.items() if len(segment)}


def _scores(query: list[tuple[Vector, MutableSegment]], rows: Rows) -> Vector:
    scores = np.zeros(len(rows), dtype=np.float32)
    for vector, segment in query:
        scores += segment.scores(vector, rows)
    return scores


def _unseen_at_most(lists: list[tuple[Rows, Vector]], wanted: int) -> float:
    """The highest score that a row in none of the lists can have."""
    last = [float(scores[-1]) if len(rows) == wanted else 0.0 for rows, scores in lists]
    return last[0] if len(last) == 1 else sum(max(score, 0.0) for score in last)
