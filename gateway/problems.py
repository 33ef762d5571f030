"""Errors as RFC 9457 problem details, made in one place."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from recsys.errors import EncodingError, EventError, LogFailedError, RecsysError, UnavailableError

TOO_LARGE = frozenset({"too-large", "picture-too-large"})
"""Reasons that HTTP has a status of its own for, 413."""
logger = logging.getLogger(__name__)
RETRY_AFTER_S = "2"
PROBLEM_TYPE = "application/problem+json"

_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "code")},
        "status": {"type": "integer"},
    },
}
_DESCRIPTIONS = {
    401: "No API key came with the request, or one that is not known here.",
    403: "The API key's role may not do this.",
    404: "There is no such product, or it is hidden.",
    413: "The body, a message or a picture is too large.",
    415: "The body is not of a type that is understood here, or compressed.",
    422: "What was sent cannot be used; `detail` says why.",
    503: "The broker, Redis or a network is not there now; nothing is lost, ask again.",
}


_SENTENCES = {
    404: "There is nothing at this address; /openapi.json describes every route.",
    405: "This address does not take {method}; /openapi.json describes every route.",
}
"""For what the router itself refuses."""


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI for the problems that a route may answer with."""
    content = {PROBLEM_TYPE: {"schema": _SCHEMA}}
    return {status: {"description": _DESCRIPTIONS[status], "content": content} for status in statuses}


class ProblemError(Exception):
    """An answer that is no success: `status`, a stable `code` and one sentence."""

    def __init__(self, status: int, code: str, detail: str, **members: Any) -> None:
        self.status, self.code, self.detail, self.members = status, code, detail, members
        super().__init__(detail)


def problem(status: int, code: str, detail: str, **members: Any) -> JSONResponse:
    """A problem-details response (RFC 9457, section 3); `members` are extensions."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, "code": code}
    headers = {"Retry-After": RETRY_AFTER_S} if status in (429, 503) else None
    return JSONResponse(body | members, status, headers, media_type=PROBLEM_TYPE)


def install(app: FastAPI) -> None:
    """Turn every error into problem details."""

    @app.exception_handler(ProblemError)
    async def on_problem(request: Request, error: ProblemError) -> JSONResponse:
        return problem(error.status, error.code, error.detail, **error.members)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        detail = _SENTENCES.get(error.status_code, str(error.detail))
        answer = problem(error.status_code, code, detail.format(method=request.method))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        return problem(422, "invalid-request", "; ".join(faults)[:1000])

    @app.exception_handler(RecsysError)
    async def on_ours(request: Request, error: RecsysError) -> JSONResponse:
        if isinstance(error, EventError | EncodingError):
            return problem(413 if error.reason in TOO_LARGE else 422, error.reason, error.text)
        if isinstance(error, UnavailableError):
            return problem(503, "unavailable", str(error))
        if isinstance(error, LogFailedError):  # told by whoever ends the process for it, with the way of the file
            return problem(503, "unavailable", "The disk takes nothing now. What was answered 202 is kept; ask again.")
        logger.error("%s %s: %s", request.method, request.url.path, error)
        return problem(500, "internal-error", "Something of ours is wrong; the log of the gateway says what.")

    @app.exception_handler(Exception)
    async def on_other(request: Request, error: Exception) -> JSONResponse:
        logger.exception("%s %s", request.method, request.url.path, exc_info=error)
        return problem(500, "internal-error", "Something of ours is wrong; the log of the gateway says what.")
