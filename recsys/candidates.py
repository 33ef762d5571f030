"""Where a list's items come from: factors, co-occurrence, content, popularity; unordered, each with its evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.history import Interaction
from recsys.ids import ItemIds
from recsys.item_table import ItemTable, RowMap
from recsys.related import RelatedRows
from recsys.trends import Trends
from recsys.types import Matrix, Rows, Vector

Amounts = NDArray[np.float64]
"""float64, shape (n,): evidence, one for each row"""
_NOBODY: tuple[Rows, Amounts] = (np.empty(0, dtype=np.intp), np.empty(0))
NEIGHBOURS = 30
"""Content neighbours of one item at most."""
FACTORS, TOGETHER, CONTENT, POPULARITY = range(4)
"""The sources, by their place in `Candidates.evidence`."""


class Factors(Protocol):
    """What ranking asks of a factor model (`recsys.als.model.FactorModel`)."""

    @property
    def version(self) -> str: ...

    @property
    def ids(self) -> ItemIds:
        """The items by the model's own rows."""
        ...

    def fold_in(self, history: Sequence[tuple[str, float]]) -> Vector: ...

    def top_rows(self, vectors: Matrix, k: int) -> list[tuple[Rows, Amounts]]: ...


class Nearest(Protocol):
    """Content neighbours of one item, best first; never changed, only replaced."""

    @property
    def item_ids(self) -> Sequence[str]: ...

    @property
    def scores(self) -> Sequence[float]: ...


class Neighbours(Protocol):
    """Content neighbours, from a cache: never a scan on the click path."""

    def nearest(self, item_id: str) -> Nearest | None: ...


