"""The HTTP application: routes, errors, metrics."""

import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline

from gateway import problems
from gateway.routes import items, operations, pages, recommendations, search, writes
from gateway.state import Gateway

Next = Callable[[Request], Awaitable[Response]]
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' https: http: data: blob:; frame-ancestors 'none'",
}
DOCS = "/docs"
"""Swagger UI, which has its script in the page."""


def make_app(gateway: Gateway) -> FastAPI:
    """All routes over one gateway."""
    app: FastAPI = FastAPIOffline(
        redoc_url=None,
        title="Freshet",
        version=version("freshet"),
        summary="Recommendations that follow the click.",
    )
    app.state.gateway = gateway
    problems.install(app)
    for module in (writes, recommendations, items, search, operations, pages):
        app.include_router(module.router)
    pages.mount_static(app)

    @app.middleware("http")
    async def measured(request: Request, call_next: Next) -> Response:
        started = time.perf_counter()
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "other")
        gateway.metrics.requests.labels(route, str(response.status_code)).inc()
        gateway.metrics.seconds.labels(route).observe(time.perf_counter() - started)
        if not request.url.path.startswith(DOCS):
            response.headers.update(SECURITY_HEADERS)
        return response

    return app
