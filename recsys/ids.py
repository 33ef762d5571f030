"""The only place where a shop's item ids become array rows and back."""

from collections.abc import Iterable, Iterator
from typing import SupportsIndex

import numpy as np

from recsys.types import ItemId, ItemRow, Rows


class ItemIds:
    """Item ids in the order they were first seen: append-only, so a row never means another item.

    Removing is the arrays' business (a mark); rows are only numbered anew by starting a new `ItemIds`.

    >>> ids = ItemIds(["boot", "lamp"])
    >>> ids.add("boot"), ids.add("chair"), ids[1], ids.row("sofa")
    (0, 2, 'lamp', None)
    """

    def __init__(self, item_ids: Iterable[ItemId] = ()) -> None:
        self._ids: list[ItemId] = []
        self._rows: dict[ItemId, ItemRow] = {}
        for item_id in item_ids:
            self.add(item_id)

    def add(self, item_id: ItemId) -> ItemRow:
        """The item's row; the next free one when it is new."""
        row = self._rows.get(item_id)
        if row is None:
            row = ItemRow(len(self._ids))
            self._ids.append(item_id)
            self._rows[item_id] = row
        return row

    def row(self, item_id: ItemId) -> ItemRow | None:
        return self._rows.get(item_id)

    def rows(self, item_ids: Iterable[ItemId]) -> Rows:
        """Rows of the items that are known, in the order given; unknown ones are left out."""
        found = self.find(item_ids)
        return found[found >= 0]

    def find(self, item_ids: Iterable[ItemId]) -> Rows:
        """Rows of items in the order given, -1 for an unknown one; intp, one each."""
        known = self._rows
        return np.array([known.get(item_id, -1) for item_id in item_ids], dtype=np.intp)

    def __getitem__(self, row: SupportsIndex) -> ItemId:
        return self._ids[row]

    def __iter__(self) -> Iterator[ItemId]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows
