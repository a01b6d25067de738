"""WAV files as Asterisk's recorder leaves them: 16-bit PCM, 8 kHz, mono, whole or damaged.

Asterisk writes the header first, with lengths of 0, and fills the lengths in when it closes the
file; both header and sound wait in a 32 KB buffer. A killed Asterisk therefore leaves an empty
file, or whole buffers under a header that says 0 (`asterisk-three-way.md`, *Recording*). `inspect`
decides from the first bytes and the file's size what is there and what a repaired copy needs.
Nothing here opens a file by name; `Samples` reads from a descriptor it is given.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RATE: Final = 8000
"""Samples per second."""
SAMPLE_BYTES: Final = 2
HEADER_BYTES: Final = 44
"""Length of the header that Asterisk writes and that repaired and joined files get."""
HEAD_BYTES: Final = 4096
"""How much of a file's beginning `inspect` looks at; the sound has to begin within it."""
MAX_SAMPLES: Final = 24 * 3600 * RATE
"""Longest track: one day. Longer is not a call; its file is kept and called unreadable."""
BUFFER_SAMPLES: Final = 32 * 1024 // SAMPLE_BYTES
"""Most samples that a killed Asterisk had not yet written: 2.048 s."""

_MAX_CHUNKS: Final = 16
_FMT: Final = struct.pack("<HHIIHH", 1, 1, RATE, RATE * SAMPLE_BYTES, SAMPLE_BYTES, 16)


class Damage(StrEnum):
    """What is wrong with a file. `UNREADABLE`: kept and hashed, but its sound cannot be used."""

    NONE = "none"
    EMPTY = "empty"  # no byte of sound: killed before the first buffer was written
    CUT_HEADER = "cut_header"  # ends within the header
    NO_HEADER = "no_header"  # zeros where the header belongs: a lost sector
    LENGTH_ZERO = "length_zero"  # never closed
    LENGTH_SHORT = "length_short"  # says less than there is: closed once, then written again
    LENGTH_LONG = "length_long"  # says more than there is: cut afterwards
    HALF_SAMPLE = "half_sample"  # the last sample has one byte
    UNREADABLE = "unreadable"  # not 16-bit PCM, 8 kHz, mono, or longer than a day


@dataclass(frozen=True, slots=True)
class Sound:
    """Where a file's samples are. `why` says in words what makes it unreadable."""

    damage: Damage
    offset: int = HEADER_BYTES
    samples: int = 0
    why: str = ""

    @property
    def seconds(self) -> float:
        return self.samples / RATE

    @property
    def repairable(self) -> bool:
        """Whether a repaired copy gives back sound that players would not find by themselves."""
        return self.samples > 0 and self.damage is not Damage.NONE

    @property
    def cut_off(self) -> bool:
        """Whether sound at the end was lost with the process that recorded it, or may be."""
        return self.damage not in (Damage.NONE, Damage.HALF_SAMPLE)


def header(samples: int) -> bytes:
    """The 44 bytes before `samples` samples. Raises ValueError beyond MAX_SAMPLES."""
    if not 0 <= samples <= MAX_SAMPLES:
        raise ValueError(f"{samples} samples: a track has 0 to {MAX_SAMPLES}")
    length = samples * SAMPLE_BYTES
    return struct.pack(
        "<4sI8sI16s4sI", b"RIFF", 36 + length, b"WAVEfmt ", 16, _FMT, b"data", length
    )


def inspect(head: bytes, size: int) -> Sound:
    """What a file of `size` bytes holds that begins with `head` (up to HEAD_BYTES of it).

    Never raises on content: whatever is there has a name in `Damage`.
    """
    head = head[:HEAD_BYTES]
    if size == 0:
        return Sound(Damage.EMPTY, 0)
    if not head[:HEADER_BYTES].strip(b"\0"):
        return _headerless(size)
    if not _begins_like(head):
        return Sound(Damage.UNREADABLE, why="does not begin like a WAV file")
    if size < HEADER_BYTES:
        return Sound(Damage.CUT_HEADER, 0)
    found = _find_data(head)
    if isinstance(found, str):
        return Sound(Damage.UNREADABLE, why=found)
    closed = head[4:8] != bytes(4)
    return _measure(*found, size, closed)


def _headerless(size: int) -> Sound:
    if size < HEADER_BYTES:
        return Sound(Damage.CUT_HEADER, 0)
    return _sound(Damage.NO_HEADER, HEADER_BYTES, size - HEADER_BYTES)


def _begins_like(head: bytes) -> bool:
    """Whether magic words are right as far as the bytes reach (lengths may be anything)."""
    return b"RIFF".startswith(head[:4]) and b"WAVE".startswith(head[8:12])


def _find_data(head: bytes) -> tuple[int, int] | str:
    """Offset and stated length of the sound, or why it was not found."""
    at, format_seen = 12, False
    for _ in range(_MAX_CHUNKS):
        if at + 8 > len(head):
            return "no sound chunk where one can begin"
        kind, length = struct.unpack_from("<4sI", head, at)
        at += 8
        if kind == b"data":
            return (at, length) if format_seen else "the sound's format is not stated"
        if kind == b"fmt ":
            if head[at : at + 16] != _FMT:
                return "not 16-bit PCM, 8 kHz, mono"
            format_seen = True
        at += length + (length & 1)
    return f"more than {_MAX_CHUNKS} chunks before the sound"


def _measure(offset: int, stated: int, size: int, closed: bool) -> Sound:
    there = size - offset
    if stated == 0 and there == 0:
        return Sound(Damage.NONE if closed else Damage.EMPTY, offset)
    if stated == 0:
        return _sound(Damage.LENGTH_ZERO, offset, there)
    if stated > there:
        return _sound(Damage.LENGTH_LONG, offset, there)
    if there > stated + (stated & 1):
        return _sound(Damage.LENGTH_SHORT, offset, there)
    return _sound(Damage.HALF_SAMPLE if stated & 1 else Damage.NONE, offset, stated)


def _sound(damage: Damage, offset: int, length: int) -> Sound:
    samples = length // SAMPLE_BYTES
    if samples > MAX_SAMPLES:
        return Sound(Damage.UNREADABLE, why=f"longer than {MAX_SAMPLES // RATE // 3600} hours")
    return Sound(damage, offset, samples)


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of an open file, read piece by piece; little-endian bytes, two a sample.

    `descriptor` belongs to the caller, who keeps it open. Memory is what one `read` asks for.
    """

    descriptor: int
    sound: Sound

    def __len__(self) -> int:
        return self.sound.samples

    def read(self, first: int, count: int) -> bytes:
        """Samples `first` to `first + count`; what lies before or after the track is silence.

        Raises OSError when the disk does not give what the file is known to have.
        """
        begin, end = max(first, 0), min(first + count, self.sound.samples)
        if begin >= end:
            return bytes(count * SAMPLE_BYTES)
        wanted = (end - begin) * SAMPLE_BYTES
        piece = _read_all(self.descriptor, self.sound.offset + begin * SAMPLE_BYTES, wanted)
        before = bytes((begin - first) * SAMPLE_BYTES)
        after = bytes((first + count - end) * SAMPLE_BYTES)
        return before + piece + after


def _read_all(descriptor: int, offset: int, length: int) -> bytes:
    piece = os.pread(descriptor, length, offset)
    while len(piece) < length:
        more = os.pread(descriptor, length - len(piece), offset + len(piece))
        if not more:
            raise OSError(f"file ends {length - len(piece)} bytes before the sound does")
        piece += more
    return piece
