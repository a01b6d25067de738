"""The board's own files: read once at start, served as they are. Nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources

from fastapi import APIRouter
from starlette.responses import Response

FILES = {
    "/": ("index.html", "text/html"),
    "/console/board.js": ("board.js", "text/javascript"),
    "/console/board.css": ("board.css", "text/css"),
}


def pages() -> APIRouter:
    """Routes of the page."""
    router = APIRouter(include_in_schema=False)
    for path, (name, kind) in FILES.items():
        text = resources.files("bridge.desk").joinpath("console", name).read_bytes()
        router.add_api_route(path, _serve(text, f"{kind}; charset=utf-8"), methods=["GET"])
    return router


def _serve(text: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def file() -> Response:
        return Response(text, headers={"Content-Type": kind})

    return file
