"""Where a list's items come from: factors, co-occurrence, content, popularity; unordered, each with its evidence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.history import Interaction
from recsys.ids import ItemIds
from recsys.item_table import ItemTable, RowMap
from recsys.trends import Trends
from recsys.types import Rows, Vector

Amounts = NDArray[np.float64]
"""float64, shape (n,): evidence, one for each row"""
NO_ROWS = np.empty(0, dtype=np.intp)
NO_AMOUNTS = np.empty(0)
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

    def top_rows(self, vector: Vector, k: int) -> tuple[Rows, Amounts]: ...


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
    """Content neighbours as rows and amounts, converted once for as long as the cache holds the same."""

    def __init__(self, items: ItemTable, neighbours: Neighbours | None) -> None:
        self._items, self._neighbours = items, neighbours
        self._converted: dict[str, tuple[Nearest, tuple[Rows, Amounts]]] = {}

    def get(self, item_id: str, limit: int) -> tuple[Rows, Amounts] | None:
        """Rows and similarities of the best; None where nothing is known yet."""
        nearest = self._neighbours.nearest(item_id) if self._neighbours is not None else None
        if nearest is None:
            return None
        held = self._converted.get(item_id)
        if held is None or held[0] is not nearest:
            amounts = np.array(nearest.scores, dtype=np.float64)
            held = self._converted[item_id] = (nearest, (self._items.rows(nearest.item_ids), amounts))
        rows, amounts = held[1]
        return rows[:limit], amounts[:limit]


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
    """Candidate rows with their evidence.

    Attributes
    ----------
    rows : ndarray of intp, shape (n,)
        Distinct rows of the `ItemTable`.
    evidence : ndarray of float64, shape (4, n)
        What each source says for each row, 0 where it says nothing.
    because : ndarray of intp, shape (n,)
        Row of the user's item that speaks most for each candidate by co-occurrence or content; -1 where none does.
    is_personal : bool
        Whether the user's own vector took part.
    """

    rows: Rows
    evidence: NDArray[np.float64]
    because: Rows
    is_personal: bool


def recent_items(history: Sequence[Interaction], liked: Mapping[str, float], limit: int) -> list[str]:
    """The newest distinct items that the user does not dislike, newest first."""
    found: dict[str, None] = {}
    for interaction in reversed(history):
        if liked.get(interaction.item_id, 0.0) > 0:
            found[interaction.item_id] = None
            if len(found) == limit:
                break
    return list(found)


def gather(
    history: Sequence[Interaction],
    confidences: Mapping[str, float],
    views: Views,
    policy: CandidatePolicy,
    context_item: str = "",
) -> Candidates:
    """Collect candidates for one user.

    Parameters
    ----------
    history : by rising time
    confidences : item id -> c_ui, from `ConfidencePolicy.confidences`
    context_item : an item whose page the user looks at now; counts as the newest of the history
    """
    recent = recent_items(history, confidences, policy.recent_items)
    if context_item:
        recent = [context_item, *(item for item in recent if item != context_item)]
    liked_rows, liked_amounts = _from_factors(views, confidences, policy)
    together = _from_partners(views, recent, policy)
    similar = _from_content(views, recent[: policy.content_items], policy)
    popular_rows, popular_amounts = views.trends.top(policy.from_trends)
    rows, places = views.items.distinct(np.concatenate((liked_rows, together.rows, similar.rows, popular_rows)))
    n_liked, n_together, n_similar = len(liked_rows), len(together.rows), len(similar.rows)
    at_liked, places = places[:n_liked], places[n_liked:]
    at_together, places = places[:n_together], places[n_together:]
    at_similar, at_popular = places[:n_similar], places[n_similar:]

    evidence = np.zeros((4, len(rows)))
    evidence[FACTORS, at_liked] = liked_amounts
    evidence[TOGETHER] = np.bincount(at_together, together.amounts, minlength=len(rows))
    evidence[POPULARITY, at_popular] = popular_amounts
    because = np.full(len(rows), -1, dtype=np.intp)
    np.maximum.at(evidence[CONTENT], at_similar, similar.amounts)
    _name_strongest(because, at_similar, similar, evidence[CONTENT])
    strongest = np.zeros(len(rows))
    np.maximum.at(strongest, at_together, together.amounts)
    _name_strongest(because, at_together, together, strongest)
    return Candidates(rows, evidence, because, n_liked > 0)


def _name_strongest(because: Rows, places: Rows, related: "_Related", strongest: Amounts) -> None:
    """Enter at each place the source of its strongest amount: of equal ones the newest item, which stands first."""
    entries = np.flatnonzero(related.amounts == strongest[places])[::-1]
    because[places[entries]] = related.sources[entries]


class _Related(NamedTuple):
    """Rows related to the user's newest items, a row once for each of these; `sources` are the latters' rows."""

    rows: Rows
    amounts: Amounts
    sources: Rows


_UNRELATED = _Related(NO_ROWS, NO_AMOUNTS, NO_ROWS)


def _from_factors(views: Views, confidences: Mapping[str, float], policy: CandidatePolicy) -> tuple[Rows, Amounts]:
    if views.factors is None or not confidences:
        return NO_ROWS, NO_AMOUNTS
    vector = views.factors.fold_in(list(confidences.items()))
    if not vector.any():
        return NO_ROWS, NO_AMOUNTS
    rows, scores = views.factors.top_rows(vector, policy.from_factors)
    return views.factor_rows.of(rows), scores


def _from_partners(views: Views, recent: Sequence[str], policy: CandidatePolicy) -> _Related:
    """Cosines of item-based collaborative filtering, to be summed over the newest items."""
    related = _related(views.items, recent, views.trends.partners, policy)
    roots = views.trends.root_counts(related.rows) * views.trends.root_counts(related.sources)
    return related._replace(amounts=related.amounts / roots)


def _from_content(views: Views, recent: Sequence[str], policy: CandidatePolicy) -> _Related:
    """Cosines of content to the newest items, the best of which counts."""
    if views.neighbours is None:
        return _UNRELATED
    limit = policy.content_neighbours
    return _related(views.items, recent, lambda item_id: views.neighbour_rows.get(item_id, limit), policy)


def _related(
    items: ItemTable,
    recent: Sequence[str],
    look_up: Callable[[str], tuple[Rows, Amounts] | None],
    policy: CandidatePolicy,
) -> _Related:
    """What is known of each of the newest items, with fading weight."""
    found = [(place, *known) for place, item_id in enumerate(recent) if (known := look_up(item_id)) is not None]
    if not found:
        return _UNRELATED
    places, rows, amounts = zip(*found, strict=True)
    lengths = [len(each) for each in rows]
    fading = 2.0 ** (np.array(places) / -policy.recency_half_life)
    sources = items.rows([recent[place] for place in places])
    owner = np.repeat(np.arange(len(found)), lengths)
    return _Related(np.concatenate(rows), np.concatenate(amounts) * fading[owner], sources[owner])
