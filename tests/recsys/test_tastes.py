"""What is worked out from arrays is what plain Python works out from the histories, however they came about."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.confidence import ConfidencePolicy
from recsys.events import Action
from recsys.history import HistoryPolicy, Interaction, UserState, fold
from recsys.item_table import ItemTable
from recsys.tastes import Limits, tastes
from tests.builders import NOON_MS, a_click

POLICY, LIMITS = ConfidencePolicy(), Limits(recent_items=3, own_items=5, session_gap_ms=30 * 60_000)
ITEMS = [f"item-{number}" for number in range(8)]
DEEDS = [Action.VIEW, Action.CLICK, Action.LIKE, Action.PURCHASE, Action.DISLIKE, Action.RETURN]
a_deed = st.tuples(st.sampled_from(ITEMS), st.sampled_from(DEEDS), st.sampled_from([-90, -10, 0, 5, 20, 100]))
histories = st.lists(st.lists(a_deed, max_size=12), min_size=1, max_size=4)


def new_state():
    return UserState(history=[], events={}, seen={}, queries=[])


def fold_in(state, deeds, start=0, size=9):
    """Each deed some minutes after the one before it, or before it: late."""
    now_ms = state.watermark_ms or NOON_MS
    for offset, (item_id, action, minutes) in enumerate(deeds, start=start):
        now_ms += minutes * 60_000
        click = a_click("ann", item_id, type=action, ts_ms=now_ms, event_id=f"event-{offset}")
        fold(state, click, offset=offset, epoch=1, watermark_ms=0, policy=HistoryPolicy(size=size))
    return state


def in_session(history: list[Interaction]) -> set[str]:
    """Items since the last pause, as many as matter."""
    found: set[str] = set()
    newer_ms = history[-1].ts_ms if history else 0
    for deed in reversed(history):
        if newer_ms - deed.ts_ms > LIMITS.session_gap_ms or len(found) > LIMITS.recent_items:
            break
        found.add(deed.item_id)
        newer_ms = deed.ts_ms
    return found


def check(found, user, state, items, context=""):
    history = state.history
    confidences = POLICY.confidences(history, state.watermark_ms)
    ids = [items.ids[row] for row in found.known_rows[found.known_bounds[user] : found.known_bounds[user + 1]]]
    assert dict.fromkeys(ids) == dict.fromkeys(confidences)
    given_ = found.confidences[found.known_bounds[user] : found.known_bounds[user + 1]].tolist()
    assert given_ == pytest.approx([confidences[item_id] for item_id in ids], rel=1e-12)

    counts = {deed.item_id: 0 for deed in reversed(history)}
    for deed in history:
        counts[deed.item_id] += 1
    touched = [item_id for item_id in islice(counts, LIMITS.own_items) if confidences.get(item_id, 0.0) > 0]
    own = slice(found.own_bounds[user], found.own_bounds[user + 1])
    assert [items.ids[row] for row in found.own_rows[own]] == touched
    assert found.own_counts[own].tolist() == [counts[item_id] for item_id in touched]
    newest = [item_id for item_id in touched[: LIMITS.recent_items + 1] if item_id != context][: LIMITS.recent_items]
    recent = found.recent_rows[found.recent_bounds[user] : found.recent_bounds[user + 1]]
    assert [items.ids[row] for row in recent] == ([context] if context else []) + newest
    together = in_session(history)
    n_session = next((n for n, item_id in enumerate(newest) if item_id not in together), len(newest))
    assert found.n_session[user] == n_session + bool(context)
    assert found.n_items[user] == len(counts)


@settings(deadline=None)  # the first call compiles
@given(deeds=histories, context=st.sampled_from(["", *ITEMS[:2]]))
def test_arrays_give_what_plain_python_gives(deeds, context):
    states, items = [fold_in(new_state(), of_user) for of_user in deeds], ItemTable()

    found = tastes(states, items, POLICY, LIMITS, context)

    for user, state in enumerate(states):
        check(found, user, state, items, context)


@settings(deadline=None)
@given(parts=st.lists(st.lists(a_deed, max_size=6), min_size=1, max_size=5), size=st.integers(1, 6))
def test_the_array_beside_a_history_follows_it_through_late_and_dropped_deeds(parts, size):
    state, items, n = new_state(), ItemTable(), 0
    for deeds in parts:
        fold_in(state, deeds, start=n, size=size)
        n += len(deeds)

        array = state.deed_array(items).deeds(items.row)

        held = [(items.ids[one["row"]], one["code"], one["ts_ms"], one["value"]) for one in array]
        assert held == [(deed.item_id, deed.action, deed.ts_ms, deed.value) for deed in state.history]


def test_an_array_for_one_table_or_history_is_none_for_another():
    state = fold_in(new_state(), [("item-3", Action.CLICK, 1)])
    first, second = ItemTable(["item-3"]), ItemTable(["item-1", "item-3"])

    assert state.deed_array(first).deeds(first.row)["row"].tolist() == [0]
    assert state.deed_array(second).deeds(second.row)["row"].tolist() == [1]
    state.history = state.history[:0]
    assert len(state.deed_array(second).deeds(second.row)) == 0


def test_what_is_kept_beside_a_state_is_no_part_of_it():
    plain = fold_in(new_state(), [("item-3", Action.CLICK, 1)])
    looked_at = fold_in(new_state(), [("item-3", Action.CLICK, 1)])
    tastes([looked_at], ItemTable(), POLICY, LIMITS)

    assert looked_at == plain


def test_a_user_s_taste_does_not_depend_on_the_others():
    items = ItemTable(ITEMS)
    deeds = [[(ITEMS[(7 * user + at) % 8], DEEDS[at % 5], 1) for at in range(user)] for user in range(9)]
    states = [fold_in(new_state(), of_user) for of_user in deeds]

    together = tastes(states, items, POLICY, LIMITS)

    for user, state in enumerate(states):
        alone = tastes([state], items, POLICY, LIMITS)
        own = slice(together.known_bounds[user], together.known_bounds[user + 1])
        assert np.array_equal(together.confidences[own], alone.confidences)
        assert np.array_equal(together.known_rows[own], alone.known_rows)
