"""What users like, from what they did: confidences, newest items, sessions; of many users in one pass over arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsys.compiled import compiled
from recsys.confidence import DAY_MS, ConfidencePolicy
from recsys.history import UserState
from recsys.item_table import ItemTable
from recsys.types import Rows

Floats = NDArray[np.float64]
NO_ITEM = -1


class Tastes(NamedTuple):
    """Some users' items, rows of an `ItemTable`, one user's after the other's and the newest first.

    Attributes
    ----------
    known_bounds, known_rows, confidences : distinct items that say something about taste
        User u's stand from `known_bounds[u]` to `known_bounds[u + 1]`; for c_ui see `ConfidencePolicy.confidences`.
    recent_bounds, recent_rows : the newest distinct items that the user does not dislike, a few
    n_session : how many of a user's recent rows, the newest, belong to the user's last session
    own_bounds, own_rows, own_counts : more of them, and how often each was touched
    n_items : how many items a user touched in all
    """

    known_bounds: Rows
    known_rows: Rows
    confidences: Floats
    recent_bounds: Rows
    recent_rows: Rows
    n_session: Rows
    own_bounds: Rows
    own_rows: Rows
    own_counts: Floats
    n_items: Rows


class Limits(NamedTuple):
    """How much of a history is looked at; see `recsys.candidates.CandidatePolicy`."""

    recent_items: int
    own_items: int
    session_gap_ms: int


class _Deeds(NamedTuple):
    """Histories, one user's after the other's, by rising time."""

    bounds: Rows
    rows: NDArray[np.int32]
    weights: Floats
    """Of the kind of action, times the deed's own value."""
    ts_ms: NDArray[np.int64]
    now_ms: NDArray[np.int64]


def tastes(
    states: Sequence[UserState], items: ItemTable, policy: ConfidencePolicy, limits: Limits, context_item: str = ""
) -> Tastes:
    """What each user likes, "now" being the event time of the user's newest event.

    Parameters
    ----------
    context_item : an item whose page the users look at now; counts as the newest of each history
    """
    context = items.row(context_item) if context_item else NO_ITEM
    deeds = _deeds(states, items, policy)
    half_lives = policy.half_life_rank, policy.half_life_days * DAY_MS
    found: Tastes = Tastes(*_tastes(deeds, *half_lives, limits, context, items.scratch()))
    return found


def _deeds(states: Sequence[UserState], items: ItemTable, policy: ConfidencePolicy) -> _Deeds:
    arrays = [state.deed_array(items).deeds(items.row) for state in states]
    bounds = np.cumsum([0, *map(len, arrays)], dtype=np.intp)
    deeds = np.concatenate(arrays)
    now_ms = np.array([state.watermark_ms for state in states], dtype=np.int64)
    return _Deeds(bounds, deeds["row"], policy.by_code[deeds["code"]] * deeds["value"], deeds["ts_ms"], now_ms)


@compiled
def _tastes(
    of: _Deeds, half_life_rank: float, half_life_ms: float, limits: Limits, context: int, scratch: Rows
) -> tuple[Rows, Rows, Floats, Rows, Rows, Rows, Rows, Rows, Floats, Rows]:
    n_users, most = len(of.bounds) - 1, 0
    for user in range(n_users):
        most = max(most, of.bounds[user + 1] - of.bounds[user])
    rows, sums, counts = np.empty(most, dtype=np.intp), np.empty(most), np.empty(most)
    in_session = np.empty(most, dtype=np.bool_)
    known_bounds, own_bounds = np.zeros(n_users + 1, dtype=np.intp), np.zeros(n_users + 1, dtype=np.intp)
    recent_bounds, n_items = np.zeros(n_users + 1, dtype=np.intp), np.zeros(n_users, dtype=np.intp)
    known_rows, confidences = np.empty(len(of.rows), dtype=np.intp), np.empty(len(of.rows))
    own_rows, own_counts = np.empty(len(of.rows), dtype=np.intp), np.empty(len(of.rows))
    recent_rows = np.empty(n_users * (limits.recent_items + 1), dtype=np.intp)
    n_session = np.zeros(n_users, dtype=np.intp)
    rank_decay = 2.0 ** (-1.0 / half_life_rank)
    n_known = n_own = n_recent = 0
    for user in range(n_users):
        begin, end, n, rank_weight = of.bounds[user], of.bounds[user + 1], 0, 1.0
        for at in range(end - 1, begin - 1, -1):
            row, weight = of.rows[at], of.weights[at]
            place = scratch[row]
            if not (0 <= place < n and rows[place] == row):
                place, n = n, n + 1
                scratch[row], rows[place], sums[place], counts[place], in_session[place] = place, row, 0.0, 0.0, False
            counts[place] += 1.0
            if weight != 0.0:
                age_ms = of.now_ms[user] - of.ts_ms[at]
                amount = weight * rank_weight
                sums[place] += amount * 2.0 ** (-age_ms / half_life_ms) if age_ms > 0 else amount
                rank_weight *= rank_decay
        n_in, newer_ms = 0, of.ts_ms[end - 1] if n else 0
        for at in range(end - 1, begin - 1, -1):
            # As many items of the session as are looked at will do.
            if newer_ms - of.ts_ms[at] > limits.session_gap_ms or n_in > limits.recent_items:
                break
            newer_ms, place = of.ts_ms[at], scratch[of.rows[at]]
            if not in_session[place]:
                in_session[place], n_in = True, n_in + 1
        for place in range(n):
            if sums[place] != 0.0:
                known_rows[n_known] = rows[place]
                confidences[n_known] = sums[place] + 1.0 if sums[place] > 0.0 else sums[place] - 1.0
                n_known += 1
        is_last_session, touched = True, 0
        if context >= 0:
            recent_rows[n_recent], n_recent, n_session[user] = context, n_recent + 1, 1
        most_recent = n_recent + limits.recent_items
        for place in range(min(n, limits.own_items)):
            if sums[place] <= 0.0:
                continue
            own_rows[n_own], own_counts[n_own], n_own = rows[place], counts[place], n_own + 1
            touched += 1
            if touched <= limits.recent_items + 1 and rows[place] != context and n_recent < most_recent:
                recent_rows[n_recent], n_recent = rows[place], n_recent + 1
                is_last_session = is_last_session and in_session[place]
                n_session[user] += is_last_session
        known_bounds[user + 1], own_bounds[user + 1], recent_bounds[user + 1] = n_known, n_own, n_recent
        n_items[user] = n
    return (
        known_bounds,
        known_rows[:n_known].copy(),
        confidences[:n_known].copy(),
        recent_bounds,
        recent_rows[:n_recent].copy(),
        n_session,
        own_bounds,
        own_rows[:n_own].copy(),
        own_counts[:n_own].copy(),
        n_items,
    )
