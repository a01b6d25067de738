"""Frames of T.30: names, identifications, DIS and DCS. Pure.

Octets are as they cross the serial line in Class 1, the bit sent first being the least
significant. A frame is address, control, facsimile control field (FCF) and information (FIF); the
check sequence is the modem's, or `hdlc.py`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from hardware.fax.hdlc import ADDRESS, CONTROL, CONTROL_FINAL
from hardware.fax.rates import DCS_MASK, Rate, dis_of_rates, rate_of_dcs, rates_of_dis

ID_LENGTH: Final = 20
MAX_FIF: Final = 128
"""A V.21 frame lasts at most 3 s (T.30, 5.3.1)."""
X: Final = 0x01
"""First bit of the FCF: set by the station that received DIS (T.30, 5.3.6.1)."""


class Fcf(IntEnum):
    """Facsimile control fields with X = 0 (T.30, 5.3.6)."""

    DIS = 0x80
    CSI = 0x40
    NSF = 0x20
    DCS = 0x82
    TSI = 0x42
    NSS = 0x22
    SUB = 0xC2
    PWD = 0xA2
    CFR = 0x84
    FTT = 0x44
    CTC = 0x12
    CTR = 0xC4
    MPS = 0x4E
    EOM = 0x8E
    EOP = 0x2E
    PRI_MPS = 0x5E
    PRI_EOM = 0x9E
    PRI_EOP = 0x3E
    PPS = 0xBE
    EOR = 0xCE
    RR = 0x6E
    MCF = 0x8C
    RTP = 0xCC
    RTN = 0x4C
    PIP = 0xAC
    PIN = 0x2C
    PPR = 0xBC
    RNR = 0xEC
    ERR = 0x1C
    DCN = 0xFA
    CRP = 0x1A


POST_PAGE: Final = {
    Fcf.PRI_MPS: Fcf.MPS, Fcf.PRI_EOM: Fcf.EOM, Fcf.PRI_EOP: Fcf.EOP,
    Fcf.MPS: Fcf.MPS, Fcf.EOM: Fcf.EOM, Fcf.EOP: Fcf.EOP,
}  # fmt: skip
"""Post-page messages; the operator a PRI- form asks for is not there, the page counts the same."""


class Coding(StrEnum):
    """How a page is coded on the line."""

    MH = "MH"
    MR = "MR"
    MMR = "MMR"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame without its check sequence."""

    fcf: int
    """With X = 0."""
    x: bool
    fif: bytes
    final: bool

    @property
    def name(self) -> str:
        """For traces; polling frames differ from DIS, CSI and NSF in X alone."""
        if self.x and self.fcf in (Fcf.DIS, Fcf.CSI, Fcf.NSF):
            return {Fcf.DIS: "DTC", Fcf.CSI: "CIG", Fcf.NSF: "NSC"}[Fcf(self.fcf)]
        return Fcf(self.fcf).name if self.fcf in Fcf._value2member_map_ else f"{self.fcf:02X}"


def parse_frame(octets: bytes) -> Frame | None:
    """The frame of octets whose check was good; None for what is no T.30 frame."""
    if len(octets) < 3 or octets[0] != ADDRESS or octets[1] & ~0x10 != CONTROL:
        return None
    return Frame(
        fcf=octets[2] & ~X,
        x=bool(octets[2] & X),
        fif=octets[3 : 3 + MAX_FIF],
        final=octets[1] == CONTROL_FINAL,
    )


def build_frame(fcf: Fcf, fif: bytes = b"", *, x: bool, final: bool = True) -> bytes:
    """Octets of a frame. `x`: we are the station that received DIS."""
    return bytes((ADDRESS, CONTROL_FINAL if final else CONTROL, fcf | x)) + fif


def encode_identity(text: str) -> bytes:
    """FIF of CSI and TSI (T.30, 5.3.6.2.4): 20 characters, the last one first.

    Raises ValueError for anything but digits, blank and plus, and for more than 20 of them.
    """
    if len(text) > ID_LENGTH or set(text) - set("0123456789+ "):
        raise ValueError(
            f"传真标识 {text!r} 只能是至多 20 位数字、+ 和空格 / "
            "fax identity: at most 20 digits, plus and blank"
        )
    return text.rjust(ID_LENGTH)[::-1].encode("ascii")


def decode_identity(fif: bytes) -> str:
    """What a far station calls itself; see `clean_identity`."""
    return clean_identity(fif[:ID_LENGTH][::-1].decode("ascii", "replace"))


def clean_identity(text: str) -> str:
    """A far station's identity as it may be shown: letters, digits, blank and `+-.()/:`, of those
    20 characters. The standard has digits, blank and plus; many machines say their owner's name.
    Empty where it is not printable ASCII."""
    text = text[:ID_LENGTH].strip()
    if not text.isascii() or not text.isprintable():
        return ""
    return "".join(sign for sign in text if sign.isalnum() or sign in " +-.()/:").strip()


