"""Clicks in any spelling, field by field: ours, GA4's, Segment's, flat or with `params`, `properties`, `ecommerce`."""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from recsys.errors import EventError
from recsys.events import Action, Click, Context
from streams.wire import aliases
from streams.wire.limits import (
    MAX_ID_CHARS,
    MAX_ITEMS,
    MAX_NAME_CHARS,
    MAX_QUERY_CHARS,
    MAX_VALUE,
    check_id,
)
from streams.wire.reading import Fields, check_number, decode_object, typed
from streams.wire.times import check_not_ahead, read_time

MAX_POSITION = 1_000_000
_ITEM_ID_AT_TOP = ("item_id", "product_id", "sku")
"""Not `id`: at the top that is the event's own in many shops."""
_MAY_LACK_ITEM = {Action.SEARCH, Action.IMPRESSION}


def read_click(raw: Mapping[str, object], attributes: Mapping[str, str], record_ts_ms: int) -> Click:
    """The click of a decoded message; `attributes` are those of a CloudEvent, which fill what is missing."""
    top = Fields(raw)
    bodies = _bodies(raw)
    name, action = _action(top, attributes)
    user_id = top.id(*aliases.USER_ID)
    if not user_id:
        raise EventError("missing-field", "user_id is missing.")
    item_id, item_ids, item = _item(raw, bodies, action)
    # Flat context fields belong to the other spellings; in ours they are unknown fields beside `context`.
    is_foreign = bool(bodies) or name != action.value or action in _MAY_LACK_ITEM
    context = _context(top.object("context"), Fields(*(raw, *bodies, item) if is_foreign else ()))
    _check_subject(action, item_id, item_ids, context)
    session_id = _session_id(Fields(raw, *bodies))
    ts_ms = _time(top, attributes, record_ts_ms)
    event_id = _event_id(top, attributes)
    if not event_id:
        subject = item_id or context.query or "\x1e".join(item_ids)
        event_id = derived_event_id(user_id, subject, action, ts_ms, session_id)
    return Click(
        event_id=event_id,
        user_id=user_id,
        item_id=item_id,
        type=action,
        ts_ms=ts_ms,
        session_id=session_id,
        value=_value(raw),
        context=context,
        items=item_ids,
    )


def expand_click(value: bytes) -> list[bytes]:
    """One message for each item of an order or cart event with several; any other message as it is.

    The parts get event ids of their own, `EVENT:ITEM`, so a repeated event is still counted once.

    Raises
    ------
    EventError
        As `parse_click`, of the faults that keep the items from being read.
    """
    if b'"items"' not in value and b'"products"' not in value:
        return [value]
    raw = decode_object(value)
    bodies = _bodies(raw)
    _, action = _action(Fields(raw), {})
    items = _items(raw, bodies)
    if action is Action.IMPRESSION or len(items) < 2 or _direct_item_id(raw, bodies):
        return [value]
    event_id = _event_id(Fields(raw), {})
    shared = {name: part for name, part in raw.items() if name not in aliases.ITEMS}
    for name in aliases.BODY:
        if isinstance(body := shared.get(name), dict):
            shared[name] = {inner: part for inner, part in body.items() if inner not in aliases.ITEMS}
    parts = []
    for item in items:
        part = {**shared, "items": [item]}
        if event_id:
            part["event_id"] = _part_id(event_id, _item_id(item))
        parts.append(msgspec.json.encode(part))
    return parts


def derived_event_id(user_id: str, subject: str, action: Action, ts_ms: int, session_id: str) -> str:
    """The event id of a message that has none: 128 bits over user, item, type, time and session."""
    # The unit separator stands in no id, so no two different events join to the same text.
    joined = f"{user_id}\x1f{subject}\x1f{action.value}\x1f{ts_ms}\x1f{session_id}"
    return blake2b(joined.encode(), digest_size=16).hexdigest()


def _part_id(event_id: str, item_id: str) -> str:
    joined = f"{event_id}:{item_id}"
    return joined if len(joined) <= MAX_ID_CHARS else blake2b(joined.encode(), digest_size=16).hexdigest()


def _bodies(raw: Mapping[str, object]) -> list[dict[str, object]]:
    return [body for name in aliases.BODY if isinstance(body := raw.get(name), dict)]


def _action(top: Fields, attributes: Mapping[str, str]) -> tuple[str, Action]:
    field, value = top.find(aliases.EVENT_NAME)
    if value == "track":  # Segment's kind of call; the event's name stands beside it
        field, value = top.find(aliases.EVENT_NAME[1:])
    if value is None and "type" in attributes:
        name = attributes["type"]
        action = aliases.action_of_cloud_event(name)
    elif value is None:
        raise EventError("missing-field", "type is missing.")
    else:
        name = typed(field, value, str)
        action = aliases.action_named(name)
    if action is None:
        raise EventError("unknown-type", f"{field} is {name[:60]!r}, which is no action; docs/events.md lists them.")
    return name, action


