"""Ranks to figures: hit rate and NDCG by kind of event, with intervals by bootstrap over users."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

GROUPS = ("all", "known", "new user", "new item")
METRICS = ("HR@10", "NDCG@10", "HR@100", "NDCG@100")
SLOW_US = 500.0
"""Microseconds a list; a run above is marked so."""
Column = NDArray[np.float64]


@dataclass
class Outcomes:
    """The events that were predicted: whose they are, and of which group; one entry each."""

    users: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def add(self, user_id: str, *, knows_user: bool, knows_item: bool) -> None:
        self.users.append(user_id)
        self.groups.append("new item" if not knows_item else "known" if knows_user else "new user")


@dataclass
class Ranks:
    """One method's ranks, and the time that they and learning took, seconds."""

    ranks: list[float | None] = field(default_factory=list)
    predicting_s: float = 0.0
    learning_s: float = 0.0
    n_lists: int = 0
    n_learned: int = 0

    @property
    def us_per_list(self) -> float:
        return 1e6 * self.predicting_s / max(1, self.n_lists)

    @property
    def events_per_s(self) -> float:
        return self.n_learned / self.learning_s if self.learning_s else 0.0


def column(ranks: Sequence[float | None], metric: str) -> Column:
    """One metric, event by event; float64, shape (n,).

    HR@k is 1 for a rank of at most k. NDCG@k is 1 / log2(1 + rank) there, the gain of one relevant item (Järvelin and
    Kekäläinen 2002).
    """
    name, _, k = metric.partition("@")
    at = np.array([np.inf if rank is None else rank for rank in ranks], dtype=np.float64)
    is_hit = at <= int(k)
    gains: Column = np.where(is_hit, 1.0 if name == "HR" else 1.0 / np.log2(1.0 + np.minimum(at, 1e300)), 0.0)
    return gains


class Bootstrap:
    """Percentile intervals (Efron 1979) of means, resampling users with all their events."""

    def __init__(self, users: Sequence[str], *, rounds: int = 1000, seed: int = 0) -> None:
        _, self._user = np.unique(np.array(users, dtype=object).astype(str), return_inverse=True)
        n_users = int(self._user.max(initial=-1)) + 1
        rng = np.random.default_rng(seed)
        self._drawn = rng.multinomial(n_users, np.full(n_users, 1 / n_users), size=rounds).astype(np.float64)
        self._n = np.bincount(self._user, minlength=n_users)

    def interval(self, values: Column) -> tuple[float, float]:
        """The 95 % interval of the mean."""
        sums = np.bincount(self._user, weights=values, minlength=len(self._n))
        means = (self._drawn @ sums) / (self._drawn @ self._n)
        low, high = np.quantile(means, [0.025, 0.975])
        return float(low), float(high)


def table(outcomes: Outcomes, ranks: Ranks) -> dict[str, dict[str, float]]:
    """Means of all metrics by group; a group without events has none."""
    groups = np.array(outcomes.groups, dtype=object)
    found: dict[str, dict[str, float]] = {}
    for group in GROUPS:
        chosen = np.ones(len(groups), dtype=np.bool_) if group == "all" else groups == group
        found[group] = {"events": float(chosen.sum())}
        if chosen.any():
            for metric in METRICS:
                found[group][metric] = float(column(ranks.ranks, metric)[chosen].mean())
    return found
