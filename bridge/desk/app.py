"""The application of the desk: routes, refusals, and the guard around all of it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from bridge.desk.attachments import attachments
from bridge.desk.bodies import faults
from bridge.desk.cases_rest import cases
from bridge.desk.contract import asyncapi
from bridge.desk.cti import Cti
from bridge.desk.guard import Guard
from bridge.desk.orders_rest import orders
from bridge.desk.pages import pages
from bridge.desk.parts import Parts
from bridge.desk.problems import MEDIA_TYPE, Problem, document, status_of
from bridge.desk.reads import reads
from bridge.desk.rest import agents, services
from bridge.desk.shapes import ProblemDoc
from bridge.desk.unit_pages import unit_pages
from bridge.desk.unit_socket import UnitSocket
from bridge.domain.errors import Refused
from bridge.flows.ports import StoreError

_log = structlog.get_logger(__name__)

BEFORE_COMMANDS = frozenset({"no-token", "too-many", "key-missing"})
"""Refusals that no command has come to know of; commands log and journal their own."""


def create_app(
    parts: Parts,
    *,
    hosts: Collection[str],
    origins: Collection[str],
    more: Sequence[APIRouter] = (),
) -> ASGIApp:
    """Everything behind the port. `hosts`: names without port; `origins`: as browsers send them;
    `more`: routes of other parts."""
    app = FastAPI(
        title="bridge110 CTI",
        version="1.0.0",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    # looked through in this order: what a call-taker waits for comes first
    first = (services(), reads(), agents(), orders(), cases(), attachments())
    for router in (*first, unit_pages(), pages(), *more):
        app.include_router(router)
    events = asyncapi()
    app.add_api_route("/api/v1/openapi.json", _Contract(app).answer, include_in_schema=False)

    @app.get("/api/v1/asyncapi.json", include_in_schema=False)
    async def contract() -> JSONResponse:
        return JSONResponse(events)

    app.router.routes.append(WebSocketRoute("/cti", Cti(parts).connection))
    app.router.routes.append(WebSocketRoute("/unit/events", UnitSocket(parts).connection))
    for error, handler in _HANDLERS:
        app.add_exception_handler(error, handler)
    return Guard(app, hosts, origins)


class _Contract:
    """The REST contract. Made when somebody first asks for it, in a thread: it takes a third of a
    second of processor time, which a restart has not."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._making = threading.Lock()
        self._made: dict[str, Any] | None = None

    def answer(self) -> JSONResponse:
        """As FastAPI knows the routes; the shape of refusals is in it though no route names it
        as its model."""
        with self._making:
            if self._made is None:
                self._made = self._app.openapi()
                shapes = self._made["components"]["schemas"]
                shapes["ProblemDoc"] = ProblemDoc.model_json_schema()
            return JSONResponse(self._made)


def _shown(error: Problem | Refused) -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if error.code == "no-token" else None
    return JSONResponse(document(error), status_of(error), headers, MEDIA_TYPE)


def _tell(request: Request, code: str) -> None:
    client = request.client.host if request.client else ""
    _log.warning("desk.refused", code=code, client=client, path=request.url.path[:200])


async def _refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem | Refused)
    if request.method == "GET" or error.code in BEFORE_COMMANDS:
        _tell(request, error.code)
    return _shown(error)


async def _bad_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found: Sequence[Any] = error.errors()
    _tell(request, "bad-request")
    return _shown(Problem("bad-request", errors=faults(list(found))))


async def _no_route(_: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 400
    code = {404: "not-found", 405: "wrong-method"}.get(status, "bad-request")
    return _shown(Problem(code))


async def _store_away(request: Request, error: Exception) -> JSONResponse:
    """Something only to be read, and it cannot be: a command never comes here (desk/once.py)."""
    _log.error("desk.store_away", path=request.url.path[:200], reason=str(error))
    return _shown(Problem("store-away"))


async def _internal(_: Request, __: Exception) -> JSONResponse:
    return _shown(Problem("internal"))


_HANDLERS: Sequence[tuple[type[Exception], Any]] = (
    (Problem, _refusal),
    (Refused, _refusal),
    (RequestValidationError, _bad_request),
    (HTTPException, _no_route),
    (StoreError, _store_away),
    (Exception, _internal),
)
