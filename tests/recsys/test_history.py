"""An event counts once, in the order of its time, within bounds."""

import copy
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import StateError
from recsys.events import Action, Context
from recsys.history import (
    REMEMBERED_EVENTS,
    HistoryPolicy,
    UserState,
    decode_state,
    encode_state,
    fold,
    short_hash,
)
from tests.builders import NOON_MS, a_click

POLICY = HistoryPolicy(size=5)


def new_state():
    return UserState(history=[], events={}, seen={}, queries=[])


def fold_all(state, clicks, policy=POLICY, start=0):
    return [
        fold(state, click, offset=start + i, epoch=1, watermark_ms=0, policy=policy) for i, click in enumerate(clicks)
    ]


def test_an_event_id_counts_once():
    state = new_state()
    click = a_click(item_id="lamp")

    assert fold_all(state, [click, click]) == [True, False]
    assert [deed.item_id for deed in state.history] == ["lamp"]
    assert state.offset == 1, "a duplicate still moves the offset on"


def test_a_redelivered_offset_changes_nothing():
    state = new_state()
    fold_all(state, [a_click(), a_click(item_id="chair")])
    before = encode_state(state)

    assert not fold(state, a_click(item_id="shoe"), offset=1, epoch=1, watermark_ms=0, policy=POLICY)
    assert encode_state(state) == before


def test_a_new_epoch_starts_its_offsets_again():
    state = new_state()
    fold_all(state, [a_click(), a_click()])

    assert fold(state, a_click(item_id="shoe"), offset=0, epoch=2, watermark_ms=0, policy=POLICY)


def test_a_late_event_takes_its_place_in_time():
    state = new_state()
    fold_all(state, [a_click(item_id="b", ts_ms=2000), a_click(item_id="c", ts_ms=3000), a_click(item_id="a", ts_ms=1)])

    assert [deed.item_id for deed in state.history] == ["a", "b", "c"]
    assert state.watermark_ms == 3000


def test_only_the_newest_interactions_are_kept():
    state = new_state()
    fold_all(state, [a_click(item_id=f"item-{i}") for i in range(9)])

    assert [deed.item_id for deed in state.history] == [f"item-{i}" for i in range(4, 9)]


def test_what_was_bought_or_hidden_stays_seen_after_it_left_the_history():
    state = new_state()
    fold_all(state, [a_click(item_id="lamp", type=Action.PURCHASE), *(a_click(item_id=f"x{i}") for i in range(9))])

    assert short_hash("lamp") in state.seen
    assert short_hash("x1") not in state.seen


def test_an_event_id_is_known_for_1000_later_events():
    state = new_state()
    first = a_click()
    fold_all(state, [first, *(a_click() for _ in range(1000)), first])

    assert len(state.events) == 1001
    fold_all(state, [a_click() for _ in range(500)], start=2000)
    assert len(state.events) == REMEMBERED_EVENTS


def test_an_impression_and_a_search_trigger_no_list():
    state = new_state()
    click = a_click()
    fold_all(
        state,
        [
            click,
            a_click(item_id="", type=Action.SEARCH, context=Context(query="shoe")),
            a_click(type=Action.IMPRESSION, items=("a", "b")),
        ],
    )

    assert state.trigger_event == click.event_id
    assert state.offset == 2
    assert len(state.history) == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 50)), max_size=30), st.randoms(use_true_random=False))
def test_redelivery_from_any_point_leads_to_the_same_bytes(pairs: list[tuple[int, int]], rng: random.Random):
    clicks = [a_click(event_id=f"e{event}", item_id=f"i{event}", ts_ms=NOON_MS + age) for event, age in pairs]
    straight = new_state()
    fold_all(straight, clicks)

    crashed = new_state()
    for i, click in enumerate(clicks):
        fold(crashed, click, offset=i, epoch=1, watermark_ms=0, policy=POLICY)
        if rng.random() < 0.2:
            crashed = decode_state(encode_state(crashed))
            for j in range(rng.randint(0, i), i + 1):
                assert not fold(crashed, clicks[j], offset=j, epoch=1, watermark_ms=0, policy=POLICY)

    assert encode_state(crashed) == encode_state(straight)


def test_a_state_survives_its_bytes():
    state = new_state()
    fold_all(state, [a_click(type=Action.PURCHASE), a_click(item_id="苹果")])

    assert decode_state(encode_state(state)) == state
    assert copy.deepcopy(state) == state


@pytest.mark.parametrize("packed", [b"", b"\x00", b"\xc1garbage"])
def test_damaged_bytes_are_a_state_error(packed: bytes):
    with pytest.raises(StateError):
        decode_state(packed)


def test_a_newer_form_is_refused():
    with pytest.raises(StateError, match="upgrade"):
        decode_state(encode_state(UserState(schema=99)))
