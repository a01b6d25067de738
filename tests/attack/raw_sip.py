"""A telephone without manners: INVITEs with any bytes anywhere, many at once, from one socket.

The laboratory's own telephones refuse to write a line break into a header; an attacker does not.
Each call is answered or refused by Asterisk; an answered one is held for a moment and hung up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

HOST: Final = "127.0.0.1"
HOLD_S: Final = 1.0
"""How long an answered call stays."""
RESEND_S: Final = 0.5
GIVE_UP_S: Final = 2.0
"""An INVITE that nothing comes back for was no SIP to Asterisk; what comes later is hung up."""


@dataclass
class RawCall:
    """One INVITE and what became of it."""

    name: str
    target: bytes
    sender: bytes
    extra: bytes = b""
    status: int = 0
    """Final status; 0 where there was none."""
    to: bytes = b""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: bool = False
    hold_s: float = HOLD_S
    """How long it stays once it is answered."""


class RawPhone(asyncio.DatagramProtocol):
    """One UDP socket, calls told apart by Call-ID."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._calls: dict[bytes, RawCall] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._port = transport.get_extra_info("sockname")[1]

    async def place(self, calls: Sequence[RawCall]) -> None:
        """Make all calls at once and see each to its end."""
        async with asyncio.TaskGroup() as tasks:
            for number, call in enumerate(calls):
                tasks.create_task(self._whole(call, f"{call.name}-{number}-{self._port}".encode()))

    async def _whole(self, call: RawCall, ident: bytes) -> None:
        self._calls[ident] = call
        waited = 0.0
        while not call.ended.is_set() and waited < GIVE_UP_S:
            self._send(self._request(b"INVITE", call, ident, b"1 INVITE", _sdp()))
            try:
                async with asyncio.timeout(RESEND_S):
                    await call.ended.wait()
            except TimeoutError:
                waited += RESEND_S
        if call.status == 200:
            await asyncio.sleep(call.hold_s)
            self._send(self._request(b"BYE", call, ident, b"2 BYE"))
        elif not call.status:
            call.given_up = True
            self._send(self._request(b"CANCEL", call, ident, b"1 CANCEL"))

    def _request(
        self, method: bytes, call: RawCall, ident: bytes, sequence: bytes, body: bytes = b""
    ) -> bytes:
        host = f"{HOST}:{self._port}".encode()
        lines = [
            b"%s %s SIP/2.0" % (method, call.target),
            b"Via: SIP/2.0/UDP %s;rport;branch=z9hG4bK%s%s" % (host, sequence[:1], ident),
            b"Max-Forwards: 70",
            b"From: %s;tag=a" % call.sender,
            b"To: " + (call.to or b"<%s>" % call.target),
            b"Call-ID: " + ident,
            b"CSeq: " + sequence,
            b"Contact: <sip:raw@%s>" % host,
        ]
        if body:
            lines.append(b"Content-Type: application/sdp")
        if call.extra:
            lines.append(call.extra)
        lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def _send(self, data: bytes) -> None:
        assert self._transport is not None
        if len(data) < 60_000:
            self._transport.sendto(data, self._server)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        status = re.match(rb"SIP/2\.0 (\d{3})", data)
        if status is None:
            self._answer(data)
            return
        found = re.search(rb"\r\nCall-ID: *([^\r]+)\r\n", data, re.IGNORECASE)
        call = self._calls.get(found[1]) if found else None
        code = int(status[1])
        if call is None or found is None or code < 200 or b" INVITE" not in data:
            return
        to = re.search(rb"\r\nTo: *([^\r]+)\r\n", data, re.IGNORECASE)
        call.to = to[1] if to else b""
        self._send(self._request(b"ACK", call, found[1], b"1 ACK"))
        if call.given_up and code == 200:
            self._send(self._request(b"BYE", call, found[1], b"2 BYE"))
        if not call.status:
            call.status = code
            call.ended.set()

    def _answer(self, request: bytes) -> None:
        """200 to whatever Asterisk asks: BYE, OPTIONS."""
        if request.startswith(b"ACK "):
            return
        head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        kept = [line for line in head if re.match(rb"(Via|From|To|Call-ID|CSeq):", line, re.I)]
        answer = [b"SIP/2.0 200 OK", *kept, b"Content-Length: 0"]
        self._send(b"\r\n".join(answer) + b"\r\n\r\n")


def _sdp() -> bytes:
    return (
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        b"m=audio 9 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )


async def raw_phone(server: tuple[str, int]) -> RawPhone:
    """A socket of its own."""
    loop = asyncio.get_running_loop()
    _, phone = await loop.create_datagram_endpoint(lambda: RawPhone(server), local_addr=(HOST, 0))
    return phone


def percent(raw: bytes) -> bytes:
    """Every byte as SIP's `%xx`: it gets through any parser and is the byte again behind it."""
    return b"".join(b"%%%02x" % byte for byte in raw)


def quoted(raw: bytes) -> bytes:
    """As a display name between quotes, as RFC 3261 wants quotes and backslashes written."""
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
