"""Freshet as one of the methods that are measured: the same core that the agents run."""

from collections.abc import Callable, Sequence

from recsys.als.fit import FitPolicy
from recsys.als.interactions import Interactions
from recsys.als.model import FactorModel
from recsys.als.training import TrainingInput, train
from recsys.candidates import Factors
from recsys.catalogue import Catalogue
from recsys.events import Action, Click
from recsys.item_table import ItemTable
from recsys.learner import Learner
from recsys.list_rules import ItemTraits
from recsys.neighbours import ExactNeighbours
from recsys.refresh import RecommendPolicy

Fit = Callable[[Learner], Factors | None]
"""Fits factors to all that was learned so far."""


LESSONS = 20_000
"""Events, the newest ones of the history, that teach the ranker."""


class Freshet:
    """The learner as one of the methods that are measured.

    Parameters
    ----------
    fit : fits factors anew
    fit_at : the number of events after which the first fit is due; each later one when there are `growth` times as many
    teach_at : the number of events after which each choice teaches the ranker
    closed : only items that the table shows already may be in lists; else each may from its first event on
    """

    name = "freshet"

    def __init__(
        self,
        learner: Learner,
        fit: Fit,
        *,
        fit_at: int,
        teach_at: int,
        growth: float = 1.5,
        closed: bool = False,
    ) -> None:
        self.learner = learner
        self.last: list[str] = []
        """The list that was predicted from last."""
        self._fit, self._next_fit, self._growth, self._is_closed = fit, float(fit_at), growth, closed
        self._teach_at, self._teaches, self._has_begun = teach_at, False, False
        self._listeners: list[Callable[[Click], object]] = []

    def listen(self, listener: Callable[[Click], object]) -> None:
        """Have something told of each event that is learned: what fits are made from."""
        self._listeners.append(listener)

    def begin(self) -> None:
        """Fit once more: a trainer would have, some time after the newest events."""
        self._has_begun = True
        self._fit_now()

    def _fit_now(self) -> None:
        self.learner.look()
        self.learner.factors = self._fit(self.learner)
        self._next_fit = max(self._next_fit, self._growth * self.learner.n_events)

    def predict(self, user_id: str, item_ids: Sequence[str]) -> list[float | None]:
        """See `Method`; what the list does not name is in no place."""
        self.last = self.learner.top(user_id)
        places = {item_id: place for place, item_id in enumerate(self.last, start=1)}
        return [float(places[item_id]) if item_id in places else None for item_id in item_ids]

    def expect(self, user_id: str, item_ids: Sequence[str]) -> None:
        """See `Method`; the newest of the history and all that is predicted teach the ranker."""
        if self.learner.n_events < self._teach_at or self.learner.policy.weights(self.learner.views) is None:
            return
        if not self._teaches:
            self._teaches = True
            if self.learner.n_events:
                self._fit_now()
        lesson = self.learner.lesson(user_id, item_ids)
        if lesson is not None:
            self.learner.training.step(lesson)

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


def freshet(
    policy: RecommendPolicy,
    fit_policy: FitPolicy,
    items: ItemTable,
    *,
    fit_at: int,
    n_history: int,
    closed: bool,
    catalogue: Catalogue | None = None,
) -> Freshet:
    """The recommender as it runs: its factors fitted as by a trainer, its ranker taught by the end of the history.

    Parameters
    ----------
    catalogue : what is known of the items besides who touched them
    """
    traits, neighbours = policy.traits(items), None
    if catalogue is not None:
        neighbours = ExactNeighbours(catalogue)
        if traits is not None:
            _describe(catalogue, items, traits)
    learned = Interactions(policy.history.size)

    def fit(learner: Learner) -> FactorModel | None:
        previous = learner.factors if isinstance(learner.factors, FactorModel) else None
        given = TrainingInput(learned.arrays(), {}, learner.counts.watermark_ms, previous)
        factors = train(given, policy.confidence, fit_policy)
        return previous if factors is None else FactorModel(factors)

    teach_at = max(fit_at, n_history - LESSONS)
    ours = Freshet(
        Learner(policy, items, neighbours=neighbours, traits=traits),
        fit,
        fit_at=fit_at,
        teach_at=teach_at,
        closed=closed,
    )
    ours.listen(learned.apply)
    return ours


def _describe(catalogue: Catalogue, items: ItemTable, traits: ItemTraits) -> None:
    for item_id in catalogue:
        product = catalogue.get(item_id)
        if product is not None and not traits.describe(product):
            items.show(item_id, visible=False)
        traits.resemble(item_id, catalogue.text_vector(item_id), catalogue.image_vector(item_id))


def policy_for(policy: RecommendPolicy, *, repeat: bool) -> RecommendPolicy:
    """The policy under which lists leave out just what the protocol does: everything that a user had, or nothing."""
    seen = frozenset[Action]() if repeat else frozenset(Action) - {Action.IMPRESSION, Action.SEARCH}
    return policy.with_seen(seen)
