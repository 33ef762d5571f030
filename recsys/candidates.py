"""Where the items of a list come from: factors, co-occurrence, content, popularity; unordered, each with its evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Protocol

import numpy as np

from recsys.history import Interaction
from recsys.trends import Trends
from recsys.types import Vector


class Shelf(Protocol):
    """What ranking asks of the catalogue."""

    def is_visible(self, item_id: str) -> bool:
        """Known, available and not deleted."""
        ...

    def group_of(self, item_id: str) -> str:
        """The variants' common group, or an empty string."""
        ...

    def newest(self, limit: int) -> Sequence[str]:
        """Visible items, newest first."""
        ...


class Factors(Protocol):
    """What ranking asks of a factor model (`recsys.als.model.FactorModel`)."""

    @property
    def version(self) -> str: ...

    def fold_in(self, history: Sequence[tuple[str, float]]) -> Vector: ...

    def top(self, vector: Vector, k: int) -> tuple[Sequence[str], Vector]: ...

    def scores(self, vector: Vector, item_ids: Sequence[str]) -> Vector:
        """x·y for each item, 0 for an item without factors."""
        ...


class Neighbours(Protocol):
    """Content neighbours, from a cache: never a scan on the click path."""

    def get(self, item_id: str) -> Sequence[tuple[str, float]] | None: ...


@dataclass(frozen=True)
class Views:
    """Everything shared that a list is made from."""

    shelf: Shelf
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


@dataclass
class Candidates:
    """Evidence for each candidate, by source; `because` names the item of the history behind it."""

    factors: dict[str, float] = field(default_factory=dict)
    together: dict[str, float] = field(default_factory=dict)
    content: dict[str, float] = field(default_factory=dict)
    popularity: dict[str, float] = field(default_factory=dict)
    because: dict[str, tuple[float, str]] = field(default_factory=dict)
    is_personal: bool = False


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
    found = Candidates()
    recent = recent_items(history, confidences, policy.recent_items)
    if context_item:
        recent = [context_item, *(item for item in recent if item != context_item)]
    if views.factors is not None and confidences:
        _from_factors(found, views.factors, confidences, policy)
    _from_partners(found, views.trends, recent, policy)
    if views.neighbours is not None:
        _from_content(found, views.neighbours, recent[: policy.content_items], policy)
    for item_id, popularity in views.trends.top(policy.from_trends):
        found.popularity[item_id] = popularity
    return found


def _from_factors(
    found: Candidates, factors: Factors, confidences: Mapping[str, float], policy: CandidatePolicy
) -> None:
    vector = factors.fold_in(list(confidences.items()))
    if not np.any(vector):
        return
    found.is_personal = True
    item_ids, scores = factors.top(vector, policy.from_factors)
    found.factors = dict(zip(item_ids, scores.tolist(), strict=True))


def _from_partners(found: Candidates, trends: Trends, recent: Sequence[str], policy: CandidatePolicy) -> None:
    counts, together, because = trends.counts, found.together, found.because
    weight, decay = 1.0, 2.0 ** (-1.0 / policy.recency_half_life)
    for item_id in recent:
        scale = weight / sqrt(counts.get(item_id) or 1.0)
        weight *= decay
        for other_id, amount in trends.partners(item_id):
            evidence = scale * amount / sqrt(counts.get(other_id) or 1.0)
            together[other_id] = together.get(other_id, 0.0) + evidence
            if evidence > because.get(other_id, (0.0, ""))[0]:
                because[other_id] = (evidence, item_id)


def _from_content(found: Candidates, neighbours: Neighbours, recent: Sequence[str], policy: CandidatePolicy) -> None:
    weight, decay = 1.0, 2.0 ** (-1.0 / policy.recency_half_life)
    content, because = found.content, found.because
    for item_id in recent:
        for other_id, similarity in (neighbours.get(item_id) or ())[: policy.content_neighbours]:
            evidence = weight * similarity
            if evidence > content.get(other_id, 0.0):
                content[other_id] = evidence
                if other_id not in found.together:
                    because[other_id] = (evidence, item_id)
        weight *= decay
