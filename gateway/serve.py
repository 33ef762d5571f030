"""A gateway as a process, or as a part of one."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gateway.app import make_app
from gateway.front import Front
from gateway.state import Gateway
from recsys.errors import ConfigError
from streams.log.embedded import EmbeddedLog
from streams.policy import recommend_policy
from streams.processes import Outside, outside
from streams.settings import Settings
from streams.shared_views import SharedViews
from streams.until_stopped import run_until_stopped, running

logger = logging.getLogger(__name__)


def run_gateway(settings: Settings) -> int:
    """Serve until told to stop; returns the exit code."""
    return run_until_stopped(lambda stop: _serve(settings, stop))


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    front = Front()
    with open_socket(settings) as listening:
        answering = asyncio.create_task(answer(front, listening, stop))
        try:
            async with outside(settings) as parts:
                views = SharedViews(settings, parts.log, recommend_policy(settings), "gateway")
                gateway = Gateway(settings, parts.log, parts.store, views)
                async with running(views.run(), *background(gateway)):
                    announce(parts, listening)
                    front.app = make_app(gateway)
                    # Until the last request is answered, which needs what closes below.
                    await answering
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


def background(gateway: Gateway) -> tuple[Coroutine[Any, Any, None], ...]:
    """What a gateway does beside answering."""
    return (
        gateway.changes.run(),
        gateway.load_encoders(),
        gateway.keep_index(),
        gateway.reach.run(),
        gateway.wholeness.run(),
    )


def open_socket(settings: Settings) -> socket.socket:
    """Listen where the settings say, before anything else is started; ConfigError when the port is taken."""
    try:
        return socket.create_server((settings.host, settings.port), backlog=512)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            f"Stop what uses it, or set FRESHET_PORT to another (0 takes a free one)."
        ) from error


async def serve(gateway: Gateway, parts: Outside, listening: socket.socket, stop: asyncio.Event) -> None:
    """Answer requests on a listening socket until `stop` is set."""
    announce(parts, listening)
    await answer(make_app(gateway), listening, stop)


def announce(parts: Outside, listening: socket.socket) -> None:
    """Tell other commands where the holder of an embedded log answers."""
    if isinstance(parts.log, EmbeddedLog):
        parts.log.announce(*listening.getsockname()[:2])


async def answer(app: ASGIApp, listening: socket.socket, stop: asyncio.Event) -> None:
    """Run an application on a listening socket until `stop` is set."""
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=5, access_log=False)
    server = uvicorn.Server(config)
    # The process has one owner of its signals, and it is not uvicorn.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    serving = asyncio.create_task(server.serve([listening]))
    logger.info("Listening on http://%s:%d", *listening.getsockname()[:2])
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
