"""Clicks: what is refused and why, what is understood, and that encoding and parsing are inverse."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recsys.errors import EventError
from recsys.events import Action, Click, Context
from streams.wire.click import encode_click, parse_click
from streams.wire.click_spellings import expand_click, read_click
from streams.wire.cloud_events import cloud_event_headers
from streams.wire.keys import UNKEYED
from tests.streams.wire.bad_messages import BAD_CLICKS, CLICK, RECORD_TS_MS, click

IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=256)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300)
CONTEXTS = st.builds(
    Context, query=TEXTS, placement=TEXTS, position=st.none() | st.integers(0, 1_000_000), rec_id=TEXTS
)
CLICKS = st.builds(
    Click,
    event_id=IDS,
    user_id=IDS,
    item_id=IDS,
    type=st.sampled_from([action for action in Action if action is not Action.SEARCH]),
    ts_ms=st.integers(0, RECORD_TS_MS),
    session_id=st.just("") | IDS,
    value=st.floats(0, 1e6, allow_nan=False),
    context=CONTEXTS,
)


def reason_of(value: bytes, **named: object) -> str:
    with pytest.raises(EventError) as caught:
        parse_click(value, record_ts_ms=RECORD_TS_MS, **named)  # type: ignore[arg-type]
    assert caught.value.text.endswith(".")
    return caught.value.reason


@pytest.mark.parametrize(("value", "reason"), [pytest.param(v, r, id=name) for name, v, r in BAD_CLICKS])
def test_a_bad_click_is_refused_with_its_reason(value: bytes, reason: str) -> None:
    assert reason_of(value) == reason


def test_the_click_of_the_contract_is_read_whole() -> None:
    assert parse_click(click(), key=b"u-1", record_ts_ms=RECORD_TS_MS) == Click(
        event_id="01HF",
        user_id="u-1",
        item_id="sku-1",
        type=Action.CLICK,
        ts_ms=RECORD_TS_MS + 1000,
        session_id="s-9",
        value=1.0,
        context=Context(query="apple", placement="home", position=3, rec_id="r-1"),
    )


@given(CLICKS)
def test_what_is_written_reads_the_same(written: Click) -> None:
    assert parse_click(encode_click(written), key=written.user_id.encode(), record_ts_ms=RECORD_TS_MS) == written


def test_impressions_and_searches_read_the_same() -> None:
    impression = Click(event_id="e", user_id="u", type=Action.IMPRESSION, ts_ms=1000, items=("a", "b"))
    search = Click(event_id="e", user_id="u", type=Action.SEARCH, ts_ms=1001, context=Context(query="hat"))

    for written in (impression, search):
        assert parse_click(encode_click(written), record_ts_ms=RECORD_TS_MS) == written


@given(st.binary(max_size=200))
@example(b'{"user_id": "\\ud800", "item_id": "a", "type": "view"}')
def test_bytes_of_any_kind_raise_nothing_but_event_errors(value: bytes) -> None:
    assert reason_of(value)


MUTATIONS = st.lists(st.tuples(st.integers(0, 250), st.integers(0, 255), st.integers(0, 2)), min_size=1, max_size=6)


@given(MUTATIONS)
def test_a_mutated_click_is_read_or_refused(mutations: list[tuple[int, int, int]]) -> None:
    value = bytearray(click())
    for place, byte, kind in mutations:
        at = place % len(value)
        value[at : at + (kind != 1)] = b"" if kind == 2 else bytes([byte])
    try:
        read = parse_click(bytes(value), record_ts_ms=RECORD_TS_MS)
    except EventError:
        return
    assert parse_click(encode_click(read), record_ts_ms=RECORD_TS_MS) == read


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["query", "position", "x"]), inner),
    max_leaves=5,
)
NAMES = ["ts", "value", "session_id", "event_id", "context", "messageId", "timestamp", "items", "currency", "x", "type"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_the_quick_way_and_the_careful_way_agree(changes: dict[str, object]) -> None:
    value = click("event_id", "ts", "session_id", **changes)

    def outcome(parse: object) -> object:
        try:
            return parse()  # type: ignore[operator]
        except EventError as error:
            return error.reason

    assert outcome(lambda: parse_click(value, record_ts_ms=RECORD_TS_MS)) == outcome(
        lambda: read_click(msgspec.json.decode(value), {}, RECORD_TS_MS)
    )


@pytest.mark.parametrize(
    ("ts", "ms"),
    [
        ("2026-11-23T12:00:00Z", RECORD_TS_MS),
        ("2026-11-23T13:00:00.25+01:00", RECORD_TS_MS + 250),
        ("2026-11-23t12:00:00z", RECORD_TS_MS),
        (RECORD_TS_MS, RECORD_TS_MS),
        (float(RECORD_TS_MS), RECORD_TS_MS),
        (RECORD_TS_MS // 1000, RECORD_TS_MS),
        (RECORD_TS_MS / 1000 + 0.123, RECORD_TS_MS + 123),
        (1_291_161_600, 1_291_161_600_000),
        (0, 0),
        (None, RECORD_TS_MS),
        ("2026-11-23T12:05:00Z", RECORD_TS_MS + 300_000),
    ],
)
def test_time_stamps_of_every_kind(ts: object, ms: int) -> None:
    assert parse_click(click(ts=ts), record_ts_ms=RECORD_TS_MS).ts_ms == ms


def test_unknown_fields_are_ignored_and_the_last_of_two_wins() -> None:
    value = click(note={"deep": [1, [2]]})[:-1] + b', "item_id": "sku-2"}'

    assert parse_click(value, record_ts_ms=RECORD_TS_MS).item_id == "sku-2"


def test_an_event_without_an_id_gets_the_same_one_each_time_and_another_than_its_neighbour() -> None:
    def id_of(**changes: object) -> str:
        return parse_click(click("event_id", **changes), record_ts_ms=RECORD_TS_MS).event_id

    assert id_of() == id_of(value=2.0)
    changes = [{}, {"user_id": "u-2"}, {"item_id": "b"}, {"type": "view"}, {"ts": 1}, {"session_id": "t"}]
    assert len({id_of(**change) for change in changes}) == 6


def test_the_key_must_be_the_user() -> None:
    assert reason_of(click(), key=b"u-2") == "key-mismatch"
    assert reason_of(click(), key=b"") == "key-mismatch"
    assert reason_of(click(), key=b"k" * 1_000_000) == "key-mismatch"
    assert reason_of(click(), key=None) == "missing-key"
    assert parse_click(click(), key=UNKEYED, record_ts_ms=RECORD_TS_MS).user_id == "u-1"


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("view_item", Action.VIEW),
        ("select_item", Action.CLICK),
        ("view_item_list", Action.IMPRESSION),
        ("add_to_wishlist", Action.LIKE),
        ("refund", Action.RETURN),
        ("Product Viewed", Action.VIEW),
        ("Product Added", Action.ADD_TO_CART),
        ("Product Removed", Action.REMOVE_FROM_CART),
        ("Order Completed", Action.PURCHASE),
        ("Product Added to Wishlist", Action.LIKE),
        *((action.value, action) for action in Action),
    ],
)
def test_event_names_of_ga4_and_segment(name: str, action: Action) -> None:
    value = click(type=name, items=["sku-1"])

    assert parse_click(value, record_ts_ms=RECORD_TS_MS).type is action


def test_a_ga4_event() -> None:
    value = json.dumps(
        {
            "event_name": "select_item",
            "user_id": "u-1",
            "timestamp_micros": RECORD_TS_MS * 1000,
            "params": {
                "ga_session_id": 77,
                "currency": "EUR",
                "value": 129.0,
                "item_list_id": "r-1",
                "item_list_name": "home",
                "items": [{"item_id": "sku-1", "index": 4, "item_name": "Apple"}],
            },
        }
    ).encode()

    read = parse_click(value, record_ts_ms=RECORD_TS_MS + 5)

    assert (read.type, read.item_id, read.ts_ms, read.session_id) == (Action.CLICK, "sku-1", RECORD_TS_MS, "77")
    assert read.context == Context(placement="home", position=4, rec_id="r-1")
    assert read.value == 1.0  # money is no measure of interest


def test_a_segment_event() -> None:
    value = json.dumps(
        {
            "type": "track",
            "event": "Product Added",
            "messageId": "m-1",
            "userId": None,
            "anonymousId": "guest",
            "timestamp": "2026-11-23T12:00:00Z",
            "properties": {"product_id": "507f", "sku": "G-32", "name": "Monopoly", "position": 3},
        }
    ).encode()

    read = parse_click(value, key=b"guest", record_ts_ms=RECORD_TS_MS)

    assert (read.event_id, read.type, read.item_id) == ("m-1", Action.ADD_TO_CART, "507f")
    assert read.context.position == 3


def test_an_order_with_several_products_becomes_one_message_each() -> None:
    order = {"event": "Order Completed", "messageId": "m-1", "userId": "u", "timestamp": "2026-11-23T12:00:00Z"}
    value = json.dumps(order | {"properties": {"products": [{"sku": "a"}, {"product_id": "b"}]}}).encode()

    parts = [parse_click(part, record_ts_ms=RECORD_TS_MS) for part in expand_click(value)]

    assert [(part.item_id, part.event_id, part.type) for part in parts] == [
        ("a", "m-1:a", Action.PURCHASE),
        ("b", "m-1:b", Action.PURCHASE),
    ]


@pytest.mark.parametrize(
    "value", [click(), click("item_id", type="impression", items=["a", "b"]), click(items=["a", "b"])]
)
def test_other_messages_are_not_split(value: bytes) -> None:
    assert expand_click(value) == [value]


@given(st.binary(max_size=100).map(lambda noise: b'{"items"' + noise))
def test_splitting_raises_nothing_but_event_errors(value: bytes) -> None:
    with pytest.raises(EventError):
        expand_click(value)


def test_cloud_event_headers_fill_what_is_missing() -> None:
    headers = (
        ("ce_id", b"e-7"),
        ("ce_type", b"shop.event.view_item.v1"),
        ("ce_time", b"2026-11-23T11:59:00Z"),
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/json; charset=utf-8"),
    )

    bare = parse_click(click("event_id", "type", "ts"), headers=headers, record_ts_ms=RECORD_TS_MS)
    full = parse_click(click(), headers=headers, record_ts_ms=RECORD_TS_MS)

    assert (bare.event_id, bare.type, bare.ts_ms) == ("e-7", Action.VIEW, RECORD_TS_MS - 60_000)
    assert (full.event_id, full.type, full.ts_ms) == ("01HF", Action.CLICK, RECORD_TS_MS + 1000)


def test_what_we_send_as_a_cloud_event_reads_back() -> None:
    headers = cloud_event_headers(event_id="e-7", event_type="freshet.view.v1", time_ms=RECORD_TS_MS, subject="u-1")

    read = parse_click(click("event_id", "type", "ts"), headers=headers, record_ts_ms=RECORD_TS_MS)

    assert (read.event_id, read.type, read.ts_ms) == ("e-7", Action.VIEW, RECORD_TS_MS)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (("content-type", b"text/csv"), "unsupported-content-type"),
        (("content-type", b"application/json; charset=latin-1"), "unsupported-content-type"),
        (("content-type", b"application/cloudevents+json"), "unsupported-content-type"),
        (("ce_specversion", b"0.3"), "unsupported-specversion"),
        (("ce_id", b"\xff"), "malformed-header"),
        (("ce_id", b""), "invalid-id"),
        (("ce_time", b"noon"), "invalid-time"),
    ],
)
def test_bad_cloud_event_headers(header: tuple[str, bytes], reason: str) -> None:
    assert reason_of(click("event_id", "ts"), headers=(header,)) == reason


def test_faults_name_no_person() -> None:
    for _, value, _ in BAD_CLICKS:
        with pytest.raises(EventError) as caught:
            parse_click(value, record_ts_ms=RECORD_TS_MS)
        assert str(CLICK["user_id"]) not in caught.value.text


@pytest.mark.parametrize(
    ("missing", "other", "value", "field", "expected"),
    [
        *(("event_id", name, "m-1", "event_id", "m-1") for name in ("messageId", "eventId", "message_id")),
        ("session_id", "sessionId", "s-2", "session_id", "s-2"),
        ("session_id", "ga_session_id", 77, "session_id", "77"),
        *(
            ("ts", name, RECORD_TS_MS - 5000, "ts_ms", RECORD_TS_MS - 5000)
            for name in ("timestamp", "originalTimestamp")
        ),
        *(
            ("ts", name, (RECORD_TS_MS - 5000) * 1000, "ts_ms", RECORD_TS_MS - 5000)
            for name in ("timestamp_micros", "event_timestamp")
        ),
        ("item_id", "product_id", "sku-2", "item_id", "sku-2"),
        ("user_id", "userId", "u-2", "user_id", "u-2"),
        ("", "currency", "EUR", "value", 1.0),
        ("", "messageId", "m-1", "event_id", "01HF"),
        ("", "timestamp", 1, "ts_ms", RECORD_TS_MS + 1000),
    ],
)
def test_one_field_of_another_spelling_fills_what_is_missing(
    missing: str, other: str, value: object, field: str, expected: object
) -> None:
    read = parse_click(click(missing, **{"value": 129.0, other: value}), record_ts_ms=RECORD_TS_MS)

    assert getattr(read, field) == expected


@pytest.mark.parametrize("name", ["event_id", "session_id", "ts"])
def test_null_and_left_out_are_the_same(name: str) -> None:
    left_out = parse_click(click(name), record_ts_ms=RECORD_TS_MS)

    assert parse_click(click(**{name: None}), record_ts_ms=RECORD_TS_MS) == left_out
    if name != "ts":
        assert parse_click(click(**{name: ""}), record_ts_ms=RECORD_TS_MS) == left_out
