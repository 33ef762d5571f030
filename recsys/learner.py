"""Freshet without a log round it: learns clicks, answers lists at any time, and has each choice teach its ranker."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recsys.candidates import Factors, Neighbours, Views
from recsys.choices import choices
from recsys.counts import PartitionTrends
from recsys.events import Click
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.list_rules import ItemTraits
from recsys.ranker import VERSION, RankerWeights
from recsys.ranker_training import Lesson, RankerTraining
from recsys.ranker_weights import LEARNED
from recsys.refresh import RecommendPolicy, fold_click, rank_for
from recsys.trends import Trends

MOST = 100
"""Items in a list that is measured."""


@dataclass
class Learner:
    """The recommender: states, counts and views of one partition, and a ranker that is learned.

    Attributes
    ----------
    refresh_every : events between two looks at what is popular; in the running system a second
    start : the weights that the ranker starts with
    """

    policy: RecommendPolicy
    items: ItemTable
    factors: Factors | None = None
    neighbours: Neighbours | None = None
    refresh_every: int = 50
    start: RankerWeights = LEARNED
    traits: ItemTraits | None = None
    states: dict[str, UserState] = field(default_factory=dict)
    n_events: int = 0

    def __post_init__(self) -> None:
        self._refreshed = 1
        self.counts = PartitionTrends(self.policy.trends)
        self.trends = Trends(self.items, self.policy.trends)
        self.training = RankerTraining(self.start)
        self._ranker = RankerWeights(self.training.table, VERSION)
        self._swap()

    def _swap(self) -> None:
        views = Views(self.items, self.trends, self.factors, self.neighbours)
        self._views = replace(views, ranker=self._ranker, traits=self.traits)

    @property
    def views(self) -> Views:
        """What lists are made from; the ranker is the one that is being learned, as it stands."""
        if self._views.factors is not self.factors:
            self._swap()
        return self._views

    def learn(self, click: Click) -> None:
        """Fold one event into its user's state and the counts."""
        state = self.states.get(click.user_id)
        if state is None:
            state = self.states[click.user_id] = UserState(history=[], events={}, seen={}, queries=[])
        fold_click(state, self.counts, click, offset=self.n_events, epoch=1, policy=self.policy)
        self.n_events += 1

    def look(self) -> None:
        """Read the counts as they stand; nobody need while there is nothing to be answered."""
        for item_id, trend in self.counts.take_changes():
            self.trends.put(0, item_id, trend)
        refreshes = self.n_events // self.refresh_every if self.n_events >= self.refresh_every else -self.n_events
        if refreshes != self._refreshed:
            self._refreshed = refreshes
            self.trends.refresh()

    def lesson(self, user_id: str, item_ids: Sequence[str]) -> Lesson | None:
        """What a user chose from, before it is learned; None when no item was a candidate."""
        self.look()
        could = choices(self.states.get(user_id) or UserState(), self.views, self.policy)
        chosen = np.flatnonzero(np.isin(could.rows, self.items.rows(item_ids)))
        return Lesson(could.features, chosen, could.context) if len(chosen) else None

    def top(self, user_id: str, n: int = MOST) -> list[str]:
        """The user's list now, best first."""
        state = self.states.get(user_id) or UserState()
        self.look()
        return [item.item_id for item in rank_for(state, self.views, self.policy, n=n).items]
