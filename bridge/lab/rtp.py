"""RTP packets (RFC 3550) and telephone events (RFC 4733). Pure."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from bridge.lab.ear import Packet
from bridge.lab.tones import FRAME

KEYS: Final = "0123456789*#ABCD"
"""Event codes 0 to 15."""
KEY_FRAMES: Final = 6
"""Frames of 20 ms that a key is held down."""
END_FRAMES: Final = 3
"""The end is told three times (RFC 4733, section 2.5.1.4)."""
PAUSE_FRAMES: Final = 4
"""Frames of ordinary sound before the next key."""
MAX_KEYS: Final = 64
"""Keys that may wait to be sent on one leg."""
_HEADER: Final = struct.Struct(">BBHII")
_EVENT: Final = struct.Struct(">BBH")
_RTCP_KINDS: Final = range(72, 77)


class KeyFrame(NamedTuple):
    """What one packet of a pressed key says; `first` and `end` mark its edges."""

    code: int
    duration: int
    first: bool
    end: bool

    @property
    def payload(self) -> bytes:
        return _EVENT.pack(self.code, 0x80 | 10 if self.end else 10, self.duration)


def key_frames(keys: str) -> list[KeyFrame | None]:
    """What goes out in each 20 ms when `keys` are pressed; None is ordinary sound.

    Raises ValueError for anything that is no key, or more than MAX_KEYS.
    """
    if not keys or len(keys) > MAX_KEYS or any(key not in KEYS for key in keys):
        raise ValueError(f"keys {keys[:20]!r}: 1 to {MAX_KEYS} of {KEYS}")
    frames: list[KeyFrame | None] = []
    for key in keys:
        code = KEYS.index(key)
        frames += [KeyFrame(code, FRAME * n, n == 1, False) for n in range(1, KEY_FRAMES + 1)]
        frames += [KeyFrame(code, FRAME * KEY_FRAMES, False, True)] * END_FRAMES
        frames += [None] * PAUSE_FRAMES
    return frames


def pack(
    kind: int, marker: bool, sequence: int, timestamp: int, source: int, payload: bytes
) -> bytes:
    """One packet; numbers wrap as the header's fields do."""
    second = kind | 0x80 if marker else kind
    header = _HEADER.pack(0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, source)
    return header + payload


def unpack(data: bytes, at: float) -> Packet | None:
    """The packet in a datagram that came at `at`; None for anything else, RTCP included."""
    if len(data) < _HEADER.size or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, _ = _HEADER.unpack_from(data)
    kind = second & 0x7F
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data) - data[-1] if first & 0x20 else len(data)
    if kind in _RTCP_KINDS or start > end:
        return None
    return Packet(at, sequence, timestamp, kind, data[start:end])


def key_at_end(packet: Packet) -> str:
    """The key whose end this telephone event tells; empty for any other."""
    if len(packet.payload) < _EVENT.size:
        return ""
    code, flags, _ = _EVENT.unpack_from(packet.payload)
    return KEYS[code] if flags & 0x80 and code < len(KEYS) else ""
