"""Bit strings: octets as text of `0` and `1` in the order they cross the telephone line. Pure.

Python's text methods (replace, split, find) work on them at the speed of C, which makes bit
stuffing and code look-up fast enough for whole pages. The first bit on the line is the least
significant bit of the first octet (T.31, clause 8.3.2: "bit first sent is the LSB").
"""

from __future__ import annotations

from typing import Final

REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
"""Table for `bytes.translate`: every octet with its bits in the other order."""


def to_bits(octets: bytes) -> str:
    """The octets as bits in line order."""
    if not octets:
        return ""
    return format(int.from_bytes(octets, "little"), f"0{8 * len(octets)}b")[::-1]


def to_octets(bits: str) -> bytes:
    """The bits as octets, the last one filled up with zeros."""
    if not bits:
        return b""
    return int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")
