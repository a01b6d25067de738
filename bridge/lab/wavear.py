"""What is heard in a WAV file that a telephone wrote: which tones, when. Pure but for reading it.

The laboratory's frequencies are multiples of 10 Hz, so over 100 ms they are orthogonal.
"""

from __future__ import annotations

import array
import struct
import sys
import wave
from collections.abc import Iterable
from math import cos, hypot, pi, sin
from operator import mul
from pathlib import Path
from typing import Final

WINDOW_S: Final = 0.1
MIN_PEAK: Final = 500.0
"""A tone is there from this peak on (16-bit scale, -36 dB of full scale)."""


def tones_in(file: Path, known: Iterable[int], min_peak: float = MIN_PEAK) -> list[set[int]]:
    """The known tones in each whole 100 ms of the file, in order.

    A file that is still being written is read up to its present end.

    Raises wave.Error for a file that is no mono WAV of 16 bits, ValueError for a frequency that
    is no multiple of 10 Hz.
    """
    rate, data = _sound(file.read_bytes(), file.name)
    samples = array.array("h", data)
    if sys.byteorder == "big":
        samples.byteswap()
    size = round(rate * WINDOW_S)
    tables = {frequency: _table(frequency, rate, size) for frequency in known}
    found = []
    for start in range(0, len(samples) - size + 1, size):
        window = samples[start : start + size]
        found.append(
            {
                frequency
                for frequency, (cosine, sine) in tables.items()
                if 2 / size * hypot(sum(map(mul, window, cosine)), sum(map(mul, window, sine)))
                >= min_peak
            }
        )
    return found


def longest(windows: list[set[int]], wanted: set[int]) -> float:
    """Seconds of the longest stretch in which exactly `wanted` was heard."""
    best = run = 0
    for heard in windows:
        run = run + 1 if heard == wanted else 0
        best = max(best, run)
    return best * WINDOW_S


def _sound(content: bytes, name: str) -> tuple[int, bytes]:
    """Rate and samples. Lengths in the header count only once the file was closed: 0 before."""
    shape, start = content.find(b"fmt ") + 8, content.find(b"data") + 8
    if content[:4] != b"RIFF" or shape < 8 or start < 8:
        raise wave.Error(f"{name}: no WAV file, or only its beginning")
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content, shape)
    if (form, channels, bits) != (1, 1, 16):
        raise wave.Error(f"{name}: not 16 bits mono")
    length = int.from_bytes(content[start - 4 : start], "little") or len(content)
    samples = content[start : start + length]
    return rate, samples[: len(samples) // 2 * 2]


def _table(frequency: int, rate: int, size: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if frequency % 10:
        raise ValueError(f"{frequency} Hz: must be a multiple of 10")
    step = 2 * pi * frequency / rate
    return tuple(cos(step * n) for n in range(size)), tuple(sin(step * n) for n in range(size))
