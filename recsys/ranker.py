"""What is known of each candidate -> a score: a small linear model that learns from each choice what to trust.

The features are scaled within a user's candidates, so that weights learned in one shop make sense in another; each
weight is the sum of one for everybody, one for users with about as long a history, and one for about as long a session.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.evidence import (
    CONTENT,
    FACTORS,
    LONG,
    MOST,
    N_COLUMNS,
    NEWEST,
    NEXT,
    OWN,
    OWN_AGE,
    POPULARITY,
    SESSION,
    SESSION_MOST,
    TOGETHER,
)
from recsys.types import Rows

VERSION = "linear-2"
BLEND = "blend-1"
_COLUMNS = (
    ("factors", FACTORS, FACTORS),
    ("together", TOGETHER, TOGETHER),
    ("with the newest item", NEWEST, TOGETHER),
    ("together, long", LONG, TOGETHER),
    ("in the session", SESSION, TOGETHER),
    ("with one item", MOST, TOGETHER),
    ("with one of the session", SESSION_MOST, TOGETHER),
    ("after the newest", NEXT, TOGETHER),
    ("own", OWN, FACTORS),
    ("own, newness", OWN_AGE, FACTORS),
    ("content", CONTENT, CONTENT),
)
"""Scaled columns of `Candidates.evidence`, each twice, plain and bent; and the source that each speaks for."""
_UNSCALED = (
    ("factors, unscaled", FACTORS, FACTORS),
    ("together, unscaled", TOGETHER, TOGETHER),
    ("with one item, unscaled", MOST, TOGETHER),
)
_INTERESTS = ("popularity", "popularity of late", "popularity for long")
FEATURES: tuple[tuple[str, int], ...] = (
    *((name + bent, source) for name, _, source in _COLUMNS for bent in ("", ", bent")),
    *((name, source) for name, _, source in _UNSCALED),
    *((name + log, POPULARITY) for name in _INTERESTS for log in ("", ", log")),
    ("times touched", POPULARITY),
    ("times touched, log", POPULARITY),
)
"""Names, and the source (a column of `Candidates.evidence`) that each speaks for."""
N_SOURCES = 4
N_FEATURES = len(FEATURES)
_SOURCES = np.array([source for _, source in FEATURES], dtype=np.intp)
_SCALED = np.array([column for _, column, _ in _COLUMNS], dtype=np.intp)
_PLAIN = np.array([column for _, column, _ in _UNSCALED], dtype=np.intp)
BEND = 0.05
"""A scaled amount of this much counts half in a bent feature."""
FLOOR = 16.0
"""Popularity is told apart down to 2^-16 of the most popular candidate's."""
LENGTHS = (0, 1, 4, 9, 29)
"""Users who touched at most so many items have weights of their own; and those who touched more."""
SESSIONS = (0, 1, 3, 9)
"""The same for the items of their last session."""
N_ROWS = 1 + len(LENGTHS) + 1 + len(SESSIONS) + 1
"""Rows of weights: one for everybody, those by length of the history, those by length of the session."""

Floats = NDArray[np.float64]


def contexts(n_items: Rows, n_session: Rows) -> Rows:
    """The rows of weights that count for users besides the first; intp, shape (n_users, 2)."""
    by_length = 1 + np.searchsorted(np.array(LENGTHS), n_items)
    by_session = 2 + len(LENGTHS) + np.searchsorted(np.array(SESSIONS), n_session)
    return np.stack((by_length, by_session), axis=1).astype(np.intp)


@compiled
def strongest(bounds: Rows, evidence: Floats, shown: NDArray[np.bool_], most: int) -> tuple[Rows, Rows]:
    """Places of the candidates that are worth features: of each user those with the largest sum of scaled evidence.

    Parameters
    ----------
    shown : which may be in a list at all
    most : how many of a user at most; of equal ones the first, so it takes those with the last's sum beyond it, too

    Returns
    -------
    bounds : shape (n_users + 1,)
    places : ndarray of intp, in their order
    """
    n_users = len(bounds) - 1
    kept_bounds = np.zeros(n_users + 1, dtype=np.intp)
    places = np.empty(len(evidence), dtype=np.intp)
    sums = np.zeros(len(evidence))
    scale = np.zeros(N_COLUMNS)
    n = 0
    for user in range(n_users):
        scale[:] = 0.0
        first = n
        for place in range(bounds[user], bounds[user + 1]):
            if shown[place]:
                places[n], n = place, n + 1
                for column in range(N_COLUMNS):
                    scale[column] = max(scale[column], evidence[place, column])
        if n - first > most:
            for column in range(N_COLUMNS):
                scale[column] = 1.0 / scale[column] if scale[column] > 0.0 else 0.0
            for at in range(first, n):
                total = 0.0
                for column in range(N_COLUMNS):
                    total += evidence[places[at], column] * scale[column]
                sums[at] = total
            least = np.partition(sums[first:n], n - first - most)[n - first - most]
            kept = first
            for at in range(first, n):
                if sums[at] >= least:
                    places[kept] = places[at]
                    kept += 1
            n = kept
        kept_bounds[user + 1] = n
    return kept_bounds, places[:n].copy()


