"""Where a list's items come from: factors, co-occurrence, content, popularity; unordered, each with its evidence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.events import ModelVersions
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
NEXT, LONG = 4, 5
"""More of what goes together: with the newest item alone, and with all recent ones about alike."""
LONGER = 4.0
"""How many times longer recent items count in `LONG`."""


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

    def scores(self, vector: Vector, item_ids: Sequence[str]) -> Vector: ...


class Nearest(Protocol):
    """Content neighbours of one item, best first; never changed, only replaced."""

    @property
    def item_ids(self) -> Sequence[str]: ...

    @property
    def scores(self) -> Sequence[float]: ...

    @property
    def name(self) -> str:
        """Equal for equal ids."""
        ...


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
                    self._related.put(np.array([row]), related[None, :NEIGHBOURS], amounts[None, :NEIGHBOURS])
        return self._related.of(rows)

    def name(self, item_ids: Sequence[str]) -> str:
        """Names what `of` last gave for these items: a digest each, `-` where nothing was known."""
        held = [self._held.get(self._items.row(item_id)) for item_id in item_ids]
        return ".".join("-" if nearest is None else nearest.name for nearest in held)


@dataclass(frozen=True)
class Views:
    """Everything shared that a list is made from; made anew only when a part is swapped, as it holds caches."""

    items: ItemTable
    trends: Trends
    factors: Factors | None = None
    neighbours: Neighbours | None = None
    named: Callable[[], ModelVersions] | None = None
    """What names all of them, as they stand."""
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

    from_factors: int = 200
    from_trends: int = 200
    recent_items: int = 15
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
    evidence : ndarray of float64, shape (n, 6)
        What each source says for each row, 0 where it says nothing.
    because : ndarray of intp, shape (n,)
        Row of the user's item that speaks most for each candidate by co-occurrence or content; -1 where none does.
    is_personal : list of bool
        Whether each user's own vector took part.
    n_recent : ndarray of intp, shape (n_users,)
        How many of each user's recent items were asked for what goes with them.
    """

    bounds: Rows
    rows: Rows
    evidence: NDArray[np.float64]
    because: Rows
    is_personal: list[bool]
    n_recent: Rows


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
    popular: tuple[Rows, Amounts] | None = None,
    apart: int = 0,
) -> Candidates:
    """Collect the candidates of some users; each one's are the same, to the last bit, whoever else is asked for.

    Parameters
    ----------
    recent : for each user what `recent_items` found
    liked : for each user what `personal` found
    popular : what is popular among the items that may be shown; by default `Trends.top`
    apart : places by which all but each user's newest item fall further behind
    """
    items = views.items
    item_ids = [item_id for of_user in recent for item_id in of_user]
    places = np.array([place for of_user in recent for place in range(len(of_user))], dtype=np.intp)
    newest = np.flatnonzero(places < policy.content_items)
    behind = places + apart * (places > 0)
    rows = items.rows(item_ids)
    partners, cosines = views.trends.partners(rows)
    alike, similarities = views.neighbour_rows.of([item_ids[entry] for entry in newest.tolist()], rows[newest])
    n_recent = np.array([len(of_user) for of_user in recent], dtype=np.intp)
    bounds, merged, evidence, because = _merge(
        _bounds([len(of_user) for of_user, _ in liked]),
        np.concatenate([of_user for of_user, _ in liked]),
        np.concatenate([amounts for _, amounts in liked]),
        _bounds([len(of_user) for of_user in recent]),
        rows,
        2.0 ** (behind / -policy.recency_half_life),
        2.0 ** (behind / -(LONGER * policy.recency_half_life)),
        partners,
        cosines,
        policy.content_items,
        policy.content_neighbours,
        alike,
        similarities,
        *(popular or views.trends.top(policy.from_trends)),
        items.scratch(),
    )
    return Candidates(bounds, merged, evidence, because, [len(of_user) > 0 for of_user, _ in liked], n_recent)


def _bounds(lengths: Sequence[int]) -> Rows:
    return np.cumsum([0, *lengths], dtype=np.intp)


@compiled
def _place(row: int, rows: Rows, first: int, n: int, scratch: Rows) -> tuple[int, int]:
    """Where a row stands among a user's, which begin at `first`; at their end, `n`, when it is new."""
    at = scratch[row]
    if first <= at < n and rows[at] == row:
        return at, n
    scratch[row] = n
    rows[n] = row
    return n, n + 1


@compiled
def _merge(
    liked_bounds: Rows,
    liked_rows: Rows,
    liked_amounts: Amounts,
    recent_bounds: Rows,
    recent_rows: Rows,
    fading: Amounts,
    fading_later: Amounts,
    partners: NDArray[np.int32],
    cosines: Amounts,
    n_compared: int,
    n_nearest: int,
    alike: NDArray[np.int32],
    similarities: NDArray[np.float32],
    popular_rows: Rows,
    popular_amounts: Amounts,
    scratch: Rows,
) -> tuple[Rows, Rows, NDArray[np.float64], Rows]:
    """Each user's distinct rows with what the four sources say of them; see `Candidates` for what is returned.

    Parameters
    ----------
    partners, cosines : shape (n_recent, width); an amount of 0 is no entry
    alike, similarities : the same for the first `n_compared` recent rows of each user; `n_nearest` columns count
    scratch : a cell for each item, of any content: where a row stands, if it stands there
    """
    n_users = len(liked_bounds) - 1
    most = len(liked_rows) + partners.size + alike.size + n_users * len(popular_rows)
    rows = np.empty(most, dtype=np.intp)
    evidence = np.zeros((most, 6))
    because = np.full(most, -1, dtype=np.intp)
    speaks = np.zeros(most)
    bounds = np.zeros(n_users + 1, dtype=np.intp)
    n, compared = 0, 0
    for user in range(n_users):
        first = n
        for entry in range(liked_bounds[user], liked_bounds[user + 1]):
            at, n = _place(liked_rows[entry], rows, first, n, scratch)
            evidence[at, FACTORS] = liked_amounts[entry]
        for entry in range(recent_bounds[user], recent_bounds[user + 1]):
            for column in range(partners.shape[1]):
                amount = cosines[entry, column] * fading[entry]
                if amount != 0.0:
                    at, n = _place(partners[entry, column], rows, first, n, scratch)
                    evidence[at, TOGETHER] += amount
                    evidence[at, LONG] += cosines[entry, column] * fading_later[entry]
                    if entry == recent_bounds[user]:
                        evidence[at, NEXT] = amount
                    if amount > speaks[at]:
                        speaks[at], because[at] = amount, recent_rows[entry]
        for entry in range(recent_bounds[user], min(recent_bounds[user + 1], recent_bounds[user] + n_compared)):
            for column in range(min(n_nearest, alike.shape[1])):
                amount = similarities[compared, column] * fading[entry]
                if amount != 0.0:
                    at, n = _place(alike[compared, column], rows, first, n, scratch)
                    # What goes together says more than what is alike.
                    if amount > evidence[at, CONTENT]:
                        evidence[at, CONTENT] = amount
                        if speaks[at] == 0.0:
                            because[at] = recent_rows[entry]
            compared += 1
        for entry in range(len(popular_rows)):
            at, n = _place(popular_rows[entry], rows, first, n, scratch)
            evidence[at, POPULARITY] = popular_amounts[entry]
        bounds[user + 1] = n
    return bounds, rows[:n].copy(), evidence[:n].copy(), because[:n].copy()
