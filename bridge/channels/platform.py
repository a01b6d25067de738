"""The link to another platform over HTTP: signed posts out, a door for signed posts in."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from bridge.domain.attachment import MAX_BYTES as MAX_FILE
from bridge.domain.attachment import media_of
from bridge.domain.errors import Refused
from bridge.domain.journal import Json, iso, parse_iso
from bridge.domain.peer import Answered
from bridge.domain.shared_case import Attachment, SharedCase, from_doc
from bridge.flows.outbox import NotDelivered
from bridge.flows.ports import Claimed, FileMissing, StoreError
from bridge.wire.case_document import MAX_BYTES, DocumentError, decode, encode
from bridge.wire.case_schema import case_schema
from bridge.wire.webhook import ClockError, SignatureError, headers, verify

_log = structlog.get_logger(__name__)

POST_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 2.0
FILE_SECONDS: Final = 60.0
"""For one file of a shared case, however slowly it comes."""
MAX_ANSWER: Final = 64 * 1024
USER_TIMEOUT_MS: Final = 8_000
"""TCP_USER_TIMEOUT: a peer that acknowledges nothing for so long is gone (guard rule 11)."""
PREFIX: Final = "/platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformAccess:
    """How a platform is reached and known. The first key signs; all of them are accepted."""

    peer: str
    url: str
    keys: Sequence[bytes] = field(repr=False)
    ca_file: Path | None = None


Delivered = Callable[[str, str, str, datetime], Awaitable[None]]


class PlatformClient:
    """Posts case documents to one platform."""

    def __init__(
        self, access: PlatformAccess, delivered: Delivered, now: Callable[[], datetime]
    ) -> None:
        """Raises OSError where the CA's file cannot be used."""
        import httpx  # a tenth of every start: paid only by a daemon with platforms

        ca_file = str(access.ca_file) if access.ca_file is not None else None
        tls = ssl.create_default_context(cafile=ca_file)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._access = access
        self._delivered = delivered
        self._now = now
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(POST_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            transport=httpx.AsyncHTTPTransport(
                verify=tls,
                limits=httpx.Limits(max_connections=4, keepalive_expiry=60.0),
                socket_options=[
                    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS),
                    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
                ],
            ),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, message: Claimed) -> None:
        """Post one message of the outbox. Raises NotDelivered."""
        body: Mapping[str, Any] = message.body
        data = encode(from_doc(body["doc"]))
        if len(data) > MAX_BYTES:
            raise NotDelivered(f"the document has {len(data)} bytes", refused=True)
        sent = headers(self._access.keys[0], message.key, self._now(), data)
        status, said = await self._post(data, sent)
        if status != 200:
            refused = not _comes_back(status)
            raise NotDelivered(_refusal(status, said, self._now()), refused=refused)
        await self._delivered(
            self._access.peer, body["case"], body["digest"], parse_iso(body["since"])
        )

    def has(self, url: str) -> bool:
        """Whether that is an address of this platform: nothing is fetched from elsewhere."""
        try:
            return urlsplit(url)[:2] == urlsplit(self._access.url)[:2]
        except ValueError:
            return False

    async def fetch(self, wanted: Attachment) -> bytes:
        """A file that a document of that platform names. Raises NotDelivered."""
        import httpx

        signed = headers(self._access.keys[0], file_id(wanted.sha256), self._now(), b"")
        try:
            async with (
                asyncio.timeout(FILE_SECONDS),
                self._http.stream("GET", wanted.url, headers=signed) as answer,
            ):
                if answer.status_code != 200:
                    refused = not _comes_back(answer.status_code)
                    raise NotDelivered(f"status {answer.status_code}", refused=refused)
                got = bytearray()
                async for part in answer.aiter_bytes():
                    got += part
                    if len(got) > MAX_FILE:
                        raise NotDelivered("the file is too large", refused=True)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            raise NotDelivered(f"{type(error).__name__}: {error}"[:300]) from error
        return bytes(got)

    async def _post(self, data: bytes, sent: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        import httpx

        url = f"{self._access.url.rstrip('/')}/cases"
        typed = {"Content-Type": "application/json", **sent}
        try:
            async with self._http.stream("POST", url, content=data, headers=typed) as answer:
                got = b""
                async for part in answer.aiter_bytes():
                    got += part
                    if len(got) > MAX_ANSWER:
                        raise NotDelivered("the answer is too large")
        except httpx.HTTPError as error:
            words = f"{type(error).__name__}: {error}"
            raise NotDelivered(words[:300]) from error
        try:
            said = json.loads(got)
        except ValueError:
            said = None
        return answer.status_code, said if isinstance(said, dict) else {}


def file_id(sha256: str) -> str:
    """The signed id of a request for that file: a signature is good for no other one."""
    return f"file-{sha256}"


def _comes_back(status: int) -> bool:
    """Whether the same post may be taken later without anybody's doing."""
    return status >= 500 or status in (401, 408, 425, 429)


def _refusal(status: int, said: Mapping[str, Any], now: datetime) -> str:
    """Words for the desk: a wrong clock is the fault that nobody thinks of."""
    code = str(said.get("code", ""))[:60]
    their = said.get("now")
    if status == 401 and isinstance(their, str):
        try:
            differs = (datetime.fromisoformat(their) - now).total_seconds()
        except (ValueError, TypeError):
            return f"401 {code}"
        return f"401 {code}: 对方时钟相差 {differs:.0f} 秒 / their clock differs by {differs:.0f} s"
    return f"{status} {code}"


class Receiver(Protocol):
    """Takes in what a platform sent (`flows.peers.Peers`)."""

    def __call__(
        self, peer: str, key: str, case: SharedCase, body_hash: str, signed_at: datetime
    ) -> Awaitable[Answered]: ...


def files_door(
    accesses: Mapping[str, PlatformAccess],
    read: Callable[[str, str], Awaitable[bytes]],
    now: Callable[[], datetime],
) -> APIRouter:
    """Files of shared cases, for the platform that signs. `read(peer, name)` raises FileMissing,
    also for a file of a case that is not shared with that platform."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)

    @router.get("/files/{name}")
    async def fetched(request: Request, name: str) -> Response:
        for peer, access in accesses.items():
            try:
                signed = verify(dict(request.headers), b"", access.keys, now())
            except ClockError:
                return _no("clock", 401, {"now": iso(now())})
            except SignatureError:
                continue
            if signed.id != file_id(name.partition(".")[0]):
                break
            try:
                return Response(await read(peer, name), media_type=media_of(name))
            except FileMissing:
                return _no("not-found", 404)
        return _no("signature", 401)

    return router


def platform_door(
    accesses: Mapping[str, PlatformAccess], receive: Receiver, now: Callable[[], datetime]
) -> APIRouter:
    """The routes for other platforms; they know no token, only signatures."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    schema = case_schema()

    @router.get("/schema/case-1.json")
    async def published() -> JSONResponse:
        return JSONResponse(schema, media_type="application/schema+json")

    @router.post("/{peer}/cases")
    async def take_in(request: Request, peer: str) -> JSONResponse:
        body = await request.body()
        access = accesses.get(peer)
        keys = access.keys if access is not None else ()
        try:
            signed = verify(dict(request.headers), body, keys, now())
        except ClockError:
            _log.warning("platform.clock", peer=peer)
            return _no("clock", 401, {"now": iso(now())})
        except SignatureError:
            _log.warning("platform.unsigned", peer=peer[:16])
            return _no("signature", 401)
        try:
            case = decode(body, peer=peer)
            body_hash = hashlib.sha256(body).hexdigest()
            at = datetime.fromtimestamp(signed.at, UTC)
            answer = await receive(peer, signed.id, case, body_hash, at)
        except DocumentError as error:
            _log.warning("platform.document", peer=peer, place=error.place)
            return _no("document", 422, {"place": error.place, "words": str(error)})
        except Refused as error:
            return _no(error.code, 409)
        except StoreError as error:
            _log.error("platform.not_stored", peer=peer, reason=str(error))
            return _no("store-cannot-write", 503)
        return JSONResponse(dict(answer.body), 200)

    return router


def _no(code: str, status: int, more: Mapping[str, Json] | None = None) -> JSONResponse:
    return JSONResponse({"code": code, **(more or {})}, status)
