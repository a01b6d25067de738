"""The emulated Class 2 modem on a pseudo-terminal, in real time."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from hardware.rig.class2_modem import Class2Modem
from hardware.rig.pty import PtyEnd


class Class2Line:
    """The modem behind a device name. Make it inside a running loop."""

    def __init__(self, modem: Class2Modem, device: Path) -> None:
        self.modem = modem
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._pty = PtyEnd(self._octets, random.Random(0))  # noqa: S311 - no faults on this line
        self._pty.link(device)

    def _octets(self, data: bytes) -> None:
        self.modem.feed(data, self._loop.time())
        self._go_on()

    def _tick(self) -> None:
        self.modem.tick(self._loop.time())
        self._go_on()

    def ring(self) -> None:
        """A call comes in."""
        self.modem.ring(self._loop.time())
        self._go_on()

    def _go_on(self) -> None:
        if said := self.modem.take():
            self._pty.write(said)
        if self._timer is not None:
            self._timer.cancel()
        due = self.modem.deadline
        self._timer = None if due is None else self._loop.call_at(due, self._tick)

    def pull(self) -> None:
        """The cable is pulled."""
        self._pty.pull()

    def plug(self) -> None:
        """And plugged in again."""
        self._pty.plug()

    def close(self) -> None:
        """End of the modem; its device name goes."""
        if self._timer is not None:
            self._timer.cancel()
        self._pty.close()
