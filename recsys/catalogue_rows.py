"""What a catalogue holds, row by row, and how records change it: the writing side of `recsys.catalogue`.

Knows no lock and no watcher; whoever holds it writes from one thread and keeps readers away meanwhile.
"""

from collections.abc import Iterable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from recsys.events import Product
from recsys.filters import FilterIndex
from recsys.ids import ItemIds
from recsys.index.live import LiveIndex, Part
from recsys.index.mutable import MutableSegment
from recsys.records import CatalogueFields, CatalogueVectors, Entry, VectorsOrigin, unpack_vector
from recsys.types import ItemId, ItemRow, Matrix
from recsys.words import WordIndex, same_words

COMPACT_FROM = 1024
"""Empty rows below which numbering anew is not worth it."""


class Written(Enum):
    """What became of a record."""

    STALE = 0
    """Nothing: it is older than what is held, or takes away what is not there."""
    TAKEN = 1
    CHANGED = 2
    """Taken, and the product's vectors or whether it is visible may be others now."""


class CatalogueRows:
    """Fields, vectors, words and filters of all products, by row; rows are numbered anew once half of them are empty.

    Attributes
    ----------
    visible : ndarray of bool, shape (at least len(ids),)
        Which rows have fields that say `available`.
    pictures : dict of row to tuple of bytes
        The packed vectors of each picture, of products with several.
    n_unseen : int
        Changes of vectors since it was last set to 0.
    """

    def __init__(self) -> None:
        self.ids = ItemIds()
        self.index = LiveIndex(self.ids)
        self.words = WordIndex()
        self.filters = FilterIndex()
        self.fields: dict[ItemRow, CatalogueFields] = {}
        self.origins: dict[ItemRow, VectorsOrigin] = {}
        self.visible: NDArray[np.bool_] = np.zeros(1024, dtype=np.bool_)
        self.hidden: set[ItemId] = set()
        self.pictures: dict[ItemRow, tuple[bytes, ...]] = {}
        self.n_unseen = 0
        self._dead: set[ItemRow] = set()

    def put_fields(self, record: CatalogueFields) -> Written:
        """Take a product's fields."""
        product = record.product
        row = self._living_row(product.item_id)
        held = self.fields.get(row)
        if held is not None and record.source_offset < held.source_offset:
            return Written.STALE
        if held is None or held.product != product:
            self._describe(row, None if held is None else held.product, product)
        self.fields[row] = record
        was_visible = self._show(row, product.available)
        return Written.TAKEN if was_visible == product.available else Written.CHANGED

    def put_vectors(self, item_id: ItemId, record: CatalogueVectors) -> Written:
        """Take a product's vectors, with or without its fields."""
        row = self._living_row(item_id)
        held = self.origins.get(row)
        if held is not None and record.source_offset < held.source_offset:
            return Written.STALE
        self._put_part(item_id, "text", record.text, record.text_encoder)
        self._put_part(item_id, "image", record.image, record.image_encoder)
        self._keep_pictures(row, record.pictures)
        self.origins[row] = VectorsOrigin(
            record.content, record.source_offset, record.text_encoder, record.image_encoder, record.dropped, record.look
        )
        return Written.CHANGED

    def remove(self, item_id: ItemId) -> Written:
        """Forget a product's fields; its vectors stay."""
        row = self.ids.row(item_id)
        held = None if row is None else self.fields.pop(row, None)
        if row is None or held is None:
            return Written.STALE
        self.words.remove(row)
        self.filters.remove(row, held.product)
        self._show(row, False)
        self.hidden.discard(item_id)
        self._bury(row)
        return Written.CHANGED

    def remove_vectors(self, item_id: ItemId) -> Written:
        """Forget a product's vectors; its fields stay."""
        row = self.ids.row(item_id)
        if row is None or self.origins.pop(row, None) is None:
            return Written.STALE
        self.index.remove(item_id)
        self._keep_pictures(row, ())
        self._bury(row)
        return Written.CHANGED

    def picture_groups(self) -> list[Matrix]:
        """float16, each of shape (n_pictures, dim): the pictures of each product that has several."""
        return [np.stack([unpack_vector(picture) for picture in held]) for held in self.pictures.values()]

    def entries(self) -> list[Entry]:
        """What is held of each product but its vectors, in order of arrival."""
        living = [row for row in map(ItemRow, range(len(self.ids))) if row not in self._dead]
        return [
            Entry(self.ids[row], self.fields.get(row), self.origins.get(row), self.pictures.get(row, ()))
            for row in living
        ]

    def restore(self, entries: Iterable[Entry], generations: Iterable[tuple[Part, str, MutableSegment]]) -> None:
        """Fill what is empty with entries, and with segments in which row i is the i-th entry."""
        for entry in entries:
            row = self._living_row(entry.item_id)
            if entry.fields is not None:
                self.put_fields(entry.fields)
            if entry.origin is not None:
                self.origins[row] = entry.origin
                self._keep_pictures(row, entry.pictures)
        for part, encoder, segment in generations:
            self.index.add_generation(part, encoder, segment)

    def _describe(self, row: ItemRow, old: Product | None, new: Product) -> None:
        if old is not None:
            self.filters.remove(row, old)
        self.filters.put(row, new)
        if old is None or not same_words(old, new):
            self.words.put(row, new)

    def _show(self, row: ItemRow, available: bool) -> bool:
        """Whether the product was visible before."""
        before, self.visible[row] = bool(self.visible[row]), available
        (self.hidden.discard if available else self.hidden.add)(self.ids[row])
        return before

    def _put_part(self, item_id: ItemId, part: Part, packed: bytes, encoder: str) -> None:
        if packed:
            self.index.put(item_id, part, unpack_vector(packed), encoder)
        else:
            self.index.remove(item_id, part)

    def _keep_pictures(self, row: ItemRow, pictures: tuple[bytes, ...]) -> None:
        self.n_unseen += 1
        if len(pictures) > 1:
            self.pictures[row] = pictures
        else:
            self.pictures.pop(row, None)

    def _living_row(self, item_id: ItemId) -> ItemRow:
        row = self.ids.add(item_id)
        if row >= len(self.visible):
            self.visible = np.concatenate([self.visible, np.zeros(row + 1, dtype=np.bool_)])
        self._dead.discard(row)
        return row

    def _bury(self, row: ItemRow) -> None:
        """Note that something of a row is gone; once half the rows are empty, the rest moves together."""
        if row not in self.fields and row not in self.origins:
            self._dead.add(row)
        if len(self._dead) >= COMPACT_FROM and 2 * len(self._dead) > len(self.ids):
            self._compact()

    def _compact(self) -> None:
        """Number the living rows anew; searches under way go on in the old index. About 0.5 s for 100,000 products."""
        kept = np.array([row for row in range(len(self.ids)) if row not in self._dead], dtype=np.intp)
        new_rows = {ItemRow(old): ItemRow(new) for new, old in enumerate(kept.tolist())}
        self.index = self.index.renumbered(kept)
        self.ids = self.index.ids
        self.words.renumber(kept)
        self.filters.renumber(kept)
        self.fields = {new_rows[row]: record for row, record in self.fields.items()}
        self.origins = {new_rows[row]: origin for row, origin in self.origins.items()}
        self.pictures = {new_rows[row]: pictures for row, pictures in self.pictures.items()}
        self.visible = np.concatenate([self.visible[kept], np.zeros(1024, dtype=np.bool_)])
        self._dead = set()
