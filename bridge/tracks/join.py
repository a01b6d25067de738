"""All voices of a call in one stream of samples: each at its own time, added, clipped where loud.

Works block by block, so memory does not grow with the call, and with the standard library's own
loops, so that ten minutes of three voices take about a second. It holds the interpreter while it
works: it runs in `worker`, never beside the daemon's loop.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import add
from typing import Final

from bridge.tracks.wav import SAMPLE_BYTES, Samples, header

BLOCK_SAMPLES: Final = 65_536
"""Samples mixed at a time: about 5 MB of working memory, whatever the number of voices."""
LOUDEST: Final = 32_767
SOFTEST: Final = -32_768


@dataclass(frozen=True, slots=True)
class Voice:
    """A track's samples and where they begin on the call's time line, in samples."""

    samples: Samples
    offset: int


def join(voices: Sequence[Voice], length: int) -> Iterator[bytes]:
    """The joined file, header first, in pieces. The same voices give the same bytes.

    Raises ValueError when `length` (in samples) is longer than a track can be, OSError when a
    track cannot be read.
    """
    yield header(length)
    for first in range(0, length, BLOCK_SAMPLES):
        yield _block(voices, first, min(BLOCK_SAMPLES, length - first))


def _block(voices: Sequence[Voice], first: int, count: int) -> bytes:
    silence = bytes(count * SAMPLE_BYTES)
    sounding = []
    for voice in voices:
        begin = first - voice.offset
        if begin + count <= 0 or begin >= len(voice.samples):
            continue
        piece = voice.samples.read(begin, count)
        if piece != silence:
            sounding.append(piece)
    if not sounding:
        return silence
    return sounding[0] if len(sounding) == 1 else mix(sounding)


def mix(pieces: Sequence[bytes]) -> bytes:
    """The sum of pieces of equal length (16-bit little-endian samples), clipped at full scale."""
    total = array("i", _values(pieces[0]))
    for piece in pieces[1:]:
        total = array("i", map(add, total, _values(piece)))
    if max(total, default=0) > LOUDEST or min(total, default=0) < SOFTEST:
        total = array("i", (max(SOFTEST, min(LOUDEST, value)) for value in total))
    mixed = array("h", total)
    if sys.byteorder == "big":
        mixed.byteswap()
    return mixed.tobytes()


def _values(piece: bytes) -> array[int]:
    values = array("h", piece)
    if sys.byteorder == "big":
        values.byteswap()
    return values
