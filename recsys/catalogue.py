"""Every product in memory: its fields, its vectors, what it is found by. A view of the `catalog` topic.

Fed with the topic's records in any order of parts: vectors may stand before or after their product's fields, and a
record that is older than what is held (a redelivery) changes nothing. A product is visible while it has fields that say
`available`; only visible products are ever found.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.catalogue_rows import CatalogueRows, Written
from recsys.events import Product
from recsys.filters import Filter
from recsys.index.live import LiveIndex, Part, Sight
from recsys.index.mutable import Mask, MutableSegment
from recsys.index.sealing import Sealing
from recsys.index.sighting import Sighting
from recsys.records import CatalogueFields, CatalogueVectors, Entry, VectorsOrigin
from recsys.types import ItemId, ItemRow, Rows, Vector

SIGHT_FROM = 8
"""Products with pictures below which nothing is learned of the shop's pictures."""
SIGHT_GROWTH = 0.1
"""What was learned is learned again once this share of the products has other vectors."""
MOST_COMPLETIONS = 32
"""Words that a beginning is taken for."""


@dataclass(frozen=True)
class SearchPlan:
    """What one search needs, taken at one moment: it stays right while the catalogue goes on changing."""

    index: LiveIndex
    allowed: Mask
    """bool, shape (n_rows,): the products that may be found."""
    word_rows: Rows
    word_scores: Vector
    """float32 in (0, 1], shape of `word_rows`: allowed rows that hold words of the query."""


