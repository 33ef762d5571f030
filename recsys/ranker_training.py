"""Ranker weights learned from choices, one list at a time: the same in an evaluation and in the trainer."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recsys.compiled import compiled
from recsys.ranker import N_FEATURES, N_ROWS, Floats, RankerWeights
from recsys.types import Rows

KEPT, KEPT_SQUARE = 0.9, 0.999
"""How slowly Adam's means of gradients and of their squares change."""


@dataclass(frozen=True)
class TrainingPolicy:
    """How fast weights are learned.

    Attributes
    ----------
    rate, falling : the n-th step has a rate of `rate / sqrt(1 + n / falling)`
    own_rate : share of that for weights by length of the history and of the session
    decay : how much of a weight each gradient takes back (L2)
    """

    rate: float = 0.01
    falling: float = 2_000.0
    own_rate: float = 0.7
    decay: float = 1e-4


class Lesson(NamedTuple):
    """What could be chosen and what was, together: features (n, N_FEATURES), places, a row of `ranker.contexts`."""

    given: Floats
    chosen: Rows
    context: Rows


class RankerTraining:
    """Learns weights by softmax cross-entropy within a list, and Adam (Kingma and Ba 2015).

    Parameters
    ----------
    start : weights to start from; zeros by default
    """

    def __init__(self, start: RankerWeights | None = None, policy: TrainingPolicy | None = None) -> None:
        self.policy = policy or TrainingPolicy()
        self.table: Floats = np.zeros((N_ROWS, N_FEATURES)) if start is None else start.table.copy()
        self._mean, self._square = np.zeros_like(self.table), np.zeros_like(self.table)
        self.n_steps = 0

    def step(self, lesson: Lesson) -> float:
        """Learn from one choice; returns the loss before, in nats."""
        self.n_steps += 1
        rate = self.policy.rate / np.sqrt(1.0 + self.n_steps / self.policy.falling)
        rates = np.array([rate, self.policy.own_rate * rate, self.policy.own_rate * rate])
        unbiased = 1.0 - KEPT_SQUARE ** min(self.n_steps, 10_000)
        loss: float = _step(
            self.table,
            self._mean,
            self._square,
            lesson.given,
            lesson.chosen,
            _rows(lesson),
            rates,
            self.policy.decay,
            unbiased,
        )
        return loss


def loss(table: Floats, lesson: Lesson) -> float:
    """The softmax cross-entropy of a choice under some weights, in nats."""
    scores = lesson.given @ table[_rows(lesson)].sum(axis=0)
    best = scores.max()
    return float(best + np.log(np.exp(scores - best).sum()) - scores[lesson.chosen].mean())


def _rows(lesson: Lesson) -> Rows:
    return np.array([0, *lesson.context], dtype=np.intp)


@compiled
def _step(
    table: Floats,
    mean: Floats,
    square: Floats,
    given: Floats,
    chosen: Rows,
    rows: Rows,
    rates: Floats,
    decay: float,
    unbiased: float,
) -> float:
    """One step of Adam on the rows of weights that count, in place."""
    n, width = given.shape
    weights = table[rows[0]] + table[rows[1]] + table[rows[2]]
    odds = np.zeros(n)
    for place in range(n):
        for feature in range(width):
            odds[place] += given[place, feature] * weights[feature]
    best = odds.max()
    total = 0.0
    for place in range(n):
        odds[place] = np.exp(odds[place] - best)
        total += odds[place]
    loss, gradient = 0.0, np.zeros(width)
    for place in range(n):
        odds[place] /= total
        for feature in range(width):
            gradient[feature] += odds[place] * given[place, feature]
    for place in chosen:
        loss -= np.log(max(odds[place], 1e-300)) / len(chosen)
        for feature in range(width):
            gradient[feature] -= given[place, feature] / len(chosen)
    for at in range(len(rows)):
        row = rows[at]
        for feature in range(width):
            own = gradient[feature] + decay * table[row, feature]
            mean[row, feature] = KEPT * mean[row, feature] + (1.0 - KEPT) * own
            square[row, feature] = KEPT_SQUARE * square[row, feature] + (1.0 - KEPT_SQUARE) * own * own
            table[row, feature] -= rates[at] * mean[row, feature] / (np.sqrt(square[row, feature] / unbiased) + 1e-8)
    return loss
