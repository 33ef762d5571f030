"""The web shop at `/` and the pictures that products name by path."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from gateway.problems import ProblemError
from gateway.state import Gateway

router = APIRouter(include_in_schema=False)
STATIC = Path(str(files("gateway").joinpath("static")))
PICTURE_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


@router.get("/")
async def shop() -> FileResponse:
    return FileResponse(STATIC / "index.html")


@router.get("/media/{path:path}")
async def media(request: Request, path: str) -> Response:
    """A picture below FRESHET_MEDIA_DIR."""
    gateway: Gateway = request.app.state.gateway
    folder = gateway.settings.media_dir
    if folder is not None:
        root = folder.resolve()
        file = (root / path).resolve()
        kind = PICTURE_TYPES.get(file.suffix.lower())
        if kind and file.is_relative_to(root) and file.is_file():
            return FileResponse(file, media_type=kind, headers={"Cache-Control": "max-age=3600"})
    raise ProblemError(404, "not-found", "There is no such picture.")


def mount_static(app: FastAPI) -> None:
    """Serve the page's own files."""
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
