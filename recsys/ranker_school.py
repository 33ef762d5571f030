"""The newest events of a log teach a ranker, test-then-learn: is it better than the one in use beyond chance?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from recsys.als.fit import FitPolicy
from recsys.als.interactions import InteractionArrays
from recsys.evaluation.figures import Bootstrap
from recsys.evaluation.learner import freshet
from recsys.evaluation.order import Protocol, arrange
from recsys.events import ACTIONS, Click
from recsys.item_table import ItemTable
from recsys.ranker import RankerWeights
from recsys.ranker_training import RankerTraining, loss
from recsys.refresh import RecommendPolicy

EVENTS = 120_000
"""The newest events of a log that are replayed: some 10 s before the first lesson."""
LESSONS = 20_000
"""The newest of them, at most a quarter, that teach: 10 s."""
FEWEST = 200
"""Lessons from which something can be learned."""


@dataclass(frozen=True)
class Taught:
    """A challenger, and how it compares with the champion.

    Attributes
    ----------
    gain : nats a choice by which the challenger foretold better what was chosen, over the later half of the lessons,
        each before it was learned
    interval : 95 % of that, by bootstrap over users
    """

    challenger: RankerWeights
    n_lessons: int
    gain: float
    interval: tuple[float, float]

    @property
    def is_better(self) -> bool:
        """Whether the gain is beyond chance."""
        return self.interval[0] > 0.0


def newest_clicks(interactions: InteractionArrays) -> list[Click]:
    """The newest `EVENTS` interactions that are still known, in the order of their time."""
    users = np.repeat(np.arange(len(interactions.user_ids)), interactions.lengths)
    order = np.argsort(interactions.times_ms, kind="stable")[-EVENTS:]
    columns = (interactions.items, interactions.codes, interactions.times_ms, interactions.values)
    return [
        Click(
            event_id=str(number),
            user_id=interactions.user_ids[user],
            item_id=interactions.item_ids[item],
            type=ACTIONS[code],
            ts_ms=ts_ms,
            value=value,
        )
        for number, user, item, code, ts_ms, value in zip(
            order.tolist(), users[order].tolist(), *(column[order].tolist() for column in columns), strict=True
        )
    ]


def teach(
    clicks: Sequence[Click],
    policy: RecommendPolicy,
    fit_policy: FitPolicy,
    champion: RankerWeights,
    version: str,
    on_event: Callable[[], None] = lambda: None,
) -> Taught | None:
    """Replay events; the newest teach a challenger that starts as the champion.

    Parameters
    ----------
    clicks : by rising time; events of one user and time are one choice
    version : the challenger's
    on_event : called after each event; an exception from it ends the lessons

    Returns
    -------
    Taught or None
        None when there were too few lessons.
    """
    log = arrange(clicks, Protocol(repeat=True, basket=True))
    n_before = log.n_events - min(LESSONS, log.n_events // 4)
    school = freshet(
        policy,
        fit_policy,
        ItemTable(),
        fit_at=log.n_events + 1,
        n_history=0,
        closed=False,
    )
    learner, training = school.learner, RankerTraining(champion)
    gains: list[float] = []
    users: list[str] = []
    has_begun = False
    for group in log.groups:
        if learner.n_events >= n_before:
            if not has_begun:
                has_begun = True
                school.begin()
            lesson = learner.lesson(group[0].user_id, [click.item_id for click in group])
            if lesson is not None:
                users.append(group[0].user_id)
                gains.append(loss(champion.table, lesson) - training.step(lesson))
        for click in group:
            school.learn(click, 0)
            on_event()
    if len(gains) < FEWEST:
        return None
    later = slice(len(gains) // 2, None)
    values = np.array(gains[later])
    interval = Bootstrap(users[later]).interval(values)
    return Taught(RankerWeights(training.table, version), len(gains), float(values.mean()), interval)
