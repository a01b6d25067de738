"""What every request passes before anything looks at it. Pure ASGI: no task, no copy of responses.

Host and Origin are on a list, bodies are small, JSON, and here in time, and answers carry headers
that keep browsers from doing anything but show our own pages.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, MutableMapping
from typing import Any

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.desk.problems import MEDIA_TYPE, Problem, document, status_of
from bridge.domain.attachment import MAX_BYTES, MAX_FILES

_log = structlog.get_logger(__name__)

MAX_BODY = 64 * 1024
BODY_SECONDS = 10.0
MAX_UPLOAD = MAX_FILES * MAX_BYTES + MAX_BODY
UPLOAD_SECONDS = 120.0
"""Of a telephone with a thin line."""
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
UPLOADS = (
    (b"multipart/form-data", re.compile(r"/unit/orders/[^/]{1,64}/say"), MAX_UPLOAD),
    (b"application/octet-stream", re.compile(r"/api/v1/cases/[^/]{1,64}/attachments"), MAX_BYTES),
)
"""What is not read before anybody knows who sends it: type, place, most octets."""
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Guard:
    """Middleware around the whole application. `hosts` without port, `origins` exactly as sent."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._headers = _headers(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        headers = _lower(scope)
        try:
            self._check_host(headers)
            if scope["method"] in UNSAFE:
                self._check_origin(headers)
                most = _upload(headers, scope["path"])
                receive = (
                    _bounded(headers, receive, most)
                    if most
                    else await _whole_body(headers, receive, _kind_of(scope["path"]))
                )
        except Problem as problem:
            _tell(problem, scope)
            await problem_response(problem)(scope, receive, dressed)
            return
        await self._app(scope, receive, dressed)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _lower(scope)
        try:
            self._check_host(headers)
            self._check_origin(headers)
            if b"origin" not in headers and b"authorization" not in headers:
                raise Problem("foreign-origin")
        except Problem as problem:
            _tell(problem, scope)
            await receive()
            await deny(problem, send)
            return
        await self._app(scope, receive, send)

    def _check_host(self, headers: Mapping[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host[: host.rfind(":")] if host.rpartition(":")[2].isdecimal() else host
        if name.strip("[]") not in self._hosts:
            raise Problem("bad-host")

    def _check_origin(self, headers: Mapping[bytes, bytes]) -> None:
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") not in self._origins:
            raise Problem("foreign-origin")


def problem_response(problem: Problem) -> JSONResponse:
    """A refusal at the door as an answer."""
    headers = {"WWW-Authenticate": "Bearer"} if problem.code == "no-token" else None
    return JSONResponse(
        document(problem), status_of(problem), media_type=MEDIA_TYPE, headers=headers
    )


async def deny(problem: Problem, send: Send) -> None:
    """Refuse a WebSocket before it is one."""
    response = problem_response(problem)
    await send(
        {
            "type": "websocket.http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})


def _kind_of(path: str) -> bytes:
    """What bodies are: forms on the unit's pages and behind links, JSON everywhere else."""
    return FORM if path.startswith(("/unit/", "/ack/")) else JSON


def _upload(headers: Mapping[bytes, bytes], path: str) -> int:
    """The most octets of a body that its route reads piece by piece; 0 for any other."""
    kind = _type(headers)
    found = (most for wanted, place, most in UPLOADS if wanted == kind and place.fullmatch(path))
    return next(found, 0)


def _bounded(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> Receive:
    """The body as it comes, at most so many octets in UPLOAD_SECONDS. Raises Problem, at once or
    where it is read."""
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 9 or int(length) > most:
        raise Problem("too-large")
    loop = asyncio.get_running_loop()
    left, ends = most, loop.time() + UPLOAD_SECONDS

    async def bounded() -> Message:
        nonlocal left
        try:
            async with asyncio.timeout_at(ends):
                message = await receive()
        except TimeoutError as error:
            raise Problem("too-late") from error
        left -= len(message.get("body", b""))
        if left < 0:
            raise Problem("too-large")
        return message

    return bounded


def _type(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


async def _whole_body(headers: Mapping[bytes, bytes], receive: Receive, wanted: bytes) -> Receive:
    """Read the body, at most MAX_BODY in BODY_SECONDS; gives what replays it. Raises Problem."""
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 9 or int(length) > MAX_BODY:
        raise Problem("too-large")
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    break
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > MAX_BODY:
                    raise Problem("too-large")
    except TimeoutError as error:
        raise Problem("too-late") from error
    if body and _type(headers) != wanted:
        raise Problem("not-json")
    left: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body}]

    async def replay() -> Message:
        return left.pop() if left else await receive()

    return replay


def _headers(origins: Collection[str]) -> list[tuple[bytes, bytes]]:
    sockets = ["ws" + origin.removeprefix("http") for origin in sorted(origins)]
    connect = " ".join(["'self'", *sockets])
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; font-src 'self'; base-uri 'none'; form-action 'self'; "
        f"frame-ancestors 'none'; connect-src {connect}"
    )
    return [
        (b"content-security-policy", policy.encode("latin-1")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"permissions-policy", b"microphone=(self), camera=(), geolocation=()"),
        (b"cache-control", b"no-store"),
    ]


def _lower(scope: Scope) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in scope["headers"]}


def _tell(problem: Problem, scope: Scope) -> None:
    client = (scope.get("client") or ("", 0))[0]
    _log.warning("desk.refused", code=problem.code, client=client, path=scope["path"][:200])
