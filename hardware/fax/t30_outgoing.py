"""A page on its way under error correction (T.30, annex A): blocks, frames, what is wanted again.
Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from hardware.fax import t30_limits as limits
from hardware.fax.t30_frames import Fcf, X


@dataclass(slots=True)
class OutgoingPage:
    """Numbered frames in blocks. `empty`: no page has been cut yet."""

    _blocks: list[dict[int, bytes]] = field(default_factory=list)
    _block: int = 0
    _wanted: dict[int, bytes] = field(default_factory=dict)
    """The frames of the transmission under way, or the next one; empty: the whole block."""
    requests: int = 0
    """PPRs for this block that brought no progress."""

    @staticmethod
    def cut(octets: bytes, size: int) -> OutgoingPage:
        """Blocks of at most 256 frames of so many octets, the last one filled up (T.4, annex A)."""
        frames = [octets[at : at + size].ljust(size, b"\0") for at in range(0, len(octets), size)]
        full = limits.BLOCK_FRAMES
        blocks = [dict(enumerate(frames[at : at + full])) for at in range(0, len(frames), full)]
        return OutgoingPage(blocks)

    @property
    def empty(self) -> bool:
        """Nothing to send: the page is coded first."""
        return not self._blocks

    @property
    def more(self) -> bool:
        """Whether blocks follow the one under way."""
        return self._block + 1 < len(self._blocks)

    def next_frames(self) -> dict[int, bytes]:
        """What goes out now."""
        if not self._wanted:
            self._wanted = self._blocks[self._block]
        return self._wanted

    def partial_page(self, page: int, message: Fcf) -> bytes:
        """FIF of the PPS for what was sent: `message` after the last block, none before."""
        end = 0 if self.more else message | X
        return bytes((end, page % 256, self._block % 256, len(self._wanted) - 1))

    def next_block(self) -> None:
        """The block under way was taken."""
        self._block += 1
        self._wanted, self.requests = {}, 0

    def whole_block(self) -> None:
        """The block under way is sent again with all its frames."""
        self._wanted = {}

    def restart(self) -> None:
        """The page is sent again from its first block."""
        self._block, self._wanted, self.requests = 0, {}, 0

    def wanted_again(self, fif: bytes) -> int:
        """How many frames of the block a PPR asks for; they are the next ones to go out. A request
        for half as many as the one before is progress, and not counted."""
        block = self._blocks[self._block] if self._blocks else {}
        wanted = {number: data for number, data in block.items() if _asked(fif, number)}
        if wanted:
            if not self._wanted or 2 * len(wanted) > len(self._wanted):
                self.requests += 1
            self._wanted = wanted
        return len(wanted)


def _asked(fif: bytes, number: int) -> bool:
    """Whether a PPR wants this frame: bit k of octet j stands for frame 8j+k."""
    return len(fif) > number // 8 and bool(fif[number // 8] >> number % 8 & 1)