class Catalogue:
    """All products, found by id, by words, by vectors and by filter.

    Notes
    -----
    Threads: one thread (the event loop's) writes; any may read. A lock is held for microseconds by writes and by
    `plan`, never during a scan of vectors.

    Memory for each product: 2 · dim bytes a part (3.3 KB for 384 + 1,280 numbers) and the fields; a part costs nothing
    for the rows of a block in which no product has it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._rows = CatalogueRows()
        self._watchers: list[Callable[[ItemId], None]] = []
        self.version = 0
        """Rises with each change."""
        self.vectors_version = 0
        """Rises with each change of a vector or of what is visible."""

    # --- writing ---

    def watch(self, changed: Callable[[ItemId], None]) -> None:
        """Have `changed` called, on the writing thread, with each item whose vectors or visibility change."""
        self._watchers.append(changed)

    def put_fields(self, record: CatalogueFields) -> bool:
        """Take a product's fields; False for a record older than the fields held."""
        return self._write(record.product.item_id, lambda: self._rows.put_fields(record))

    def put_vectors(self, item_id: ItemId, record: CatalogueVectors) -> bool:
        """Take a product's vectors, with or without its fields; False for a record older than the vectors held."""
        return self._write(item_id, lambda: self._rows.put_vectors(item_id, record))

    def remove(self, item_id: ItemId) -> bool:
        """Forget a product's fields (the tombstone of `f:ITEM`): it is found no more; False where there were none.

        Its vectors stay until `remove_vectors`: a deleted product's two tombstones come one after the other.
        """
        return self._write(item_id, lambda: self._rows.remove(item_id))

    def remove_vectors(self, item_id: ItemId) -> bool:
        """Forget a product's vectors (the tombstone of `v:ITEM`); False where there were none."""
        return self._write(item_id, lambda: self._rows.remove_vectors(item_id))

    def _write(self, item_id: ItemId, write: Callable[[], Written]) -> bool:
        with self._lock:
            written = write()
            self.version += written is not Written.STALE
        if written is Written.CHANGED:
            self.vectors_version += 1
            for changed in self._watchers:
                changed(item_id)
        return written is not Written.STALE

    # --- learning from what is held: see `recsys.index.sighting` ---

    @property
    def sight_is_due(self) -> bool:
        """Whether so many vectors have changed that it is worth learning anew how they compare."""
        n_pictures = self._rows.index.count("image")
        return n_pictures >= SIGHT_FROM and self._rows.n_unseen > max(SIGHT_GROWTH * n_pictures, 0)

    def begin_sight(self) -> Sighting:
        """On the writing thread; `Sighting.fit` may then run in another."""
        with self._lock:
            self._rows.n_unseen = 0
            return Sighting(self._rows.index, self._rows.picture_groups())

    def put_sight(self, sighting: Sighting) -> bool:
        """On the writing thread; False where nothing was learned, or rows were numbered anew meanwhile."""
        with self._lock:
            return sighting.index is self._rows.index and sighting.put_in_use()

    def learn_sight(self) -> bool:
        """All three steps at once."""
        sighting = self.begin_sight()
        sighting.fit()
        return self.put_sight(sighting)

    def begin_sealing(self) -> list[Sealing]:
        """On the writing thread: what is to be built for searches to stay quick; `Sealing.build` may run in another."""
        with self._lock:
            return self._rows.index.sealings()

    def put_sealed(self, sealing: Sealing) -> None:
        """On the writing thread: let searches use what was built."""
        with self._lock:
            sealing.put_in_use()

    # --- reading ---

    def get(self, item_id: ItemId) -> Product | None:
        """The product, hidden or not; None for one that has no fields (yet, or any more)."""
        record = self.fields(item_id)
        return None if record is None else record.product

    def fields(self, item_id: ItemId) -> CatalogueFields | None:
        with self._lock:
            row = self._rows.ids.row(item_id)
            return None if row is None else self._rows.fields.get(row)

    def vectors_origin(self, item_id: ItemId) -> VectorsOrigin | None:
        """What the product's vectors were made of; None where it has no vectors record."""
        with self._lock:
            row = self._rows.ids.row(item_id)
            return None if row is None else self._rows.origins.get(row)

    def text_vector(self, item_id: ItemId) -> Vector | None:
        """A copy, float32, shape (dim,); None for a missing part."""
        return self._rows.index.vector(item_id, "text")

    def image_vector(self, item_id: ItemId) -> Vector | None:
        """A copy, float32, shape (dim,); None for a missing part."""
        return self._rows.index.vector(item_id, "image")

    def parts(self, item_id: ItemId) -> dict[Part, Vector]:
        """The item's vectors by part, copies; missing parts are left out."""
        held: dict[Part, Vector | None] = {"text": self.text_vector(item_id), "image": self.image_vector(item_id)}
        return {part: vector for part, vector in held.items() if vector is not None}

    def looks(self) -> tuple[list[ItemId], NDArray[np.uint64]]:
        """Visible products whose pictures' looks are known, and these, uint64, shape (n,)."""
        with self._lock:
            held = [
                (row, origin.look)
                for row, origin in self._rows.origins.items()
                if origin.look and self._rows.visible[row]
            ]
            item_ids = [self._rows.ids[row] for row, _ in held]
        return item_ids, np.frombuffer(b"".join(look for _, look in held), dtype=np.uint64)

    def is_visible(self, item_id: ItemId) -> bool:
        """Whether an answer may contain the product."""
        with self._lock:
            row = self._rows.ids.row(item_id)
            return row is not None and bool(self._rows.visible[row])

    def hidden(self) -> frozenset[ItemId]:
        """Products that say `available: false`; deleted ones are unknown here. O(their number)."""
        with self._lock:
            return frozenset(self._rows.hidden)

    def categories(self) -> dict[str, int]:
        """Every category at any level, with its number of products."""
        with self._lock:
            return self._rows.filters.categories()

    def newest(self, limit: int) -> list[ItemId]:
        """Visible products that arrived last, newest first. O(n), tens of microseconds at 100,000."""
        with self._lock:
            return [self._rows.ids[row] for row in np.flatnonzero(self._rows.visible)[: -limit - 1 : -1]]

    def visible_items(self) -> list[ItemId]:
        """Ids of all visible products, in order of arrival. O(n)."""
        with self._lock:
            return [self._rows.ids[row] for row in np.flatnonzero(self._rows.visible)]

    def plan(self, *, text: str = "", wanted: Filter | None = None, exclude: Collection[ItemId] = ()) -> SearchPlan:
        """All that a search needs of the catalogue, at one moment. O(n), tens of microseconds at 100,000."""
        with self._lock:
            visible = self._rows.visible[: len(self._rows.ids)]
            allowed = visible.copy() if wanted is None else self._rows.filters.mask(wanted, self._rows.ids, visible)
            allowed[self._rows.ids.rows(exclude)] = False
            rows, scores = self._rows.words.search(text)
            index = self._rows.index
        return SearchPlan(index, allowed, rows[allowed[rows]], scores[allowed[rows]])

    def completing(self, words: Collection[str], beginning: str, limit: int) -> list[Product]:
        """Visible products, at most `limit`, that hold all of the words and one that begins so; in order of arrival."""
        with self._lock:
            known = self._rows.words
            ends = [known.rows_of(word) for word in known.completions(beginning, MOST_COMPLETIONS)]
            rows = np.unique(np.concatenate(ends)) if ends else np.zeros(0, dtype=np.intp)
            for word in words:
                rows = np.intersect1d(rows, known.rows_of(word))
            visible = rows[self._rows.visible[rows]][:limit].tolist()
            return [self._rows.fields[ItemRow(row)].product for row in visible]

    def corrected(self, text: str) -> str | None:
        """See `WordIndex.corrected`."""
        with self._lock:
            return self._rows.words.corrected(text)

    def knows_all(self, text: str) -> bool:
        """See `WordIndex.knows_all`."""
        with self._lock:
            return self._rows.words.knows_all(text)

    @property
    def sight(self) -> Sight | None:
        """What was learned of the shop's pictures."""
        return self._rows.index.sight

    @property
    def n_with_vectors(self) -> int:
        """Products with a vectors record, also one without any part."""
        return len(self._rows.origins)

    def __len__(self) -> int:
        """Products with fields, hidden ones included."""
        return len(self._rows.fields)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and self.fields(item_id) is not None

    def __iter__(self) -> Iterator[ItemId]:
        """Ids of all products with fields, as they were at the start."""
        with self._lock:
            rows = list(self._rows.fields)
        return iter([self._rows.ids[row] for row in rows])

    # --- snapshots: see `recsys.catalogue_snapshot` ---

    def entries(self) -> tuple[list[Entry], LiveIndex]:
        """All that is held, at one moment: fields and origins in order of arrival, and the index they belong to."""
        with self._lock:
            return self._rows.entries(), self._rows.index

    @classmethod
    def restored(cls, entries: Iterable[Entry], generations: Iterable[tuple[Part, str, MutableSegment]]) -> "Catalogue":
        """A catalogue of entries, and of segments in which row i is the i-th entry."""
        catalogue = cls()
        catalogue._rows.restore(entries, generations)
        return catalogue
