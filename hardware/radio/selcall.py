"""Selective calling by tones: five-tone, two-tone and DTMF sequences, and their sound. Pure.

Tables and rules of the line-keyed sheet, section 4. Sources disagree about some letters; digits
and the repeat tone E are what matters, and a site may give a table of its own.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Final

_DIGITS: Final = "0123456789ABCDEF"
REPEAT: Final = "E"


class SelcallError(ValueError):
    """The address cannot be expressed in this system; the text names why."""


@dataclass(frozen=True, slots=True)
class Tone:
    """One or two frequencies (Hz) for `seconds`; none is silence."""

    frequencies: tuple[float, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class System:
    """A five-tone system: Hz of each digit and the length of a tone in seconds."""

    tones: Mapping[str, float]
    tone_s: float


def _system(seconds: float, *hertz: float | None) -> System:
    tones = {digit: value for digit, value in zip(_DIGITS, hertz, strict=False) if value}
    return System(tones, seconds)


# fmt: off
SYSTEMS: Final[Mapping[str, System]] = {
    "ZVEI1": _system(0.07, 2400, 1060, 1160, 1270, 1400, 1530, 1670, 1830, 2000, 2200,
                     2800, 810, 970, 885, 2600, 680),
    "ZVEI2": _system(0.07, 2400, 1060, 1160, 1270, 1400, 1530, 1670, 1830, 2000, 2200,
                     885, 825, 740, 680, 970, 2600),
    "ZVEI3": _system(0.07, 2400, 1060, 1160, 1270, 1400, 1530, 1670, 1830, 2000, 2200,
                     885, 810, 2800, 680, 970, 2600),
    "DZVEI": _system(0.07, 2200, 970, 1060, 1160, 1270, 1400, 1530, 1670, 1830, 2000,
                     825, 740, 2600, 885, 2400, 680),
    "PZVEI": _system(0.07, 2400, 1060, 1160, 1270, 1400, 1530, 1670, 1830, 2000, 2200,
                     970, 810, 2800, 885, 2600, 680),
    "PDZVEI": _system(0.07, 2200, 970, 1060, 1160, 1270, 1400, 1530, 1670, 1830, 2000,
                      825, 886, 2600, 856, 2400),
    "CCIR": _system(0.1, 1981, 1124, 1197, 1275, 1358, 1446, 1540, 1640, 1747, 1860,
                    2400, 930, 2247, 991, 2110, 1055),
    "PCCIR": _system(0.1, 1981, 1124, 1197, 1275, 1358, 1446, 1540, 1640, 1747, 1860,
                     1050, 930, 2247, 991, 2110, 1055),
    "EEA": _system(0.04, 1981, 1124, 1197, 1275, 1358, 1446, 1540, 1640, 1747, 1860,
                   1055, 930, 2400, 991, 2110, 2247),
    "EIA": _system(0.033, 600, 741, 882, 1023, 1164, 1305, 1446, 1587, 1728, 1869,
                   2151, 2433, 2010, 2292, 459, 1091),
    "VDEW": _system(0.1, 2280, 370, 450, 550, 675, 825, 1010, 1240, 1520, 1860,
                    2000, 2100, 2200, 2300, 2400),
    "CCITT": _system(0.1, 400, 679, 770, 852, 941, 1209, 1335, 1477, 1633, 1800,
                     1900, 2000, 2100, 2220, 2300),
    "EURO": _system(0.1, 979.8, 903.1, 832.5, 764.4, 707.4, 652.0, 601.0, 554.0, 510.7, 470.8,
                    433.9, 400.0, 368.7, 393.9, 1062.9, 313.3),
    "NATEL": _system(0.07, 1633, 631, 697, 770, 852, 941, 1040, 1209, 1336, 1477,
                     1995, 571, 2205, 2437, 1805, 2694),
    "MODAT": _system(0.04, 637.5, 787.5, 937.5, 1087.5, 1237.5, 1387.5, 1537.5, 1687.5, 1837.5,
                     1987.5, None, None, None, None, 487.5),
    "AUTOA": _system(0.1, 1962, 764, 848, 942, 1047, 1163, 1292, 1436, 1595, 1770,
                     None, 2430, None, None, 2188),
}
"""Digits 0–9, then A–F. EEA, EIA and systems without a sourced length: the sheet's default."""

