"""Products out: one, those like it, and what is popular."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from gateway.access import READ
from gateway.paths import ITEM_ID
from gateway.problems import ProblemError, described
from gateway.state import Gateway
from recsys.events import Product
from recsys.filters import Filter
from recsys.history import UserState
from recsys.together import complements
from streams.wire.limits import check_id
from streams.wire.product import encode_product

router = APIRouter(tags=["items"], dependencies=[READ], responses=described(401, 403, 422, 503))
UNKNOWN = described(404)
N = Annotated[int, Query(ge=1, le=100)]


@router.get(f"/v1/items/{ITEM_ID}/similar", responses=UNKNOWN)
async def similar_items(
    request: Request, item_id: str, n: N = 10, kind: Literal["similar", "complement"] = "similar"
) -> dict[str, Any]:
    """Products like this one in pictures, words and company; `complement`: what goes with it, other kinds first."""
    gateway: Gateway = request.app.state.gateway
    _known(gateway, item_id)
    if kind == "complement":
        hits = complements(item_id, n, gateway.views.now(), gateway.views.catalogue)
    else:
        hits = await gateway.like(item_id, n)
    return {"items": [msgspec.to_builtins(hit) for hit in hits]}


@router.get(f"/v1/items/{ITEM_ID}", responses=UNKNOWN)
async def item(request: Request, item_id: str) -> Response:
    """One product; 404 for one that is unknown, deleted or hidden."""
    gateway: Gateway = request.app.state.gateway
    return Response(encode_product(_known(gateway, item_id)), media_type="application/json")


@router.get("/v1/trending")
async def trending(
    request: Request,
    n: N = 10,
    category: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006
) -> dict[str, Any]:
    """What is popular now, the newest products where nothing is yet."""
    gateway: Gateway = request.app.state.gateway
    allow = Filter(category=tuple(category)) if category else None
    made = gateway.make("", UserState(), n, allow)
    return {"items": [msgspec.to_builtins(item) for item in made.items]}


def _known(gateway: Gateway, item_id: str) -> Product:
    check_id("item_id", item_id)
    product = gateway.views.catalogue.get(item_id)
    if product is None or not product.available:
        raise ProblemError(404, "unknown-item", "There is no such product, or it is hidden.")
    return product
