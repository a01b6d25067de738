"""Chinese type on a fax page: one typeface, widths remembered, lines broken as Chinese is set."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

DEFAULT_FONT: Final = Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc")
"""WenQuanYi Zen Hei, Debian's fonts-wqy-zenhei."""
SMALLEST: Final = 28
"""Elements of an em: a Chinese character of it is 3 mm high; nothing smaller goes by fax."""
NOT_FIRST: Final = frozenset("，。、；：？！）》】」』”’…—％,.;:?!)]}%")
"""Never at the beginning of a line (GB/T 15834)."""
NOT_LAST: Final = frozenset("（《【「『“‘([{")
"""Never at the end of a line."""
ODD: Final = "〓"
"""Stands for a character that must not act: controls, directions, private and unassigned ones
(guard S10). Printed, never left out: the reader sees that something was there."""
_ODD_KINDS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def tame(text: str) -> str:
    """Text as it may be printed: line ends as one form, acting characters as `ODD`."""
    plain = text.replace("\r\n", "\n").replace("\t", " ")
    return "".join(
        ODD if one != "\n" and unicodedata.category(one) in _ODD_KINDS else one for one in plain
    )


MAX_GLYPHS: Final = 8_000
"""Characters remembered, 1.5 kB each; more than twice what GB 2312's first level has."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """A character's black elements and where they lie from the corner of its em square."""

    mask: Image.Image
    x: int
    y: int


def _drawn(font: ImageFont.FreeTypeFont, one: str, drop: float) -> Glyph:
    left, top, right, bottom = map(int, font.getbbox(one, mode="1", anchor="la"))
    mask = Image.new("1", (max(1, right - left), max(1, bottom - top)), 0)
    draw = ImageDraw.Draw(mask)
    draw.fontmode = "1"
    draw.text((-left, -top), one, 255, font, anchor="la")
    return Glyph(mask, left, top - round(drop))


class Typeface:
    """One font file in the sizes of a page. Belongs to one thread."""

    def __init__(self, file: Path = DEFAULT_FONT) -> None:
        """Raises OSError where the file is missing or no font."""
        self._file = file
        self._sizes: dict[int, ImageFont.FreeTypeFont] = {}
        self._widths: dict[tuple[int, str], float] = {}
        self._glyphs: dict[tuple[int, str], Glyph] = {}
        self.size(SMALLEST)

    def size(self, em: int) -> ImageFont.FreeTypeFont:
        """The font at `em` elements, at least `SMALLEST`."""
        em = max(em, SMALLEST)
        if em not in self._sizes:
            self._sizes[em] = ImageFont.truetype(
                str(self._file), em, layout_engine=ImageFont.Layout.BASIC
            )
        return self._sizes[em]

    def glyph(self, one: str, em: int) -> Glyph:
        """One character, drawn once and remembered: a page has the same ones over and over."""
        found = self._glyphs.get((em, one))
        if found is None:
            if len(self._glyphs) >= MAX_GLYPHS:
                self._glyphs.clear()
            found = self._glyphs[em, one] = _drawn(self.size(em), one, self.drop(em))
        return found

    def drop(self, em: int) -> float:
        """How far below the middle of its em square the font puts a Chinese character."""
        _, top, _, bottom = self.size(em).getbbox("国", anchor="la")
        return (top + bottom - em) / 2

    def width(self, text: str, em: int) -> float:
        """Elements that `text` takes on a line."""
        return sum(self._width(one, em) for one in text)

    def _width(self, one: str, em: int) -> float:
        found = self._widths.get((em, one))
        if found is None:
            if len(self._widths) >= MAX_GLYPHS:
                self._widths.clear()
            found = self._widths[em, one] = self.size(em).getlength(one)
        return found

    def lines(self, text: str, em: int, width: float) -> list[str]:
        """`text` broken into lines no wider than `width`; an empty text is one empty line."""
        made: list[str] = []
        for paragraph in text.split("\n"):
            made += self._broken(paragraph, em, width)
        return made

    def _broken(self, text: str, em: int, width: float) -> list[str]:
        made: list[str] = []
        start, at, used = 0, 0, 0.0
        while at < len(text):
            used += self._width(text[at], em)
            if used > width and at > start:
                end = _break_before(text, start, at)
                made.append(text[start:end].rstrip(" "))
                start = end + (len(text[end:]) - len(text[end:].lstrip(" ")))
                at, used = start, 0.0
                continue
            at += 1
        return [*made, text[start:]]


def _break_before(text: str, start: int, at: int) -> int:
    """Where the line that cannot take `text[at]` ends: a few characters earlier where a word, a
    number or a punctuation mark would be torn; there it is torn all the same."""
    earliest = max(start + 1, at - 24)
    for end in range(at, earliest - 1, -1):
        if _may_break(text[end - 1], text[end]):
            return end
    return at


def _may_break(before: str, after: str) -> bool:
    if after in NOT_FIRST or before in NOT_LAST:
        return False
    return before == " " or not (_is_word(before) and _is_word(after))


def _is_word(one: str) -> bool:
    return one.isascii() and one not in " -/"


def fit(face: Typeface, text: str, ems: Sequence[int], width: float) -> int:
    """The first of `ems` (largest first) in which `text` takes one line; else the last."""
    return next((em for em in ems if face.width(text, em) <= width), ems[-1])