def _direct_item_id(raw: Mapping[str, object], bodies: list[dict[str, object]]) -> str:
    return Fields(raw).id(*_ITEM_ID_AT_TOP) or Fields(*bodies).id(*aliases.ITEM_ID)


def _item(
    raw: Mapping[str, object], bodies: list[dict[str, object]], action: Action
) -> tuple[str, tuple[str, ...], Mapping[str, object]]:
    """The one item's id, or an impression's ids, and the fields of a single item that is an object."""
    item_id = _direct_item_id(raw, bodies)
    if item_id and action is not Action.IMPRESSION:
        return item_id, (), {}
    items = _items(raw, bodies)
    single = items[0] if len(items) == 1 and isinstance(items[0], dict) else {}
    item_ids = tuple(_item_id(item) for item in items)
    if action is Action.IMPRESSION:
        return item_id, item_ids, single
    if action is Action.SEARCH:
        return "", (), {}
    if len(item_ids) > 1:
        raise EventError(
            "several-items", f"The message has {len(item_ids)} items; send one message each, or use POST /v1/clicks."
        )
    return item_ids[0] if item_ids else "", (), single


def _items(raw: Mapping[str, object], bodies: list[dict[str, object]]) -> list[object]:
    name, value = Fields(raw, *bodies).find(aliases.ITEMS)
    items = [] if value is None else typed(name, value, list)
    if len(items) > MAX_ITEMS:
        raise EventError("too-many", f"{name} has {len(items)} entries; at most {MAX_ITEMS} are taken.")
    return items


def _item_id(item: object) -> str:
    """The id of an entry of `items`: the id itself, or an object that has it."""
    if isinstance(item, dict):
        item_id = Fields(item).id(*aliases.ITEM_ID)
        if not item_id:
            raise EventError("missing-field", "An entry of items has no item_id.")
        return item_id
    return check_id("items", typed("items", item, str))


def _check_subject(action: Action, item_id: str, item_ids: tuple[str, ...], context: Context) -> None:
    if action is Action.SEARCH:
        if not context.query:
            raise EventError("missing-field", "context.query is missing; a search needs it.")
    elif not item_id and not item_ids:
        raise EventError("missing-field", "item_id is missing.")


def _context(own: Mapping[str, object], foreign: Fields) -> Context:
    """Our `context`, filled up from the flat fields of the other spellings."""
    inner = Fields({f"context.{name}": value for name, value in own.items()})

    def text(name: str, names: tuple[str, ...], limit: int) -> str:
        return inner.text(f"context.{name}", limit=limit) or foreign.text(*names, limit=limit)

    return Context(
        query=text("query", aliases.QUERY, MAX_QUERY_CHARS),
        placement=text("placement", aliases.PLACEMENT, MAX_NAME_CHARS),
        position=_position(inner, ("context.position",), foreign),
        rec_id=text("rec_id", aliases.REC_ID, MAX_NAME_CHARS),
    )


def _position(inner: Fields, names: tuple[str, ...], foreign: Fields) -> int | None:
    name, value = inner.find(names)
    if value is None:
        name, value = foreign.find(aliases.POSITION)
    if value is None:
        return None
    number = check_number(name, value, 0, MAX_POSITION)
    if not number.is_integer():
        raise EventError("wrong-type", f"{name} must be a whole number.")
    return int(number)


def _session_id(fields: Fields) -> str:
    own = fields.id(*aliases.SESSION_ID)
    if own:
        return own
    name, value = fields.find((aliases.GA_SESSION_ID,))
    return str(value) if type(value) is int else Fields({name: value}).id(name)


def _time(top: Fields, attributes: Mapping[str, str], record_ts_ms: int) -> int:
    name, value = top.find(aliases.TIME)
    if value is None:
        name, value = top.find(aliases.MICROSECONDS)
        if value is not None:
            return check_not_ahead(name, int(check_number(name, value, 0, 1e18)) // 1000, record_ts_ms)
        if "time" in attributes:
            name, value = "ce_time", attributes["time"]
    if value is None:
        return record_ts_ms
    return check_not_ahead(name, read_time(name, value), record_ts_ms)


def _event_id(top: Fields, attributes: Mapping[str, str]) -> str:
    own = top.id(*aliases.EVENT_ID)
    return own or (check_id("ce_id", attributes["id"]) if "id" in attributes else "")


def _value(raw: Mapping[str, object]) -> float:
    """The top's `value`; beside a `currency` it is money (GA4), which says nothing about interest."""
    value = raw.get("value")
    if value is None or raw.get("currency") is not None:
        return 1.0
    return check_number("value", value, 0.0, MAX_VALUE)
