"""Pages as they were received, and the picture that can be made of them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardware.fax import t30_limits as limits
from hardware.fax.page import MAX_LINES, Page, page_of_lines
from hardware.fax.t4 import Line, T4Decoder, decode_t6_part
from hardware.fax.t30_frames import Chosen, Coding


@dataclass(frozen=True, slots=True)
class ReceivedPage:
    """One page, whole or in part."""

    chosen: Chosen
    confirmed: bool
    """Whether the sender was told MCF: only then it counts as received."""
    octets: bytes = b""
    """Coded data that came under ECM; else the lines are decoded already."""
    lines: tuple[Line, ...] = ()
    bad_lines: int = 0

    def page(self) -> Page:
        """The picture; of damaged data, the part before the damage. Takes some 0.3 s."""
        lines = self.lines or decode_page(self.octets, self.chosen)[0]
        return page_of_lines(lines, self.chosen.width, self.chosen.fine)


Keep = Callable[[ReceivedPage, str], None]
"""Puts a page, and who it is from, where no crash can take it; only then it is confirmed. Raises
OSError: it is not confirmed."""


def keep_nothing(_: ReceivedPage, __: str) -> None:
    """Whoever asked for the call takes its pages at its end."""


def decode_page(octets: bytes, chosen: Chosen) -> tuple[list[Line], bool]:
    """The lines of a whole page, and whether they are all there and undamaged."""
    if chosen.coding is Coding.MMR:
        return decode_t6_part(octets, chosen.width, MAX_LINES)
    decoder = T4Decoder(chosen.width, chosen.coding is Coding.MR, MAX_LINES)
    decoder.feed(octets)
    return decoder.lines, decoder.ended and not decoder.bad_lines


def good_enough(decoder: T4Decoder) -> bool:
    """Whether a page without ECM may be confirmed."""
    lines = len(decoder.lines)
    good = lines - decoder.bad_lines
    return lines > 0 and good >= limits.GOOD_LINES * lines and (
        decoder.worst_streak <= limits.BAD_STREAK
    )  # fmt: skip
