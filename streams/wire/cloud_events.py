"""CloudEvents 1.0.2 in Kafka's binary mode: the value is the data, the headers say what it is."""

from collections.abc import Mapping
from types import MappingProxyType

from recsys.errors import EventError
from streams.log.base import Headers
from streams.wire.times import rfc3339

SPEC_VERSION = "1.0"
SOURCE = "freshet"
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


def read_headers(headers: Headers) -> Mapping[str, str]:
    """The `ce_` attributes of a record without their prefix; empty when it is no CloudEvent.

    Raises
    ------
    EventError
        `unsupported-content-type` for a content type other than JSON or for structured mode,
        `unsupported-specversion`, `malformed-header` for text that is not UTF-8.
    """
    attributes: dict[str, str] = {}
    for name, raw in headers:
        lower = name.lower()
        if lower == "content-type":
            _check_content_type(_text(name, raw))
        elif lower.startswith("ce_"):
            attributes[lower[3:]] = _text(name, raw)
    version = attributes.get("specversion", SPEC_VERSION)
    if version.split(".")[0] != "1":
        raise EventError("unsupported-specversion", "ce_specversion must be 1.0.")
    return attributes


def cloud_event_headers(*, event_id: str, event_type: str, time_ms: int, subject: str = "") -> Headers:
    """Headers of a message that we send; `event_type` such as `freshet.recommendations.v1`."""
    headers = [
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_id", event_id.encode()),
        ("ce_source", SOURCE.encode()),
        ("ce_type", event_type.encode()),
        ("ce_time", rfc3339(time_ms).encode()),
        ("content-type", b"application/json"),
    ]
    if subject:
        headers.append(("ce_subject", subject.encode()))
    return tuple(headers)


def _text(name: str, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise EventError("malformed-header", f"The header {name[:40]!r} is not UTF-8.") from error


def _check_content_type(content_type: str) -> None:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind.startswith("application/cloudevents"):
        raise EventError(
            "unsupported-content-type",
            "CloudEvents are taken in binary mode: the data as value, ce_ headers beside it.",
        )
    is_json = kind in {"application/json", "text/json"} or (kind.startswith("application/") and kind.endswith("+json"))
    charsets = (part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset="))
    is_utf8 = all(charset in {"utf-8", "utf8"} for charset in charsets)
    if not (is_json and is_utf8):
        raise EventError("unsupported-content-type", "The content-type must be application/json in UTF-8.")
