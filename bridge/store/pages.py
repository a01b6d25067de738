"""Finds the page of a database file whose checksum does not fit: the place to name in a report.

SQLite refuses such a page with an I/O error and tells only its log which one it was.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from bridge.store.connection import CHECKSUM_BYTES

HEADER_BYTES = 100
_WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class BadPage:
    """A page that is not as it was written; numbers count from 1, bytes from 0."""

    number: int
    size: int

    def __str__(self) -> str:
        first = (self.number - 1) * self.size
        return f"page {self.number} (bytes {first} to {first + self.size - 1} of the file)"


def checksum(page: bytes) -> bytes:
    """Checksum of a page without its last eight bytes, as SQLite's `cksumvfs.c` computes it."""
    words = struct.unpack(f"<{len(page) // 4}I", page)
    first = second = 0
    for even, odd in zip(words[0::2], words[1::2], strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return struct.pack("<II", first, second)


def page_size(header: bytes) -> int:
    """Page size a database header states (file format, 1.3.2), or 4096 when it makes no sense."""
    size = int.from_bytes(header[16:18], "big")
    size = 65_536 if size == 1 else size
    return size if size in {2**power for power in range(9, 17)} else 4_096


def first_bad_page(path: Path) -> BadPage | None:
    """First page whose checksum does not fit. None when all do. Raises OSError."""
    with path.open("rb") as file:
        size = page_size(file.read(HEADER_BYTES))
        file.seek(0)
        number = 0
        while page := file.read(size):
            number += 1
            whole = len(page) == size
            if not whole or checksum(page[:-CHECKSUM_BYTES]) != page[-CHECKSUM_BYTES:]:
                return BadPage(number, size)
    return None
