"""Clicks: any spelling we take in, the contract's spelling out.

`parse_click` stands in the path of every event: our own spelling is decoded straight into a typed struct (under 4 µs);
everything else, faults included, is read field by field, which also finds the words for what is wrong.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from recsys.events import Action, Click, Context
from streams.log.base import Headers
from streams.wire.click_spellings import MAX_POSITION, derived_event_id, read_click
from streams.wire.cloud_events import NO_ATTRIBUTES, read_headers
from streams.wire.keys import UNKEYED, Key, check_key
from streams.wire.limits import (
    MAX_ID_CHARS,
    MAX_NAME_CHARS,
    MAX_QUERY_CHARS,
    MAX_VALUE,
    check_bytes,
    check_id,
    check_text,
)
from streams.wire.reading import check_number, decode_object
from streams.wire.times import WireTime, check_not_ahead, moment_of, read_time

REPLAYED = ("freshet-replay", b"1")
"""The header of an event that `freshet replay` brings: its user's list can wait for the next second."""
_NO_CONTEXT = Context()


class WireContext(msgspec.Struct):
    query: str | None = None
    placement: str | None = None
    position: int | None = None
    rec_id: str | None = None


class WireClick(msgspec.Struct):
    """Our own spelling; the fields after `context` only tell that another spelling is mixed in."""

    user_id: str
    item_id: str
    type: Action
    event_id: str | None = None
    ts: WireTime = None
    session_id: str | None = None
    value: float | None = None
    context: WireContext | None = None
    currency: object = None
    params: object = None
    properties: object = None
    ecommerce: object = None
    event_id_2: object = msgspec.field(default=None, name="messageId")
    event_id_3: object = msgspec.field(default=None, name="eventId")
    event_id_4: object = msgspec.field(default=None, name="message_id")
    ts_2: object = msgspec.field(default=None, name="timestamp")
    ts_3: object = msgspec.field(default=None, name="originalTimestamp")
    ts_4: object = msgspec.field(default=None, name="timestamp_micros")
    ts_5: object = msgspec.field(default=None, name="event_timestamp")
    session_id_2: object = msgspec.field(default=None, name="sessionId")
    session_id_3: object = msgspec.field(default=None, name="ga_session_id")


class _Message(msgspec.Struct, omit_defaults=True):
    """A click as it is written."""

    event_id: str
    user_id: str
    type: Action
    ts: datetime
    item_id: str = ""
    session_id: str = ""
    value: float = 1.0
    context: Context = _NO_CONTEXT
    items: tuple[str, ...] = ()


_wire_decoder = msgspec.json.Decoder(WireClick)
_encoder = msgspec.json.Encoder()


def parse_click(value: bytes, *, key: Key = UNKEYED, headers: Headers = (), record_ts_ms: int) -> Click:
    """The click of a message; `key` is the record's, left out where the message is no record yet.

    `record_ts_ms` is the broker's time stamp: `ts` when the message has none, and what `ts` may lie 5 minutes ahead of.

    Raises
    ------
    EventError
        See `docs/events.md` for the reasons.
    """
    check_bytes(value)
    attributes = read_headers(headers) if headers else NO_ATTRIBUTES
    click = _parse_own_spelling(value, attributes, record_ts_ms)
    if click is None:
        click = read_click(decode_object(value), attributes, record_ts_ms)
    if key is not UNKEYED:
        check_key("user_id", click.user_id, key)
    return click


def _parse_own_spelling(value: bytes, attributes: Mapping[str, str], record_ts_ms: int) -> Click | None:
    """The click when the message is sound and in our own spelling; None sends it down the other path."""
    try:
        wire = _wire_decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    action = wire.type
    if action is Action.IMPRESSION or action is Action.SEARCH or _is_mixed(wire, attributes):
        return None
    user_id, item_id, event_id, session_id = wire.user_id, wire.item_id, wire.event_id, wire.session_id
    if not user_id or not item_id or event_id == "" or session_id == "":
        return None
    # One look at all ids together where that settles it: four calls cost half a microsecond.
    ids = f"{user_id}{item_id}{event_id}{session_id}"
    if len(ids) > MAX_ID_CHARS or not ids.isprintable():
        _check_ids(wire)
    ts_ms = record_ts_ms if wire.ts is None else check_not_ahead("ts", read_time("ts", wire.ts), record_ts_ms)
    number = 1.0 if wire.value is None else wire.value
    if not 0.0 <= number <= MAX_VALUE:
        check_number("value", number, 0.0, MAX_VALUE)
    session_id = session_id or ""
    return Click(
        event_id=event_id or derived_event_id(user_id, item_id, action, ts_ms, session_id),
        user_id=user_id,
        item_id=item_id,
        type=action,
        ts_ms=ts_ms,
        session_id=session_id,
        value=number,
        context=_NO_CONTEXT if wire.context is None else _context(wire.context),
    )


def _is_mixed(wire: WireClick, attributes: Mapping[str, str]) -> bool:
    """Whether a field of another spelling could fill one that is missing, or change what one means."""
    if (
        wire.currency is not None
        or wire.params is not None
        or wire.properties is not None
        or wire.ecommerce is not None
    ):
        return True
    if wire.event_id is None and (attributes or not wire.event_id_2 is wire.event_id_3 is wire.event_id_4 is None):
        return True
    if wire.ts is None and (attributes or not wire.ts_2 is wire.ts_3 is wire.ts_4 is wire.ts_5 is None):
        return True
    return wire.session_id is None and not wire.session_id_2 is wire.session_id_3 is None


def _check_ids(wire: WireClick) -> None:
    check_id("user_id", wire.user_id)
    check_id("item_id", wire.item_id)
    if wire.event_id is not None:
        check_id("event_id", wire.event_id)
    if wire.session_id is not None:
        check_id("session_id", wire.session_id)


def _context(wire: WireContext) -> Context:
    position = wire.position
    if position is not None and not 0 <= position <= MAX_POSITION:
        check_number("context.position", position, 0, MAX_POSITION)
    query, placement, rec_id = wire.query or "", wire.placement or "", wire.rec_id or ""
    texts = f"{query}{placement}{rec_id}"
    if len(texts) > MAX_NAME_CHARS or not texts.isprintable():
        check_text("context.query", query, MAX_QUERY_CHARS)
        check_text("context.placement", placement, MAX_NAME_CHARS)
        check_text("context.rec_id", rec_id, MAX_NAME_CHARS)
    return Context(query=query, placement=placement, position=position, rec_id=rec_id)


def encode_click(click: Click) -> bytes:
    """The message of a click, in the contract's spelling; what is empty is left out."""
    return _encoder.encode(
        _Message(
            event_id=click.event_id,
            user_id=click.user_id,
            item_id=click.item_id,
            type=click.type,
            ts=moment_of(click.ts_ms),
            session_id=click.session_id,
            value=click.value,
            context=click.context,
            items=click.items,
        )
    )
