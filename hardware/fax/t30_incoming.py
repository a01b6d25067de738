"""A page on its way in: the training check before it, its lines or its blocks. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hardware.fax import t30_limits as limits
from hardware.fax.page import MAX_LINES
from hardware.fax.rates import Rate
from hardware.fax.received import ReceivedPage, good_enough
from hardware.fax.t4 import T4Decoder
from hardware.fax.t30_ecm import BlockCollector
from hardware.fax.t30_frames import Chosen, Coding


@dataclass(slots=True)
class TrainingCheck:
    """TCF: 1.5 s of zeros (T.30, 5.3.6.1.2)."""

    _octets: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes, rate: Rate) -> None:
        """Octets of it; what is too long for one is let go."""
        if len(self._octets) < 2 * rate.tcf_octets:
            self._octets += data

    def good(self, rate: Rate) -> bool:
        """Whether pages can be sent at this speed."""
        runs = re.findall(rb"\0+", self._octets)
        longest = max(map(len, runs), default=0)
        bad = len(self._octets) - sum(map(len, runs))
        enough = longest * 8 >= limits.TCF_GOOD_SECONDS * rate.bps
        return enough and bad <= limits.TCF_BAD_SHARE * len(self._octets)


@dataclass(slots=True)
class IncomingPage:
    """What has come of the page on the line, without error correction or with it."""

    blocks: BlockCollector = field(default_factory=BlockCollector)
    _decoder: T4Decoder | None = None
    _size: int = 0

    def retrained(self) -> None:
        """Phase B again, in the middle of a page perhaps."""
        self._decoder = None
        self.blocks.retrained()

    def carrier(self, chosen: Chosen) -> None:
        """A fast carrier is awaited."""
        if chosen.ecm:
            self.blocks.carrier()
        else:
            self._decoder = T4Decoder(chosen.width, chosen.coding is Coding.MR, MAX_LINES)
            self._size = 0

    def feed(self, data: bytes, chosen: Chosen) -> bool:
        """Octets of the carrier; False: the page is larger than any may be."""
        self._size += len(data)
        if self._size > limits.MAX_PAGE_OCTETS:
            return False
        if chosen.ecm:
            self.blocks.feed(data)
        elif self._decoder is not None:
            self._decoder.feed(data)
        return True

    @property
    def has_lines(self) -> bool:
        """Whether lines of a page without error correction are here."""
        return self._decoder is not None and bool(self._decoder.lines)

    @property
    def complete(self) -> bool:
        """Whether they are a page that may be confirmed; without its end it is cut short."""
        decoder = self._decoder
        return decoder is not None and decoder.ended and good_enough(decoder)

    def page_of_lines(self, chosen: Chosen, *, confirmed: bool) -> ReceivedPage:
        """Those lines as a page; there must be some."""
        decoder = self._decoder
        assert decoder is not None  # `has_lines` was asked
        lines = tuple(decoder.lines)
        return ReceivedPage(chosen, confirmed, lines=lines, bad_lines=decoder.bad_lines)

    def page_of_blocks(self, chosen: Chosen, *, confirmed: bool) -> ReceivedPage:
        """The blocks as a page; the next one begins empty."""
        return ReceivedPage(chosen, confirmed, octets=self.blocks.next_page())

    def judged(self) -> None:
        """The page was answered: its lines are kept elsewhere, or not at all."""
        self._decoder = None

    def kept(self) -> None:
        """The page is kept whole; the size of the next one counts from zero."""
        self._size = 0

    def unfinished(self, chosen: Chosen) -> ReceivedPage | None:
        """What is here when the call ends in the middle of a page."""
        if self.has_lines:
            return self.page_of_lines(chosen, confirmed=False)
        octets = self.blocks.octets
        return ReceivedPage(chosen, confirmed=False, octets=octets) if octets else None
