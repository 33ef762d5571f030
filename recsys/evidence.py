"""What the sources say of items, merged: one row of evidence for each candidate of each user that is worth ranking."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.related import Stored
from recsys.tastes import Tastes
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


class Sources(NamedTuple):
    """What the sources say of some users.

    Attributes
    ----------
    liked_bounds, liked_rows, liked_amounts : what suits each user's own vector, one user's after the other's
    partners, following : how often items go together, and come after one another; `roots` as in `Trends`
    alike : neighbours by content; of the first `n_compared` recent items, `n_nearest` each
    fading, fading_later : what a recent item's partners weigh, by its place among the recent ones
    popular_rows, popular_amounts : the same for all users
    """

    liked_bounds: Rows
    liked_rows: Rows
    liked_amounts: Amounts
    partners: Stored
    following: Stored
    roots: Amounts
    alike: Stored
    n_compared: int
    n_nearest: int
    fading: Amounts
    fading_later: Amounts
    popular_rows: Rows
    popular_amounts: Amounts


class Shown(NamedTuple):
    """Which items may be shown: the visible ones but, of each user, those whose hash is among the user's `hidden`."""

    visible: NDArray[np.bool_]
    hashes: NDArray[np.uint64]
    hidden_bounds: Rows
    hidden: NDArray[np.uint64]


class _Found(NamedTuple):
    """What has been found for one user; only what `_place` has given a place means anything."""

    rows: Rows
    evidence: NDArray[np.float64]
    because: Rows
    speaks: Amounts
    """How much the item in `because` says for the row."""


@compiled
def _place(row: int, found: _Found, n: int, scratch: Rows) -> tuple[int, int]:
    """Where a row stands among a user's; at their end, `n`, when it is new."""
    at = scratch[row]
    if 0 <= at < n and found.rows[at] == row:
        return at, n
    scratch[row] = n
    found.rows[n], found.because[n], found.speaks[n] = row, -1, 0.0
    for column in range(N_COLUMNS):
        found.evidence[n, column] = 0.0
    return n, n + 1


@compiled
def _merge(user: int, tastes: Tastes, of: Sources, found: _Found, scratch: Rows) -> int:
    """Find a user's distinct rows with what the sources say of them; how many there are."""
    evidence, because, speaks, n = found.evidence, found.because, found.speaks, 0
    begin, end = tastes.recent_bounds[user], tastes.recent_bounds[user + 1]
    for entry in range(of.liked_bounds[user], of.liked_bounds[user + 1]):
        at, n = _place(of.liked_rows[entry], found, n, scratch)
        evidence[at, FACTORS] = of.liked_amounts[entry]
    for entry in range(begin, end):
        recent, place = tastes.recent_rows[entry], entry - begin
        in_session, slot = place < tastes.n_session[user], of.partners.slots[recent]
        fading, fading_later = of.fading[place], of.fading_later[place]
        for column in range(of.partners.rows.shape[1]):
            together = of.partners.amounts[slot, column]
            if together == 0.0:
                break
            row = of.partners.rows[slot, column]
            at, n = _place(row, found, n, scratch)
            cosine = together / (of.roots[row] * of.roots[recent])
            amount = cosine * fading
            evidence[at, TOGETHER] += amount
            evidence[at, LONG] += cosine * fading_later
            evidence[at, MOST] = max(evidence[at, MOST], cosine)
            if place == 0:
                evidence[at, NEWEST] = cosine
            if in_session:
                evidence[at, SESSION] += cosine
                evidence[at, SESSION_MOST] = max(evidence[at, SESSION_MOST], cosine)
            if amount > speaks[at]:
                speaks[at], because[at] = amount, recent
    for entry in range(begin, min(end, begin + FOLLOWED)):
        recent = tastes.recent_rows[entry]
        slot = of.following.slots[recent]
        for column in range(of.following.rows.shape[1]):
            step = of.following.amounts[slot, column]
            if step == 0.0:
                break
            row = of.following.rows[slot, column]
            at, n = _place(row, found, n, scratch)
            evidence[at, NEXT] += step / (of.roots[row] * of.roots[recent]) / (1 + entry - begin)
            if speaks[at] == 0.0 and because[at] < 0:
                because[at] = recent
    for entry in range(begin, min(end, begin + of.n_compared)):
        recent = tastes.recent_rows[entry]
        slot = of.alike.slots[recent]
        for column in range(min(of.n_nearest, of.alike.rows.shape[1])):
            amount = of.alike.amounts[slot, column] * of.fading[entry - begin]
            if amount != 0.0:
                at, n = _place(of.alike.rows[slot, column], found, n, scratch)
                # What goes together says more than what is alike.
                if amount > evidence[at, CONTENT]:
                    evidence[at, CONTENT] = amount
                    if speaks[at] == 0.0 and evidence[at, NEXT] == 0.0:
                        because[at] = recent
    first = tastes.own_bounds[user]
    for entry in range(first, tastes.own_bounds[user + 1]):
        at, n = _place(tastes.own_rows[entry], found, n, scratch)
        evidence[at, OWN] = tastes.own_counts[entry]
        evidence[at, OWN_AGE] = np.exp((first - entry) / OWN_FADING)
    for entry in range(len(of.popular_rows)):
        at, n = _place(of.popular_rows[entry], found, n, scratch)
        evidence[at, POPULARITY] = of.popular_amounts[entry]
    return n