QUICK_CALL_II: Final[Mapping[int, Sequence[float]]] = {
    1: (330.5, 349.0, 368.5, 389.0, 410.8, 433.7, 457.9, 483.5, 510.5, 539.0),
    2: (569.1, 600.9, 634.5, 669.9, 707.3, 746.8, 788.5, 832.5, 879.0, 928.1),
    3: (1092.4, 288.5, 296.5, 304.7, 313.0, 953.7, 979.9, 1006.9, 1034.7, 1063.2),
}
"""Motorola Quick Call II, tones 0–9 of a group: general knowledge, verify at the site."""

_ROWS: Final = (697, 770, 852, 941)
_COLUMNS: Final = (1209, 1336, 1477, 1633)
_KEYS: Final = ("123A", "456B", "789C", "*0#D")
DTMF: Final = {
    key: (_ROWS[row], _COLUMNS[column])
    for row, keys in enumerate(_KEYS)
    for column, key in enumerate(keys)
}
# fmt: on


def five_tone(system: System, address: str, *, first_s: float | None = None) -> list[Tone]:
    """The tones of an address, without gaps; an equal neighbour becomes the repeat tone, so 333 is
    3 E 3 (4.2). `first_s` is the length of the first tone for battery-saving receivers."""
    if not address:
        raise SelcallError("地址为空 / an empty address")
    tones: list[Tone] = []
    before = ""
    for at, digit in enumerate(address):
        sent = REPEAT if digit == before else digit
        if sent not in system.tones or digit == REPEAT:
            raise SelcallError(
                f"{address!r}: 第 {at + 1} 位 {digit!r} / is no digit of this system"
            )
        length = first_s if at == 0 and first_s else system.tone_s
        tones.append(Tone((system.tones[sent],), length))
        before = sent
    return tones


def two_tone(
    first: float, second: float | None, *, first_s: float = 1.0, second_s: float = 3.0
) -> list[Tone]:
    """Two-tone paging (4.4); without a second tone a group call of 8 s."""
    if second is None:
        return [Tone((first,), 8.0)]
    return [Tone((first,), first_s), Tone((second,), second_s)]


def dtmf(keys: str, *, on_s: float = 0.1, off_s: float = 0.1) -> list[Tone]:
    """DTMF keys with the gap after each (4.3)."""
    tones: list[Tone] = []
    for key in keys:
        pair = DTMF.get(key)
        if pair is None:
            raise SelcallError(f"{key!r} 不是 DTMF 键 / is no DTMF key")
        tones += [Tone(pair, on_s), Tone((), off_s)]
    return tones


def duration(tones: Iterable[Tone]) -> float:
    """Seconds of the whole sequence."""
    return sum(tone.seconds for tone in tones)


def samples(tones: Iterable[Tone], rate: int = 8000, level: float = 0.6) -> bytes:
    """The sequence as 16-bit little-endian samples, phase continuous over tones of one frequency
    each. `level` is the share of full scale of the whole tone; the ends are rounded over 2 ms."""
    out = array("h")
    phase, due = 0.0, 0.0
    for tone in tones:
        due += tone.seconds * rate
        count = max(0, round(due) - len(out))
        peak = level * 32767 / max(1, len(tone.frequencies))
        if len(tone.frequencies) == 1:
            step = 2 * pi * tone.frequencies[0] / rate
            out.extend(round(peak * sin(phase + step * n)) for n in range(count))
            phase = (phase + step * count) % (2 * pi)
        elif tone.frequencies:
            steps = [2 * pi * hertz / rate for hertz in tone.frequencies]
            out.extend(round(peak * sum(sin(s * n) for s in steps)) for n in range(count))
        else:
            out.extend([0] * count)
    _round_ends(out, rate)
    if array("h", [1]).tobytes() != b"\x01\x00":
        out.byteswap()
    return out.tobytes()


def _round_ends(out: array[int], rate: int) -> None:
    size = min(rate // 500, len(out) // 2)
    for n in range(size):
        share = (1 - cos(pi * n / size)) / 2
        out[n] = round(out[n] * share)
        out[-1 - n] = round(out[-1 - n] * share)
