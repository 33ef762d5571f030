"""What answers at the port: until the gateway is there, that it lives and is not ready; then the gateway."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.problems import problem


async def starting(scope: Scope, receive: Receive, send: Send) -> None:
    """The application of a gateway that still waits for its broker or Redis."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/healthz":
        await JSONResponse({"status": "ok"})(scope, receive, send)
        return
    detail = "The gateway waits for its broker and Redis; its log says for which."
    await problem(503, "starting", detail, ready=False)(scope, receive, send)


class Front:
    """An application that can be put in the place of another while requests come."""

    def __init__(self) -> None:
        self.app: ASGIApp = starting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
