"""Erasures: forget this user everywhere."""

import msgspec

from recsys.errors import EventError
from streams.log.base import Headers
from streams.wire import aliases
from streams.wire.cloud_events import read_headers
from streams.wire.keys import UNKEYED, Key, check_key
from streams.wire.reading import Fields, decode_object
from streams.wire.times import check_not_ahead, read_time, rfc3339


class Erasure(msgspec.Struct, frozen=True):
    """What is older than `ts_ms` is forgotten; later events start a new user."""

    user_id: str
    ts_ms: int


def parse_erasure(value: bytes, *, key: Key = UNKEYED, headers: Headers = (), record_ts_ms: int) -> Erasure:
    """The erasure of a message; without `ts`, everything up to the record's time stamp.

    Raises
    ------
    EventError
        As `parse_click`.
    """
    if headers:
        read_headers(headers)
    fields = Fields(decode_object(value))
    user_id = fields.id(*aliases.USER_ID)
    if not user_id:
        raise EventError("missing-field", "user_id is missing.")
    name, ts = fields.find(aliases.TIME)
    ts_ms = record_ts_ms if ts is None else check_not_ahead(name, read_time(name, ts), record_ts_ms)
    check_key("user_id", user_id, key)
    return Erasure(user_id, ts_ms)


def encode_erasure(erasure: Erasure) -> bytes:
    """The message of an erasure, in the contract's spelling."""
    return msgspec.json.encode({"user_id": erasure.user_id, "ts": rfc3339(erasure.ts_ms)})
