"""Names and numbers in which Class 2 (SP-2388-A) and Class 2.0/2.1 (T.32) differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hardware.fax.rates import ALL_RATES, V27TER_2400, V27TER_4800, V29_7200, V29_9600, Rate
from hardware.fax.t30 import Cause
from hardware.fax.t30_frames import Chosen, Coding


@dataclass(frozen=True, slots=True)
class Dialect:
    """Command and report names of one class, without `AT` and `+`."""

    capabilities: str
    identity: str
    connected: str
    called_id: str
    sender_id: str
    settings: str
    """Report of the settings chosen: DCS."""
    far_abilities: str
    hung_up: str
    hung_up_base: int
    """Class 2 says its reason in decimal, 2.0 in hexadecimal."""
    bit_order: str
    setup: tuple[str, ...]
    """Commands after +FCLASS, each of which a modem may refuse."""
    ecm_on: int
    page_marks: bool
    """Class 2.0: the page's end is in the data (DLE with a mark), not in +FET."""
    overrule: str
    """Command that turns a received page down."""
    trigger: int | None
    """What starts the delivery of a page; None: as the model says."""


CLASS_2: Final = Dialect(
    capabilities="FDCC", identity="FLID", connected="FCON", called_id="FCSI", sender_id="FTSI",
    settings="FDCS", far_abilities="FDIS", hung_up="FHNG", hung_up_base=10, bit_order="FBOR",
    setup=("+FTBC=0", "+FBOR=0", "+FCR=1", "+FPHCTO=30"), ecm_on=2, page_marks=False,
    overrule="+FPTS=2", trigger=None,
)  # fmt: skip
CLASS_20: Final = Dialect(
    capabilities="FCC", identity="FLI", connected="FCO", called_id="FCI", sender_id="FTI",
    settings="FCS", far_abilities="FIS", hung_up="FHS", hung_up_base=16, bit_order="FBO",
    setup=("+FLO=2", "+FPP=0", "+FBO=0", "+FCR=1", "+FCT=30", "+FNR=1,1,1,1", "+FIE=0"),
    ecm_on=1, page_marks=True, overrule="+FPS=2", trigger=0x12,
)  # fmt: skip
DIALECTS: Final = {"2": CLASS_2, "2.0": CLASS_20, "2.1": CLASS_20}

MPS, EOM, EOP = 0, 1, 2
"""+FET codes."""
PAGE_MARKS: Final = {MPS: b"\x10\x2c", EOM: b"\x10\x3b", EOP: b"\x10\x2e"}
GOOD_PAGE: Final = frozenset({1, 3, 5})
"""Page status MCF, RTP, PIP; 2 is RTN, 4 PIN."""

CODINGS: Final = {0: Coding.MH, 1: Coding.MR, 3: Coding.MMR}
SCAN_MS: Final = {0: 0, 1: 5, 2: 10, 3: 10, 4: 20, 5: 20, 6: 40, 7: 40}
_RATE_OF: Final = {
    **{rate.bps // 2400 - 1: rate for rate in reversed(ALL_RATES)},
    0: V27TER_2400, 1: V27TER_4800, 2: V29_7200, 3: V29_9600,
}  # fmt: skip
"""The modulation is the modem's affair; 9600 and 7200 are shown as V.29."""


def rate_number(bps: int) -> int:
    """The BR value of a speed."""
    return max(0, bps // 2400 - 1)


def parse_parameters(text: str) -> list[int | None]:
    """`1,5,0,2,0,0,0,0` as numbers; empty fields and what is no number become None."""
    fields = (field.strip() for field in text.split(","))
    return [int(field) if field.isdecimal() and len(field) < 4 else None for field in fields]


def chosen_of(text: str) -> Chosen:
    """The settings in a +FDCS or +FCS report; what it leaves out is the least."""
    given = [number or 0 for number in parse_parameters(text)] + [0] * 8
    rate: Rate = _RATE_OF.get(given[1], V27TER_2400)
    ecm = given[5] > 0
    coding = CODINGS.get(given[4], Coding.MH)
    if coding is Coding.MMR and not ecm:
        coding = Coding.MH
    return Chosen(rate, given[0] > 0, coding, SCAN_MS.get(given[7], 0), ecm, 256, 1728)


def hang_up_cause(code: int) -> tuple[Cause, bool]:
    """What a +FHNG or +FHS code means, and whether it came after the page was sent.

    Codes of T.32, table 22; the codes of Class 2 have the same digits.
    """
    if code == 0:
        return Cause.DONE, False
    if code in (3,):
        return Cause.NO_DIALTONE, False
    if code in (1, 4, 5, 10, 11):
        return Cause.NO_FAX if code != 4 else Cause.NO_ANSWER, False
    if code == 2:
        return Cause.CANCELLED, False
    if code == 21:
        return Cause.CANNOT_RECEIVE, False
    if code == 27:
        return Cause.NOT_TRAINED, False
    if 20 <= code <= 28:
        return Cause.NO_RESPONSE, False
    if 40 <= code <= 47:
        return Cause.MODEM, False
    if code == 58:
        return Cause.REJECTED, False
    if 50 <= code <= 57:
        return Cause.NO_PAGE_RESPONSE, True
    return Cause.LINE_CUT, False
