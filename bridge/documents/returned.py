"""Reads a returned order sheet: which order it is, and which boxes a hand has ticked.

Pure: a picture in, facts out. The QR symbols give the order and, by their corners, where each box
lies on a page that came back askew, shifted, scaled or upside down. What is not certain is said to
be so: a person looks (orders sheet, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import zxingcpp
from PIL import Image, ImageFilter

from bridge.documents.form import Tick
from bridge.documents.metric import Box
from bridge.documents.slip import GEOMETRY, Symbol, parse_payload
from bridge.domain.delivery import Says

Point = tuple[float, float]
Affine = tuple[float, float, float, float, float, float]

MAX_WIDTH: Final = 2_600
MAX_HEIGHT: Final = 5_000
"""Elements of a page that is looked at: A4 at 300 dpi is 2 480 x 3 508, B4 by fax 2 048 wide."""
AROUND: Final = 20
"""Elements looked at around the place where a box should be: 2.5 mm."""
SEARCH: Final = 15
"""How far its frame is looked for from there."""
FRAME: Final = 4
INSIDE: Final = 9
"""From the outer edge of a box to the paper that only a hand can have blackened."""
FRAME_SEEN: Final = 0.55
"""Part of a frame's edges that must be dark, else it is no box of ours."""
BLANK: Final = 0.025
TICKED: Final = 0.05
FILLED: Final = 0.70
"""Parts of the inside that are dark: below BLANK nothing, from TICKED to FILLED a tick. A stroke of
a ballpoint over the box has about 0.12; between and above, a person looks (struck out?)."""


class Mark(StrEnum):
    """What stands in a box."""

    BLANK = "blank"
    TICKED = "ticked"
    DOUBTFUL = "doubtful"


class PageTooLarge(ValueError):
    """More elements than any fax or scan of a sheet has."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What a page says. `order` and `code` are None where no symbol of ours was read."""

    order: str | None = None
    code: str | None = None
    marks: Mapping[Tick, Mark] = field(default_factory=dict)
    ink: Mapping[Tick, float] = field(default_factory=dict)
    trouble: str = ""

    @property
    def says(self) -> Says:
        """What the sheet reports; NOTHING means that a person must look.

        `result` ticked beside `arrived` is the result; any other two together are not clear.
        """
        if self.order is None or self.trouble or Mark.DOUBTFUL in self.marks.values():
            return Says.NOTHING
        ticked = frozenset(tick for tick, mark in self.marks.items() if mark is Mark.TICKED)
        return _MEANING.get(ticked, Says.NOTHING)


_MEANING: Final[Mapping[frozenset[Tick], Says]] = {
    frozenset({Tick.ARRIVED}): Says.ARRIVED,
    frozenset({Tick.RESULT}): Says.RESULT,
    frozenset({Tick.ARRIVED, Tick.RESULT}): Says.RESULT,
    frozenset({Tick.OBJECTION}): Says.DISPUTE,
}


def read_page(page: Image.Image, dpi: tuple[float, float] | None = None) -> Returned:
    """Read one page. `dpi`: along and down, where the file says so. Raises PageTooLarge."""
    if page.width > MAX_WIDTH or page.height > MAX_HEIGHT:
        raise PageTooLarge(f"{page.width} x {page.height} elements")
    grey = _even(page.convert("L"), dpi)
    found = _symbols(grey)
    orders = {(symbol.order, symbol.code, symbol.layout) for symbol, _ in found}
    if not orders:
        return Returned(trouble="没有可识别的回执码 / no symbol of ours")
    if len(orders) > 1:
        return Returned(trouble="一页上有多份指令的回执码 / symbols of several orders on one page")
    ((order, code, layout),) = orders
    geometry = GEOMETRY[layout]
    pairs = [
        pair
        for symbol, corners in found
        for pair in zip(geometry.symbols[symbol.side].corners, corners, strict=True)
    ]
    way = _fitted(pairs)
    if way is None:
        return Returned(order, code, trouble="回执码变形 / the symbol is distorted")
    ink = {tick: _ink(grey, box, way) for tick, box in geometry.boxes.items()}
    marks = {tick: _judged(part) for tick, part in ink.items()}
    return Returned(order, code, marks, {t: p for t, p in ink.items() if p is not None})


