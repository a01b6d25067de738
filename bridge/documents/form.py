"""What a paper says, before anybody decides how it looks: rows, marks, notes, return slip.

Pure. Pages, PDF, HTML and plain text are all made of the same form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Tick(StrEnum):
    """The boxes of a return slip: what the unit reports with the sheet it sends back."""

    ARRIVED = "arrived"
    RESULT = "result"
    OBJECTION = "objection"


@dataclass(frozen=True, slots=True)
class Cell:
    """A label and what stands beside it."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the ruled table. `least_lines` leaves room to write by hand."""

    cells: Sequence[Cell]
    least_lines: int = 1


@dataclass(frozen=True, slots=True)
class Slip:
    """The part that comes back: code, boxes, lines to fill in.

    `order` and `code` are what the QR symbol says; `lines` stands beside the boxes.
    """

    order: str
    code: str
    heading: str
    code_label: str
    ticks: Sequence[tuple[Tick, str, str]]
    """Box, its word, and what is to be written beside it."""
    sign: str
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """One paper. `marks` are the words in frames above the title (演练, 可能重复, 紧急)."""

    title: str
    issuer: str
    number: str
    marks: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    signs: Sequence[str] = ()
    slip: Slip | None = None
    picture: bytes = b""
    """TIFF of what was sent; its first page is shown below everything else."""
