"""Where a list's items come from: factors, co-occurrence, content, popularity; unordered, each with its evidence."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.counts import SESSION_GAP_MS
from recsys.events import ModelVersions
from recsys.evidence import Amounts, Shown, Sources, merge
from recsys.ids import ItemIds
from recsys.item_table import ItemTable, RowMap
from recsys.related import RelatedRows, Stored
from recsys.tastes import Limits, Tastes
from recsys.trends import Trends
from recsys.types import Matrix, Rows, Vector

if TYPE_CHECKING:
    from recsys.list_rules import ItemTraits
    from recsys.ranker import RankerWeights

_NOBODY: tuple[Rows, Amounts] = (np.empty(0, dtype=np.intp), np.empty(0))
NEIGHBOURS = 30
"""Content neighbours of one item at most."""
EVERYTHING = 1_000_000_000
"""Candidates of a user, where none is left out."""
LONGER = 4.0
"""How many times longer recent items count in `evidence.LONG`."""


class Factors(Protocol):
    """What ranking asks of a factor model (`recsys.als.model.FactorModel`)."""

    @property
    def version(self) -> str: ...

    @property
    def ids(self) -> ItemIds:
        """The items by the model's own rows."""
        ...

    def fold_in(self, history: Sequence[tuple[str, float]]) -> Vector: ...

    def fold_in_rows(self, rows: Rows, confidence: Amounts) -> Vector: ...

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

    def brought_up(self, tastes: Tastes, n_compared: int) -> Stored:
        """What the cache holds now, for compiled loops, of each user's first `n_compared` recent items."""
        if self._neighbours is not None:
            places = np.arange(len(tastes.recent_rows)) - np.repeat(
                tastes.recent_bounds[:-1], np.diff(tastes.recent_bounds)
            )
            for row in set(tastes.recent_rows[places < n_compared].tolist()):
                self._look(row, self._neighbours)
        return self._related.stored(len(self._items.ids))

    def _look(self, row: int, neighbours: Neighbours) -> None:
        nearest = neighbours.nearest(self._items.ids[row])
        if nearest is not None and nearest is not self._held.get(row):
            self._held[row] = nearest
            related, amounts = self._items.rows(nearest.item_ids), np.array(nearest.scores, dtype=np.float32)
            self._related.put(np.array([row]), related[None, :NEIGHBOURS], amounts[None, :NEIGHBOURS])

    def name(self, rows: Rows) -> str:
        """Names what `brought_up` last found for these items: a digest each, `-` where nothing was known."""
        held = [self._held.get(row) for row in rows.tolist()]
        return ".".join(["-" if nearest is None else nearest.name for nearest in held])


@dataclass(frozen=True)
class Views:
    """Everything shared that a list is made from; made anew only when a part is swapped, as it holds caches."""

    items: ItemTable
    trends: Trends
    factors: Factors | None = None
    neighbours: Neighbours | None = None
    named: Callable[[], ModelVersions] | None = None
    """What names all of them, as they stand."""
    ranker: "RankerWeights | None" = None
    """What the shop's own ranker has learned, once there is one."""
    traits: "ItemTraits | None" = None
    """What list rules ask of items, where there are any."""
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
    from_trends: int = 150
    recent_items: int = 20
    """Newest distinct items of the history whose partners and content neighbours are taken."""
    own_items: int = 60
    """Newest distinct items of the history that may come again."""
    session_gap_ms: int = SESSION_GAP_MS
    recency_half_life: float = 2.0
    """In items: what an item's partners weigh, by how many newer items there are."""
    content_items: int = 5
    content_neighbours: int = 20

    @property
    def limits(self) -> Limits:
        return Limits(self.recent_items, self.own_items, self.session_gap_ms)