_RECEIVES: Final = 0x02  # octet 2, bit 10
_FINE: Final = 0x40  # octet 2, bit 15
_MR: Final = 0x80  # octet 2, bit 16
_UNLIMITED: Final = 0x08  # octet 3, bit 20
_EXTENDED: Final = 0x80  # bit 24 and every eighth after it
_ECM: Final = 0x04  # octet 4, bit 27
_ECM_64: Final = 0x08  # octet 4, bit 28 of DCS
_T6: Final = 0x40  # octet 4, bit 31
_SCAN_SHIFT: Final = 4
SCAN_MS: Final = {0: (20, 20), 1: (5, 5), 2: (10, 10), 3: (20, 10), 4: (40, 40), 5: (40, 20),
                  6: (10, 5), 7: (0, 0)}  # fmt: skip
"""Bits 21 to 23 of DIS: minimum time of a standard and of a fine scan line (T.30, table 2)."""
_SCAN_CODE: Final = {20: 0, 5: 1, 10: 2, 40: 4, 0: 7}
"""The same for DCS."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a DIS says its station receives."""

    receives: bool
    rates: tuple[Rate, ...]
    """In order of trying."""
    fine: bool
    mr: bool
    scan: int
    ecm: bool
    t6: bool

    def scan_ms(self, fine: bool) -> int:
        """Minimum time of a scan line, ms."""
        return SCAN_MS[self.scan][1 if fine else 0]


def parse_dis(fif: bytes) -> Abilities | None:
    """A DIS of three octets or more; what it does not say, the station cannot do."""
    if len(fif) < 3:
        return None
    fourth = fif[3] if len(fif) > 3 and fif[2] & _EXTENDED else 0
    ecm = bool(fourth & _ECM)
    return Abilities(
        receives=bool(fif[1] & _RECEIVES),
        rates=rates_of_dis(fif[1]),
        fine=bool(fif[1] & _FINE),
        mr=bool(fif[1] & _MR),
        scan=fif[2] >> _SCAN_SHIFT & 7,
        ecm=ecm,
        t6=ecm and bool(fourth & _T6),
    )


def build_dis(rates: tuple[Rate, ...], *, ecm: bool, t6: bool) -> bytes:
    """FIF of our DIS: fine, MR, unlimited length, no minimum scan-line time."""
    fourth = (_ECM if ecm else 0) | (_T6 if ecm and t6 else 0)
    second = _RECEIVES | dis_of_rates(rates) | _FINE | _MR
    third = _UNLIMITED | 7 << _SCAN_SHIFT
    return bytes((0, second, third | _EXTENDED, fourth)) if fourth else bytes((0, second, third))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a DCS says will be sent."""

    rate: Rate
    fine: bool
    coding: Coding
    scan_ms: int
    ecm: bool
    frame_octets: int
    """Data of an ECM frame: 256 or 64."""
    width: int

    @property
    def min_line_bits(self) -> int:
        """Bits the shortest scan line is filled to."""
        return 0 if self.ecm else -(-self.rate.bps * self.scan_ms // 1000)


def build_dcs(chosen: Chosen) -> bytes:
    """FIF of a DCS; three octets without ECM, as old receivers expect."""
    second = _RECEIVES | chosen.rate.dcs
    second |= (_FINE if chosen.fine else 0) | (_MR if chosen.coding is Coding.MR else 0)
    third = _UNLIMITED | _SCAN_CODE[chosen.scan_ms] << _SCAN_SHIFT
    if not chosen.ecm:
        return bytes((0, second, third))
    fourth = _ECM | (_ECM_64 if chosen.frame_octets == 64 else 0)
    fourth |= _T6 if chosen.coding is Coding.MMR else 0
    return bytes((0, second, third | _EXTENDED, fourth))


def parse_dcs(fif: bytes) -> Chosen | None:
    """A DCS of three octets or more; None for a speed or width that does not exist here."""
    if len(fif) < 3:
        return None
    rate = rate_of_dcs(fif[1] & DCS_MASK)
    fourth = fif[3] if len(fif) > 3 and fif[2] & _EXTENDED else 0
    width = {0: 1728, 1: 2048, 2: 2432}.get(fif[2] & 3)
    if rate is None or width is None:
        return None
    ecm, mr = bool(fourth & _ECM), bool(fif[1] & _MR)
    return Chosen(
        rate=rate,
        fine=bool(fif[1] & _FINE),
        coding=Coding.MMR if ecm and fourth & _T6 else Coding.MR if mr else Coding.MH,
        scan_ms=SCAN_MS[fif[2] >> _SCAN_SHIFT & 7][0],
        ecm=ecm,
        frame_octets=64 if fourth & _ECM_64 else 256,
        width=width,
    )
