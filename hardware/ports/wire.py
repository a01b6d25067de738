"""Messages between the daemon and the port process: a length of four octets, then JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

MAX_MESSAGE: Final = 8 << 20
"""Octets of one message; the longest are documents to be faxed, and pages that came."""
MAX_QUESTION: Final = 64 << 10
"""Octets of a message from who has not said that it is the owner."""
VERSION: Final = 1

Body = dict[str, Any]


class PortsProtocolError(ValueError):
    """The other side does not speak this protocol: the connection is given up."""


def encode(body: Body) -> bytes:
    """The octets of a message. Raises PortsProtocolError for one above the limit."""
    data = json.dumps(body, separators=(",", ":")).encode()
    if len(data) > MAX_MESSAGE:
        raise PortsProtocolError(f"a message of {len(data)} octets")
    return len(data).to_bytes(4, "big") + data


class Decoder:
    """Cuts the stream of one connection into messages."""

    def __init__(self, limit: int = MAX_MESSAGE) -> None:
        self.limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Body]:
        """The messages these octets complete, one by one: `limit` may be raised by what the first
        one says. Raises PortsProtocolError."""
        self._buffer += data
        while len(self._buffer) >= 4:
            size = int.from_bytes(self._buffer[:4], "big")
            if size > self.limit:
                raise PortsProtocolError(f"a message of {size} octets")
            if len(self._buffer) < 4 + size:
                break
            raw = bytes(self._buffer[4 : 4 + size])
            del self._buffer[: 4 + size]
            try:
                body = json.loads(raw)
            except (ValueError, RecursionError) as error:
                raise PortsProtocolError(f"not JSON: {raw[:40]!r}") from error
            if not isinstance(body, dict) or not isinstance(body.get("type"), str):
                raise PortsProtocolError("not an object with a type")
            yield body
