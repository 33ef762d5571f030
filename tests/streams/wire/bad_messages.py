"""One row for each kind of bad input: its name, the message, the reason of its dead letter."""

import json
from typing import Any

from streams.wire.limits import MAX_MESSAGE_BYTES

RECORD_TS_MS = 1_795_435_200_000
"""2026-11-23T12:00:00Z"""

CLICK: dict[str, Any] = {
    "event_id": "01HF",
    "user_id": "u-1",
    "item_id": "sku-1",
    "type": "click",
    "ts": "2026-11-23T12:00:01Z",
    "session_id": "s-9",
    "value": 1.0,
    "context": {"query": "apple", "placement": "home", "position": 3, "rec_id": "r-1"},
}
PRODUCT: dict[str, Any] = {
    "item_id": "sku-1",
    "title": "Granny Smith apple",
    "description": "Crisp, sour…",
    "category": ["Fruit", "Apple"],
    "brand": "Garant",
    "price": {"amount": 2.5, "currency": "EUR"},
    "image": "https://cdn.shop.example/1.jpg",
    "tags": ["organic"],
    "attributes": {"colour": "green"},
    "available": True,
    "created_at": "2026-11-23T12:00:00Z",
}


def message(base: dict[str, Any], *without: str, **changes: Any) -> bytes:
    return json.dumps({name: value for name, value in base.items() if name not in without} | changes).encode()


def click(*without: str, **changes: Any) -> bytes:
    return message(CLICK, *without, **changes)


def product(*without: str, **changes: Any) -> bytes:
    return message(PRODUCT, *without, **changes)


LONG_ID = "x" * 257

