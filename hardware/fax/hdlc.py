"""HDLC of T.30: check sequence, bit stuffing of ECM blocks (T.4, annex A), DLE shielding. Pure."""

from __future__ import annotations

import re
from binascii import crc_hqx
from typing import Final

from hardware.fax.bits import REVERSED, to_bits, to_octets

ADDRESS: Final = 0xFF
CONTROL: Final = 0x03
CONTROL_FINAL: Final = 0x13
FLAG: Final = "01111110"
FCD: Final = 0x06
"""Facsimile coded data: one frame of an ECM block."""
RCP: Final = 0x86
"""Return to control for partial page: three of them end a block."""
MAX_FRAME_OCTETS: Final = 3 + 1 + 256 + 2
"""Address, control, FCF, frame number, data, check sequence."""

DLE: Final = 0x10
ETX: Final = 0x03
SUB: Final = 0x1A
DLE_ETX: Final = bytes((DLE, ETX))

_FLAG_FOUND: Final = re.compile("0111111(?=0)")
"""A flag without its last zero, which may be the first of the next flag."""


def fcs(octets: bytes) -> bytes:
    """Frame check sequence as it stands in the frame, low octet first (CRC-16/X-25)."""
    register = crc_hqx(octets.translate(REVERSED), 0xFFFF) ^ 0xFFFF
    return register.to_bytes(2, "big").translate(REVERSED)


def with_fcs(octets: bytes) -> bytes:
    """The octets followed by their check sequence."""
    return octets + fcs(octets)


def checked(octets: bytes) -> bytes | None:
    """The octets without a good check sequence; None when it is bad."""
    body = octets[:-2]
    return body if len(octets) >= 4 and fcs(body) == octets[-2:] else None


def stuffed(octets: bytes) -> str:
    """A frame's bits with a zero after every five ones; flags are the caller's."""
    return to_bits(octets).replace("11111", "111110")


def ecm_block(frames: dict[int, bytes], flags: int) -> bytes:
    """One transmission of an ECM block: flags, the numbered frames, three RCP, a flag.

    The frames' data is of one length (256 or 64 octets). `flags` octets of 7E come first, at
    least 200 ms of them (T.4, A.3.1).
    """
    head = bytes((ADDRESS, CONTROL, FCD))
    end = stuffed(with_fcs(bytes((ADDRESS, CONTROL, RCP))))
    coded = [stuffed(with_fcs(head + bytes((number,)) + data)) for number, data in frames.items()]
    return to_octets(FLAG * flags + FLAG.join([*coded, end, end, end, ""]) + FLAG)


class HdlcDecoder:
    """Cuts the bit stream of a fast carrier into frames; those with a bad check are dropped."""

    def __init__(self) -> None:
        self._bits = ""

    def feed(self, octets: bytes) -> list[bytes]:
        """The good frames that are complete now, without their check sequence."""
        *segments, self._bits = _FLAG_FOUND.split(self._bits + to_bits(octets))
        self._bits = self._bits[-MAX_FRAME_OCTETS * 10 :]
        found = (self._frame(segment[1:]) for segment in segments)  # [0] closes the flag before
        return [frame for frame in found if frame is not None]

    @staticmethod
    def _frame(bits: str) -> bytes | None:
        plain = bits.replace("111110", "11111")
        if len(plain) % 8 or not 32 <= len(plain) <= 8 * MAX_FRAME_OCTETS:
            return None
        return checked(to_octets(plain))


def shield(octets: bytes) -> bytes:
    """Data for the modem: DLE doubled (T.31, 7.4)."""
    return octets.replace(b"\x10", b"\x10\x10")


class Unshield:
    """Takes DLE shielding off what the modem delivers (T.31, 7.4), up to DLE ETX."""

    def __init__(self) -> None:
        self.ended = False
        self.rest = b""
        """What came after DLE ETX."""
        self._escaped = False

    def feed(self, octets: bytes) -> bytes:
        """The data among `octets`. Unknown DLE sequences are dropped."""
        data = bytearray()
        at = 0
        while at < len(octets):
            if self._escaped:
                self._escaped = False
                code = octets[at]
                at += 1
                if code == ETX:
                    self.ended, self.rest = True, octets[at:]
                    break
                data += {DLE: b"\x10", SUB: b"\x10\x10"}.get(code, b"")
                continue
            mark = octets.find(DLE, at)
            if mark < 0:
                data += octets[at:]
                break
            data += octets[at:mark]
            self._escaped = True
            at = mark + 1
        return bytes(data)
