"""What the sources say of items, merged: one row of evidence for each distinct candidate of each user."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.types import Rows

Amounts = NDArray[np.float64]
"""float64, shape (n,): evidence, one for each row"""
FACTORS, TOGETHER, CONTENT, POPULARITY = range(4)
"""The sources, by their place in `Candidates.evidence`."""
NEWEST, LONG, SESSION, MOST, SESSION_MOST, NEXT = range(4, 10)
"""More of what goes together: with the newest item alone, with all recent ones about alike, with those of the last
session; with whichever recent item it goes with most, of all and of the last session; and what follows the newest."""
OWN, OWN_AGE = 10, 11
"""How often the user touched it before, and how few items ago."""
N_COLUMNS = 12
FOLLOWED = 3
"""Newest items of which it is asked what follows them."""
OWN_FADING = 30.0
"""Other items touched since, until an own item counts 1/e in `OWN_AGE`."""


class _Found(NamedTuple):
    """What has been found, one user's after the other's; only what `_place` has given a place means anything."""

    rows: Rows
    evidence: NDArray[np.float64]
    because: Rows
    speaks: Amounts
    """How much the item in `because` says for the row."""


@compiled
def _place(row: int, found: _Found, first: int, n: int, scratch: Rows) -> tuple[int, int]:
    """Where a row stands among a user's, which begin at `first`; at their end, `n`, when it is new."""
    at = scratch[row]
    if first <= at < n and found.rows[at] == row:
        return at, n
    scratch[row] = n
    found.rows[n], found.because[n], found.speaks[n] = row, -1, 0.0
    for column in range(N_COLUMNS):
        found.evidence[n, column] = 0.0
    return n, n + 1


class Given(NamedTuple):
    """What the sources say of some users, one user's after the other's.

    Attributes
    ----------
    partners, cosines : shape (n_recent, width); from an amount of 0 on there is none
    following, steps : the same for the first `FOLLOWED` recent rows of each user
    alike, similarities : the same for the first `n_compared`; `n_nearest` columns count
    """

    liked_bounds: Rows
    liked_rows: Rows
    liked_amounts: Amounts
    recent_bounds: Rows
    recent_rows: Rows
    n_session: Rows
    fading: Amounts
    fading_later: Amounts
    partners: NDArray[np.int32]
    cosines: Amounts
    following: NDArray[np.int32]
    steps: Amounts
    n_compared: int
    n_nearest: int
    alike: NDArray[np.int32]
    similarities: NDArray[np.float32]
    own_bounds: Rows
    own_rows: Rows
    own_counts: Amounts
    popular_rows: Rows
    popular_amounts: Amounts


@compiled
def merge(of: Given, scratch: Rows) -> tuple[Rows, Rows, NDArray[np.float64], Rows]:
    """Each user's distinct rows with what the sources say of them; see `Candidates` for what is returned.

    Parameters
    ----------
    scratch : a cell for each item, of any content: where a row stands, if it stands there
    """
    n_users = len(of.liked_bounds) - 1
    n_others = of.partners.size + of.following.size + of.alike.size + len(of.own_rows)
    most = len(of.liked_rows) + n_others + n_users * len(of.popular_rows)
    found = _Found(
        np.empty(most, dtype=np.intp), np.empty((most, N_COLUMNS)), np.empty(most, dtype=np.intp), np.empty(most)
    )
    evidence, because, speaks = found.evidence, found.because, found.speaks
    bounds = np.zeros(n_users + 1, dtype=np.intp)
    n, compared, followed = 0, 0, 0
    for user in range(n_users):
        first, begin, end = n, of.recent_bounds[user], of.recent_bounds[user + 1]
        for entry in range(of.liked_bounds[user], of.liked_bounds[user + 1]):
            at, n = _place(of.liked_rows[entry], found, first, n, scratch)
            evidence[at, FACTORS] = of.liked_amounts[entry]
        for entry in range(begin, end):
            in_session = entry - begin < of.n_session[user]
            for column in range(of.partners.shape[1]):
                cosine = of.cosines[entry, column]
                if cosine == 0.0:
                    break
                at, n = _place(of.partners[entry, column], found, first, n, scratch)
                amount = cosine * of.fading[entry]
                evidence[at, TOGETHER] += amount
                evidence[at, LONG] += cosine * of.fading_later[entry]
                evidence[at, MOST] = max(evidence[at, MOST], cosine)
                if entry == begin:
                    evidence[at, NEWEST] = cosine
                if in_session:
                    evidence[at, SESSION] += cosine
                    evidence[at, SESSION_MOST] = max(evidence[at, SESSION_MOST], cosine)
                if amount > speaks[at]:
                    speaks[at], because[at] = amount, of.recent_rows[entry]
        for entry in range(begin, min(end, begin + FOLLOWED)):
            for column in range(of.following.shape[1]):
                amount = of.steps[followed, column] / (1 + entry - begin)
                if amount == 0.0:
                    break
                at, n = _place(of.following[followed, column], found, first, n, scratch)
                evidence[at, NEXT] += amount
                if speaks[at] == 0.0 and because[at] < 0:
                    because[at] = of.recent_rows[entry]
            followed += 1
        for entry in range(begin, min(end, begin + of.n_compared)):
            for column in range(min(of.n_nearest, of.alike.shape[1])):
                amount = of.similarities[compared, column] * of.fading[entry]
                if amount != 0.0:
                    at, n = _place(of.alike[compared, column], found, first, n, scratch)
                    # What goes together says more than what is alike.
                    if amount > evidence[at, CONTENT]:
                        evidence[at, CONTENT] = amount
                        if speaks[at] == 0.0 and evidence[at, NEXT] == 0.0:
                            because[at] = of.recent_rows[entry]
            compared += 1
        for entry in range(of.own_bounds[user], of.own_bounds[user + 1]):
            at, n = _place(of.own_rows[entry], found, first, n, scratch)
            evidence[at, OWN] = of.own_counts[entry]
            evidence[at, OWN_AGE] = np.exp((of.own_bounds[user] - entry) / OWN_FADING)
        for entry in range(len(of.popular_rows)):
            at, n = _place(of.popular_rows[entry], found, first, n, scratch)
            evidence[at, POPULARITY] = of.popular_amounts[entry]
        bounds[user + 1] = n
    return bounds, found.rows[:n].copy(), evidence[:n].copy(), because[:n].copy()
