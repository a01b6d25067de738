"""Netstrings of JSON, baresip's control protocol (module ctrl_tcp). Pure."""

from __future__ import annotations

import json
from typing import Any, Final

MAX_LENGTH: Final = 65536
"""Longest message taken; baresip's own are below 4 kB."""
MAX_DIGITS: Final = len(str(MAX_LENGTH))


class NetstringError(ValueError):
    """The other side does not speak netstrings of JSON objects."""


def encode(message: dict[str, str]) -> bytes:
    """`12:{"a":"b"}...,`"""
    text = json.dumps(message).encode("ascii")
    return b"%d:%b," % (len(text), text)


class NetstringDecoder:
    """Cuts a byte stream into JSON objects. Keeps what is not complete yet, MAX_LENGTH at most."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that `data` completes. Raises NetstringError; the stream is lost then."""
        self._buffer += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> dict[str, Any] | None:
        head, colon, rest = self._buffer.partition(b":")
        if not colon:
            if len(head) > MAX_DIGITS or not (head == b"" or head.isdigit()):
                raise NetstringError(f"not a length: {head[:20]!r}")
            return None
        if not head.isdigit() or len(head) > MAX_DIGITS or int(head) > MAX_LENGTH:
            raise NetstringError(f"not a length up to {MAX_LENGTH}: {head[:20]!r}")
        length = int(head)
        if len(rest) <= length:
            return None
        text, end, self._buffer = rest[:length], rest[length : length + 1], rest[length + 1 :]
        if end != b",":
            raise NetstringError(f"no comma behind {length} bytes, but {end!r}")
        return _object(text)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as broken:
        raise NetstringError(f"not JSON: {text[:60]!r}") from broken
    if not isinstance(found, dict):
        raise NetstringError(f"not a JSON object: {text[:60]!r}")
    return found
