"""Lists out: for a user, for a guest, and as a stream that follows the clicks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway.access import READ
from gateway.bodies import decoded, json_body
from gateway.paths import USER_ID
from gateway.problems import described
from gateway.state import Gateway
from recsys.errors import EventError
from recsys.events import Action, Click
from recsys.filters import Filter
from recsys.history import UserState, fold
from streams.clock import wall_clock_ms
from streams.wire.aliases import action_named
from streams.wire.limits import check_id
from streams.wire.lists import encode_list
from streams.wire.times import read_time

router = APIRouter(tags=["recommendations"], dependencies=[READ], responses=described(401, 403, 422, 503))
N = Annotated[int, Query(ge=1, le=100)]
PING_S = 15.0
MOST_GUEST_ITEMS = 200
JSON = "application/json"


class GuestItem(msgspec.Struct):
    """One thing that a guest did."""

    item_id: str
    type: str = "view"
    ts: object = None


class GuestSession(msgspec.Struct):
    """What a guest did so far, and how many recommendations to make of it."""

    items: Annotated[list[GuestItem], msgspec.Meta(max_length=MOST_GUEST_ITEMS)] = []
    n: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


_session = msgspec.json.Decoder(GuestSession)
_SESSION_SCHEMA = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "maxItems": MOST_GUEST_ITEMS,
            "items": {
                "type": "object",
                "required": ["item_id"],
                "properties": {
                    "item_id": {"type": "string"},
                    "type": {"type": "string", "enum": list(Action), "default": "view"},
                    "ts": {"description": "epoch seconds or milliseconds, or RFC 3339; now when missing"},
                },
            },
        },
        "n": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
    },
}
_OPENAPI = {"requestBody": {"content": {JSON: {"schema": _SESSION_SCHEMA}}}}


@router.get(f"/v1/users/{USER_ID}/recommendations")
async def recommendations(
    request: Request,
    user_id: str,
    n: N = 10,
    category: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006
    exclude: Annotated[list[str], Query(max_length=1000)] = [],  # noqa: B006
    item_id: str = "",
) -> Response:
    """A fresh list; `category` and `exclude` may be given several times, `item_id` is the page looked at."""
    gateway: Gateway = request.app.state.gateway
    check_id("user_id", user_id)
    if item_id:
        check_id("item_id", item_id)
    allow = Filter(category=tuple(category)) if category else None
    made = await gateway.recommend(user_id, n, allow, set(exclude), item_id)
    gateway.metrics.lists.labels(made.strategy).inc()
    return Response(encode_list(made), media_type=JSON)


@router.post("/v1/sessions/recommendations", responses=described(413, 415), openapi_extra=_OPENAPI)
async def session_recommendations(request: Request) -> Response:
    """A list for a guest, from what the guest did; nothing is kept."""
    gateway: Gateway = request.app.state.gateway
    session = decoded(await json_body(request), _session, "session")
    state = _state_of(session, gateway)
    made = gateway.make("", state, session.n)
    if made.strategy == "personal":
        made = msgspec.structs.replace(made, strategy="session")
    gateway.metrics.lists.labels(made.strategy).inc()
    return Response(encode_list(made), media_type=JSON)


def _state_of(session: GuestSession, gateway: Gateway) -> UserState:
    state = UserState(history=[], events={}, seen={}, queries=[])
    at_ms = wall_clock_ms()
    for offset, item in enumerate(session.items):
        check_id("item_id", item.item_id)
        ts_ms = at_ms if item.ts is None else read_time("ts", item.ts)
        action = action_named(item.type)
        if action is None:
            raise EventError("invalid-session", f"{item.type[:60]!r} is no action; docs/events.md lists them.")
        click = Click(event_id=str(offset), user_id="guest", item_id=item.item_id, type=action, ts_ms=ts_ms)
        fold(state, click, offset=offset, epoch=1, watermark_ms=0, policy=gateway.policy.history)
    return state


@router.get(f"/v1/users/{USER_ID}/stream")
async def stream(request: Request, user_id: str, n: N = 10) -> StreamingResponse:
    """Server-sent events: the list now, and each time it changes; `id` is its version."""
    gateway: Gateway = request.app.state.gateway
    check_id("user_id", user_id)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    last = request.headers.get("last-event-id", "")
    return StreamingResponse(_events(gateway, user_id, n, last), media_type="text/event-stream", headers=headers)


async def _events(gateway: Gateway, user_id: str, n: int, last: str) -> AsyncIterator[bytes]:
    with gateway.changes.subscribe(user_id) as changed:
        while True:
            made = await gateway.recommend(user_id, n, None, (), "")
            if made.version != last:
                last = made.version
                yield b"event: recommendations\nid: %b\ndata: %b\n\n" % (last.encode(), encode_list(made))
            changed.clear()
            while not changed.is_set():
                try:
                    await asyncio.wait_for(changed.wait(), PING_S)
                except TimeoutError:
                    yield b": ping\n\n"