@compiled
def unhidden(rows: Rows, hashes: NDArray[np.uint64], hidden: NDArray[np.uint64], shown: NDArray[np.bool_]) -> None:
    """Take from `shown`, one for each row, the rows whose hash is hidden; by a table of twice their number and more."""
    if len(hidden) == 0:
        return
    size = 16
    while size < 2 * len(hidden):
        size *= 2
    mask = np.uint64(size - 1)
    table, taken = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.bool_)
    for one in hidden:
        slot = one & mask
        while taken[slot] and table[slot] != one:
            slot = (slot + np.uint64(1)) & mask
        table[slot], taken[slot] = one, True
    for place in range(len(rows)):
        own = hashes[rows[place]]
        slot = own & mask
        while taken[slot] and table[slot] != own:
            slot = (slot + np.uint64(1)) & mask
        shown[place] &= not taken[slot]


@compiled
def strongest(evidence: NDArray[np.float64], shown: NDArray[np.bool_], most: int, places: Rows, sums: Amounts) -> int:
    """Find the candidates of a user that are worth features: those with the largest sum of scaled evidence.

    Parameters
    ----------
    evidence : shape (n, N_COLUMNS)
    shown : shape (n,)
        Which may be in a list at all.
    most : how many at most; of equal ones the first, so it takes those with the last's sum beyond it, too
    places, sums : shape (n,), of any content; `places` gets what is found, in its order

    Returns
    -------
    int
        How many there are.
    """
    scale = np.zeros(N_COLUMNS)
    n = 0
    for place in range(len(shown)):
        if shown[place]:
            places[n], n = place, n + 1
            for column in range(N_COLUMNS):
                scale[column] = max(scale[column], evidence[place, column])
    if n <= most:
        return n
    for column in range(N_COLUMNS):
        scale[column] = 1.0 / scale[column] if scale[column] > 0.0 else 0.0
    for at in range(n):
        of = evidence[places[at]]
        # Three sums side by side, as one would wait for itself.
        first, second, third = of[0] * scale[0], of[1] * scale[1], of[2] * scale[2]
        for column in range(3, N_COLUMNS, 3):
            first += of[column] * scale[column]
            second += of[column + 1] * scale[column + 1]
            third += of[column + 2] * scale[column + 2]
        sums[at] = first + second + third
    least = np.partition(sums[:n], n - most)[n - most]
    kept = 0
    for at in range(n):
        if sums[at] >= least:
            places[kept], kept = places[at], kept + 1
    return kept


@compiled
def merge(
    tastes: Tastes, of: Sources, shown: Shown, most: int, scratch: Rows
) -> tuple[Rows, Rows, NDArray[np.float64], Rows]:
    """Each user's candidates that may be shown, at most about `most`; see `Candidates` for what is returned.

    One user is done with before the next begins, so that what is found of each stays in the processor's cache.

    Parameters
    ----------
    scratch : a cell for each item, of any content: where a row stands, if it stands there
    """
    n_users, size = len(of.liked_bounds) - 1, 0
    for user in range(n_users):
        n_recent = tastes.recent_bounds[user + 1] - tastes.recent_bounds[user]
        n_own = tastes.own_bounds[user + 1] - tastes.own_bounds[user]
        n_liked = of.liked_bounds[user + 1] - of.liked_bounds[user]
        width = of.partners.rows.shape[1] + of.following.rows.shape[1] + of.alike.rows.shape[1]
        size = max(size, n_liked + n_own + n_recent * width)
    size += len(of.popular_rows)
    found = _Found(
        np.empty(size, dtype=np.intp), np.empty((size, N_COLUMNS)), np.empty(size, dtype=np.intp), np.empty(size)
    )
    may, places, sums = np.empty(size, dtype=np.bool_), np.empty(size, dtype=np.intp), np.empty(size)
    room = n_users * min(size, most + most // 4)
    bounds = np.zeros(n_users + 1, dtype=np.intp)
    rows, because = np.empty(room, dtype=np.intp), np.empty(room, dtype=np.intp)
    evidence = np.empty((room, N_COLUMNS))
    n_kept = 0
    for user in range(n_users):
        n = _merge(user, tastes, of, found, scratch)
        for place in range(n):
            may[place] = shown.visible[found.rows[place]]
        hidden = shown.hidden[shown.hidden_bounds[user] : shown.hidden_bounds[user + 1]]
        unhidden(found.rows[:n], shown.hashes, hidden, may[:n])
        kept = strongest(found.evidence[:n], may[:n], most, places, sums)
        if n_kept + kept > room:  # many with the same sum
            room = 2 * (n_kept + kept)
            rows, because = _longer(rows, n_kept, room), _longer(because, n_kept, room)
            more = np.empty((room, N_COLUMNS))
            more[:n_kept] = evidence[:n_kept]
            evidence = more
        for at in range(kept):
            place = places[at]
            rows[n_kept + at], because[n_kept + at] = found.rows[place], found.because[place]
            for column in range(N_COLUMNS):
                evidence[n_kept + at, column] = found.evidence[place, column]
        n_kept += kept
        bounds[user + 1] = n_kept
    return bounds, rows[:n_kept], evidence[:n_kept], because[:n_kept]


@compiled
def _longer(array: Rows, n: int, room: int) -> Rows:
    grown = np.empty(room, dtype=np.intp)
    grown[:n] = array[:n]
    return grown
