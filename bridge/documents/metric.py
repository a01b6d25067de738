"""The fax page: its resolution and the one place where millimetres become picture elements.

T.4 fine resolution: 8.03 × 7.7 elements a millimetre, 1728 in a line (fax sheet, section 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

X_DPI: Final = 204
Y_DPI: Final = 196
WIDTH: Final = 1728
HEIGHT: Final = 2286
"""Lines of an A4 page."""
PX_MM_X: Final = X_DPI / 25.4
PX_MM_Y: Final = Y_DPI / 25.4


def px(mm: float) -> int:
    """Elements along a line."""
    return round(mm * PX_MM_X)


def py(mm: float) -> int:
    """Lines down the page."""
    return round(mm * PX_MM_Y)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the page in elements: left and top edge, width and height."""

    x: int
    y: int
    w: int
    h: int

    @property
    def right(self) -> int:
        return self.x + self.w

    @property
    def bottom(self) -> int:
        return self.y + self.h

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Top left, top right, bottom right, bottom left."""
        return (
            (self.x, self.y),
            (self.right, self.y),
            (self.right, self.bottom),
            (self.x, self.bottom),
        )


def box_mm(x: float, y: float, w: float, h: float) -> Box:
    """A rectangle given in millimetres from the page's upper left corner."""
    return Box(px(x), py(y), px(w), py(h))


MARGIN_X: Final = px(16)
TOP: Final = py(13)
"""Free above: the sending machine prints its own line there."""
BOTTOM: Final = HEIGHT - py(11)
INNER: Final = WIDTH - 2 * MARGIN_X
