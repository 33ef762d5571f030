"""Every product in memory: its fields, its vectors, what it is found by. A view of the `catalog` topic.

Fed with the topic's records in any order of parts: vectors may stand before or after their product's fields, and a
record that is older than what is held (a redelivery) changes nothing. A product is visible while it has fields that say
`available`; only visible products are ever found.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from recsys.events import Product
from recsys.filters import Filter, FilterIndex
from recsys.ids import ItemIds
from recsys.index.live import LiveIndex, Part, Sight
from recsys.index.mutable import Mask, MutableSegment
from recsys.index.sealing import Sealing
from recsys.index.sighting import Sighting
from recsys.records import CatalogueFields, CatalogueVectors, Entry, VectorsOrigin, unpack_vector
from recsys.types import ItemId, ItemRow, Rows, Vector
from recsys.words import WordIndex, same_words

SIGHT_FROM = 8
"""Products with pictures below which nothing is learned of the shop's pictures."""
SIGHT_GROWTH = 0.1
"""What was learned is learned again once this share of the products has other vectors."""
MOST_COMPLETIONS = 32
"""Words that a beginning is taken for."""
COMPACT_FROM = 1024
"""Empty rows below which numbering anew is not worth it."""


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
        self._ids = ItemIds()
        self._index = LiveIndex(self._ids)
        self._words = WordIndex()
        self._filters = FilterIndex()
        self._fields: dict[ItemRow, CatalogueFields] = {}
        self._origins: dict[ItemRow, VectorsOrigin] = {}
        self._visible = np.zeros(1024, dtype=np.bool_)
        self._hidden: set[ItemId] = set()
        self._dead: set[ItemRow] = set()
        self._pictures: dict[ItemRow, tuple[bytes, ...]] = {}
        self._unseen = 0
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
        product = record.product
        with self._lock:
            row = self._living_row(product.item_id)
            held = self._fields.get(row)
            if held is not None and record.source_offset < held.source_offset:
                return False
            if held is None or held.product != product:
                self._describe(row, None if held is None else held.product, product)
            self._fields[row] = record
            was_visible = self._show(row, product.available)
            self.version += 1
        if was_visible != product.available:
            self._tell(product.item_id)
        return True

    def put_vectors(self, item_id: ItemId, record: CatalogueVectors) -> bool:
        """Take a product's vectors, with or without its fields; False for a record older than the vectors held."""
        with self._lock:
            row = self._living_row(item_id)
            held = self._origins.get(row)
            if held is not None and record.source_offset < held.source_offset:
                return False
            self._put_part(item_id, "text", record.text, record.text_encoder)
            self._put_part(item_id, "image", record.image, record.image_encoder)
            self._keep_pictures(row, record.pictures)
            self._origins[row] = VectorsOrigin(
                record.content, record.source_offset, record.text_encoder, record.image_encoder, record.dropped
            )
            self.version += 1
        self._tell(item_id)
        return True

    def remove(self, item_id: ItemId) -> bool:
        """Forget a product's fields (the tombstone of `f:ITEM`): it is found no more; False where there were none.

        Its vectors stay until `remove_vectors`: a deleted product's two tombstones come one after the other.
        """
        with self._lock:
            row = self._ids.row(item_id)
            held = None if row is None else self._fields.pop(row, None)
            if row is None or held is None:
                return False
            self._words.remove(row)
            self._filters.remove(row, held.product)
            self._show(row, False)
            self._hidden.discard(item_id)
            self._bury(row)
        self._tell(item_id)
        return True

    def remove_vectors(self, item_id: ItemId) -> bool:
        """Forget a product's vectors (the tombstone of `v:ITEM`); False where there were none."""
        with self._lock:
            row = self._ids.row(item_id)
            if row is None or self._origins.pop(row, None) is None:
                return False
            self._index.remove(item_id)
            self._keep_pictures(row, ())
            self._bury(row)
        self._tell(item_id)
        return True

    # --- learning from what is held: see `recsys.index.sighting` ---

    @property
    def sight_is_due(self) -> bool:
        """Whether so many vectors have changed that it is worth learning anew how they compare."""
        n_pictures = self._index.count("image")
        return n_pictures >= SIGHT_FROM and self._unseen > max(SIGHT_GROWTH * n_pictures, 0)

    def begin_sight(self) -> Sighting:
        """On the writing thread; `Sighting.fit` may then run in another."""
        with self._lock:
            self._unseen = 0
            groups = [np.stack([unpack_vector(picture) for picture in held]) for held in self._pictures.values()]
            return Sighting(self._index, groups)

    def put_sight(self, sighting: Sighting) -> bool:
        """On the writing thread; False where nothing was learned, or rows were numbered anew meanwhile."""
        with self._lock:
            return sighting.index is self._index and sighting.put_in_use()

    def learn_sight(self) -> bool:
        """All three steps at once."""
        sighting = self.begin_sight()
        sighting.fit()
        return self.put_sight(sighting)

    def begin_sealing(self) -> list[Sealing]:
        """On the writing thread: what is to be built for searches to stay quick; `Sealing.build` may run in another."""
        with self._lock:
            return self._index.sealings()

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
            row = self._ids.row(item_id)
            return None if row is None else self._fields.get(row)

    def vectors_origin(self, item_id: ItemId) -> VectorsOrigin | None:
        """What the product's vectors were made of; None where it has no vectors record."""
        with self._lock:
            row = self._ids.row(item_id)
            return None if row is None else self._origins.get(row)

    def text_vector(self, item_id: ItemId) -> Vector | None:
        """A copy, float32, shape (dim,); None for a missing part."""
        return self._index.vector(item_id, "text")

    def image_vector(self, item_id: ItemId) -> Vector | None:
        """A copy, float32, shape (dim,); None for a missing part."""
        return self._index.vector(item_id, "image")

    def parts(self, item_id: ItemId) -> dict[Part, Vector]:
        """The item's vectors by part, copies; missing parts are left out."""
        held: dict[Part, Vector | None] = {"text": self.text_vector(item_id), "image": self.image_vector(item_id)}
        return {part: vector for part, vector in held.items() if vector is not None}

    def is_visible(self, item_id: ItemId) -> bool:
        """Whether an answer may contain the product."""
        with self._lock:
            row = self._ids.row(item_id)
            return row is not None and bool(self._visible[row])

    def hidden(self) -> frozenset[ItemId]:
        """Products that say `available: false`; deleted ones are unknown here. O(their number)."""
        with self._lock:
            return frozenset(self._hidden)

    def categories(self) -> dict[str, int]:
        """Every category at any level, with its number of products."""
        with self._lock:
            return self._filters.categories()

    def newest(self, limit: int) -> list[ItemId]:
        """Visible products that arrived last, newest first. O(n), tens of microseconds at 100,000."""
        with self._lock:
            return [self._ids[row] for row in np.flatnonzero(self._visible)[: -limit - 1 : -1]]

    def visible_items(self) -> list[ItemId]:
        """Ids of all visible products, in order of arrival. O(n)."""
        with self._lock:
            return [self._ids[row] for row in np.flatnonzero(self._visible)]

    def plan(self, *, text: str = "", wanted: Filter | None = None, exclude: Collection[ItemId] = ()) -> SearchPlan:
        """All that a search needs of the catalogue, at one moment. O(n), tens of microseconds at 100,000."""
        with self._lock:
            visible = self._visible[: len(self._ids)]
            allowed = visible.copy() if wanted is None else self._filters.mask(wanted, self._ids, visible)
            allowed[self._ids.rows(exclude)] = False
            rows, scores = self._words.search(text)
            index = self._index
        return SearchPlan(index, allowed, rows[allowed[rows]], scores[allowed[rows]])

    def completing(self, words: Collection[str], beginning: str, limit: int) -> list[Product]:
        """Visible products, at most `limit`, that hold all of the words and one that begins so; in order of arrival."""
        with self._lock:
            ends = [self._words.rows_of(word) for word in self._words.completions(beginning, MOST_COMPLETIONS)]
            rows = np.unique(np.concatenate(ends)) if ends else np.zeros(0, dtype=np.intp)
            for word in words:
                rows = np.intersect1d(rows, self._words.rows_of(word))
            visible = rows[self._visible[rows]][:limit].tolist()
            return [self._fields[ItemRow(row)].product for row in visible]

    def corrected(self, text: str) -> str | None:
        """See `WordIndex.corrected`."""
        with self._lock:
            return self._words.corrected(text)

    def knows_all(self, text: str) -> bool:
        """See `WordIndex.knows_all`."""
        with self._lock:
            return self._words.knows_all(text)

    @property
    def sight(self) -> Sight | None:
        """What was learned of the shop's pictures."""
        return self._index.sight

    @property
    def n_with_vectors(self) -> int:
        """Products with a vectors record, also one without any part."""
        return len(self._origins)

    def __len__(self) -> int:
        """Products with fields, hidden ones included."""
        return len(self._fields)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and self.fields(item_id) is not None

    def __iter__(self) -> Iterator[ItemId]:
        """Ids of all products with fields, as they were at the start."""
        with self._lock:
            rows = list(self._fields)
        return iter([self._ids[row] for row in rows])

    # --- snapshots: see `recsys.catalogue_snapshot` ---

    def entries(self) -> tuple[list[Entry], LiveIndex]:
        """All that is held, at one moment: fields and origins in order of arrival, and the index they belong to."""
        with self._lock:
            living = [row for row in map(ItemRow, range(len(self._ids))) if row not in self._dead]
            held = [
                Entry(self._ids[row], self._fields.get(row), self._origins.get(row), self._pictures.get(row, ()))
                for row in living
            ]
            return held, self._index

    @classmethod
    def restored(cls, entries: Iterable[Entry], generations: Iterable[tuple[Part, str, MutableSegment]]) -> "Catalogue":
        """A catalogue of entries, and of segments in which row i is the i-th entry."""
        catalogue = cls()
        for entry in entries:
            row = catalogue._living_row(entry.item_id)
            if entry.fields is not None:
                catalogue.put_fields(entry.fields)
            if entry.origin is not None:
                catalogue._origins[row] = entry.origin
                catalogue._keep_pictures(row, entry.pictures)
        for part, encoder, segment in generations:
            catalogue._index.add_generation(part, encoder, segment)
        return catalogue

    # --- inside ---

    def _describe(self, row: ItemRow, old: Product | None, new: Product) -> None:
        if old is not None:
            self._filters.remove(row, old)
        self._filters.put(row, new)
        if old is None or not same_words(old, new):
            self._words.put(row, new)

    def _show(self, row: ItemRow, available: bool) -> bool:
        """Whether the product was visible before."""
        before, self._visible[row] = bool(self._visible[row]), available
        (self._hidden.discard if available else self._hidden.add)(self._ids[row])
        return before

    def _put_part(self, item_id: ItemId, part: Part, packed: bytes, encoder: str) -> None:
        if packed:
            self._index.put(item_id, part, unpack_vector(packed), encoder)
        else:
            self._index.remove(item_id, part)

    def _keep_pictures(self, row: ItemRow, pictures: tuple[bytes, ...]) -> None:
        self._unseen += 1
        if len(pictures) > 1:
            self._pictures[row] = pictures
        else:
            self._pictures.pop(row, None)

    def _tell(self, item_id: ItemId) -> None:
        self.vectors_version += 1
        for changed in self._watchers:
            changed(item_id)

    def _living_row(self, item_id: ItemId) -> ItemRow:
        row = self._ids.add(item_id)
        if row >= len(self._visible):
            self._visible = np.concatenate([self._visible, np.zeros(row + 1, dtype=np.bool_)])
        self._dead.discard(row)
        return row

    def _bury(self, row: ItemRow) -> None:
        """Note that something of a row is gone; once half the rows are empty, the rest moves together."""
        self.version += 1
        if row not in self._fields and row not in self._origins:
            self._dead.add(row)
        if len(self._dead) >= COMPACT_FROM and 2 * len(self._dead) > len(self._ids):
            self._compact()

    def _compact(self) -> None:
        """Number the living rows anew; searches under way go on in the old index. About 0.5 s for 100,000 products."""
        kept = np.array([row for row in range(len(self._ids)) if row not in self._dead], dtype=np.intp)
        new_rows = {ItemRow(old): ItemRow(new) for new, old in enumerate(kept.tolist())}
        self._index = self._index.renumbered(kept)
        self._ids = self._index.ids
        self._words.renumber(kept)
        self._filters.renumber(kept)
        self._fields = {new_rows[row]: record for row, record in self._fields.items()}
        self._origins = {new_rows[row]: origin for row, origin in self._origins.items()}
        self._pictures = {new_rows[row]: pictures for row, pictures in self._pictures.items()}
        self._visible = np.concatenate([self._visible[kept], np.zeros(1024, dtype=np.bool_)])
        self._dead = set()