def _even(page: Image.Image, dpi: tuple[float, float] | None) -> Image.Image:
    """Elements as high as they are wide, nearly: a standard-resolution fax has half the lines."""
    low = dpi[1] < 0.7 * dpi[0] if dpi is not None and min(dpi) > 0 else page.height < page.width
    if not low:
        return page
    return page.resize((page.width, page.height * 2), Image.Resampling.NEAREST)


def _symbols(page: Image.Image) -> list[tuple[Symbol, Sequence[Point]]]:
    """Our symbols with their corners: top left, top right, bottom right, bottom left."""
    found: list[tuple[Symbol, Sequence[Point]]] = []
    formats = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
    for one in zxingcpp.read_barcodes(page, formats=formats):
        symbol = parse_payload(one.text)
        if symbol is not None:
            at = one.position
            corners = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
            found.append((symbol, [(float(corner.x), float(corner.y)) for corner in corners]))
    return found


def _fitted(pairs: Sequence[tuple[Point, Point]]) -> Affine | None:
    """The affine way from places of the sheet to places of the picture, by least squares."""
    n = float(len(pairs))
    sx = sum(x for (x, _), _ in pairs)
    sy = sum(y for (_, y), _ in pairs)
    sxx = sum(x * x for (x, _), _ in pairs)
    sxy = sum(x * y for (x, y), _ in pairs)
    syy = sum(y * y for (_, y), _ in pairs)
    matrix = ((sxx, sxy, sx), (sxy, syy, sy), (sx, sy, n))
    made: list[float] = []
    for axis in (0, 1):
        right = (
            sum(at[0] * to[axis] for at, to in pairs),
            sum(at[1] * to[axis] for at, to in pairs),
            sum(to[axis] for _, to in pairs),
        )
        solved = _solved(matrix, right)
        if solved is None:
            return None
        made += solved
    a, b, c, d, e, f = made
    return a, b, c, d, e, f


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float] | None:
    """Three equations by Cramer's rule; None where the corners lie on one line."""
    whole = _determinant(matrix)
    if abs(whole) < 1e-6:
        return None
    return [
        _determinant([[right[i] if j == k else matrix[i][j] for j in range(3)] for i in range(3)])
        / whole
        for k in range(3)
    ]


def _determinant(m: Sequence[Sequence[float]]) -> float:
    return (
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    )


def _ink(page: Image.Image, box: Box, way: Affine) -> float | None:
    """Part of the box's inside that is dark, or None: its frame is not where it should be."""
    a, b, c, d, e, f = way
    x, y = box.x - AROUND, box.y - AROUND
    size = (box.w + 2 * AROUND, box.h + 2 * AROUND)
    upright = page.transform(
        size,
        Image.Transform.AFFINE,
        (a, b, a * x + b * y + c, d, e, d * x + e * y + f),
        Image.Resampling.BILINEAR,
        fillcolor=255,
    )
    dark = [
        [value < 128 for value in row] for row in _rows(upright.filter(ImageFilter.MedianFilter(3)))
    ]
    across = [sum(row[AROUND:-AROUND]) / box.w for row in dark]
    down = [sum(row[column] for row in dark[AROUND:-AROUND]) / box.h for column in range(size[0])]
    top, left = _edge(across, box.h), _edge(down, box.w)
    if top is None or left is None:
        return None
    inside = [
        row[left + INSIDE : left + box.w - INSIDE]
        for row in dark[top + INSIDE : top + box.h - INSIDE]
    ]
    return sum(map(sum, inside)) / max(1, sum(map(len, inside)))


def _rows(picture: Image.Image) -> list[bytes]:
    data = picture.tobytes()
    return [data[at : at + picture.width] for at in range(0, len(data), picture.width)]


def _edge(darkness: Sequence[float], length: int) -> int | None:
    """Where a frame of `length` begins, by the darkness of its two edges."""

    def seen(at: int) -> float:
        first = darkness[at : at + FRAME]
        last = darkness[at + length - FRAME : at + length]
        return min(sum(first), sum(last)) / FRAME

    best = max(range(AROUND - SEARCH, AROUND + SEARCH + 1), key=seen)
    return best if seen(best) >= FRAME_SEEN else None


def _judged(part: float | None) -> Mark:
    if part is None:
        return Mark.DOUBTFUL
    if part < BLANK:
        return Mark.BLANK
    return Mark.TICKED if TICKED <= part <= FILLED else Mark.DOUBTFUL


__all__ = ["Mark", "PageTooLarge", "Returned", "Tick", "read_page"]
