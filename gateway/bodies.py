"""Request bodies: read up to a limit, described in OpenAPI by the schemas of the messages."""

from typing import Any, TypeVar

import msgspec
from fastapi import Request

from gateway.problems import ProblemError
from recsys.errors import EventError
from streams.wire.reading import malformed
from streams.wire.schemas import json_schema

MAX_BODY_BYTES = 8 << 20
T = TypeVar("T")


async def read_body(request: Request) -> bytes:
    """The whole body; a 413 problem as soon as it is over 8 MiB, a 415 problem for a compressed one."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise ProblemError(
            415,
            "unsupported-content-encoding",
            f"Send the body as it is, without Content-Encoding: {coding[:100]}; many small bodies do as well as one.",
        )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


async def json_body(request: Request) -> bytes:
    """A body that says it is JSON; 415 for another type."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise ProblemError(415, "unsupported-media-type", f"Send application/json, not {kind[:100]}.")
    return await read_body(request)


def decoded(body: bytes, decoder: msgspec.json.Decoder[T], what: str) -> T:
    """A body as its type has it.

    Raises
    ------
    EventError
        `invalid-` and what it was to be, with a plain sentence.
    """
    reason = f"invalid-{what}"
    if not body.strip():
        raise EventError(reason, f"The {what} is empty; send a JSON object.")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise EventError(reason, f"The {what} cannot be read: {error}.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EventError(reason, malformed(error).text) from error


def json_request(name: str) -> dict[str, Any]:
    """OpenAPI for a body of one message or a list of them."""
    schema = {key: part for key, part in json_schema(name).items() if key != "$schema"}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [schema, {"type": "array", "items": schema, "maxItems": 1000}]}
                }
            },
        }
    }


def _too_large() -> ProblemError:
    return ProblemError(413, "too-large", f"The body is over {MAX_BODY_BYTES} bytes.")
