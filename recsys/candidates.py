"""Where a list's items come from: factors, co-occurrence, content, popularity; unordered, each with its evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recsys.history import Interaction
from recsys.item_table import ItemTable
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

    def fold_in(self, history: Sequence[tuple[str, float]]) -> Vector: ...

    def top(self, vector: Vector, k: int) -> tuple[Sequence[str], Vector]: ...


class Neighbours(Protocol):
    """Content neighbours, from a cache: never a scan on the click path."""

    def get(self, item_id: str) -> Sequence[tuple[str, float]] | None: ...


@dataclass(frozen=True)
class Views:
    """Everything shared that a list is made from."""

    items: ItemTable
    trends: Trends
    factors: Factors | None = None
    neighbours: Neighbours | None = None


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
        Distinct rows of the `ItemTable`, rising.
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
    sources = (
        _from_factors(views, confidences, policy),
        _from_partners(views, recent, policy),
        _from_content(views, recent[: policy.content_items], policy),
        views.trends.top(policy.from_trends),
    )
    rows = np.unique(np.concatenate([source[0] for source in sources]))
    evidence = np.zeros((len(sources), len(rows)))
    because = np.full(len(rows), -1, dtype=np.intp)
    for place, source in enumerate(sources):
        at = np.searchsorted(rows, source[0])
        evidence[place, at] = source[1]
        if place in (TOGETHER, CONTENT):
            at = at[because[at] < 0]
            because[at] = source[2][np.searchsorted(source[0], rows[at])] if len(at) else at
    return Candidates(rows, evidence, because, len(sources[FACTORS][0]) > 0)


def _from_factors(views: Views, confidences: Mapping[str, float], policy: CandidatePolicy) -> tuple[Rows, Amounts]:
    if views.factors is None or not confidences:
        return NO_ROWS, NO_AMOUNTS
    vector = views.factors.fold_in(list(confidences.items()))
    if not vector.any():
        return NO_ROWS, NO_AMOUNTS
    item_ids, scores = views.factors.top(vector, policy.from_factors)
    return views.items.rows(item_ids), np.asarray(scores, dtype=np.float64)


def _from_partners(views: Views, recent: Sequence[str], policy: CandidatePolicy) -> tuple[Rows, Amounts, Rows]:
    """Cosine of item-based collaborative filtering, summed over the newest items with fading weight."""
    trends = views.trends
    rows, amounts, sources = [], [], []
    weight, decay = 1.0, 2.0 ** (-1.0 / policy.recency_half_life)
    for item_id in recent:
        partner_rows, pair_amounts = trends.partners(item_id)
        if len(partner_rows):
            row = views.items.row(item_id)
            rows.append(partner_rows)
            amounts.append(pair_amounts * (weight / sqrt(trends.count(row) or 1.0)))
            sources.append(np.full(len(partner_rows), row, dtype=np.intp))
        weight *= decay
    if not rows:
        return NO_ROWS, NO_AMOUNTS, NO_ROWS
    all_rows = np.concatenate(rows)
    all_amounts = np.concatenate(amounts) / trends.root_counts(all_rows)
    return _summed(all_rows, all_amounts, np.concatenate(sources))


def _from_content(views: Views, recent: Sequence[str], policy: CandidatePolicy) -> tuple[Rows, Amounts, Rows]:
    """The best fading cosine to any of the newest items."""
    if views.neighbours is None:
        return NO_ROWS, NO_AMOUNTS, NO_ROWS
    best: dict[str, tuple[float, str]] = {}
    weight, decay = 1.0, 2.0 ** (-1.0 / policy.recency_half_life)
    for item_id in recent:
        for other_id, similarity in (views.neighbours.get(item_id) or ())[: policy.content_neighbours]:
            amount = weight * similarity
            if other_id not in best or amount > best[other_id][0]:
                best[other_id] = (amount, item_id)
        weight *= decay
    if not best:
        return NO_ROWS, NO_AMOUNTS, NO_ROWS
    row = views.items.row
    rows = views.items.rows(best)
    order = np.argsort(rows)
    amounts = np.array([amount for amount, _ in best.values()])
    sources = np.array([row(source) for _, source in best.values()], dtype=np.intp)
    return rows[order], amounts[order], sources[order]


def _summed(rows: Rows, amounts: Amounts, sources: Rows) -> tuple[Rows, Amounts, Rows]:
    """Sum what belongs to one row, and keep the source of its largest part; rows come out distinct and rising."""
    order = np.lexsort((-amounts, rows))
    rows, amounts, sources = rows[order], amounts[order], sources[order]
    first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    return rows[first], np.add.reduceat(amounts, first), sources[first]
