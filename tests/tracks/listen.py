"""Hears tones in a WAV file: which frequency sounds from when to when (Goertzel, with a window)."""

from __future__ import annotations

import math
import sys
import wave
from array import array
from collections.abc import Sequence
from pathlib import Path

LOUD = 300.0
"""Amplitude of a tone, of 32 767, from which it counts as heard."""


def tones(
    path: Path, freqs: Sequence[int], frame_ms: int = 20, loud: float = LOUD
) -> dict[int, list[tuple[float, float]]]:
    """For each frequency (Hz) the stretches `(from, to)`, in seconds, in which it is heard.

    Exact to about half a frame at each end. A gap of one frame does not end a stretch; a single
    frame is none (where a voice begins or ends sharply, one frame holds every frequency).
    Frequencies have to lie 150 Hz apart at 20 ms; the file is 16-bit mono.
    """
    samples, rate = _read(path)
    size = rate * frame_ms // 1000
    window = [math.sin(math.pi * (n + 0.5) / size) ** 2 for n in range(size)]
    heard: dict[int, list[tuple[float, float]]] = {freq: [] for freq in freqs}
    for first in range(0, len(samples) - size + 1, size):
        frame = samples[first : first + size]
        if not any(frame):
            continue
        shaped = [value * weight for value, weight in zip(frame, window, strict=True)]
        begin, end = first / rate, (first + size) / rate
        for freq in freqs:
            if amplitude(shaped, freq, rate) >= loud:
                _note(heard[freq], begin, end, 1.5 * frame_ms / 1000)
    return {
        freq: [found for found in stretches if found[1] - found[0] > 1.5 * frame_ms / 1000]
        for freq, stretches in heard.items()
    }


def amplitude(shaped: Sequence[float], freq: int, rate: int) -> float:
    """Amplitude of one frequency in a frame that went through the window."""
    turn = 2 * math.cos(2 * math.pi * freq / rate)
    last = before = 0.0
    for value in shaped:
        last, before = value + turn * last - before, last
    power = last * last + before * before - turn * last * before
    return 4 * math.sqrt(max(power, 0.0)) / len(shaped)


def _note(stretches: list[tuple[float, float]], begin: float, end: float, gap: float) -> None:
    if stretches and begin - stretches[-1][1] <= gap:
        stretches[-1] = (stretches[-1][0], end)
    else:
        stretches.append((begin, end))


def _read(path: Path) -> tuple[array[int], int]:
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2 or file.getnchannels() != 1:
            raise ValueError(f"{path.name}: 16-bit mono is expected")
        samples, rate = array("h", file.readframes(file.getnframes())), file.getframerate()
    if sys.byteorder == "big":
        samples.byteswap()
    return samples, rate
