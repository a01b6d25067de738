"""One page being drawn: black on white, one bit an element, as the fax line carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw

from bridge.documents.metric import HEIGHT, WIDTH, Box
from bridge.documents.typeface import Typeface

BLACK: Final = 0
WHITE: Final = 255
"""Not 1: Pillow keeps the value as given and inverts it to 254, which is white again."""
PITCH: Final = 1.42
"""Line to line, in ems."""
HAIR: Final = 2
RULE: Final = 4
"""Widths of rules in elements; one element alone is lost on many machines."""


def pitch(em: int) -> int:
    """Lines of the page from one line of type to the next."""
    return round(em * PITCH)


class Canvas:
    """An A4 page at 204 x 196."""

    def __init__(self, face: Typeface) -> None:
        self.image = Image.new("1", (WIDTH, HEIGHT), WHITE)
        self._face = face
        self._draw = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, text: str, em: int, *, bold: bool = False) -> None:
        """One line whose em square has its upper left corner at x, y."""
        for one in text:
            glyph = self._face.glyph(one, em)
            place = round(x) + glyph.x, round(y) + glyph.y
            for shift in (0, 1, 2) if bold else (0,):
                self.image.paste(BLACK, (place[0] + shift, place[1]), glyph.mask)
            x += self._face.width(one, em)

    def centred(self, box: Box, lines: Sequence[str], em: int, *, bold: bool = False) -> None:
        """Lines in the middle of `box`."""
        y = box.y + (box.h - pitch(em) * len(lines)) / 2 + (pitch(em) - em) / 2
        for line in lines:
            x = box.x + (box.w - self._face.width(line, em)) / 2
            self.text(x, y, line, em, bold=bold)
            y += pitch(em)

    def lines(self, x: int, y: float, lines: Sequence[str], em: int) -> None:
        """Lines from the left, the first one's pitch beginning at y."""
        y += (pitch(em) - em) / 2
        for line in lines:
            self.text(x, y, line, em)
            y += pitch(em)

    def across(self, x: int, right: int, y: int, width: int = HAIR) -> None:
        """A horizontal rule."""
        self._draw.rectangle((x, y, right, y + width - 1), fill=BLACK)

    def down(self, x: int, y: int, bottom: int, width: int = HAIR) -> None:
        """A vertical rule."""
        self._draw.rectangle((x, y, x + width - 1, bottom), fill=BLACK)

    def dashed(self, x: int, right: int, y: int) -> None:
        """The line along which a slip is cut off."""
        for start in range(x, right, 24):
            self.across(start, min(start + 13, right), y)

    def frame(self, box: Box, width: int = HAIR) -> None:
        """The outline of `box`, its width inside."""
        self._draw.rectangle(
            (box.x, box.y, box.right - 1, box.bottom - 1), outline=BLACK, width=width
        )

    def paste(self, picture: Image.Image, x: int, y: int) -> None:
        """Another picture of black and white, its upper left corner at x, y."""
        self.image.paste(picture.convert("1"), (x, y))

    def symbol(self, box: Box, rows: Sequence[bytearray], module: int) -> None:
        """A QR symbol with its upper left corner at the box's."""
        for down, row in enumerate(rows):
            for along, dark in enumerate(row):
                if dark:
                    x, y = box.x + along * module, box.y + down * module
                    self._draw.rectangle((x, y, x + module - 1, y + module - 1), fill=BLACK)
