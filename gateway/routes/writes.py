"""Products, clicks and activities in: checked here, answered once the broker has them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from gateway.access import WRITE
from gateway.bodies import json_body, json_request
from gateway.paths import ITEM_ID
from gateway.problems import TOO_LARGE, ProblemError, described
from gateway.state import Gateway
from recsys.errors import EventError
from streams import topics
from streams.clock import wall_clock_ms
from streams.dead_letters import RESENT_HEADER
from streams.log.base import Headers, NewRecord
from streams.wire.activity import parse_activity
from streams.wire.click import REPLAYED, encode_click, parse_click
from streams.wire.click_spellings import expand_click
from streams.wire.cloud_events import cloud_event_headers
from streams.wire.limits import check_id
from streams.wire.product import encode_product, parse_product
from streams.wire.reading import malformed

router = APIRouter(tags=["events"], dependencies=[WRITE], responses=described(401, 403, 422, 503))
BODY = described(413, 415)
MOST_AT_ONCE = 1_000
IdempotencyKey = Annotated[str | None, Header(max_length=256)]
Replay = Annotated[str | None, Header(max_length=8)]
Resent = Annotated[str | None, Header(max_length=32, pattern=r"^\d+:\d+$")]
"""The place of the dead letter that is sent again, as `freshet dead-letters resend` does."""
ToRecord = Callable[[bytes, int, str], list[NewRecord]]
"""One object of the body, the present time, a seed for missing event ids -> the records to append."""


@dataclass
class Accepted:
    """What one write was answered with."""

    records: list[NewRecord]
    accepted: int
    refused: list[dict[str, Any]]


@router.post("/v1/products", status_code=202, responses=BODY, openapi_extra=json_request("product"))
async def put_products(
    request: Request, idempotency_key: IdempotencyKey = None, freshet_resent: Resent = None
) -> Response:
    """Add or change products: one object or a list of at most 1,000."""
    gateway: Gateway = request.app.state.gateway

    def to_records(raw: bytes, at_ms: int, seed: str) -> list[NewRecord]:
        product = parse_product(raw, record_ts_ms=at_ms)
        topic = gateway.topic(topics.PRODUCTS)
        return [NewRecord(topic, product.item_id.encode(), encode_product(product), headers=_resent(freshet_resent))]

    return await _take(request, idempotency_key, topics.PRODUCTS, to_records)


@router.delete(f"/v1/products/{ITEM_ID}", status_code=202)
async def delete_product(request: Request, item_id: str) -> dict[str, int]:
    """Delete a product: it is gone from every answer within a second."""
    gateway: Gateway = request.app.state.gateway
    check_id("item_id", item_id)
    await gateway.log.append(NewRecord(gateway.topic(topics.PRODUCTS), item_id.encode(), None))
    return {"accepted": 1}


@router.post("/v1/clicks", status_code=202, responses=BODY, openapi_extra=json_request("click"))
async def put_clicks(
    request: Request,
    idempotency_key: IdempotencyKey = None,
    freshet_replay: Replay = None,
    freshet_resent: Resent = None,
) -> Response:
    """Report what users do: one object or a list of at most 1,000, in our spelling, GA4's or Segment's.

    With `Freshet-Replay: 1` the events are old ones: their users' lists are made anew once a second at most.
    """
    gateway: Gateway = request.app.state.gateway
    marks = (*((REPLAYED,) if freshet_replay == REPLAYED[1].decode() else ()), *_resent(freshet_resent))

    def to_records(raw: bytes, at_ms: int, seed: str) -> list[NewRecord]:
        records = []
        for part, one in enumerate(expand_click(raw)):
            click = parse_click(one, record_ts_ms=at_ms)
            if seed and b'"event_id"' not in one:
                click = msgspec.structs.replace(click, event_id=_event_id(f"{seed}\n{part}"))
            headers = cloud_event_headers(
                event_id=click.event_id, event_type=f"shop.event.{click.type}.v1", time_ms=click.ts_ms
            )
            topic = gateway.topic(topics.CLICKS)
            records.append(NewRecord(topic, click.user_id.encode(), encode_click(click), headers=(*headers, *marks)))
        return records

    return await _take(request, idempotency_key, topics.CLICKS, to_records)


@router.post("/v1/activities", status_code=202, responses=BODY, openapi_extra=json_request("activity"))
async def put_activities(request: Request, idempotency_key: IdempotencyKey = None) -> Response:
    """Report ActivityStreams 2.0 activities of a social app: one object or a list of at most 1,000."""
    gateway: Gateway = request.app.state.gateway

    def to_records(raw: bytes, at_ms: int, seed: str) -> list[NewRecord]:
        activity = parse_activity(raw, record_ts_ms=at_ms)
        return [NewRecord(gateway.topic(topics.ACTIVITIES), activity.actor_id.encode(), activity.original)]

    return await _take(request, idempotency_key, topics.ACTIVITIES, to_records)


def _resent(place: str | None) -> Headers:
    return () if place is None else ((RESENT_HEADER, place.encode()),)


async def _take(request: Request, idempotency_key: str | None, topic: str, to_records: ToRecord) -> Response:
    """Check each object, append what is right, answer when the broker has it."""
    gateway: Gateway = request.app.state.gateway
    body = await json_body(request)
    answered = gateway.answered(topic, idempotency_key, body)
    if answered is not None:
        return answered
    taken = _check(_split(body), to_records, idempotency_key or "")
    if taken.records:
        await gateway.log.append_many(taken.records)
    gateway.metrics.events.labels(topic, "accepted").inc(taken.accepted)
    gateway.metrics.events.labels(topic, "refused").inc(len(taken.refused))
    status = 202 if taken.accepted or not taken.refused else _refused_status(taken)
    answer = JSONResponse({"accepted": taken.accepted, "refused": taken.refused}, status)
    gateway.remember(topic, idempotency_key, body, answer)
    return answer


def _refused_status(taken: Accepted) -> int:
    """413 where size was all that was wrong, else 422."""
    return 413 if all(one["reason"] in TOO_LARGE for one in taken.refused) else 422


def _check(objects: Sequence[bytes], to_records: ToRecord, seed: str) -> Accepted:
    taken = Accepted([], 0, [])
    at_ms = wall_clock_ms()
    for index, raw in enumerate(objects):
        try:
            taken.records += to_records(raw, at_ms, f"{seed}\n{index}" if seed else "")
            taken.accepted += 1
        except EventError as error:
            taken.refused.append({"index": index, "reason": error.reason, "text": error.text})
    return taken


def _split(body: bytes) -> list[bytes]:
    """The objects of a body, each as it was sent."""
    if not body.lstrip().startswith(b"["):
        return [body]
    try:
        objects = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        ours = malformed(error)
        raise ProblemError(422, ours.reason, ours.text) from error
    if len(objects) > MOST_AT_ONCE:
        raise ProblemError(413, "too-many", f"The body holds {len(objects)} objects; send at most {MOST_AT_ONCE}.")
    return [bytes(raw) for raw in objects]


def _event_id(seed: str) -> str:
    """The same for a repeated request, so that its events count once."""
    return hashlib.blake2b(seed.encode(), digest_size=16).hexdigest()
