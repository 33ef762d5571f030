"""Reads a JSON object field by field, under any of several names, with exact types and a sentence for each fault."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from recsys.errors import EventError
from streams.wire.limits import MAX_DEPTH, check_bytes, check_id, check_text

T = TypeVar("T")
_decoder = msgspec.json.Decoder()
_KINDS = {str: "text", bool: "true or false", dict: "an object", list: "a list"}


def malformed(error: Exception) -> EventError:
    """The one place where a decoder's errors become ours."""
    if isinstance(error, UnicodeDecodeError):
        return EventError("not-utf8", f"The message is not UTF-8: byte {error.start} of a string does not fit.")
    if isinstance(error, RecursionError):
        return EventError("too-deep", f"The message nests deeper than {MAX_DEPTH} levels.")
    if isinstance(error, msgspec.ValidationError):
        return EventError("out-of-range", "A number in the message is out of range.")
    if "surrogate" in str(error) or "hex escape" in str(error):
        return EventError(
            "malformed-json",
            "A string of the message holds half a character (\\ud800 to \\udfff alone, or a \\u that is cut off): send "
            "UTF-8, or both halves.",
        )
    if "truncated" in str(error):
        return EventError("malformed-json", "The message is not JSON: it ends too early.")
    return EventError("malformed-json", f"The message is not JSON: {error}.")


def decode_object(value: bytes) -> dict[str, object]:
    """The message as a dict; the last of duplicate names wins.

    Raises
    ------
    EventError
        `too-large`, `not-utf8`, `too-deep`, `malformed-json`, `out-of-range` (a number), `not-an-object`.
    """
    check_bytes(value)
    if not value or value.isspace():
        raise EventError("malformed-json", "The message is empty; it must be one JSON object.")
    try:
        decoded = _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from error
    if not isinstance(decoded, dict):
        raise EventError("not-an-object", "The message must be one JSON object.")
    return decoded


class Fields:
    """One object of a message; several may be laid over each other, the first that has a name wins.

    Each reader takes the names a field goes by, best first; null counts as missing.
    """

    def __init__(self, *layers: Mapping[str, object]) -> None:
        self._layers = layers

    def find(self, names: Iterable[str]) -> tuple[str, object]:
        """The first name that is there, and its value; the first name and None when none is."""
        names = tuple(names)
        for layer in self._layers:
            for name in names:
                value = layer.get(name)
                if value is not None:
                    return name, value
        return names[0], None

    def id(self, *names: str) -> str:
        """An id, or empty when missing or empty (many shops send `""` for none); `wrong-type`, `invalid-id`."""
        for layer in self._layers:
            for name in names:
                value = layer.get(name)
                if value is not None and value != "":
                    return check_id(name, typed(name, value, str))
        return ""

    def text(self, *names: str, limit: int) -> str:
        """A text, or empty when missing; `wrong-type`, `too-long`, `invalid-text`."""
        name, value = self.find(names)
        return "" if value is None else check_text(name, typed(name, value, str), limit)

    def texts(self, *names: str, most: int, limit: int) -> tuple[str, ...]:
        """One text or a list of texts as a tuple, empty texts left out; `wrong-type`, `too-many`, `too-long`."""
        name, value = self.find(names)
        if value is None:
            return ()
        values = [value] if isinstance(value, str) else typed(name, value, list)
        if len(values) > most:
            raise EventError("too-many", f"{name} has {len(values)} entries; at most {most} are taken.")
        texts = (check_text(name, typed(name, part, str), limit) for part in values)
        return tuple(text for text in texts if text)

    def number(self, *names: str, low: float, high: float) -> float | None:
        """A number within its bounds, or None when missing; a bool is none; `wrong-type`, `out-of-range`."""
        name, value = self.find(names)
        return None if value is None else check_number(name, value, low, high)

    def flag(self, *names: str, default: bool) -> bool:
        name, value = self.find(names)
        return default if value is None else typed(name, value, bool)

    def object(self, *names: str) -> dict[str, object]:
        """An inner object, or an empty one when missing; `wrong-type`."""
        name, value = self.find(names)
        return {} if value is None else typed(name, value, dict)


def typed(name: str, value: object, kind: type[T]) -> T:
    """The value when it is of that type; else `wrong-type`."""
    if type(value) is not kind:
        raise EventError("wrong-type", f"{name} must be {_KINDS[kind]}.")
    return value


def check_number(name: str, value: object, low: float, high: float) -> float:
    """The number as a float; `wrong-type`, `out-of-range`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EventError("wrong-type", f"{name} must be a number.")
    if not low <= value <= high:
        raise EventError("out-of-range", f"{name} must lie between {low:g} and {high:g}.")
    return float(value)
