"""Speeds of the fast carriers: modulation, its T.31 numbers, its bits in DIS and DCS. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

TCF_SECONDS: Final = 1.5
"""Zeros of the training check (T.30, 5.3.1.3)."""
BLOCK_FLAGS_SECONDS: Final = 0.2
"""Flags before the first frame of an ECM block (T.4, A.3.1)."""


@dataclass(frozen=True, slots=True)
class Rate:
    """One speed of one modulation."""

    bps: int
    modulation: str
    training: int
    """Modulation number with long training: `+FTM=`, `+FRM=` (T.31, table 3)."""
    data: int
    """The same with short training."""
    dcs: int
    """Bits 11 to 14 of DCS, as mask of its second octet (T.30, table 2)."""

    @property
    def tcf_octets(self) -> int:
        """Length of the training check."""
        return int(self.bps * TCF_SECONDS / 8)

    @property
    def block_flags(self) -> int:
        """Flag octets before an ECM block."""
        return int(self.bps * BLOCK_FLAGS_SECONDS / 8)


V17_14400: Final = Rate(14400, "V.17", 145, 146, 0x20)
V17_12000: Final = Rate(12000, "V.17", 121, 122, 0x28)
V17_9600: Final = Rate(9600, "V.17", 97, 98, 0x24)
V17_7200: Final = Rate(7200, "V.17", 73, 74, 0x2C)
V29_9600: Final = Rate(9600, "V.29", 96, 96, 0x04)
V29_7200: Final = Rate(7200, "V.29", 72, 72, 0x0C)
V27TER_4800: Final = Rate(4800, "V.27ter", 48, 48, 0x08)
V27TER_2400: Final = Rate(2400, "V.27ter", 24, 24, 0x00)

ALL_RATES: Final = (
    V17_14400, V17_12000, V17_9600, V17_7200, V29_9600, V29_7200, V27TER_4800, V27TER_2400
)  # fmt: skip
FALL_BACK: Final = (V17_14400, V17_12000, V29_9600, V29_7200, V27TER_4800, V27TER_2400)
"""Order of trying. After two V.17 failures V.17 9600 and 7200 rarely work."""
DCS_MASK: Final = 0x3C

MODULATIONS_OF_DIS: Final = {
    0x00: frozenset({"2400"}),
    0x08: frozenset({"V.27ter"}),
    0x04: frozenset({"V.29"}),
    0x0C: frozenset({"V.27ter", "V.29"}),
    0x2C: frozenset({"V.27ter", "V.29", "V.17"}),
}
"""Bits 11 to 14 of DIS (T.30, table 2); 2400 is V.27ter's fall-back alone."""


def rates_of_dis(bits: int) -> tuple[Rate, ...]:
    """What a station with these DIS bits receives, in order of trying; unknown bits: 2400."""
    known = MODULATIONS_OF_DIS.get(bits & DCS_MASK, frozenset({"2400"}))
    return tuple(r for r in FALL_BACK if r.modulation in known or str(r.bps) in known)


def dis_of_rates(rates: Iterable[Rate]) -> int:
    """Bits 11 to 14 of our DIS: the richest entry that promises nothing we cannot do."""
    able = {rate.modulation for rate in rates if rate != V27TER_2400} | {"2400"}
    fitting = [bits for bits, names in MODULATIONS_OF_DIS.items() if names <= able]
    return max(fitting, key=lambda bits: len(MODULATIONS_OF_DIS[bits] - {"2400"}))


def rate_of_dcs(bits: int) -> Rate | None:
    """The speed a DCS or CTC chooses; None for one that does not exist."""
    return next((rate for rate in ALL_RATES if rate.dcs == bits & DCS_MASK), None)
