"""Tones by which the laboratory's parties know each other, and G.711 (ITU-T G.711). Pure."""

from __future__ import annotations

from functools import lru_cache
from math import pi, sin
from typing import Final

from bridge.lab.sdp import PCMA

RATE: Final = 8000
"""Samples per second of G.711."""
FRAME: Final = 160
"""Samples in one packet of 20 ms."""
FRAME_S: Final = 0.02
CYCLE: Final = 5
"""Frames in 100 ms: every tone whose frequency is a multiple of 10 Hz is whole in it, and any two
such tones are orthogonal over it."""
LEVEL: Final = 6000
"""Peak of a tone on the 16-bit scale: five at once still fit."""

CITIZEN: Final = 620
SEAT: Final = 700
SECOND_SEAT: Final = 850
HOTLINE: Final = 1000
LEADER: Final = 1300
UNIT: Final = 1600
HOLD: Final = 440
"""The sound of the dialplan for somebody who is held or waits."""
RINGING: Final = 450
"""Ringing and goodbye (indications.conf, country cn)."""
KNOWN: Final = (HOLD, RINGING, CITIZEN, SEAT, SECOND_SEAT, HOTLINE, LEADER, UNIT)


def _alaw_value(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    value = (mantissa << 4) + 8
    if exponent:
        value = (value + 0x100) << (exponent - 1)
    return value if code & 0x80 else -value


def _ulaw_value(code: int) -> int:
    code ^= 0xFF
    value = (((code & 0x0F) << 3) + 0x84 << ((code >> 4) & 7)) - 0x84
    return -value if code & 0x80 else value


ALAW: Final = tuple(float(_alaw_value(code)) for code in range(256))
ULAW: Final = tuple(float(_ulaw_value(code)) for code in range(256))
"""Linear value of each code, on the 16-bit scale."""


def linear_table(codec: int) -> tuple[float, ...]:
    """The table for a payload type, PCMA or PCMU."""
    return ALAW if codec == PCMA else ULAW


def encode(samples: list[float], codec: int) -> bytes:
    """The nearest code of each sample (for short, precomputed payloads: it is slow)."""
    ordered = sorted((value, code) for code, value in enumerate(linear_table(codec)))
    return bytes(min(ordered, key=lambda pair: abs(pair[0] - sample))[1] for sample in samples)


@lru_cache(maxsize=256)
def tone_payloads(frequency: int, codec: int, second: int = 0) -> tuple[bytes, ...]:
    """CYCLE payloads of 20 ms which, sent round and round, are a steady tone, or two; 0 is silence.

    Raises ValueError for a frequency that does not fit into the cycle, or not into a telephone.
    """
    for hertz in (frequency, second):
        if hertz % 10 or not 0 <= hertz <= 3400:
            raise ValueError(f"{hertz} Hz: must be a multiple of 10 from 0 to 3400")
    step, other = 2 * pi * frequency / RATE, 2 * pi * second / RATE
    samples = range(FRAME * CYCLE)
    codes = encode([LEVEL * (sin(step * n) + sin(other * n)) for n in samples], codec)
    return tuple(codes[k * FRAME : (k + 1) * FRAME] for k in range(CYCLE))
