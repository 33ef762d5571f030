"""Activities, erasures, campaigns and recommendation lists."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import EventError, StateError
from recsys.events import ListItem, ModelVersions, Reason, RecommendationList, Trigger
from streams.wire.activity import parse_activity
from streams.wire.campaign import encode_campaign, parse_campaign
from streams.wire.erasure import Erasure, encode_erasure, parse_erasure
from streams.wire.lists import decode_list, encode_list
from streams.wire.times import read_time, rfc3339
from tests.streams.wire.bad_messages import BAD_JSON, LONG_ID, RECORD_TS_MS, message

ACTIVITY: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/activitystreams", {"freshet": "https://freshet.example/ns#"}],
    "id": "https://social.example/a/1",
    "type": "Like",
    "actor": {"id": "https://social.example/@ann", "type": "Person", "freshet:userId": "u-1"},
    "object": {"id": "https://shop.example/sku-1", "type": "Page"},
    "published": "2026-11-23T12:00:00Z",
}
POST = {"type": "Note", "content": "Look at this", "tag": []}
ERASURE: dict[str, Any] = {"user_id": "u-1", "ts": "2026-11-23T12:00:00Z"}
CAMPAIGN: dict[str, Any] = {
    "campaign_id": "c-1",
    "item_ids": ["sku-1", "sku-2"],
    "placement": "home",
    "starts_at": "2026-11-23T00:00:00Z",
    "ends_at": "2026-12-01T00:00:00Z",
    "label": "Sponsored",
    "advertiser": "Garant",
    "payer": "Garant GmbH",
    "why": "You looked at apples.",
}
LIST = RecommendationList(
    version="0001-0000000000000123-00000000",
    user_id="u-1",
    rec_id="r-1",
    generated_at="2026-11-23T12:00:01Z",
    strategy="personal",
    trigger=Trigger("01HF", 123, 2),
    model=ModelVersions(als="m-1", ranker=None),
    items=(
        ListItem("sku-7", 0.93, False, Reason("because_you_viewed", "sku-1")),
        ListItem("b", 0.1, True, Reason("new")),
    ),
)
PARSERS = {"activity": parse_activity, "erasure": parse_erasure, "campaign": parse_campaign}


def reason_of(kind: str, value: bytes, **named: object) -> str:
    with pytest.raises(EventError) as caught:
        PARSERS[kind](value, record_ts_ms=RECORD_TS_MS, **named)  # type: ignore[operator]
    return caught.value.reason


@pytest.mark.parametrize("kind", PARSERS)
@pytest.mark.parametrize(
    ("value", "reason"), [pytest.param(v, r, id=name) for name, v, r in BAD_JSON if name != "huge number"]
)
def test_what_is_no_sound_object_is_refused(kind: str, value: bytes, reason: str) -> None:
    assert reason_of(kind, value) == reason


@pytest.mark.parametrize("kind", PARSERS)
@given(value=st.binary(max_size=100))
def test_bytes_of_any_kind_raise_nothing_but_event_errors(kind: str, value: bytes) -> None:
    assert reason_of(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("activity", message(ACTIVITY, "type"), "missing-field"),
        ("activity", message(ACTIVITY, "actor"), "missing-field"),
        ("activity", message(ACTIVITY, "object"), "missing-field"),
        ("activity", message(ACTIVITY, actor={}), "missing-field"),
        ("activity", message(ACTIVITY, object={}), "missing-field"),
        ("activity", message(ACTIVITY, type="Arrive"), "unknown-type"),
        ("activity", message(ACTIVITY, type=["Like", "Follow"]), "unknown-type"),
        ("activity", message(ACTIVITY, type=7), "wrong-type"),
        ("activity", message(ACTIVITY, actor=7), "wrong-type"),
        ("activity", message(ACTIVITY, actor={"id": 7}), "wrong-type"),
        ("activity", message(ACTIVITY, actor=["a", "b"]), "wrong-type"),
        ("activity", message(ACTIVITY, type="Create"), "unknown-type"),
        ("activity", message(ACTIVITY, type="Create", object="https://a"), "wrong-type"),
        ("activity", message(ACTIVITY, actor="https://a b"), "invalid-id"),
        ("activity", message(ACTIVITY, actor="https://" + "a" * 300), "invalid-id"),
        ("activity", message(ACTIVITY, object="https://" + "a" * 5000), "too-long"),
        ("activity", message(ACTIVITY, published="2026-11-23T13:00:00Z"), "in-the-future"),
        ("activity", message(ACTIVITY, published="noon"), "invalid-time"),
        ("erasure", message(ERASURE, "user_id"), "missing-field"),
        ("erasure", message(ERASURE, user_id=LONG_ID), "invalid-id"),
        ("erasure", message(ERASURE, ts="2026-11-23T13:00:00Z"), "in-the-future"),
        ("campaign", message(CAMPAIGN, "campaign_id"), "missing-field"),
        ("campaign", message(CAMPAIGN, "advertiser"), "missing-field"),
        ("campaign", message(CAMPAIGN, "ends_at"), "missing-field"),
        ("campaign", message(CAMPAIGN, item_ids=[]), "missing-field"),
        ("campaign", message(CAMPAIGN, item_ids=[1]), "wrong-type"),
        ("campaign", message(CAMPAIGN, item_ids=["\n"]), "invalid-id"),
        ("campaign", message(CAMPAIGN, ends_at="2026-11-01T00:00:00Z"), "out-of-range"),
    ],
)
def test_a_bad_message_is_refused_with_its_reason(kind: str, value: bytes, reason: str) -> None:
    assert reason_of(kind, value) == reason


@pytest.mark.parametrize(
    ("kind", "value"), [("activity", message(ACTIVITY)), ("erasure", message(ERASURE)), ("campaign", message(CAMPAIGN))]
)
def test_the_key_must_be_the_id(kind: str, value: bytes) -> None:
    assert reason_of(kind, value, key=b"other") == "key-mismatch"
    assert reason_of(kind, value, key=None) == "missing-key"


def test_an_activity_passes_through_as_it_came() -> None:
    value = message(ACTIVITY)

    activity = parse_activity(value, key=b"https://social.example/@ann", record_ts_ms=RECORD_TS_MS)

    assert (activity.type, activity.user_id, activity.object_id) == ("Like", "u-1", "https://shop.example/sku-1")
    assert (activity.published_ms, activity.original) == (RECORD_TS_MS, value)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "Create", "object": POST},
        {"type": "Create", "object": POST | {"type": "Image"}},
        {"type": "Follow", "object": "https://social.example/@bob"},
        {"type": ["Announce", "shop:Recommend"]},
        {"type": "Undo", "object": {"type": "Like", "object": "https://shop.example/sku-1"}},
        {"type": "Delete", "object": ["https://social.example/n/1"]},
        {"actor": "https://social.example/@ann"},
    ],
)
def test_activities_of_every_kind(changes: dict[str, object]) -> None:
    assert (
        parse_activity(message(ACTIVITY, **changes), record_ts_ms=RECORD_TS_MS).actor_id
        == "https://social.example/@ann"
    )


def test_erasures_and_campaigns_read_as_written() -> None:
    erasure = parse_erasure(message(ERASURE), key=b"u-1", record_ts_ms=RECORD_TS_MS)
    campaign = parse_campaign(message(CAMPAIGN), key=b"c-1", record_ts_ms=RECORD_TS_MS)

    assert erasure == Erasure("u-1", RECORD_TS_MS)
    assert parse_erasure(encode_erasure(erasure), record_ts_ms=RECORD_TS_MS) == erasure
    assert parse_campaign(encode_campaign(campaign), record_ts_ms=RECORD_TS_MS) == campaign
    assert json.loads(encode_campaign(campaign)) == CAMPAIGN


def test_a_list_has_its_version_at_byte_twelve() -> None:
    value = encode_list(LIST)

    assert value[:12] == b'{"version":"'
    assert value[12:42].decode() == LIST.version
    assert decode_list(value) == LIST


@pytest.mark.parametrize("value", [b"", b"{}", b"[" * 100_000, b'{"version":"\xff"}'])
def test_what_is_no_list_of_ours_is_a_state_error(value: bytes) -> None:
    with pytest.raises(StateError):
        decode_list(value)


@given(st.integers(0, 253_402_300_799_999))
def test_times_read_as_written(ms: int) -> None:
    assert read_time("ts", rfc3339(ms)) == ms
    assert read_time("ts", ms / 1000) == ms or ms / 1000 > 100_000_000_000
