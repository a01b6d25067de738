"""Page coding of ITU-T T.4 (MH, MR) and T.6 (MMR), line by line. Pure.

A scan line is the rising list of its *changing elements*: the positions where the colour is not
that of the pel before; the pel before the first is white. `[]` is a white line, `[0]` a black one.
Coded data is a bit string (`bits.py`). Whole pages go through libtiff (`page.py`), which is
faster; this module is for lines that need fill, for damaged pages, and as libtiff's judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from hardware.fax.bits import to_bits, to_octets
from hardware.fax.run_codes import BLACK, LARGEST_MAKEUP, MAX_CODE_BITS, WHITE

Line = list[int]

EOL: Final = "000000000001"
EOFB: Final = EOL + EOL
"""End of facsimile block (T.6, 2.4.1.1)."""
RTC_EOLS: Final = 6
"""End-of-line codes that end a T.4 page (T.4, 4.1.4)."""
RTC_SEEN: Final = 3
"""So many in a row are taken for the end: a line has none inside, and the last ones may be lost."""
K_STANDARD: Final = 2
K_FINE: Final = 4
"""Every K-th line of an MR page is coded by itself (T.4, 4.2.2)."""
MAX_LINE_BITS: Final = 32768
"""More without an EOL is no scan line: 2432 pels take at most 11 000 bits, fill at 14400 bit/s
and 40 ms another 576. What lies before is dropped."""

PASS_MODE: Final = "0001"  # noqa: S105
HORIZONTAL: Final = "001"
VERTICAL: Final = {
    0: "1", 1: "011", 2: "000011", 3: "0000011", -1: "010", -2: "000010", -3: "0000010"
}  # fmt: skip
"""a1 right (+) or left (-) of b1 (T.4, table 4)."""

_MODE_BITS: Final = 7
_END: Final = 99
"""No mode: seven zeros, the beginning of an EOL."""
_PASS: Final = 10
_HORIZONTAL: Final = 11
_END_OF_LINE: Final = re.compile("0{11,}1")


class BadCode(ValueError):
    """The bits are no code of T.4 or T.6, or the line comes out too long."""


def _runs(codes: dict[int, str]) -> list[str]:
    """The whole code of every run up to the widest line."""
    return [
        (codes[run - run % 64] if run >= 64 else "") + codes[run % 64]
        for run in range(LARGEST_MAKEUP + 64)
    ]


RUNS: Final = (_runs(dict(WHITE)), _runs(dict(BLACK)))
"""White and black runs of 0 to 2623 pels."""


def _look_up(codes: Iterable[tuple[str, int]], bits: int) -> list[tuple[int, int]]:
    """Next `bits` bits as number → (value, length of its code); (-1, 0) where there is no code."""
    table = [(-1, 0)] * (1 << bits)
    for code, value in codes:
        free = bits - len(code)
        first = int(code, 2) << free
        table[first : first + (1 << free)] = [(value, len(code))] * (1 << free)
    return table


_RUN_OF: Final = tuple(
    _look_up([(code, run) for run, code in codes.items()], MAX_CODE_BITS)
    for codes in (WHITE, BLACK)
)
_MODE_OF: Final = _look_up(
    [
        (PASS_MODE, _PASS),
        (HORIZONTAL, _HORIZONTAL),
        ("0" * _MODE_BITS, _END),
        *((code, shift) for shift, code in VERTICAL.items()),
    ],
    _MODE_BITS,
)


def changes_of(row: bytes) -> Line:
    """The changing elements of a packed row: first pel in the top bit, 1 = black."""
    pels = int.from_bytes(row, "big")
    marks = format(pels ^ (pels >> 1), f"0{8 * len(row)}b")
    found: Line = []
    at = marks.find("1")
    while at >= 0:
        found.append(at)
        at = marks.find("1", at + 1)
    return found


def row_of(line: Sequence[int], width: int) -> bytes:
    """The packed row of changing elements; `width` is a multiple of 8."""
    pels = 0
    ends = iter([*line, width] if len(line) % 2 else line)
    for start in ends:
        stop = next(ends)
        pels |= ((1 << (stop - start)) - 1) << (width - stop)
    return pels.to_bytes(width // 8, "big")


def encode_1d(line: Sequence[int], width: int) -> str:
    """One line by its runs (T.4, 4.1), without EOL."""
    codes: list[str] = []
    at = colour = 0
    for change in line:
        codes.append(RUNS[colour][change - at])
        at = change
        colour ^= 1
    codes.append(RUNS[colour][width - at])
    return "".join(codes)


def encode_2d(reference: Sequence[int], line: Sequence[int], width: int) -> str:
    """One line against the line above it (T.4, 4.2; T.6, 2.2), without EOL."""
    codes: list[str] = []
    above, changes = len(reference), len(line)
    a0, colour, a, b = -1, 0, 0, 0
    while a0 < width:
        a1 = line[a] if a < changes else width
        while b < above and reference[b] <= a0:
            b += 2
        b1 = reference[b] if b < above else width
        b2 = reference[b + 1] if b + 1 < above else width
        if b2 < a1:
            codes.append(PASS_MODE)
            a0 = b2
        elif -3 <= a1 - b1 <= 3:
            codes.append(VERTICAL[a1 - b1])
            a0, a, colour = a1, a + 1, colour ^ 1
            b = b - 1 if b else 1  # the other colour; one to the left may lie beyond a0 again
        else:
            a2 = line[a + 1] if a + 1 < changes else width
            codes += (HORIZONTAL, RUNS[colour][a1 - max(a0, 0)], RUNS[colour ^ 1][a2 - a1])
            a0, a = a2, a + 2
    return "".join(codes)


def encode_t6(lines: Iterable[Sequence[int]], width: int) -> bytes:
    """A page in T.6 with its EOFB."""
    coded: list[str] = []
    above: Sequence[int] = ()
    for line in lines:
        coded.append(encode_2d(above, line, width))
        above = line
    return to_octets("".join(coded) + EOFB)


def code_lines(lines: Sequence[Sequence[int]], width: int, k: int) -> list[str]:
    """The lines of a T.4 page: `k` = 0 for MH; else MR, each with its tag bit in front."""
    if k == 0:
        return [encode_1d(line, width) for line in lines]
    return [
        "0" + encode_2d(lines[n - 1], line, width) if n % k else "1" + encode_1d(line, width)
        for n, line in enumerate(lines)
    ]


def join_t4(
    coded: Sequence[str], min_line_bits: int, two_dimensional: bool, *, rtc: bool = True
) -> bytes:
    """A T.4 page from `code_lines`: EOL, lines filled to the minimum length, RTC if wanted.

    `min_line_bits` is the receiver's minimum scan-line time × rate (T.4, 4.1.3); 0 in ECM.
    """
    shortest = max(0, min_line_bits - len(EOL))
    whole = EOL.join(code.ljust(shortest, "0") for code in coded)
    end = (EOL + "1" if two_dimensional else EOL) * RTC_EOLS
    return to_octets(EOL + whole + (end if rtc else ""))


def decode_1d(bits: str, at: int, width: int) -> tuple[Line, int]:
    """One line from position `at`, and the position after it. Raises BadCode."""
    line: Line = []
    place = colour = 0
    while place < width:
        run, at = _run(bits, at, colour)
        place += run
        _mark(line, place, width)
        colour ^= 1
    return line, at


def decode_2d(bits: str, at: int, reference: Sequence[int], width: int) -> tuple[Line, int]:
    """One line against the line above it, and the position after it. Raises BadCode."""
    line: Line = []
    above = len(reference)
    a0, colour, b = -1, 0, 0
    while a0 < width:
        mode, length = _MODE_OF[int(bits[at : at + _MODE_BITS].ljust(_MODE_BITS, "0"), 2)]
        at += length
        while b < above and reference[b] <= a0:
            b += 2
        if mode == _HORIZONTAL:
            first, at = _run(bits, at, colour)
            second, at = _run(bits, at, colour ^ 1)
            middle = max(a0, 0) + first
            a0 = middle + second
            _mark(line, middle, width)
            _mark(line, a0, width)
        elif mode == _PASS:
            a0 = reference[b + 1] if b + 1 < above else width
        elif -3 <= mode <= 3 and length:
            a1 = (reference[b] if b < above else width) + mode
            if a1 < max(a0, 0):
                raise BadCode(f"vertical mode leads left of {a0}")
            a0, colour = a1, colour ^ 1
            _mark(line, a0, width)
            b = b - 1 if b else 1
        else:
            raise BadCode("no mode of T.4, table 4")
    return line, at


def _run(bits: str, at: int, colour: int) -> tuple[int, int]:
    """One run, make-up codes included, and the position after it."""
    table, total = _RUN_OF[colour], 0
    while True:
        ahead = bits[at : at + MAX_CODE_BITS].ljust(MAX_CODE_BITS, "0")
        run, length = table[int(ahead, 2)]
        if run < 0 or at >= len(bits):
            raise BadCode("no run code")
        total += run
        at += length
        if run < 64:
            return total, at


def _mark(line: Line, place: int, width: int) -> None:
    """Note a change; two at one place are none. Raises BadCode beyond the line's end."""
    if place > width:
        raise BadCode(f"line of {place} pels, width {width}")
    if line and line[-1] == place:
        line.pop()
    elif place < width:
        line.append(place)


