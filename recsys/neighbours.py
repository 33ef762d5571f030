"""Content neighbours of items, kept ready: on the click path a look-up, never a scan."""

import threading
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from recsys.catalogue import Catalogue
from recsys.search import similar
from recsys.types import ItemId

SIZE = 30
"""Neighbours kept of each item; some fall away as seen or hidden."""
GROWTH = 0.1
"""A list is made anew once the catalogue has grown or shrunk by this share since."""
REACH = 2
"""A new item is offered to the lists of its nearest `REACH · SIZE` items; the rest get it when made anew."""


@dataclass(frozen=True)
class Nearest:
    """One item's list, 0.5 KB."""

    item_ids: tuple[ItemId, ...]
    scores: "array[float]"
    catalogue_size: int
    name: str
    """A digest of the ids."""


class NeighbourCache:
    """The nearest items by content of each item that was ever asked for.

    `nearest` answers at once, or notes what it lacks; `refresh`, run in a thread while there is work, scans the
    catalogue for what was noted (one exact scan an item). A product with new vectors is entered into the lists that it
    belongs to, so it does not wait for them to be made anew.

    Threads: `nearest` and the catalogue's changes belong to one thread, `refresh`, `renew` and `compute` to one other.

    Notes
    -----
    Lists may name items that were hidden since: whoever recommends drops invisible items anyway.
    """

    def __init__(self, catalogue: Catalogue, size: int = SIZE) -> None:
        self._catalogue = catalogue
        self._size = size
        self._lists: dict[ItemId, Nearest] = {}
        self._made_at: dict[ItemId, int] = {}
        """The catalogue's `vectors_version` that each list was worked out for."""
        self._outdated: list[ItemId] = []
        self._renewed_to = -1
        self._lock = threading.Lock()
        self._wanted: dict[ItemId, None] = {}
        catalogue.watch(self._changed)

    def nearest(self, item_id: ItemId) -> Nearest | None:
        """Neighbours, best first; None until `refresh` has got to the item. Under a microsecond."""
        held = self._lists.get(item_id)
        if held is None or self._is_outgrown(held):
            self._want(item_id)
        return held

    def get(self, item_id: ItemId) -> tuple[tuple[ItemId, float], ...] | None:
        """`nearest` as pairs."""
        held = self.nearest(item_id)
        return None if held is None else tuple(zip(held.item_ids, held.scores, strict=True))

    @property
    def pending(self) -> int:
        """How many items `refresh` would compute."""
        return len(self._wanted)

    def refresh(self, budget: int = 32) -> int:
        """Compute what was asked for and is missing or outgrown, `budget` items at most; returns how many."""
        with self._lock:
            taken = list(self._wanted)[:budget]
            for item_id in taken:
                del self._wanted[item_id]
        return self.compute(taken)

    def renew(self, budget: int = 1) -> int:
        """Work out again lists that the catalogue has changed since, `budget` items at most; returns how many.

        Entering new items leaves some out. Once this returns 0, all lists are what a scan gives, whatever their past.
        """
        version = self._catalogue.vectors_version
        if not self._outdated and self._renewed_to != version:
            self._outdated = [item_id for item_id in list(self._lists) if self._made_at.get(item_id, -1) < version]
            self._renewed_to = version
        taken, self._outdated = self._outdated[:budget], self._outdated[budget:]
        # Not entered into others' lists: those are worked out again by themselves, without roundings of the other side.
        return self._compute(taken, enters=False)

    def compute(self, item_ids: Iterable[ItemId]) -> int:
        """Scan the catalogue for each item's neighbours; returns how many items were done."""
        return self._compute(item_ids, enters=True)

    def _compute(self, item_ids: Iterable[ItemId], *, enters: bool) -> int:
        done = 0
        for item_id in item_ids:
            version = self._catalogue.vectors_version
            nearest = similar(self._catalogue, item_id, REACH * self._size)
            found = [(hit.item_id, hit.score) for hit in nearest]
            self._made_at[item_id] = version
            self._keep(item_id, found[: self._size], len(self._catalogue))
            if enters and self._catalogue.is_visible(item_id):
                self._enter(item_id, found)
            done += 1
        return done

    def __len__(self) -> int:
        return len(self._lists)

    def _changed(self, item_id: ItemId) -> None:
        """New vectors or visibility: forget the item's list, and have it entered into others'."""
        self._lists.pop(item_id, None)
        if self._lists and self._catalogue.is_visible(item_id):
            self._want(item_id)

    def _enter(self, item_id: ItemId, nearest: list[tuple[ItemId, float]]) -> None:
        """Put an item into the lists of the items near to it, where it is near enough (nearness is mutual)."""
        for neighbour, score in nearest:
            held = self._lists.get(neighbour)
            if held is None:
                continue
            others = [pair for pair in zip(held.item_ids, held.scores, strict=True) if pair[0] != item_id]
            best = sorted([*others, (item_id, score)], key=lambda pair: (-pair[1], pair[0]))[: self._size]
            self._keep(neighbour, best, held.catalogue_size)

    def _keep(self, item_id: ItemId, best: list[tuple[ItemId, float]], catalogue_size: int) -> None:
        made, held = _nearest(best, catalogue_size), self._lists.get(item_id)
        # Whoever has converted a list need not do it again when a scan gives the same.
        if held != made:
            self._lists[item_id] = made

    def _is_outgrown(self, held: Nearest) -> bool:
        return abs(len(self._catalogue) - held.catalogue_size) > GROWTH * held.catalogue_size

    def _want(self, item_id: ItemId) -> None:
        with self._lock:
            self._wanted[item_id] = None


def exact_neighbours(catalogue: Catalogue, item_id: ItemId, size: int = SIZE) -> Nearest:
    """What the cache gives of an item that it has just scanned the catalogue for; O(catalogue)."""
    found = [(hit.item_id, hit.score) for hit in similar(catalogue, item_id, REACH * size)]
    return _nearest(found[:size], len(catalogue))


@dataclass
class ExactNeighbours:
    """Content neighbours worked out when they are first asked for; see `recsys.candidates.Neighbours`."""

    catalogue: Catalogue
    held: dict[ItemId, Nearest] = field(default_factory=dict)

    def nearest(self, item_id: ItemId) -> Nearest:
        found = self.held.get(item_id)
        if found is None:
            found = self.held[item_id] = exact_neighbours(self.catalogue, item_id)
        return found


def _nearest(best: list[tuple[ItemId, float]], catalogue_size: int) -> Nearest:
    item_ids = tuple(found for found, _ in best)
    name = blake2b("\n".join(item_ids).encode(), digest_size=4).hexdigest()
    return Nearest(item_ids, array("f", (score for _, score in best)), catalogue_size, name)
