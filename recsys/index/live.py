"""Every product's vectors, searchable the moment they are put: parts of an item, each in exact segments.

An item has parts (`text`, `image`), any of which may be missing. Searching by several parts is searching the
concatenation [sqrt(w_text) text ; sqrt(w_image) image]: the score is w_text · cos + w_image · cos, weights summing to 1
over the parts that the query has. Once a `Sight` is fitted, pictures are compared through its lens, and an item that
lacks a part of the query is scored on its other part, across the bridge; without one, a missing part adds nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from recsys.errors import DimensionError
from recsys.ids import ItemIds
from recsys.index.aim import MARGIN, Aim, nearest
from recsys.index.bridge import Bridge
from recsys.index.exact import SAME
from recsys.index.lens import Lens
from recsys.index.measure import Measure
from recsys.index.mutable import Mask, MutableSegment
from recsys.index.sealing import Sealing, is_due
from recsys.types import ItemId, ItemRow, Rows, Vector

Part = Literal["text", "image"]
Hits = list[tuple[ItemId, float]]
"""Items with scores, best first; equal scores in order of item id."""

EQUAL_WEIGHTS: Mapping[Part, float] = {"text": 0.5, "image": 0.5}
NO_ORIGINS: Mapping[Part, Vector] = {}
Key = tuple[Part, str, int]
"""A generation: the part, its encoder's name, its dimension."""


@dataclass(frozen=True)
class Sight:
    """What was learned of one generation of pictures, and of one of texts where there are products with both."""

    images: Key
    lens: Lens
    seen: Measure
    texts: Key | None = None
    bridge: Bridge | None = None
    crossed: Measure | None = None
    """Of the pictures, in the space of texts."""
    texts_seen: Measure | None = None


