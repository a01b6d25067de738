"""MAP27 frames (MAP27 1.5, data link layer): octet doubling and frame check. Pure.

`16 10 02` body `10 03` FCS. Each 10 in the body is doubled; the FCS covers the body before
doubling and the stop octets, and is never doubled itself.
"""

from __future__ import annotations

import re
from typing import Final

START: Final = b"\x16\x10\x02"
STOP: Final = b"\x10\x03"
_DLE: Final = 0x10
MAX_BODY: Final = 4 + 16 * 256
"""Octets of the longest body: header and data at N1 = 255."""
_BODY: Final = re.compile(rb"(?:[^\x10]|\x10\x10)*+", re.DOTALL)


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC: Final = _table()


def frame_check(data: bytes) -> bytes:
    """The two octets of CRC-16/USB over `data`, low octet first."""
    crc, table = 0xFFFF, _CRC
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def encode_frame(body: bytes) -> bytes:
    """The octets on the line. Raises ValueError for a body that is empty or too long."""
    if not 0 < len(body) <= MAX_BODY:
        raise ValueError(f"body of {len(body)} octets")
    return START + body.replace(b"\x10", b"\x10\x10") + STOP + frame_check(body + STOP)


class FrameDecoder:
    """Finds frames in whatever comes over the line; a faulty one is dropped and counted.

    `accept_bad` lists first octets of network messages that are taken with a wrong check sum
    (some radios send C4 so; off by default).
    """

    def __init__(self, accept_bad: frozenset[int] = frozenset()) -> None:
        self.bad = 0
        self.dropped = 0
        self._accept_bad = accept_bad
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that these octets complete."""
        buffer = self._buffer
        buffer += data
        found: list[bytes] = []
        at = 0
        while True:
            start = buffer.find(START, at)
            if start < 0:
                start = len(buffer) - _begun(buffer, at)
            if start > at:
                self.dropped += start - at
                self._scanned = 0
            at = start
            end = self._end_of_body(at)
            if end is None:
                break
            at = self._finish(at, end, found)
            self._scanned = 0
        del buffer[:at]
        return found

    def _end_of_body(self, at: int) -> int | None:
        """Where the body of the frame at `at` ends; None: not enough octets yet."""
        buffer = self._buffer
        first = at + len(START)
        if len(buffer) < first:
            return None
        match = _BODY.match(buffer, max(first, at + self._scanned))
        assert match is not None
        end = match.end()
        if end - first > 2 * MAX_BODY:
            return end
        if len(buffer) < end + 2 or (buffer[end + 1] == STOP[1] and len(buffer) < end + 4):
            self._scanned = end - at
            return None
        return end

    def _finish(self, at: int, end: int, found: list[bytes]) -> int:
        """Take the frame if it is one; where to go on."""
        buffer = self._buffer
        if buffer[end : end + 2] == STOP:
            body = bytes(buffer[at + len(START) : end]).replace(b"\x10\x10", b"\x10")
            if frame_check(body + STOP) == buffer[end + 2 : end + 4] or (
                len(body) > 4 and body[4] in self._accept_bad
            ):
                if body:
                    found.append(body)
                return end + 4
            self.bad += 1
        again = buffer.find(START, at + 1, end + 3)  # a new start may stand inside what led nowhere
        cut = again if again > 0 else max(at + 1, end - 1)
        self.dropped += cut - at
        return cut


def _begun(buffer: bytearray, at: int) -> int:
    """Octets at the end that may be the beginning of a start flag."""
    for size in (2, 1):
        if buffer.endswith(START[:size]) and len(buffer) - size >= at:
            return size
    return 0
