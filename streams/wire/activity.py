"""ActivityStreams 2.0 activities: checked at the door, passed on as they came.

Source: W3C, Activity Vocabulary, Recommendation of 23 May 2017.
"""

import msgspec

from recsys.errors import EventError
from streams.log.base import Headers
from streams.wire.cloud_events import read_headers
from streams.wire.keys import UNKEYED, Key, check_key
from streams.wire.limits import MAX_URL_CHARS, check_id, check_text
from streams.wire.reading import Fields, decode_object, typed
from streams.wire.times import check_not_ahead, read_time

ACTIVITY_TYPES = ("Follow", "Like", "Announce", "Create", "Undo", "Delete")
CREATED_TYPES = ("Note", "Image")


class Activity(msgspec.Struct, frozen=True):
    """What is known of an activity without folding it; `original` are its bytes, unknown fields included."""

    type: str
    actor_id: str
    """The actor's `id`: the record's key."""
    user_id: str
    """The actor's `freshet:userId`, else its id; an account may be linked to another user yet."""
    object_id: str
    """Empty for an object without an id, as a post may be."""
    published_ms: int
    original: bytes


def parse_activity(value: bytes, *, key: Key = UNKEYED, headers: Headers = (), record_ts_ms: int) -> Activity:
    """Check an activity: its type, actor, object and time.

    Raises
    ------
    EventError
        As `parse_click`; `unknown-type` also for a `Create` of anything but a `Note` or an `Image`.
    """
    if headers:
        read_headers(headers)
    raw = Fields(decode_object(value))
    kind = _type("type", raw.find(("type", "@type"))[1], ACTIVITY_TYPES)
    actor_id, actor = _reference("actor", raw.find(("actor",))[1])
    if not actor_id:
        raise EventError("missing-field", "actor.id is missing.")
    check_id("actor.id", actor_id)  # it may become a user's id
    object_id, thing = _reference("object", raw.find(("object",))[1])
    if kind == "Create":
        if not thing:
            raise EventError("wrong-type", "object of a Create must be the Note or Image itself.")
        _type("object.type", Fields(thing).find(("type", "@type"))[1], CREATED_TYPES)
    elif not object_id and not thing:
        raise EventError("missing-field", "object.id is missing.")
    _, published = raw.find(("published",))
    published_ms = record_ts_ms if published is None else read_time("published", published)
    activity = Activity(
        type=kind,
        actor_id=actor_id,
        user_id=Fields(actor).id("freshet:userId") or actor_id,
        object_id=object_id,
        published_ms=check_not_ahead("published", published_ms, record_ts_ms),
        original=value,
    )
    check_key("actor's id", actor_id, key)
    return activity


def _type(name: str, value: object, known: tuple[str, ...]) -> str:
    """The one known type among those given, for JSON-LD lets an object have several."""
    if value is None:
        raise EventError("missing-field", f"{name} is missing.")
    values = value if isinstance(value, list) else [value]
    kinds = [kind for kind in values if typed(name, kind, str) in known]
    if len(kinds) != 1:
        raise EventError("unknown-type", f"{name} must be one of {', '.join(known)}.")
    return str(kinds[0])


def _reference(name: str, value: object) -> tuple[str, dict[str, object]]:
    """The id of what is named or embedded, and its fields; a list of one stands for the one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value == "":
        raise EventError("missing-field", f"{name} is missing.")
    if isinstance(value, str):
        return _iri(name, value), {}
    fields = typed(name, value, dict)
    _, own = Fields(fields).find(("id", "@id"))
    return ("" if own is None else _iri(f"{name}.id", typed(f"{name}.id", own, str))), fields


def _iri(name: str, text: str) -> str:
    if any(character.isspace() for character in text):
        raise EventError("invalid-id", f"{name} holds white space.")
    return check_text(name, text, MAX_URL_CHARS)
