"""A small HTTP server that tells how a worker or trainer is: `/healthz`, `/readyz`, `/metrics`."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from recsys.errors import ConfigError
from streams.settings import Settings

logger = logging.getLogger(__name__)


@asynccontextmanager
async def status_server(
    settings: Settings, is_ready: Callable[[], bool], registry: CollectorRegistry = REGISTRY
) -> AsyncIterator[int | None]:
    """Answer on `FRESHET_STATUS_PORT` for as long as the block lasts; yields the port, None where no port is set.

    `/readyz` is 503 until `is_ready`. Nothing here names a user or a product, so there is no key; keep the port
    inside the cluster all the same. Raises ConfigError when the port is taken.
    """
    if settings.status_port is None:
        yield None
        return
    runner = web.AppRunner(_app(is_ready, registry), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.status_port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"The status port {settings.status_port} on {settings.host} cannot be opened ({error.strerror}): "
                f"set FRESHET_STATUS_PORT to another."
            ) from error
        port: int = runner.addresses[0][1]
        logger.info("Status is at http://%s:%d/readyz.", settings.host, port)
        yield port
    finally:
        await runner.cleanup()


def _app(is_ready: Callable[[], bool], registry: CollectorRegistry) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        ready = is_ready()
        return web.json_response({"status": "ready" if ready else "not ready"}, status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
