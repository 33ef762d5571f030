import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.als.interactions import HASH_BYTES, InteractionArrays, Interactions, confidence_matrix
from recsys.confidence import DAY_MS, ConfidencePolicy
from recsys.errors import SnapshotError
from recsys.events import Action, Click
from recsys.history import REMEMBERED_EVENTS, HistoryPolicy, UserState, fold

DAY = int(DAY_MS)
POLICY = ConfidencePolicy(half_life_rank=3.0, half_life_days=5.0)

clicks = st.builds(
    Click,
    event_id=st.integers(0, 40).map(lambda number: f"event-{number}"),
    user_id=st.sampled_from(["ann", "bob", "cyd"]),
    item_id=st.sampled_from(["boot", "lamp", "chair", "sofa", "cup"]),
    type=st.sampled_from([Action.VIEW, Action.PURCHASE, Action.DISLIKE, Action.COMMENT, Action.HIDE]),
    ts_ms=st.integers(0, 20 * DAY),
    value=st.sampled_from([1.0, 0.5, 2.0, 0.0]),
)
streams = st.lists(clicks, max_size=60)


def folded(events: list[Click], size: int = 200) -> Interactions:
    interactions = Interactions(size)
    for click in events:
        interactions.apply(click)
    return interactions


def as_dict(interactions: Interactions, now_ms: int, policy: ConfidencePolicy = POLICY) -> dict[tuple[str, str], float]:
    arrays = interactions.arrays()
    matrix, item_ids = confidence_matrix(arrays, policy, now_ms)
    coo = matrix.tocoo()
    user_ids = sorted(arrays.user_ids)
    return {
        (user_ids[user], item_ids[item]): float(c)
        for user, item, c in zip(coo.row.tolist(), coo.col.tolist(), coo.data.tolist(), strict=True)
    }


def a_click(event_id: str, item_id: str = "boot", **others: object) -> Click:
    fields = {"user_id": "ann", "type": Action.VIEW, "ts_ms": DAY, **others}
    return Click(event_id=event_id, item_id=item_id, **fields)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(events=streams, size=st.sampled_from([3, 200]))
def test_each_user_gets_what_the_serving_side_makes_of_the_same_history(events: list[Click], size: int) -> None:
    now_ms = 20 * DAY
    states: dict[str, UserState] = {}
    for offset, click in enumerate(events):
        state = states.setdefault(click.user_id, UserState(history=[], events={}, seen={}, queries=[]))
        fold(state, click, offset=offset, epoch=0, watermark_ms=0, policy=HistoryPolicy(size=size))
    expected = {
        (user_id, item_id): confidence
        for user_id, state in states.items()
        for item_id, confidence in POLICY.confidences(state.history, now_ms).items()
    }
    liked = {item_id for (_, item_id), confidence in expected.items() if confidence > 0}
    expected = {place: confidence for place, confidence in expected.items() if place[1] in liked}

    assert as_dict(folded(events, size), now_ms) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=80, deadline=None)
@given(events=streams)
def test_events_that_come_twice_change_nothing(events: list[Click]) -> None:
    once = folded(events)
    twice = folded(events)
    for click in events:
        twice.apply(click)

    assert as_dict(once, 20 * DAY) == as_dict(twice, 20 * DAY)


@settings(max_examples=80, deadline=None)
@given(before=streams, after=streams)
def test_a_restart_from_a_snapshot_gives_the_same_to_the_last_byte(before: list[Click], after: list[Click]) -> None:
    straight = folded(before + after)
    parts = folded(before).arrays().to_parts()

    restarted = Interactions.restored(InteractionArrays.from_parts(parts))
    for click in after:
        restarted.apply(click)

    assert restarted.arrays().to_parts() == straight.arrays().to_parts()


@settings(max_examples=80, deadline=None)
@given(events=streams, rng=st.randoms())
def test_how_users_are_interleaved_changes_nothing(events: list[Click], rng: random.Random) -> None:
    of_user = {user_id: [click for click in events if click.user_id == user_id] for user_id in ("ann", "bob", "cyd")}
    turns = [click.user_id for click in events]
    rng.shuffle(turns)
    other = [of_user[user_id].pop(0) for user_id in turns]

    matrix, item_ids = confidence_matrix(folded(events).arrays(), POLICY, 20 * DAY)
    same, same_ids = confidence_matrix(folded(other).arrays(), POLICY, 20 * DAY)

    assert item_ids == same_ids
    assert np.array_equal(matrix.toarray(), same.toarray())


