"""Tracks made for tests: tones at known times, whole files and broken ones."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge.tracks.wav import RATE, header

CALL = "1732412345.17"
BEGIN_MS = 1_732_412_345_250
Stretch = tuple[float, float]


def at(seconds: float) -> datetime:
    """A time so long after BEGIN_MS."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=BEGIN_MS + seconds * 1000)


def voice(freq: int, seconds: float, talks: Sequence[Stretch], loud: int = 8000) -> bytes:
    """A track's sound: silence, and the tone in the stretches (seconds in the track)."""
    samples = array("h", bytes(2 * round(seconds * RATE)))
    for begin, end in talks:
        for place in range(round(begin * RATE), round(end * RATE)):
            samples[place] = round(loud * math.sin(2 * math.pi * freq * place / RATE))
    return struct.pack(f"<{len(samples)}h", *samples)


def track(
    directory: Path, leg: str, start_s: float, sound: bytes, head: bytes | None = None
) -> Path:
    """A track that starts `start_s` after BEGIN_MS; `head` replaces the right header."""
    path = directory / f"{CALL}-{leg}-{BEGIN_MS + round(start_s * 1000)}.wav"
    path.write_bytes((header(len(sound) // 2) if head is None else head) + sound)
    return path


def unclosed() -> bytes:
    """The header of a file that Asterisk never closed: both lengths are 0."""
    right = header(0)
    return right[:4] + bytes(4) + right[8:]
