"""What is known of each candidate -> a score: a small linear model that learns by itself what to trust.

The features are scaled within a user's candidates, so that one set of weights serves every shop; each weight is the sum
of one for everybody and one for users with about as many items.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.types import Rows

FEATURES = (
    ("factors", 0),
    ("factors, log", 0),
    ("factors, unscaled", 0),
    ("together", 1),
    ("together, log", 1),
    ("together, unscaled", 1),
    ("with the newest item", 1),
    ("with the newest item, log", 1),
    ("together, long", 1),
    ("together, long, log", 1),
    ("content", 2),
    ("popularity", 3),
    ("popularity, log", 3),
    ("times touched, log", 3),
)
"""Names, and the source (a column of `Candidates.evidence`) that each speaks for."""
N_SOURCES = 4
NEWER = (0, 1, 4, 9)
"""Users with at most so many recent items have weights of their own; and those with more."""
N_FEATURES = len(FEATURES)
N_CONTEXTS = len(NEWER) + 1
_SOURCES = np.array([source for _, source in FEATURES], dtype=np.intp)
FLOOR = 16.0
"""Popularity is told apart down to 2^-16 of the most popular candidate's."""

Floats = NDArray[np.float64]


def contexts(n_recent: Rows) -> Rows:
    """Which weights of their own users have who have touched so many items; intp, shape (n_users,)."""
    return np.searchsorted(np.array(NEWER), n_recent)


@compiled
def _log(amount: float) -> float:
    scaled: float = np.log1p(100.0 * amount) / np.log(101.0)
    return scaled


@compiled
def features(bounds: Rows, evidence: Floats, levels: Floats, touched: Floats) -> tuple[Floats, Floats]:
    """Features of all candidates, each user's by themselves.

    Parameters
    ----------
    bounds, evidence : see `recsys.candidates.Candidates`
    levels : shape (n,)
        log2 of each candidate's popularity; -inf where there is none
    touched : shape (n,)
        How often each was touched.

    Returns
    -------
    features : ndarray of float64, shape (n, N_FEATURES)
    highest : ndarray of float64, shape (n_users, evidence.shape[1])
        Each column's largest value among a user's candidates, at least 0.
    """
    n_users, width = len(bounds) - 1, evidence.shape[1]
    found = np.zeros((len(evidence), N_FEATURES))
    highest = np.zeros((n_users, width))
    scaled = np.zeros(width)
    for user in range(n_users):
        level, most = -np.inf, 1.0
        for place in range(bounds[user], bounds[user + 1]):
            level, most = max(level, levels[place]), max(most, touched[place])
            for column in range(width):
                highest[user, column] = max(highest[user, column], evidence[place, column])
        for place in range(bounds[user], bounds[user + 1]):
            for column in range(width):
                scaled[column] = 0.0
                if highest[user, column] > 0.0:
                    scaled[column] = max(0.0, evidence[place, column]) / highest[user, column]
            below = min(FLOOR, level - levels[place]) if levels[place] > -np.inf else FLOOR
            of = found[place]
            of[0], of[1], of[2] = scaled[0], _log(scaled[0]), min(2.0, max(0.0, evidence[place, 0]))
            of[3], of[4], of[5] = scaled[1], _log(scaled[1]), min(2.0, evidence[place, 1])
            of[6], of[7] = scaled[4], _log(scaled[4])
            of[8], of[9] = scaled[5], _log(scaled[5])
            of[10] = scaled[2]
            of[11], of[12] = 2.0**-below if below < FLOOR else 0.0, 1.0 - below / FLOOR
            of[13] = np.log1p(touched[place]) / np.log1p(most)
    return found, highest


@compiled
def _linear(bounds: Rows, given: Floats, weights: Floats, sources: Rows) -> tuple[Floats, Rows]:
    scores = np.zeros(len(given))
    strongest = np.zeros(len(given), dtype=np.intp)
    parts = np.zeros(N_SOURCES)
    for user in range(len(bounds) - 1):
        best = -np.inf
        for place in range(bounds[user], bounds[user + 1]):
            parts[:] = 0.0
            for feature in range(given.shape[1]):
                parts[sources[feature]] += given[place, feature] * weights[user, feature]
            most = -np.inf
            for source in range(N_SOURCES):
                scores[place] += parts[source]
                if parts[source] > most:
                    most, strongest[place] = parts[source], source
            best = max(best, scores[place])
        for place in range(bounds[user], bounds[user + 1]):
            scores[place] = 1.0 / (1.0 + best - scores[place])
    return scores, strongest


@dataclass(frozen=True)
class RankerWeights:
    """A linear ranker.

    Attributes
    ----------
    weights : float64, shape (N_CONTEXTS, N_FEATURES)
    """

    weights: Floats
    version: str

    def score(self, bounds: Rows, given: Floats, n_recent: Rows) -> tuple[Floats, Rows]:
        """Scores between 0 and 1, the best candidate's of each user being 1; and the source that adds most to each."""
        return _linear(bounds, given, self.weights[contexts(n_recent)], _SOURCES)


@dataclass
class RankerTraining:
    """Learns weights one list at a time, by softmax cross-entropy within the list and Adam (Kingma and Ba 2015).

    Attributes
    ----------
    rate, falling : the n-th step has a rate of `rate / sqrt(1 + n / falling)`
    own_rate : share of that for the weights of users with about as many items
    """

    rate: float = 0.02
    falling: float = 2_000.0
    own_rate: float = 0.4
    decay: float = 1e-4
    n_steps: int = 0
    weights: Floats = field(default_factory=lambda: np.zeros((N_CONTEXTS + 1, N_FEATURES)))

    def __post_init__(self) -> None:
        self._mean, self._square = np.zeros_like(self.weights), np.zeros_like(self.weights)

    def table(self) -> Floats:
        """float64, shape (N_CONTEXTS, N_FEATURES)"""
        total: Floats = self.weights[:1] + self.weights[1:]
        return total

    def step(self, given: Floats, chosen: int, n_recent: int) -> float:
        """Learn that a candidate was chosen from a list; returns the loss, in nats.

        Parameters
        ----------
        given : shape (n, N_FEATURES), of those that could be chosen
        """
        context = int(contexts(np.array([n_recent]))[0])
        scores = given @ (self.weights[0] + self.weights[1 + context])
        odds = np.exp(scores - scores.max())
        odds /= odds.sum()
        loss = -float(np.log(max(odds[chosen], 1e-300)))
        gradient = odds @ given - given[chosen]
        self.n_steps += 1
        rate = self.rate / np.sqrt(1.0 + self.n_steps / self.falling)
        for row, share in ((0, 1.0), (1 + context, self.own_rate)):
            own = gradient + self.decay * self.weights[row]
            self._mean[row] = 0.9 * self._mean[row] + 0.1 * own
            self._square[row] = 0.999 * self._square[row] + 0.001 * own * own
            unbiased = np.sqrt(self._square[row] / (1.0 - 0.999 ** min(self.n_steps, 10_000))) + 1e-8
            self.weights[row] -= share * rate * self._mean[row] / unbiased
        return loss