def test_the_newest_interactions_are_kept_also_when_an_older_one_comes_late() -> None:
    interactions = folded([a_click(str(day), f"item-{day}", ts_ms=day * DAY) for day in (2, 3, 4, 1)], size=3)

    assert {item for _, item in as_dict(interactions, 4 * DAY)} == {"item-2", "item-3", "item-4"}


def test_an_interaction_counts_less_the_more_came_after_it_and_the_older_it_is() -> None:
    interactions = folded([a_click("1", "first"), a_click("2", "second"), a_click("3", "third")])

    now, later = as_dict(interactions, DAY), as_dict(interactions, 6 * DAY)

    assert now["ann", "third"] == 2.0
    assert now["ann", "first"] - 1.0 == pytest.approx(2.0 ** (-2 / 3))
    assert later["ann", "third"] - 1.0 == pytest.approx(0.5)


def test_a_dislike_outweighs_a_view_and_what_nobody_likes_is_left_out() -> None:
    interactions = folded(
        [
            a_click("1", "boot"),
            a_click("2", "boot", type=Action.DISLIKE),
            a_click("3", "lamp", type=Action.DISLIKE),
            a_click("4", "boot", user_id="bob"),
        ]
    )

    matrix = as_dict(interactions, DAY, ConfidencePolicy(half_life_rank=1e9))

    assert matrix["ann", "boot"] == pytest.approx(-5.0)
    assert matrix["bob", "boot"] == 2.0
    assert len(matrix) == 2


def test_searches_and_impressions_say_nothing_of_taste() -> None:
    interactions = Interactions()

    assert not interactions.apply(a_click("1", "", type=Action.SEARCH))
    assert not interactions.apply(a_click("2", "", type=Action.IMPRESSION, items=("boot",)))
    assert interactions.n_users == 0


def test_an_event_is_remembered_for_the_next_thousand_of_its_user() -> None:
    interactions = Interactions()
    assert interactions.apply(a_click("first"))
    for number in range(REMEMBERED_EVENTS - 1):
        interactions.apply(a_click(str(number)))

    assert not interactions.apply(a_click("first"))
    interactions.apply(a_click("one more"))
    assert interactions.apply(a_click("first"))


def test_two_hashes_side_by_side_are_not_taken_for_a_third() -> None:
    user = next(iter(folded([a_click("1"), a_click("2")])._users.values()))

    assert user.is_new(bytes(user.events[HASH_BYTES // 2 : HASH_BYTES + HASH_BYTES // 2]))
    assert not user.is_new(bytes(user.events[:HASH_BYTES]))


def test_who_was_silent_for_longest_is_forgotten_beyond_the_bound() -> None:
    interactions = Interactions(users_at_most=2)
    for number, user_id in enumerate(["ann", "bob", "ann", "cyd"]):
        interactions.apply(a_click(str(number), user_id=user_id))

    assert interactions.arrays().user_ids == ("ann", "cyd")


def test_nothing_gives_an_empty_matrix() -> None:
    matrix, item_ids = confidence_matrix(Interactions().arrays(), POLICY, 0)

    assert matrix.shape == (0, 0)
    assert item_ids == ()


def test_parts_that_do_not_fit_together_are_refused() -> None:
    arrays = folded([a_click("1", "boot"), a_click("2", "lamp", user_id="bob")]).arrays()
    parts = arrays.to_parts()
    strange = [
        {**parts, "items": parts["items"][:-4]},
        {**parts, "items": np.array([0, 9], dtype="<i4").tobytes()},
        {**parts, "times": parts["times"][:-3]},
        {**parts, "codes": b"\xff\xff"},
        {**parts, "events": parts["events"] + b"more"},
        {**parts, "ids": b"not msgpack"},
        {**parts, "ids": msgspec.msgpack.encode((["boot", "lamp"], ["ann"]))},
        {name: part for name, part in parts.items() if name != "values"},
    ]

    for damaged in strange:
        with pytest.raises(SnapshotError):
            InteractionArrays.from_parts(damaged)
    assert InteractionArrays.from_parts(parts).to_parts() == parts
