"""The far fax machine of the emulated Class 2 modem, and what its firmware does in its own way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Far = Literal["fax", "busy", "no answer", "no dial tone", "voice", "blocked"]


@dataclass(slots=True)
class Quirks:
    """What the firmware does differently from its standard."""

    no_xon: bool = False
    """Class 2 without XON after CONNECT."""
    trigger: int | None = None
    """What a received page waits for, instead of DC1 (Class 2) and DC2 (2.0)."""
    reversed_receive: bool = False
    """Received pages come most significant bit first."""
    junk_lines: bool = False
    """Lines that nobody knows between report and result code."""
    ok_before_status: bool = False
    """OK first, then +FPTS."""
    no_status: bool = False
    """No +FPTS after EOP, only +FHNG:0."""
    no_carrier: bool = False
    """NO CARRIER where +FHNG belongs, when a call fails."""
    echo_stuck: bool = False
    """ATE0 is answered by OK and forgotten."""
    spaces: bool = False
    """A blank after the colon of a report."""
    quick_ok: bool = False
    """OK to page data at once, not when the last bit has left."""


@dataclass(slots=True)
class FarMachine:
    """The fax machine at the other end of the line."""

    kind: Far = "fax"
    identity: str = "057188888888"
    fine: bool = True
    max_bps: int = 14400
    statuses: list[int] = field(default_factory=list)
    """Its answers to pages: 1 MCF, 2 RTN, 3 RTP, 4 PIN, 5 PIP; MCF when the list is empty."""
    hang_up_at: dict[str, int] = field(default_factory=dict)
    """`train`, `page` or `status`: it ends the call there, with this +FHNG code; once."""
    documents: list[bytes] = field(default_factory=list)
    """Pages that it sends when it calls, MH, bit first sent = LSB."""
    received: list[bytes] = field(default_factory=list)
    """Pages that it has confirmed."""
    refused: list[bytes] = field(default_factory=list)
