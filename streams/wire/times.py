"""Time stamps: RFC 3339, epoch seconds or epoch milliseconds in, epoch milliseconds inside, RFC 3339 out."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from recsys.errors import EventError

WireTime = Annotated[datetime, msgspec.Meta(tz=True)] | int | float | None
"""What msgspec makes of a time stamp field."""
AHEAD_MS = 300_000
"""What lies further ahead of its record's time stamp is refused: clocks are off by seconds, mistakes by hours."""
_MS_FROM = 100_000_000_000
"""A number above is milliseconds: as seconds it would lie after the year 5138."""
LAST_MS = 253_402_300_799_999
"""The end of the year 9999, the last that RFC 3339 can write."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000


def read_time(name: str, value: object) -> int:
    """Epoch milliseconds of a decoded field.

    Raises
    ------
    EventError
        `wrong-type` for what is neither text nor number, `invalid-time` for text that is not RFC 3339,
        `out-of-range` before 1970 or after 9999.
    """
    if isinstance(value, str):
        value = _from_rfc3339(name, value)
    if isinstance(value, datetime):
        since = value - _EPOCH
        ms = since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise EventError("wrong-type", f"{name} must be RFC 3339 text or a number of seconds or milliseconds.")
    elif not 0 <= value <= LAST_MS:
        raise EventError("out-of-range", f"{name} lies outside the years 1970 to 9999.")
    elif value > _MS_FROM:
        ms = int(value)
    else:
        # Rounded, for a float of seconds cannot hold each millisecond exactly.
        ms = round(value * 1000)
    if not 0 <= ms <= LAST_MS:
        raise EventError("out-of-range", f"{name} lies outside the years 1970 to 9999.")
    return ms


def check_not_ahead(name: str, ms: int, record_ts_ms: int) -> int:
    """The time itself; `in-the-future` when it lies more than 5 minutes ahead of its record's time stamp."""
    if ms > record_ts_ms + AHEAD_MS:
        raise EventError("in-the-future", f"{name} lies {(ms - record_ts_ms) // 1000} s ahead of the broker's clock.")
    return ms


def _from_rfc3339(name: str, text: str) -> datetime:
    try:
        moment: datetime = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
    except msgspec.ValidationError as error:
        raise EventError(
            "invalid-time", f"{name} is not RFC 3339 with a time zone, such as 2026-11-23T12:00:00Z."
        ) from error
    return moment


def moment_of(ms: int) -> datetime:
    """The same moment as a datetime in UTC, exact to the millisecond."""
    return _EPOCH + timedelta(0, 0, 0, ms)


def rfc3339(ms: int) -> str:
    """UTC with milliseconds where they are not zero: `2026-11-23T12:00:01.250Z`."""
    return moment_of(ms).replace(tzinfo=None).isoformat(timespec="milliseconds" if ms % 1000 else "seconds") + "Z"