BAD_JSON: list[tuple[str, bytes, str]] = [
    ("empty", b"", "malformed-json"),
    ("no JSON", b"hello", "malformed-json"),
    ("cut off", click()[:-5], "malformed-json"),
    ("two objects", click() + click(), "malformed-json"),
    ("byte order mark", b"\xef\xbb\xbf" + click(), "malformed-json"),
    ("trailing comma", click()[:-1] + b",}", "malformed-json"),
    ("NaN", click(value=float("nan")), "malformed-json"),
    ("infinity", click(value=float("inf")), "malformed-json"),
    ("minus infinity", click(value=float("-inf")), "malformed-json"),
    ("lone surrogate", click()[:-1] + b',"session_id":"\\ud800"}', "malformed-json"),
    ("raw NUL", click().replace(b"sku", b"s\x00u"), "malformed-json"),
    ("latin-1", click().replace(b"sku", b"s\xe9u"), "not-utf8"),
    ("UTF-16", click().decode().encode("utf-16"), "not-utf8"),
    ("broken text in an unknown field", click()[:-1] + b',"note":"\xff"}', "not-utf8"),
    ("a list", b"[" + click() + b"]", "not-an-object"),
    ("null", b"null", "not-an-object"),
    ("a number", b"7", "not-an-object"),
    ("a text", b'"click"', "not-an-object"),
    ("over 1 MiB", click(note="x" * MAX_MESSAGE_BYTES), "too-large"),
    ("bomb of lists", b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too-deep"),
    ("bomb of objects", b'{"x":' * 100_000 + b"1" + b"}" * 100_000, "too-deep"),
    ("open bomb", b"[" * 100_000, "too-deep"),
    ("17 levels", b'{"x":' + b"[" * 16 + b"]" * 16 + b"}", "too-deep"),
    ("huge number", click(value=1).replace(b'"value": 1', b'"value": 1e999'), "out-of-range"),
]

BAD_CLICKS: list[tuple[str, bytes, str]] = [
    *BAD_JSON,
    ("no user", click("user_id"), "missing-field"),
    ("null user", click(user_id=None), "missing-field"),
    ("no item", click("item_id"), "missing-field"),
    ("no type", click("type"), "missing-field"),
    ("nothing at all", b"{}", "missing-field"),
    ("search without a query", click("context", type="search"), "missing-field"),
    ("impression of nothing", click("item_id", type="impression"), "missing-field"),
    ("impression of an empty list", click("item_id", type="impression", items=[]), "missing-field"),
    ("number for the user", click(user_id=7), "wrong-type"),
    ("list for the item", click(item_id=["sku-1"]), "wrong-type"),
    ("number for the type", click(type=1), "wrong-type"),
    ("text for the value", click(value="1"), "wrong-type"),
    ("bool for the value", click(value=True), "wrong-type"),
    ("list for the context", click(context=[]), "wrong-type"),
    ("text for the position", click(context={"position": "3"}), "wrong-type"),
    ("bool for the position", click(context={"position": True}), "wrong-type"),
    ("half a position", click(context={"position": 1.5}), "wrong-type"),
    ("number for the query", click(context={"query": 3}), "wrong-type"),
    ("text for the items", click("item_id", type="impression", items="sku-1"), "wrong-type"),
    ("number among the items", click("item_id", type="impression", items=["a", 1]), "wrong-type"),
    ("item without an id", click("item_id", type="impression", items=[{"price": 1}]), "missing-field"),
    ("bool for the time", click(ts=True), "wrong-type"),
    ("object for the time", click(ts={}), "wrong-type"),
    ("number for the event id", click(event_id=1), "wrong-type"),
    ("unknown type", click(type="teleport"), "unknown-type"),
    ("type in capitals that is none", click(type="Cart Viewed"), "unknown-type"),
    ("negative value", click(value=-1), "out-of-range"),
    ("huge value", click(value=1e12), "out-of-range"),
    ("integer of 40 digits", click(value=10**40), "out-of-range"),
    ("integer of 5,000 digits", click(value=0).replace(b'"value": 0', b'"value": ' + b"9" * 5000), "out-of-range"),
    ("negative position", click(context={"position": -1}), "out-of-range"),
    ("negative time", click(ts=-1), "out-of-range"),
    ("absurd time", click(ts=1e300), "out-of-range"),
    ("time as an integer of 40 digits", click(ts=10**40), "out-of-range"),
    ("time before 1970", click(ts="1969-12-31T23:59:59Z"), "out-of-range"),
    ("time in year 1", click(ts="0001-01-01T00:00:00Z"), "out-of-range"),
    ("six minutes ahead", click(ts="2026-11-23T12:06:00Z"), "in-the-future"),
    ("an hour ahead in milliseconds", click(ts=RECORD_TS_MS + 3_600_000), "in-the-future"),
    ("an hour ahead in seconds", click(ts=RECORD_TS_MS / 1000 + 3600), "in-the-future"),
    ("year 9999", click(ts="9999-12-31T23:59:59Z"), "in-the-future"),
    ("time without a zone", click(ts="2026-11-23T12:00:00"), "invalid-time"),
    ("a date", click(ts="2026-11-23"), "invalid-time"),
    ("no date", click(ts="yesterday"), "invalid-time"),
    ("the 30th of February", click(ts="2026-02-30T12:00:00Z"), "invalid-time"),
    ("empty time", click(ts=""), "invalid-time"),
    ("empty user", click(user_id=""), "missing-field"),
    ("empty item", click(item_id=""), "missing-field"),
    ("long user", click(user_id=LONG_ID), "invalid-id"),
    ("long item", click(item_id=LONG_ID), "invalid-id"),
    ("long event id", click(event_id=LONG_ID), "invalid-id"),
    ("long session", click(session_id=LONG_ID), "invalid-id"),
    ("empty item of a list", click("item_id", type="impression", items=[""]), "invalid-id"),
    ("NUL in the user", click(user_id="u\x00"), "invalid-id"),
    ("line end in the item", click(item_id="sku\n1"), "invalid-id"),
    ("escape in an item of a list", click("item_id", type="impression", items=["\x1b[2J"]), "invalid-id"),
    ("long query", click(context={"query": "x" * 1001}), "too-long"),
    ("NUL in the query", click(context={"query": "a\x00"}), "invalid-text"),
    ("501 items", click("item_id", type="impression", items=["a"] * 501), "too-many"),
    ("two items of a purchase", click("item_id", type="purchase", items=["a", "b"]), "several-items"),
]

BAD_PRODUCTS: list[tuple[str, bytes, str]] = [
    *((name, value, reason) for name, value, reason in BAD_JSON if name != "huge number"),
    ("no id", product("item_id"), "missing-field"),
    ("nothing to show", product("title", "description", "image"), "missing-field"),
    ("only empty texts", product("image", title="", description=""), "missing-field"),
    ("price without an amount", product(price={"currency": "EUR"}), "missing-field"),
    ("price without a currency", product(price={"amount": 1}), "missing-field"),
    ("bare number for the price", product(price=2.5), "missing-field"),
    ("number for the id", product(item_id=1), "wrong-type"),
    ("list for the title", product(title=["apple"]), "wrong-type"),
    ("text for the amount", product(price={"amount": "2.5", "currency": "EUR"}), "wrong-type"),
    ("bool for the amount", product(price={"amount": True, "currency": "EUR"}), "wrong-type"),
    ("number for available", product(available=1), "wrong-type"),
    ("text for available", product(available="false"), "wrong-type"),
    ("number among the tags", product(tags=["a", 1]), "wrong-type"),
    ("object for the category", product(category={}), "wrong-type"),
    ("number for the image", product(image=5), "wrong-type"),
    ("list for the attributes", product(attributes=[]), "wrong-type"),
    ("number for an attribute", product(attributes={"size": 42}), "wrong-type"),
    ("number for the currency", product(price={"amount": 1, "currency": 978}), "wrong-type"),
    ("negative price", product(price={"amount": -1, "currency": "EUR"}), "out-of-range"),
    ("huge price", product(price={"amount": 1e13, "currency": "EUR"}), "out-of-range"),
    ("price of 1e999", product(price={"amount": 7}).replace(b'"amount": 7', b'"amount": 1e999'), "out-of-range"),
    ("currency that is none", product(price={"amount": 1, "currency": "euro"}), "out-of-range"),
    ("created in year 9000", product(created_at="9000-01-01T00:00:00Z"), "in-the-future"),
    ("created some day", product(created_at="soon"), "invalid-time"),
    ("empty id", product(item_id=""), "missing-field"),
    ("long id", product(item_id=LONG_ID), "invalid-id"),
    ("tab in the id", product(item_id="a\tb"), "invalid-id"),
    ("long title", product(title="x" * 2001), "too-long"),
    ("long description", product(description="x" * 50_001), "too-long"),
    ("long address", product(image="https://" + "x" * 4096), "too-long"),
    ("picture over 700 KiB", product(image="data:image/png;base64," + "A" * 720_000), "too-large"),
    ("NUL in the title", product(title="a\x00"), "invalid-text"),
    ("201 tags", product(tags=["a"] * 201), "too-many"),
    ("21 pictures", product(image=["https://a"] * 21), "too-many"),
    ("201 attributes", product(attributes={str(n): "a" for n in range(201)}), "too-many"),
]
