"""Error correction of a received page (T.30, annex A): frames to blocks to a page. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hardware.fax import t30_limits as limits
from hardware.fax.hdlc import FCD, HdlcDecoder

PPR_OCTETS: Final = 32
_DATA_AT: Final = 4
"""Address, control, FCF, frame number; then data."""


@dataclass(frozen=True, slots=True)
class PartialPage:
    """FIF of PPS: where the block ends and what it had."""

    message: int
    """FCF2: 0 between blocks, else the post-page message, X as it came."""
    page: int
    block: int
    frames: int
    """Frames of this transmission."""

    @property
    def key(self) -> tuple[int, int]:
        """What tells one block from the next; both counters are modulo 256."""
        return self.page, self.block


def parse_pps(fif: bytes) -> PartialPage | None:
    """The FIF of a PPS; None when it is too short."""
    return PartialPage(fif[0], fif[1], fif[2], fif[3] + 1) if len(fif) >= 4 else None


@dataclass(slots=True)
class BlockCollector:
    """Good frames of the blocks of one page, whatever their order and number of tries."""

    _parts: list[tuple[int, bytes]] = field(default_factory=list)
    """Whole blocks of the page, each with its number."""
    _frames: dict[int, bytes] = field(default_factory=dict)
    _total: int = 0
    _hdlc: HdlcDecoder = field(default_factory=HdlcDecoder)
    _last_key: tuple[int, int] | None = None
    _last_frames: dict[int, bytes] = field(default_factory=dict)
    _retrained: bool = False

    def carrier(self) -> None:
        """A fast carrier begins: no bits of the one before belong to it."""
        self._hdlc = HdlcDecoder()

    def retrained(self) -> None:
        """Phase B in the middle of a page: its sender may begin again at an earlier block."""
        self._retrained = True
        self._frames, self._total = {}, 0

    def feed(self, octets: bytes) -> None:
        """Take data of the fast carrier."""
        for frame in self._hdlc.feed(octets):
            if frame[2] == FCD and len(frame) > _DATA_AT:
                self._frames[frame[3]] = frame[_DATA_AT:]

    def again(self, pps: PartialPage) -> bool:
        """Whether this ends the block that was complete before: nothing new has come with it.

        Some senders number every page 0: then only the frames tell a repeat from a new block.
        """
        same = all(self._last_frames.get(n) == data for n, data in self._frames.items())
        return pps.key == self._last_key and same

    def missing(self, pps: PartialPage) -> list[int]:
        """Frame numbers of the block that are not there."""
        self._total = self._total or pps.frames  # a repair is shorter than its block
        return [number for number in range(self._total) if number not in self._frames]

    def complete(self, pps: PartialPage) -> None:
        """The block is whole and goes into the page. None of its frames may be missing."""
        if self._retrained:
            self._parts = [part for part in self._parts if part[0] < pps.block]
            self._retrained = False
        data = b"".join(self._frames[number] for number in range(self._total))
        self._parts.append((pps.block, data))
        self._last_key, self._last_frames = pps.key, self._frames
        self.drop_frames()

    def give_up(self) -> None:
        """The sender has given up the block (EOR): what came before the first hole is kept."""
        whole = next((n for n in range(limits.BLOCK_FRAMES) if n not in self._frames), None)
        data = b"".join(self._frames[n] for n in range(whole or 0))
        self._parts.append((limits.BLOCK_FRAMES, data))
        self.drop_frames()

    def drop_frames(self) -> None:
        """Forget the frames that are in no block yet."""
        self._frames, self._total = {}, 0

    def next_page(self) -> bytes:
        """The page's octets; the next page begins empty."""
        octets = self.octets
        self._parts, self._retrained = [], False
        return octets

    @property
    def octets(self) -> bytes:
        """The page as far as its blocks are whole."""
        return b"".join(data for _, data in self._parts)


def ppr_map(missing: list[int]) -> bytes:
    """FIF of PPR: bit k of octet j asks for frame 8j+k."""
    wanted = 0
    for number in missing:
        wanted |= 1 << number
    return wanted.to_bytes(PPR_OCTETS, "little")
