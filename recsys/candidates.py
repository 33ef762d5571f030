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
                    amounts = np.array(nearest.scores[:NEIGHBOURS], dtype=np.float32)
                    self._related.put(row, self._items.rows(nearest.item_ids[:NEIGHBOURS]), amounts)
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
    history: Sequence[Interaction],
    confidences: Mapping[str, float],
    liked: tuple[Rows, Amounts],
    views: Views,
    policy: CandidatePolicy,
    context_item: str = "",
) -> Candidates:
    """Collect candidates for one user.

    Parameters
    ----------
    history : by rising time
    confidences : item id -> c_ui, from `ConfidencePolicy.confidences`
    liked : what `personal` found for the user
    context_item : an item whose page the user looks at now; counts as the newest of the history
    """
    recent = recent_items(history, confidences, policy.recent_items)
    if context_item:
        recent = [context_item, *(item for item in recent if item != context_item)]
    recent_rows = views.items.rows(recent)
    fading = 2.0 ** (np.arange(len(recent)) / -policy.recency_half_life)
    liked_rows, liked_amounts = liked
    together = _flat(*views.trends.partners(recent_rows), recent_rows, fading)
    looked_at = slice(policy.content_items)
    neighbours, similarities = views.neighbour_rows.of(recent[looked_at], recent_rows[looked_at])
    best = (slice(None), slice(policy.content_neighbours))
    similar = _flat(neighbours[best], similarities[best], recent_rows[looked_at], fading[looked_at])
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


def _flat(rows: NDArray[np.int32], amounts: NDArray[np.floating], sources: Rows, fading: Amounts) -> _Related:
    """What is related to each of the newest items, row by row, with fading weight; entries of 0 are dropped."""
    entries = np.flatnonzero(amounts)
    owners = entries // max(amounts.shape[1], 1)
    return _Related(rows.ravel()[entries].astype(np.intp), amounts.ravel()[entries] * fading[owners], sources[owners])
