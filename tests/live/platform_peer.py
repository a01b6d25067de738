"""A reference peer: another desk's platform, written from the published contract alone.

It imports nothing of bridge110. `python -m tests.live.platform_peer PORT KEYFILE` runs it by hand.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_BODY = 64 * 1024


@dataclass
class Arrived:
    """One post as it came, at which second of the clocks of this machine."""

    id: str
    at: float
    monotonic: float
    document: dict[str, Any]


@dataclass
class PlatformPeer:
    """Takes signed documents and remembers them. `answer`: a status to give instead of 200;
    `hold`: seconds before it answers; `skew`: seconds that its clock is off."""

    key: bytes
    arrived: list[Arrived] = field(default_factory=list)
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)
    answer: int = 200
    hold: float = 0.0
    skew: float = 0.0
    port: int = 0
    _server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/platform/110"

    def now(self) -> float:
        return time.time() + self.skew

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """HTTP/1.1, one request after the other."""
        try:
            while request := await _request(reader):
                path, headers, body = request
                status, said = await self._take(path, headers, body)
                data = json.dumps(said).encode()
                head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n"
                writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _take(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, Any]]:
        at, monotonic = time.time(), time.monotonic()
        await asyncio.sleep(self.hold)
        ident, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "0")
        if not path.endswith("/cases") or headers.get("webhook-signature") != self._sign(
            ident, stamp, body
        ):
            self.refused.append(401)
            return 401, {"code": "signature"}
        if abs(int(stamp) - self.now()) > 300:
            self.refused.append(401)
            now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(self.now()))
            return 401, {"code": "clock", "now": now}
        if ident in self.answers:
            return self.answers[ident]
        if self.answer != 200:
            self.refused.append(self.answer)
            return self.answer, {"code": "not-now"}
        document = json.loads(body)
        self.arrived.append(Arrived(ident, at, monotonic, document))
        self.cases[document["case"]] = document
        self.answers[ident] = (200, {"taken": True, "n": len(self.arrived)})
        return self.answers[ident]

    def _sign(self, ident: str, stamp: str, body: bytes) -> str:
        material = ident.encode() + b"." + stamp.encode() + b"." + body
        return (
            "v1," + base64.b64encode(hmac.new(self.key, material, hashlib.sha256).digest()).decode()
        )

    async def send(
        self, url: str, document: dict[str, Any], ident: str = "", stamp: int | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Post a document to a desk; its status and answer."""
        return await asyncio.to_thread(self._send, url, document, ident, stamp)

    def _send(
        self, url: str, document: dict[str, Any], ident: str, stamp: int | None
    ) -> tuple[int, dict[str, Any]]:
        body = json.dumps(document).encode()
        ident = ident or f"peer-{uuid.uuid4()}"
        seconds = str(int(self.now()) if stamp is None else stamp)
        request = urllib.request.Request(f"{url}/cases", data=body, method="POST")
        request.add_header("Content-Type", "application/json")
        request.add_header("Webhook-Id", ident)
        request.add_header("Webhook-Timestamp", seconds)
        request.add_header("Webhook-Signature", self._sign(ident, seconds, body))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")


async def _request(
    reader: asyncio.StreamReader,
) -> tuple[str, dict[str, str], bytes] | None:
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    length = int(headers.get("content-length", "0"))
    if length > MAX_BODY:
        return None
    return first.split(" ")[1], headers, await reader.readexactly(length)


async def main(port: int, key: bytes) -> None:
    peer = PlatformPeer(key)
    await peer.start(port)
    print(peer.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes().strip()))
