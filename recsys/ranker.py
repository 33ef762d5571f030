"""What is known of each candidate -> a score: a small linear model that learns from each choice what to trust.

The features are scaled within a user's candidates, so that weights learned in one shop make sense in another; each
weight is the sum of one for everybody, one for users with about as long a history, and one for about as long a session.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.evidence import (
    CONTENT,
    FACTORS,
    LONG,
    MOST,
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
N_LEVELS = 3
COUNT, LOG_COUNT = N_LEVELS, N_LEVELS + 1
"""Columns of `recsys.trends.Trends.interest` after the levels."""
FLOOR = 16.0
"""Popularity is told apart down to 2^-16 of the most popular candidate's."""
LENGTHS = (0, 1, 4, 9, 29)
"""Users who touched at most so many items have weights of their own; and those who touched more."""
SESSIONS = (0, 1, 3, 9)
"""The same for the items of their last session."""
_LENGTHS, _SESSIONS = np.array(LENGTHS), np.array(SESSIONS)
N_ROWS = 1 + len(LENGTHS) + 1 + len(SESSIONS) + 1
"""Rows of weights: one for everybody, those by length of the history, those by length of the session."""

Floats = NDArray[np.float64]


def contexts(n_items: Rows, n_session: Rows) -> Rows:
    """The rows of weights that count for users besides the first; intp, shape (n_users, 2)."""
    by_length = 1 + np.searchsorted(_LENGTHS, n_items)
    by_session = 2 + len(LENGTHS) + np.searchsorted(_SESSIONS, n_session)
    return np.stack((by_length, by_session), axis=1).astype(np.intp)


class _Columns(NamedTuple):
    """Which columns of the evidence the features are made of."""

    scaled: Rows
    plain: Rows


_OF = _Columns(_SCALED, _PLAIN)


@compiled
def _describe(rows: Rows, evidence: Floats, interest: Floats, columns: _Columns, found: Floats) -> None:
    """The features of one user's candidates."""
    n_scaled, n_plain = len(columns.scaled), len(columns.plain)
    scale, highest = np.zeros(n_scaled), np.full(interest.shape[1], -np.inf)
    for place in range(len(rows)):
        for at in range(n_scaled):
            scale[at] = max(scale[at], evidence[place, columns.scaled[at]])
        for at in range(len(highest)):
            highest[at] = max(highest[at], interest[rows[place], at])
    for at in range(n_scaled):
        scale[at] = 1.0 / scale[at] if scale[at] > 0.0 else 0.0
    most, most_log = max(1.0, highest[COUNT]), max(np.log(2.0), highest[LOG_COUNT])
    for place in range(len(rows)):
        of, own = found[place], interest[rows[place]]
        for at in range(n_scaled):
            amount = max(0.0, evidence[place, columns.scaled[at]]) * scale[at]
            of[2 * at], of[2 * at + 1] = amount, amount * (1.0 + BEND) / (amount + BEND)
        start = 2 * n_scaled
        for at in range(n_plain):
            of[start + at] = min(2.0, max(0.0, evidence[place, columns.plain[at]]))
        start += n_plain
        for level in range(N_LEVELS):
            below = highest[level] - own[level]
            near = below < FLOOR  # not so where there is none: its level is -inf
            of[start + 2 * level] = 2.0**-below if near else 0.0
            of[start + 2 * level + 1] = 1.0 - below / FLOOR if near else 0.0
        start += 2 * N_LEVELS
        of[start], of[start + 1] = own[COUNT] / most, own[LOG_COUNT] / most_log


@compiled
def _features(bounds: Rows, rows: Rows, evidence: Floats, interest: Floats, columns: _Columns) -> Floats:
    found = np.empty((len(rows), N_FEATURES))
    for user in range(len(bounds) - 1):
        begin, end = bounds[user], bounds[user + 1]
        _describe(rows[begin:end], evidence[begin:end], interest, columns, found[begin:end])
    return found


def features(bounds: Rows, rows: Rows, evidence: Floats, interest: Floats) -> Floats:
    """Features of all candidates, each user's by themselves.

    Parameters
    ----------
    bounds, rows, evidence : see `recsys.candidates.Candidates`
    interest : see `recsys.trends.Trends.interest`

    Returns
    -------
    ndarray of float64, shape (n, N_FEATURES)
        Between 0 and 2.
    """
    found: Floats = _features(bounds, rows, evidence, interest, _OF)
    return found


@compiled
def _linear(
    bounds: Rows,
    rows: Rows,
    evidence: Floats,
    interest: Floats,
    columns: _Columns,
    table: Floats,
    weighted: Rows,
    sources: Rows,
) -> tuple[Floats, Rows]:
    n_users, most_rows = len(bounds) - 1, 0
    for user in range(n_users):
        most_rows = max(most_rows, bounds[user + 1] - bounds[user])
    scores = np.zeros(len(rows))
    best_source = np.zeros(len(rows), dtype=np.intp)
    # One user's features at a time: they stay in the processor's cache.
    parts, given = np.zeros(N_SOURCES), np.empty((most_rows, N_FEATURES))
    for user in range(n_users):
        begin, end = bounds[user], bounds[user + 1]
        _describe(rows[begin:end], evidence[begin:end], interest, columns, given)
        weights = table[0] + table[weighted[user, 0]] + table[weighted[user, 1]]
        best = -np.inf
        for place in range(begin, end):
            parts[:] = 0.0
            for feature in range(N_FEATURES):
                parts[sources[feature]] += given[place - begin, feature] * weights[feature]
            most = -np.inf
            for source in range(N_SOURCES):
                scores[place] += parts[source]
                if parts[source] > most:
                    most, best_source[place] = parts[source], source
            best = max(best, scores[place])
        for place in range(begin, end):
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

    def score(
        self, bounds: Rows, rows: Rows, evidence: Floats, interest: Floats, weighted: Rows
    ) -> tuple[Floats, Rows]:
        """Scores between 0 and 1, the best candidate's of each user being 1; and the source that adds most to each.

        Parameters
        ----------
        bounds, rows, evidence, interest : see `features`
        weighted : see `contexts`
        """
        found: tuple[Floats, Rows] = _linear(bounds, rows, evidence, interest, _OF, self.table, weighted, _SOURCES)
        return found
