"""Where the return slip stands on the page and what its QR symbols say.

One structure for both ways: pages are drawn by it, returned pages are read by it. A change of
any place here is a new `LAYOUT`; sheets of the old one are still out there and keep their entry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import segno

from bridge.documents.form import Tick
from bridge.documents.metric import Box, box_mm, px, py
from bridge.domain.paper import PaperError

Side = Literal["L", "R"]

MODULE: Final = 6
"""Elements of a module of the QR symbol: 0.75 mm, three times what fax at 100 lines resolves."""
QR_VERSION: Final = 4
QR_MODULES: Final = 17 + 4 * QR_VERSION
QR_PX: Final = QR_MODULES * MODULE
ORDER_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,39}")
CODE_FORM: Final = re.compile(r"[0-9]{8}")
MASK: Final = 3
"""Of the QR symbol, fixed: to weigh all eight takes longer than to draw the page."""
_PAYLOAD: Final = re.compile(r"B110/([0-9]{1,2})/([A-Za-z0-9._:-]{1,40})/([0-9]{8})/([LR])")
LAYOUT: Final = 1


class SlipError(PaperError):
    """The order number or code cannot be printed as a symbol."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Places on the first page, in elements of the page."""

    area: Box
    symbols: Mapping[Side, Box]
    boxes: Mapping[Tick, Box]


def _geometry() -> Geometry:
    top = 210.0
    left = Box(px(16), py(top + 12), QR_PX, QR_PX)
    right = Box(px(199) - QR_PX, py(top + 12), QR_PX, QR_PX)
    return Geometry(
        area=box_mm(16, top, 183, 67),
        symbols=MappingProxyType({"L": left, "R": right}),
        boxes=MappingProxyType(
            {tick: box_mm(47, top + 20 + 11 * n, 6.5, 6.5) for n, tick in enumerate(Tick)}
        ),
    )


GEOMETRY: Final[Mapping[int, Geometry]] = MappingProxyType({LAYOUT: _geometry()})


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a QR symbol of a slip says."""

    layout: int
    order: str
    code: str
    side: Side


def payload(order: str, code: str, side: Side) -> str:
    """The text of a symbol. Raises SlipError naming what is wrong."""
    if ORDER_FORM.fullmatch(order) is None:
        raise SlipError(f"order number {order!r}: 1 to 40 of A-Z a-z 0-9 . _ : - are expected")
    if CODE_FORM.fullmatch(code) is None:
        raise SlipError("the closing code is eight digits")
    return f"B110/{LAYOUT}/{order}/{code}/{side}"


def parse_payload(text: str) -> Symbol | None:
    """The symbol that `text` is, or None: not one of ours, or of a layout never printed."""
    found = _PAYLOAD.fullmatch(text)
    if found is None or int(found[1]) not in GEOMETRY:
        return None
    return Symbol(int(found[1]), found[2], found[3], "L" if found[4] == "L" else "R")


def modules(text: str) -> list[bytearray]:
    """Rows of dark (1) and light (0) modules, without the quiet zone."""
    made = segno.make(text, version=QR_VERSION, mask=MASK, error="m", micro=False)
    return [bytearray(row) for row in made.matrix]
