"""What a fax driver needs of the serial line: bytes, a clock, the modem's own reset. Edge-free.

Drivers wait only here, so that the same code runs on a serial port (`port_wire.py`) and, sample
block by sample block, against a modem in the same process.
"""

from __future__ import annotations

from typing import Protocol


class WireGone(Exception):
    """The port is away: unplugged, or held by another program."""


class WireHeld(WireGone):
    """Another program holds the port."""


class ModemWire(Protocol):
    """The serial line of one modem."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    async def write(self, data: bytes) -> None:
        """Returns when the line has taken the data. Raises WireGone."""
        ...

    async def read(self, seconds: float) -> bytes:
        """What has come; empty when nothing came in so many seconds. Raises WireGone."""
        ...

    async def drop_dtr(self) -> None:
        """The last-resort reset: DTR down for the modem to notice, then up. No-op on a pty."""
        ...
