"""Who watches the wires of a laboratory without being part of anything: packets, and a post office.

What they have not seen has not been sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bridge.lab.ports import HOST
from tests.channels.mail_kit import SENDER, PostOffice, certificate, server_tls, smtp_server

_IPV4: Final = 0x0800
_UDP: Final = 17
_OUTGOING: Final = 4
"""PACKET_OUTGOING of packet(7): loopback shows every packet twice."""


@dataclass
class SipWatch:
    """INVITEs that left one UDP port of loopback: when, and to which address."""

    port: int
    invites: list[tuple[float, str, str]] = field(default_factory=list)
    """Monotonic second, request URI, Call-ID; a repeat of the same INVITE is none."""

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[SipWatch]:
        """Needs the right to raw sockets. Raises PermissionError without it."""
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))
        tap.setblocking(False)
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        tap.bind(("lo", _IPV4))
        loop = asyncio.get_running_loop()
        loop.add_reader(tap.fileno(), self._read, tap)
        try:
            yield self
        finally:
            loop.remove_reader(tap.fileno())
            tap.close()

    def _read(self, tap: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(256):
                packet, address = tap.recvfrom(65535)
                if address[2] != _OUTGOING:
                    self._take(packet)

    def _take(self, packet: bytes) -> None:
        begins = 4 * (packet[0] & 0x0F)
        if packet[9] != _UDP or struct.unpack_from(">H", packet, begins)[0] != self.port:
            return
        data = packet[begins + 8 :]
        uri = re.match(rb"INVITE (\S+) SIP/2\.0\r\n", data)
        call = re.search(rb"\r\nCall-ID: *([^\r]+)\r\n", data, re.IGNORECASE)
        if uri is None or call is None:
            return
        ident = call[1].decode("latin-1")
        if all(known != ident for _, _, known in self.invites):
            self.invites.append((time.monotonic(), uri[1].decode("latin-1"), ident))


@contextlib.asynccontextmanager
async def watched_mail(directory: Path, office: PostOffice) -> AsyncIterator[str]:
    """A post office with TLS; gives the settings of a daemon that sends through it."""
    cert, key = await asyncio.to_thread(certificate, directory)
    link = directory / "mail-link-key"
    link.write_text("k" * 40)
    link.chmod(0o600)
    more: dict[str, Any] = {"ssl_context": server_tls(cert, key)}
    async with smtp_server(office, **more) as port:
        keys = {
            "host": HOST,
            "port": port,
            "encryption": "tls",
            "sender": SENDER,
            "link_key_file": str(link),
            "ca_file": str(cert),
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in keys.items()]
        yield "\n".join(["", "[mail]", *lines, ""])