@dataclass(frozen=True)
class Candidates:
    """Candidate rows of some users with their evidence, one user's after the other's.

    Attributes
    ----------
    bounds : ndarray of intp, shape (n_users + 1,)
        User u's candidates stand from `bounds[u]` to `bounds[u + 1]`.
    rows : ndarray of intp, shape (n,)
        Rows of the `ItemTable`; distinct for each user.
    evidence : ndarray of float64, shape (n, N_COLUMNS)
        What each source says for each row, 0 where it says nothing.
    because : ndarray of intp, shape (n,)
        Row of the user's item that speaks most for each candidate by co-occurrence or content; -1 where none does.
    is_personal : list of bool
        Whether each user's own vector took part.
    n_items, n_session : ndarray of intp, shape (n_users,)
        How many items each user touched, and how many of the recent ones in the last session.
    """

    bounds: Rows
    rows: Rows
    evidence: NDArray[np.float64]
    because: Rows
    is_personal: list[bool]
    n_items: Rows
    n_session: Rows


def personal(tastes: Tastes, views: Views, policy: CandidatePolicy) -> list[tuple[Rows, Amounts]]:
    """For each user the items that suit their own vector, folded in anew: rows and scores, none without a vector.

    Each user's are the same whoever else is asked for; many at once cost less, as the index is read once for several.
    """
    n_users = len(tastes.n_items)
    found = [_NOBODY] * n_users
    if views.factors is None:
        return found
    bounds = tastes.known_bounds.tolist()
    rows = views.factor_rows.back(tastes.known_rows)
    vectors = [
        views.factors.fold_in_rows(rows[begin:end], tastes.confidences[begin:end]) for begin, end in pairwise(bounds)
    ]
    known = [place for place, vector in enumerate(vectors) if vector.any()]
    if known:
        best = views.factors.top_rows(np.stack([vectors[place] for place in known]), policy.from_factors)
        for place, (of_user, scores) in zip(known, best, strict=True):
            found[place] = views.factor_rows.of(of_user), scores
    return found


def gather(
    tastes: Tastes,
    liked: Sequence[tuple[Rows, Amounts]],
    seen: Sequence[Collection[int]],
    views: Views,
    policy: CandidatePolicy,
    *,
    most: int = EVERYTHING,
    popular: tuple[Rows, Amounts] | None = None,
    apart: int = 0,
) -> Candidates:
    """Collect what may be shown to some users; each one's is the same, to the last bit, whoever else is asked for.

    Parameters
    ----------
    tastes, liked : of each user, see `recsys.tastes.tastes` and `personal`
    seen : for each user hashes (`short_hash`) of the items that the user's own deeds keep out
    most : how many candidates of a user are worth ranking, those with the most evidence
    popular : what is popular among the items that may be shown; by default `Trends.popular`
    apart : places by which all but each user's newest item fall further behind
    """
    items = views.items
    together = views.trends.brought_up(tastes.recent_rows)
    alike = views.neighbour_rows.brought_up(tastes, policy.content_items)
    behind = np.arange(policy.recent_items + 1)
    behind[1:] += apart
    sources = Sources(
        _bounds([of_user for of_user, _ in liked]),
        np.concatenate([of_user for of_user, _ in liked]),
        np.concatenate([amounts for _, amounts in liked]),
        *together,
        alike,
        policy.content_items,
        policy.content_neighbours,
        2.0 ** (behind / -policy.recency_half_life),
        2.0 ** (behind / -(LONGER * policy.recency_half_life)),
        *(popular or views.trends.popular(policy.from_trends)),
    )
    hidden = np.fromiter(chain.from_iterable(seen), np.uint64)
    shown = Shown(items.visible, items.hashes, _bounds(seen), hidden)
    found = merge(tastes, sources, shown, most, items.scratch())
    is_personal = [len(of_user) > 0 for of_user, _ in liked]
    return Candidates(*found, is_personal, tastes.n_items, tastes.n_session)


def _bounds(lists: Sequence[Collection[int]] | Sequence[Rows]) -> Rows:
    return np.cumsum([0, *map(len, lists)], dtype=np.intp)
