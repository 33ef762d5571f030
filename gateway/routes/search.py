"""Search by words, by a picture, or by both."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile

from gateway.access import READ
from gateway.bodies import MAX_BODY_BYTES, decoded, json_body, read_body
from gateway.problems import described
from gateway.state import Gateway
from recsys.errors import EncodingError, EventError
from recsys.filters import parse_filter
from recsys.search import SearchQuery
from recsys.suggest import suggest
from streams.pictures import PictureFetcher
from streams.wire.limits import check_id

router = APIRouter(tags=["search"], dependencies=[READ], responses=described(401, 403, 422, 503))
MOST_TEXT = 512
MOST_PARTS = 10


class SearchRequest(msgspec.Struct):
    """What to search for; `image` is a `data:` URI or a URL."""

    text: Annotated[str, msgspec.Meta(max_length=MOST_TEXT)] = ""
    image: Annotated[str, msgspec.Meta(max_length=MAX_BODY_BYTES)] | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    user_id: str = ""
    filter: dict[str, Any] | None = None


_search = msgspec.json.Decoder(SearchRequest)
_TEXTS = {"type": "array", "items": {"type": "string"}, "maxItems": 1000}
_FILTER = {
    "type": "object",
    "additionalProperties": False,
    "description": "Every member given must hold; any one of a member's values will do.",
    "properties": {
        "category": _TEXTS,
        "brand": _TEXTS,
        "price": {"type": "object", "properties": {"gte": {"type": "number"}, "lte": {"type": "number"}}},
        "available": {"type": "boolean"},
        "attributes": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, _TEXTS]}},
        "item_id": {"type": "object", "properties": {"in": _TEXTS, "not_in": _TEXTS}},
    },
}
_OPENAPI = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string", "maxLength": MOST_TEXT},
                        "image": {"type": "string", "description": "a data: URI or an http(s) URL"},
                        "n": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
                        "user_id": {"type": "string", "description": "whose taste and history order the answer"},
                        "filter": _FILTER,
                    },
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "image": {"type": "string", "format": "binary"},
                        "n": {"type": "string"},
                        "user_id": {"type": "string"},
                        "filter": {"type": "string", "description": "the filter as JSON"},
                    },
                }
            },
        },
    }
}


@router.post("/v1/search", responses=described(413, 415), openapi_extra=_OPENAPI)
async def search_products(request: Request) -> dict[str, Any]:
    """Products that answer the text, the picture, or both, cut by the filter; best first."""
    gateway: Gateway = request.app.state.gateway
    asked, picture = await _read(request)
    if picture is None and asked.image:
        picture = await _fetch(gateway, asked.image)
    if picture is None and not asked.text.strip():
        raise EventError("empty-query", "Give a text, an image, or both.")
    image, origin = await gateway.encode_picture(picture) if picture is not None else (None, None)
    query = SearchQuery(
        text=asked.text,
        text_vector=await gateway.encode_text(asked.text),
        image_vector=image,
        image_origin=origin,
        filter=parse_filter(asked.filter),
        n=asked.n,
    )
    if asked.user_id:
        check_id("user_id", asked.user_id)
    hits = await gateway.search(query, asked.user_id)
    answer: dict[str, Any] = {"items": [msgspec.to_builtins(hit) for hit in hits]}
    catalogue = gateway.views.catalogue
    if asked.text and not catalogue.knows_all(asked.text):
        meant = await gateway.in_thread(catalogue.corrected, asked.text)
        answer |= {} if meant is None else {"did_you_mean": meant}
    elif asked.text and hits:
        # Of known words alone, so that nobody is shown what others typed of themselves.
        gateway.popular_queries.add(asked.text)
    return answer


@router.get("/v1/search/suggest")
async def suggestions(
    request: Request, q: Annotated[str, Query(max_length=MOST_TEXT)] = "", n: Annotated[int, Query(ge=1, le=100)] = 10
) -> dict[str, Any]:
    """What a text that is being typed may become: whole queries, products, and the spelling that was likely meant."""
    gateway: Gateway = request.app.state.gateway
    made = await gateway.in_thread(suggest, gateway.views.catalogue, q, n, gateway.popular_queries)
    items = [{"item_id": product.item_id, "title": product.title} for product in made.products]
    return {"queries": list(made.queries), "items": items, "did_you_mean": made.did_you_mean}


async def _read(request: Request) -> tuple[SearchRequest, bytes | None]:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_form(request)
    return decoded(await json_body(request), _search, "search"), None


async def _read_form(request: Request) -> tuple[SearchRequest, bytes | None]:
    """Parts `text`, `n`, `user_id`, `filter` (JSON) and the file `image`."""
    body = await read_body(request)
    request._body = body  # already read, up to its limit; the form parser takes it from here
    values: dict[str, Any] = {}
    picture: bytes | None = None
    async with request.form(max_files=1, max_fields=MOST_PARTS, max_part_size=MAX_BODY_BYTES) as form:
        for name, part in form.items():
            if isinstance(part, UploadFile):
                picture = await part.read()
            elif name == "filter":
                values[name] = _json(part)
            else:
                values[name] = part
    try:
        return msgspec.convert(values, SearchRequest, strict=False), picture
    except msgspec.ValidationError as error:
        raise EventError("invalid-search", f"The search cannot be read: {error}.") from error


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise EventError("invalid-filter", f"The part filter is no JSON: {error}.") from error


async def _fetch(gateway: Gateway, image: str) -> bytes:
    """The bytes of a `data:` URI or a URL; never of a path, which only the shop itself may name."""
    if not image.startswith(("data:", "http://", "https://")):
        raise EncodingError("picture-reference", "The image must be a data: URI or an http(s) URL.")
    async with PictureFetcher(allowed=gateway.settings.image_hosts) as fetcher:
        return await fetcher.fetch(image)
