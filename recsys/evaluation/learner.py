"""Freshet without a log round it: the core that the agents run, learning clicks and answering lists at any time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from recsys.candidates import Factors, Neighbours, Views
from recsys.events import Action, Click
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.refresh import RecommendPolicy, fold_click, rank_for
from recsys.trends import PartitionTrends, Trends

Fit = Callable[["Learner"], Factors | None]
"""Fits factors to all that was learned so far."""
MOST = 100
"""Items in a list that is measured."""


@dataclass
class Learner:
    """The recommender: states, counts and views of one partition.

    Attributes
    ----------
    refresh_every : events between two looks at what is popular; in the running system a second
    """

    policy: RecommendPolicy
    items: ItemTable
    factors: Factors | None = None
    neighbours: Neighbours | None = None
    refresh_every: int = 50
    states: dict[str, UserState] = field(default_factory=dict)
    n_events: int = 0

    def __post_init__(self) -> None:
        self._refreshed = 1
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

    def look(self) -> None:
        """Read the counts as they stand; nobody need while there is nothing to be answered."""
        for item_id, trend in self.counts.take_changes():
            self.trends.put(0, item_id, trend)
        refreshes = self.n_events // self.refresh_every if self.n_events >= self.refresh_every else -self.n_events
        if refreshes != self._refreshed:
            self._refreshed = refreshes
            self.trends.refresh()

    def top(self, user_id: str, n: int = MOST) -> list[str]:
        """The user's list now, best first."""
        state = self.states.get(user_id) or UserState()
        self.look()
        return [item.item_id for item in rank_for(state, self.views, self.policy, n=n).items]


class Freshet:
    """The learner as one of the methods that are measured.

    Parameters
    ----------
    fit : fits factors anew
    fit_at : the number of events after which the first fit is due; each later one when there are `growth` times as many
    closed : only items that the table shows already may be in lists; else each may from its first event on
    """

    name = "freshet"

    def __init__(self, learner: Learner, fit: Fit, *, fit_at: int, growth: float = 1.5, closed: bool = False) -> None:
        self.learner = learner
        self.last: list[str] = []
        """The list that was predicted from last."""
        self._fit, self._next_fit, self._growth, self._is_closed = fit, float(fit_at), growth, closed
        self._has_begun = False
        self._listeners: list[Callable[[Click], object]] = []

    def listen(self, listener: Callable[[Click], object]) -> None:
        """Have something told of each event that is learned: what fits are made from."""
        self._listeners.append(listener)

    def begin(self) -> None:
        """Fit once more: a trainer would have, some time after the newest events."""
        self._has_begun = True
        self.learner.look()
        self.learner.factors = self._fit(self.learner)
        self._next_fit = max(self._next_fit, self._growth * self.learner.n_events)

    def predict(self, user_id: str, item_ids: Sequence[str]) -> list[float | None]:
        """See `Method`; what the list does not name is in no place."""
        self.last = self.learner.top(user_id)
        places = {item_id: place for place, item_id in enumerate(self.last, start=1)}
        return [float(places[item_id]) if item_id in places else None for item_id in item_ids]

    def learn(self, click: Click, row: int) -> None:
        """See `Method`."""
        if not self._is_closed:
            self.learner.items.show(click.item_id)
        self.learner.learn(click)
        for listener in self._listeners:
            listener(click)
        if self.learner.n_events >= self._next_fit:
            self._next_fit *= self._growth
            self.learner.factors = self._fit(self.learner)
        if self._has_begun:
            self.learner.look()


def policy_for(policy: RecommendPolicy, *, repeat: bool) -> RecommendPolicy:
    """The policy under which lists leave out just what the protocol does: everything that a user had, or nothing."""
    seen = frozenset[Action]() if repeat else frozenset(Action) - {Action.IMPRESSION, Action.SEARCH}
    return replace(policy, history=replace(policy.history, seen=seen))