def decode_t6(octets: bytes, width: int, max_lines: int) -> list[Line]:
    """The lines of a T.6 page up to its EOFB. Raises BadCode when they are not whole."""
    lines, whole = decode_t6_part(octets, width, max_lines)
    if not whole:
        raise BadCode(f"page damaged, or too long, after {len(lines)} lines")
    return lines


def decode_t6_part(octets: bytes, width: int, max_lines: int) -> tuple[list[Line], bool]:
    """The lines of a T.6 page up to the first wrong code, and whether it was EOFB that ended it."""
    bits = to_bits(octets)
    lines: list[Line] = []
    above: Line = []
    at = 0
    while not bits.startswith(EOL, at):
        if at >= len(bits) or len(lines) >= max_lines:
            return lines, False
        try:
            above, at = decode_2d(bits, at, above, width)
        except BadCode:
            return lines, False
        lines.append(above)
    return lines, True


class T4Decoder:
    """Lines of an MH or MR page as its octets come in; damage is counted, never fatal.

    A damaged line becomes the line above it. What follows it in MR has no reference until the next
    line that is coded by itself, and counts as damaged too.
    """

    def __init__(self, width: int, two_dimensional: bool, max_lines: int) -> None:
        self.lines: list[Line] = []
        self.bad_lines = 0
        self.worst_streak = 0
        """Most damaged lines one after another."""
        self.ended = False
        """Whether the page's own end (RTC) was seen."""
        self._width = width
        self._tagged = two_dimensional
        self._max_lines = max_lines
        self._bits = ""
        self._started = False
        self._empty = 0
        self._streak = 0

    def feed(self, octets: bytes) -> None:
        """Take the next octets of the page, bit first received = LSB."""
        *segments, self._bits = _END_OF_LINE.split(self._bits + to_bits(octets))
        self._bits = self._bits[-MAX_LINE_BITS:]
        for segment in segments:
            if self._started and not self.ended:
                self._take(segment)
            self._started = True  # what stood before the first EOL is no line

    def _take(self, segment: str) -> None:
        content = segment[1:] if self._tagged else segment
        if not content.strip("0"):
            self._empty += 1
            self.ended = self._empty >= RTC_SEEN - 1
            return
        self._empty = 0
        if len(self.lines) >= self._max_lines:
            self.ended = True
            return
        one_dimensional = not self._tagged or segment.startswith("1")
        above = self.lines[-1] if self.lines else []
        try:
            if not one_dimensional and self._streak:
                raise BadCode("the line above is damaged")
            padded = content + "0" * MAX_CODE_BITS  # zeros of the last code went with the EOL
            if one_dimensional:
                line, _ = decode_1d(padded, 0, self._width)
            else:
                line, _ = decode_2d(padded, 0, above, self._width)
            self._streak = 0
        except BadCode:
            line = above
            self.bad_lines += 1
            self._streak += 1
            self.worst_streak = max(self.worst_streak, self._streak)
        self.lines.append(line)
