"""The rows that ranking works on: every item ever mentioned, and what decides whether it may be shown."""

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from recsys.history import short_hash
from recsys.ids import ItemIds
from recsys.types import ItemId, Rows

NO_GROUP = 0
UNKNOWN = -1


class ItemTable:
    """Items by row, append-only; written and read by one thread.

    Attributes
    ----------
    ids : list of str
    hashes : ndarray of uint64, shape (n,)
        `short_hash` of each id: what a user's state remembers of items, and an order that is the same in every process.
    visible : ndarray of bool, shape (n,)
    groups : ndarray of int32, shape (n,)
        Code of the item's `group_id`; `NO_GROUP` for an item that is no variant.

    Notes
    -----
    Rows follow the order in which a process happened to hear of items, so nothing may depend on it.
    """

    def __init__(self, visible: Iterable[ItemId] = ()) -> None:
        self.ids: list[ItemId] = []
        self._rows: dict[ItemId, int] = {}
        self._hashes = np.zeros(1024, dtype=np.uint64)
        self._visible = np.zeros(1024, dtype=np.bool_)
        self._groups = np.zeros(1024, dtype=np.int32)
        self._scratch = np.zeros(1024, dtype=np.intp)
        self._created_ms = np.zeros(1024, dtype=np.int64)
        self._offsets = np.full(1024, -1, dtype=np.int64)
        self._newest: Rows | None = None
        self._group_codes: dict[str, int] = {"": NO_GROUP}
        for item_id in visible:
            self.show(item_id)

    @property
    def hashes(self) -> NDArray[np.uint64]:
        return self._hashes[: len(self.ids)]

    @property
    def visible(self) -> NDArray[np.bool_]:
        return self._visible[: len(self.ids)]

    @property
    def groups(self) -> NDArray[np.int32]:
        return self._groups[: len(self.ids)]

    def row(self, item_id: ItemId) -> int:
        """The item's row; a new one, hidden as yet, when it is mentioned for the first time."""
        row = self._rows.get(item_id)
        if row is None:
            row = self._rows[item_id] = len(self.ids)
            self.ids.append(item_id)
            if row >= len(self._hashes):
                self._grow()
            self._hashes[row] = short_hash(item_id)
        return row

    def rows(self, item_ids: Collection[ItemId]) -> Rows:
        """Rows of items, in the order given; intp, one each."""
        known = self._rows
        try:
            # Nearly always all are known; 100 of them in 5 µs.
            return np.array([known[item_id] for item_id in item_ids], dtype=np.intp)
        except KeyError:
            return np.array([self.row(item_id) for item_id in item_ids], dtype=np.intp)

    def show(
        self, item_id: ItemId, *, visible: bool = True, group_id: str = "", created_ms: int = 0, offset: int = -1
    ) -> None:
        """Say whether an item may be in lists, which items are its variants, and how new it is.

        Parameters
        ----------
        created_ms : epoch milliseconds; 0 where nobody says
        offset : of its newest message
        """
        row = self.row(item_id)
        self._newest = None
        self._created_ms[row], self._offsets[row] = created_ms, offset
        self._visible[row] = visible
        self._groups[row] = self._group_codes.setdefault(group_id, len(self._group_codes))

    def scratch(self) -> Rows:
        """A cell for each item, of any content, for whoever works on rows; nobody else's content is kept."""
        if len(self._scratch) < len(self.ids):
            self._scratch = np.zeros(len(self._hashes), dtype=np.intp)
        return self._scratch

    def newest(self, limit: int) -> Rows:
        """Visible items, the latest created first, then those with the latest message; 10 ms at 100,000 after a change.

        The same in every process, whatever it heard of first.
        """
        if self._newest is None:
            rows = np.flatnonzero(self.visible)
            keys = (self.hashes[rows], -self._offsets[rows], -self._created_ms[rows])
            self._newest = rows[np.lexsort(keys)]
        return self._newest[:limit]

    def _grow(self) -> None:
        size = 2 * len(self._hashes)
        for name in ("_hashes", "_visible", "_groups", "_created_ms", "_offsets"):
            old = getattr(self, name)
            grown = np.zeros(size, dtype=old.dtype)
            grown[: len(old)] = old
            setattr(self, name, grown)


class RowMap:
    """Rows of an `ItemTable` for the rows of another append-only list of items, and the other way round."""

    def __init__(self, items: ItemTable, ids: ItemIds) -> None:
        self._items, self._ids = items, ids
        self._rows = items.rows(list(ids))
        self._back = np.full(0, UNKNOWN, dtype=np.intp)
        self._mapped_back = 0

    def of(self, rows: Rows) -> Rows:
        """The table's rows, in the order given."""
        self._look()
        return self._rows[rows]

    def back(self, rows: Rows) -> Rows:
        """The list's rows for the table's, in the order given; `UNKNOWN` for an item that is not in the list."""
        self._look()
        if len(self._back) < len(self._items.ids):
            added = max(len(self._back), len(self._items.ids) - len(self._back))
            self._back = np.concatenate((self._back, np.full(added, UNKNOWN, dtype=np.intp)))
        if self._mapped_back < len(self._rows):
            self._back[self._rows[self._mapped_back :]] = np.arange(self._mapped_back, len(self._rows))
            self._mapped_back = len(self._rows)
        return self._back[rows]

    def _look(self) -> None:
        known = len(self._rows)
        if known < len(self._ids):
            new = self._items.rows([self._ids[row] for row in range(known, len(self._ids))])
            self._rows = np.concatenate((self._rows, new))