class LiveIndex:
    """Exact search over the parts of all items; callers never see a segment.

    Vectors of different encoders never meet: each encoder's vectors form a segment of their own (a generation), an
    item is in the newest one it was put with, and a query goes to the largest generation of its dimension. So a change
    of encoder fills the new generation while the old one serves who still asks with old vectors.

    One thread writes; searches may run in others (see `MutableSegment`).
    """

    def __init__(self, ids: ItemIds) -> None:
        self.ids = ids
        self._generations: dict[Key, MutableSegment] = {}
        self.sight: Sight | None = None

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
        key = self._key(part, dim)
        return None if key is None else self._generations[key]

    def largest(self, part: Part) -> tuple[Key, MutableSegment] | None:
        """The generation that most items with this part are in."""
        of_part = [(key, segment) for key, segment in self._generations.items() if key[0] == part]
        return max(of_part, key=lambda held: len(held[1]), default=None)

    def _key(self, part: Part, dim: int) -> Key | None:
        of_part = [key for key in self._generations if key[0] == part]
        fitting = [key for key in of_part if key[2] == dim]
        if of_part and not fitting:
            raise DimensionError(f"The query's {part} vector", expected=of_part[0][2], got=dim)
        return max(fitting, key=lambda key: len(self._generations[key]), default=None)

    def search(
        self,
        parts: Mapping[Part, Vector],
        k: int,
        allowed: Mask | None = None,
        weights: Mapping[Part, float] = EQUAL_WEIGHTS,
        origins: Mapping[Part, Vector] = NO_ORIGINS,
    ) -> Hits:
        """The k best items that have at least one of the query's parts, exactly (but see `aim.MOST_CANDIDATES`).

        Parameters
        ----------
        parts : mapping of part to ndarray of float32, shape (dim,)
            Brought to unit length here; a vector of zeros is a missing part.
        allowed : ndarray of bool, shape (n_rows,)
            By row of `ids`; rows beyond its end are not allowed. None allows all.
        origins : mapping of part to ndarray of float32, shape (dim,)
            The mean of such queries, where it is known to differ from the catalogue's.
        """
        rows, scores = self.search_rows(parts, k, allowed, weights, origins)
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
        rows, _ = nearest(query, k + MARGIN, allowed, exact=True)
        scores = np.zeros(len(rows), dtype=np.float32)
        for aim in query:
            scores += aim.segment.centred_scores(aim.vector, rows)
        return self._hits(rows, scores, k)

    def search_rows(
        self,
        parts: Mapping[Part, Vector],
        k: int,
        allowed: Mask | None = None,
        weights: Mapping[Part, float] = EQUAL_WEIGHTS,
        origins: Mapping[Part, Vector] = NO_ORIGINS,
    ) -> tuple[Rows, Vector]:
        """At least the k best rows (where there are so many) and what lies so close that ids must decide, unordered."""
        return nearest(self.aims(parts, weights, origins), k, allowed)

    def aims(
        self,
        parts: Mapping[Part, Vector],
        weights: Mapping[Part, float] = EQUAL_WEIGHTS,
        origins: Mapping[Part, Vector] = NO_ORIGINS,
    ) -> list[Aim]:
        """What a query asks of each segment; `aim.total` of them is the score of rows one names."""
        lengths = {part: float(np.linalg.norm(vector)) for part, vector in parts.items()}
        whole = sum(weights[part] for part, length in lengths.items() if length > 0) or 1.0
        aims: list[Aim] = []
        for part, length in lengths.items():
            key = self._key(part, len(parts[part])) if length > 0 else None
            if key is not None:
                unit = np.asarray(parts[part] / np.float32(length), dtype=np.float32)
                aims += self._aims_of_part(key, unit, weights[part] / whole, origins.get(part))
        return aims

    def _aims_of_part(self, key: Key, unit: Vector, weight: float, origin: Vector | None) -> list[Aim]:
        """Of length its weight: at the rows that have the part, and across the bridge at those that have the other."""
        segment, sight = self._generations[key], self.sight
        own = Aim(unit * np.float32(weight), segment)
        if sight is None or key not in (sight.images, sight.texts):
            return [own]
        if key == sight.images:
            vector = sight.lens.aim(unit, origin) * np.float32(weight)
            own = Aim(vector, segment, float(vector @ sight.lens.mean), sight.seen)
        other = self._generations.get(sight.images if key == sight.texts else sight.texts or key)
        lacking = None if other is None or other is segment else _rows_without(segment, other)
        across = None if lacking is None or other is None else self._across(sight, key, unit, weight, origin)
        return [own] if across is None or other is None else [own, replace(across, segment=other, only=lacking)]

    def _across(self, sight: Sight, key: Key, unit: Vector, weight: float, origin: Vector | None) -> Aim | None:
        bridge, segment = sight.bridge, self._generations[key]
        if bridge is None:
            return None
        if key == sight.texts:
            asked, line, mean = bridge.matrix @ (unit - bridge.text_mean), bridge.of_text, bridge.image_mean
            length = float(np.linalg.norm(unit - bridge.text_mean))
        else:
            asked, line, mean = bridge.crossed(unit[None], origin)[0], bridge.of_image, bridge.text_mean
            length = float(np.linalg.norm(asked))
        vector = np.asarray(asked * np.float32(weight * line.slope / max(length, 1e-6)), dtype=np.float32)
        measure = sight.crossed if key == sight.texts else sight.texts_seen
        return Aim(vector, segment, float(vector @ mean), measure, weight * line.bias)

    def _directions(self, row: ItemRow, weights: Mapping[Part, float]) -> list[Aim]:
        """From the mean to an item, for each part it has, of length the part's weight."""
        found = []
        for (part, _, _), segment in self._generations.items():
            vector = segment.vector(row)
            if vector is not None:
                direction = vector - segment.mean()
                found.append((weights[part], direction, float(np.linalg.norm(direction)), segment))
        whole = sum(weight for weight, _, length, _ in found if length > SAME) or 1.0
        return [Aim(away * np.float32(w / whole / far), segment) for w, away, far, segment in found if far > SAME]

    def _hits(self, rows: Rows, scores: Vector, k: int) -> Hits:
        if len(rows) > k:  # looking up ids takes longer than scoring
            least = np.partition(scores, -k)[-k]
            rows, scores = rows[scores >= least], scores[scores >= least]
        hits = [(self.ids[row], score) for row, score in zip(rows.tolist(), scores.tolist(), strict=True)]
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]

    def renumbered(self, kept: Rows) -> "LiveIndex":
        """A new index, with new ids, of the rows in `kept`; this one stays as it is for searches under way."""
        new = LiveIndex(ItemIds(self.ids[row] for row in kept))
        new._generations = {key: segment.renumbered(kept) for key, segment in self._generations.items()}
        if self.sight is not None:
            new.put_in_use(_renumbered(self.sight, kept))
        return new

    def put_in_use(self, sight: Sight) -> None:
        """Compare through what was learned; its measures are told of each vector put from now on."""
        measures = {sight.images: [sight.seen, sight.crossed], sight.texts: [sight.texts_seen]}
        for key, segment in self._generations.items():
            segment.measures = tuple(measure for measure in measures.get(key, []) if measure is not None)
        self.sight = sight

    def sealings(self) -> list[Sealing]:
        """What is to be done for searches to stay quick; begun here, on the writer's thread."""
        segments = (segment for segment in self._generations.values() if is_due(segment))
        return [Sealing(segment) for segment in segments]

    def generations(self) -> list[tuple[Part, str, MutableSegment]]:
        """Each part's segments with the name of their encoder, for snapshots."""
        return [(part, encoder, segment) for (part, encoder, _), segment in self._generations.items()]

    def add_generation(self, part: Part, encoder: str, segment: MutableSegment) -> None:
        """Take a segment whose rows are rows of `ids`, from a snapshot."""
        self._generations = {**self._generations, (part, encoder, segment.dim): segment}

    def _drop_empty(self) -> None:
        if any(not len(segment) for segment in self._generations.values()):
            self._generations = {key: segment for key, segment in self._generations.items() if len(segment)}


def _rows_without(segment: MutableSegment, other: MutableSegment) -> Mask | None:
    """bool, shape (n_rows,): rows in the other segment and not in this; None where there are none."""
    lacking = other.filled.copy()
    size = min(len(lacking), len(segment.filled))
    lacking[:size] &= ~segment.filled[:size]
    return lacking if lacking.any() else None


def _renumbered(sight: Sight, kept: Rows) -> Sight:
    def moved(measure: Measure | None) -> Measure | None:
        return None if measure is None else measure.renumbered(kept)

    crossed, texts_seen = moved(sight.crossed), moved(sight.texts_seen)
    return replace(sight, seen=sight.seen.renumbered(kept), crossed=crossed, texts_seen=texts_seen)