class NeighbourRows:
    """Content neighbours as rows, converted once for as long as the cache holds the same."""

    def __init__(self, items: ItemTable, neighbours: Neighbours | None) -> None:
        self._items, self._neighbours = items, neighbours
        self._held: dict[int, Nearest] = {}
        self._related = RelatedRows(NEIGHBOURS)

    def of(self, item_ids: Sequence[str], rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows and similarities of the best, shape (n, `NEIGHBOURS`); 0 where nothing is known, or not yet."""
        if self._neighbours is not None:
            for item_id, row in zip(item_ids, rows.tolist(), strict=True):
                nearest = self._neighbours.nearest(item_id)
                if nearest is not None and nearest is not self._held.get(row):
                    self._held[row] = nearest
                    related, amounts = self._items.rows(nearest.item_ids), np.array(nearest.scores, dtype=np.float32)
                    self._related.put(np.array([row]), np.zeros_like(related), related, amounts)
        return self._related.of(rows)


@dataclass(frozen=True)
class Views:
    """Everything shared that a list is made from; made anew only when a part is swapped, as it holds caches."""

    items: ItemTable
    trends: Trends
    factors: Factors | None = None
    neighbours: Neighbours | None = None
    factor_rows: RowMap = field(init=False, repr=False)
    """Rows of `items` for the rows of `factors`."""
    neighbour_rows: "NeighbourRows" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids = self.factors.ids if self.factors else ItemIds()
        object.__setattr__(self, "factor_rows", RowMap(self.items, ids))
        object.__setattr__(self, "neighbour_rows", NeighbourRows(self.items, self.neighbours))


@dataclass(frozen=True)
class CandidatePolicy:
    """How many of each kind."""

    from_factors: int = 100
    from_trends: int = 100
    recent_items: int = 10
    """Newest distinct items of the history whose partners and content neighbours are taken."""
    recency_half_life: float = 2.0
    """In items: what an item's partners weigh, by how many newer items there are."""
    content_items: int = 5
    content_neighbours: int = 20


@dataclass(frozen=True)
class Candidates:
    """Candidate rows of some users with their evidence, one user's after the other's.

    Attributes
    ----------
    bounds : ndarray of intp, shape (n_users + 1,)
        User u's candidates stand from `bounds[u]` to `bounds[u + 1]`.
    rows : ndarray of intp, shape (n,)
        Rows of the `ItemTable`; distinct for each user.
    evidence : ndarray of float64, shape (4, n)
        What each source says for each row, 0 where it says nothing.
    because : ndarray of intp, shape (n,)
        Row of the user's item that speaks most for each candidate by co-occurrence or content; -1 where none does.
    is_personal : list of bool
        Whether each user's own vector took part.
    """

    bounds: Rows
    rows: Rows
    evidence: NDArray[np.float64]
    because: Rows
    is_personal: list[bool]


def recent_items(
    history: Sequence[Interaction], liked: Mapping[str, float], limit: int, context_item: str = ""
) -> list[str]:
    """The newest distinct items that the user does not dislike, newest first.

    Parameters
    ----------
    history : by rising time
    liked : item id -> c_ui, from `ConfidencePolicy.confidences`
    context_item : an item whose page the user looks at now; counts as the newest of the history
    """
    found: dict[str, None] = {context_item: None} if context_item else {}
    wanted = limit + len(found)
    for interaction in reversed(history):
        if liked.get(interaction.item_id, 0.0) > 0:
            found[interaction.item_id] = None
            if len(found) == wanted:
                break
    return list(found)


def personal(
    confidences: Sequence[Mapping[str, float]], views: Views, policy: CandidatePolicy
) -> list[tuple[Rows, Amounts]]:
    """For each user the items that suit their own vector, folded in anew: rows and scores, none without a vector.

    Each user's are the same whoever else is asked for; many at once cost less, as the index is read once for several.
    """
    found = [_NOBODY] * len(confidences)
    if views.factors is None:
        return found
    vectors = [views.factors.fold_in(list(user.items())) for user in confidences]
    known = [place for place, vector in enumerate(vectors) if vector.any()]
    if known:
        best = views.factors.top_rows(np.stack([vectors[place] for place in known]), policy.from_factors)
        for place, (rows, scores) in zip(known, best, strict=True):
            found[place] = views.factor_rows.of(rows), scores
    return found


def gather(
    recent: Sequence[Sequence[str]],
    liked: Sequence[tuple[Rows, Amounts]],
    views: Views,
    policy: CandidatePolicy,
) -> Candidates:
    """Collect the candidates of some users; each one's are the same, to the last bit, whoever else is asked for.

    Parameters
    ----------
    recent : for each user what `recent_items` found
    liked : for each user what `personal` found
    """
    found = _Entries.of_liked(liked)
    together, similar = _related_to(recent, views, policy)
    popular = _Entries.of_popular(*views.trends.top(policy.from_trends), len(recent))
    sources = (found, together, similar, popular)
    users = np.concatenate([each.users for each in sources])
    rows = np.concatenate([each.rows for each in sources])
    bounds, rows, places = _distinct(users, rows, len(recent), views.items)
    cuts = np.cumsum([len(each.rows) for each in sources[:-1]])
    at_liked, at_together, at_similar, at_popular = np.split(places, cuts)

    evidence = np.zeros((4, len(rows)))
    evidence[FACTORS, at_liked] = found.amounts
    evidence[TOGETHER] = np.bincount(at_together, together.amounts, minlength=len(rows))
    evidence[POPULARITY, at_popular] = popular.amounts
    np.maximum.at(evidence[CONTENT], at_similar, similar.amounts)
    because = np.full(len(rows), -1, dtype=np.intp)
    _name_strongest(because, at_similar, similar, evidence[CONTENT])
    strongest = np.zeros(len(rows))
    np.maximum.at(strongest, at_together, together.amounts)
    _name_strongest(because, at_together, together, strongest)
    return Candidates(bounds, rows, evidence, because, [len(of_user[0]) > 0 for of_user in liked])


class _Entries(NamedTuple):
    """What one source says: to which user, of which row, how much, and because of which row where there is one."""

    users: Rows
    rows: Rows
    amounts: Amounts
    because: Rows = _NOBODY[0]

    @classmethod
    def of_liked(cls, liked: Sequence[tuple[Rows, Amounts]]) -> "_Entries":
        users = np.repeat(np.arange(len(liked)), [len(rows) for rows, _ in liked])
        return cls(users, np.concatenate([r for r, _ in liked]), np.concatenate([a for _, a in liked]))

    @classmethod
    def of_popular(cls, rows: Rows, amounts: Amounts, n_users: int) -> "_Entries":
        users = np.repeat(np.arange(n_users), len(rows))
        return cls(users, np.tile(rows, n_users), np.tile(amounts, n_users))


def _related_to(recent: Sequence[Sequence[str]], views: Views, policy: CandidatePolicy) -> tuple[_Entries, _Entries]:
    """What goes together with each user's newest items, and what is like them; the newer the item, the more."""
    item_ids = [item_id for of_user in recent for item_id in of_user]
    users = np.repeat(np.arange(len(recent)), [len(of_user) for of_user in recent])
    places = np.array([place for of_user in recent for place in range(len(of_user))], dtype=np.intp)
    rows = views.items.rows(item_ids)
    fading = 2.0 ** (places / -policy.recency_half_life)
    together = _flat(*views.trends.partners(rows), rows, fading, users)
    newest = np.flatnonzero(places < policy.content_items)
    alike, amounts = views.neighbour_rows.of([item_ids[entry] for entry in newest.tolist()], rows[newest])
    best = (slice(None), slice(policy.content_neighbours))
    return together, _flat(alike[best], amounts[best], rows[newest], fading[newest], users[newest])


def _flat(
    related: NDArray[np.int32], amounts: NDArray[np.floating], rows: Rows, fading: Amounts, users: Rows
) -> _Entries:
    """What is related to each of some rows, as entries with fading amounts; amounts of 0 are dropped."""
    entries = np.flatnonzero(amounts)
    at = entries // max(amounts.shape[1], 1)
    faded = amounts.ravel()[entries] * fading[at]
    return _Entries(users[at], related.ravel()[entries].astype(np.intp), faded, rows[at])


def _distinct(users: Rows, rows: Rows, n_users: int, items: ItemTable) -> tuple[Rows, Rows, Rows]:
    """The distinct rows of each user, user by user, where each one's begin, and the place of each entry among them."""
    stands, numbers = items.distinct(users * len(items.ids) + rows, n_users)
    whose = users[stands]
    # Sorting small numbers is one pass (radix sort); and it keeps each user's rows in their order.
    order = np.argsort(whose.astype(np.uint16), kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    bounds = np.zeros(n_users + 1, dtype=np.intp)
    np.cumsum(np.bincount(whose, minlength=n_users), out=bounds[1:])
    return bounds, rows[stands][order], places[numbers]


def _name_strongest(because: Rows, places: Rows, entries: _Entries, strongest: Amounts) -> None:
    """Enter at each place the source of its strongest amount: of equal ones the newest item, which stands first."""
    best = np.flatnonzero(entries.amounts == strongest[places])[::-1]
    because[places[best]] = entries.because[best]
