"""Test-then-learn: each event of a log is first predicted by the list that stands before it, then learned."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from recsys.candidates import Factors, Neighbours, Views
from recsys.events import Click
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.metrics import hit, ndcg
from recsys.rank import Ranked
from recsys.refresh import RecommendPolicy, fold_click, rank_for
from recsys.trends import PartitionTrends, Trends

Fit = Callable[[], Factors | None]
"""Fits factors to all that was learned so far."""


@dataclass
class Learner:
    """The recommender without a log round it: learns clicks in order, answers lists at any time."""

    policy: RecommendPolicy
    items: ItemTable
    factors: Factors | None = None
    neighbours: Neighbours | None = None
    refresh_every: int = 50
    """Events between two looks at what is popular: in the running system a second."""
    states: dict[str, UserState] = field(default_factory=dict)
    n_events: int = 0

    def __post_init__(self) -> None:
        self.counts = PartitionTrends(self.policy.trends)
        self.trends = Trends(self.items, self.policy.trends)
        self._views = Views(self.items, self.trends, self.factors, self.neighbours)

    @property
    def views(self) -> Views:
        if self._views.factors is not self.factors:
            self._views = Views(self.items, self.trends, self.factors, self.neighbours)
        return self._views

    def learn(self, click: Click) -> None:
        state = self.states.get(click.user_id)
        if state is None:
            state = self.states[click.user_id] = UserState(history=[], events={}, seen={}, queries=[])
        fold_click(state, self.counts, click, offset=self.n_events, epoch=1, policy=self.policy)
        self.n_events += 1
        for item_id, trend in self.counts.take_changes():
            self.trends.put(0, item_id, trend)
        if self.n_events % self.refresh_every == 0 or self.n_events < self.refresh_every:
            self.trends.refresh()

    def recommend(self, user_id: str, n: int, exclude: Collection[str] = ()) -> Ranked:
        return rank_for(self.states.get(user_id) or UserState(), self.views, self.policy, n=n, exclude=exclude)

    def popular(self, user_id: str, n: int, exclude: Collection[str] = ()) -> list[str]:
        """The peer to beat: decayed popularity, with what the user may not see left out likewise."""
        state = self.states.get(user_id)
        seen = state.seen if state else {}
        popular: list[str] = []
        for row in self.trends.top()[0].tolist():
            item_id = self.items.ids[row]
            if self.items.visible[row] and int(self.items.hashes[row]) not in seen and item_id not in exclude:
                popular.append(item_id)
                if len(popular) == n:
                    break
        return popular


@dataclass(frozen=True)
class Outcome:
    """Where one event's item stood in the list that was made before it (from 0; None: nowhere)."""

    click: Click
    rank: int | None
    popularity_rank: int | None


@dataclass
class Evaluation:
    """The outcomes of a log, and their figures."""

    outcomes: list[Outcome] = field(default_factory=list)

    def column(self, metric: Callable[[int | None, int], float], k: int, *, ours: bool) -> NDArray[np.float64]:
        """float64, shape (n_outcomes,): one metric of one recommender, event by event."""
        ranks = ((o.rank if ours else o.popularity_rank) for o in self.outcomes)
        return np.fromiter((metric(rank, k) for rank in ranks), np.float64, len(self.outcomes))

    def figures(self) -> dict[str, dict[str, float]]:
        """Mean hit rate and NDCG at 10 and 100, ours and decayed popularity's."""
        table: dict[str, dict[str, float]] = {}
        for name, ours in (("freshet", True), ("decayed popularity", False)):
            table[name] = {"events": float(len(self.outcomes))}
            for label, metric, k in (("HR@10", hit, 10), ("NDCG@10", ndcg, 10), ("HR@100", hit, 100)):
                column = self.column(metric, k, ours=ours)
                table[name][label] = float(column.mean()) if len(column) else 0.0
        return table


def baskets(clicks: Iterable[tuple[str, Click]]) -> Iterator[list[Click]]:
    """Events of one basket, which follow each other and share a name; an empty name stands alone."""
    for name, group in groupby(clicks, key=lambda pair: pair[0]):
        if name:
            yield [click for _, click in group]
        else:
            yield from ([click] for _, click in group)


def evaluate(
    learner: Learner,
    groups: Iterable[Sequence[Click]],
    *,
    k: int = 100,
    measure_from: int = 0,
    fit: Fit | None = None,
    fit_at: Callable[[int], bool] = lambda _: False,
    novel_only: bool = True,
    open_catalogue: bool = True,
    on_list: Callable[[Click, Ranked], None] | None = None,
) -> Evaluation:
    """Predict each group of events, then learn it.

    Parameters
    ----------
    groups : events that are predicted from the same state: single events, or whole baskets
    measure_from : number of events that are only learned
    fit, fit_at : when to fit factors anew, by the number of events learned
    open_catalogue : an item may be in lists from its first event on; else only what `learner.items` shows
    novel_only : measure only what is new to the user, and leave out of both lists what the user had
    """
    result = Evaluation()
    next_fit_checked = 0
    had: dict[str, set[str]] = {}
    for group in groups:
        for click in group:
            if not click.item_id or learner.n_events < measure_from:
                continue
            known = had.get(click.user_id, set()) if novel_only else set()
            if click.item_id in known:
                continue
            ranked = learner.recommend(click.user_id, k, known)
            if on_list is not None:
                on_list(click, ranked)
            ours = [item.item_id for item in ranked.items]
            theirs = learner.popular(click.user_id, k, known)
            result.outcomes.append(Outcome(click, _place(ours, click.item_id), _place(theirs, click.item_id)))
        for click in group:
            had.setdefault(click.user_id, set()).add(click.item_id)
            if open_catalogue and click.item_id:
                learner.items.show(click.item_id)
            learner.learn(click)
        while next_fit_checked < learner.n_events:
            next_fit_checked += 1
            if fit is not None and fit_at(next_fit_checked):
                learner.factors = fit()
    return result


def _place(items: Sequence[str], item_id: str) -> int | None:
    return items.index(item_id) if item_id in items else None