@compiled
def _features(
    bounds: Rows, evidence: Floats, levels: Floats, touched: Floats, scaled_columns: Rows, plain_columns: Rows
) -> Floats:
    n_scaled, n_plain, n_levels = len(scaled_columns), len(plain_columns), len(levels)
    found = np.zeros((len(evidence), 2 * n_scaled + n_plain + 2 * n_levels + 2))
    scale = np.zeros(n_scaled)
    highest = np.zeros(n_levels)
    for user in range(len(bounds) - 1):
        scale[:], highest[:], most = 0.0, -np.inf, 1.0
        for place in range(bounds[user], bounds[user + 1]):
            most = max(most, touched[place])
            for at in range(n_scaled):
                scale[at] = max(scale[at], evidence[place, scaled_columns[at]])
            for level in range(n_levels):
                highest[level] = max(highest[level], levels[level, place])
        for at in range(n_scaled):
            scale[at] = 1.0 / scale[at] if scale[at] > 0.0 else 0.0
        for place in range(bounds[user], bounds[user + 1]):
            of = found[place]
            for at in range(n_scaled):
                amount = max(0.0, evidence[place, scaled_columns[at]]) * scale[at]
                of[2 * at], of[2 * at + 1] = amount, amount * (1.0 + BEND) / (amount + BEND)
            start = 2 * n_scaled
            for at in range(n_plain):
                of[start + at] = min(2.0, max(0.0, evidence[place, plain_columns[at]]))
            start += n_plain
            for level in range(n_levels):
                below = highest[level] - levels[level, place]
                if below < FLOOR:  # not so where there is none: its level is -inf
                    of[start + 2 * level], of[start + 2 * level + 1] = 2.0**-below, 1.0 - below / FLOOR
            start += 2 * n_levels
            of[start], of[start + 1] = touched[place] / most, np.log1p(touched[place]) / np.log1p(most)
    return found


def features(bounds: Rows, evidence: Floats, levels: Floats, touched: Floats) -> Floats:
    """Features of all candidates, each user's by themselves.

    Parameters
    ----------
    bounds, evidence : see `recsys.candidates.Candidates`
    levels, touched : see `recsys.trends.Trends.interest`

    Returns
    -------
    ndarray of float64, shape (n, N_FEATURES)
        Between 0 and 2.
    """
    found: Floats = _features(bounds, evidence, levels, touched, _SCALED, _PLAIN)
    return found


@compiled
def _linear(bounds: Rows, given: Floats, table: Floats, rows: Rows, sources: Rows) -> tuple[Floats, Rows]:
    scores = np.zeros(len(given))
    best_source = np.zeros(len(given), dtype=np.intp)
    parts = np.zeros(N_SOURCES)
    for user in range(len(bounds) - 1):
        weights = table[0] + table[rows[user, 0]] + table[rows[user, 1]]
        best = -np.inf
        for place in range(bounds[user], bounds[user + 1]):
            parts[:] = 0.0
            for feature in range(given.shape[1]):
                parts[sources[feature]] += given[place, feature] * weights[feature]
            most = -np.inf
            for source in range(N_SOURCES):
                scores[place] += parts[source]
                if parts[source] > most:
                    most, best_source[place] = parts[source], source
            best = max(best, scores[place])
        for place in range(bounds[user], bounds[user + 1]):
            scores[place] = 1.0 / (1.0 + best - scores[place])
    return scores, best_source


@dataclass(frozen=True, eq=False)
class RankerWeights:
    """A linear ranker.

    Attributes
    ----------
    table : float64, shape (N_ROWS, N_FEATURES)
        A user's weights are the sum of the first row and of the two that `contexts` names.
    """

    table: Floats
    version: str

    def score(self, bounds: Rows, given: Floats, rows: Rows) -> tuple[Floats, Rows]:
        """Scores between 0 and 1, the best candidate's of each user being 1; and the source that adds most to each.

        Parameters
        ----------
        bounds, given : see `features`
        rows : see `contexts`
        """
        found: tuple[Floats, Rows] = _linear(bounds, given, self.table, rows, _SOURCES)
        return found
