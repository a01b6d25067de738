"""A TETRA terminal as a transmitter: the key is a demand for the air, the lead-in its grant.

The sound itself goes over the terminal's audio connector (PEI sheet, section 1). The group call is
set up by the first press and taken up again while the network keeps it; whoever else talks, a
network that refuses, and the time-out timer end a press as on a conventional radio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from hardware.radio.events import CallChange, RadioRefused, Why
from hardware.radio.keying import Act
from hardware.radio.pei_lines import is_ssi
from hardware.radio.tetra_pei import TetraPei

GRANT_S: Final = 20.0
"""Seconds for the network's grant, a queue among them."""
TIME_OUT_S: Final = 60.0
"""Longest transmission."""

Play = Callable[[], Awaitable[None]]


@dataclass
class PeiVoice:
    """The voice side of one terminal; `heard` is told every change of its calls."""

    driver: TetraPei
    time_out_s: float = TIME_OUT_S
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changes: asyncio.Queue[CallChange] = field(default_factory=asyncio.Queue)
    _instance: int | None = None
    _group: str = ""
    _busy: bool = False
    """A press is under way: changes are waited for."""

    def heard(self, change: CallChange) -> None:
        """A call of the terminal changed. Never blocks."""
        if change.state == "ended" and change.call == self._instance:
            self._instance = None
        if self._busy:
            self._changes.put_nowait(change)

    def to(self, group: str) -> ToGroup | None:
        """The transmitter for a talk group; None for what is none."""
        return ToGroup(self, group) if is_ssi(group) else None

    async def transmit(self, group: str, play: Play) -> Act:
        """Demand the air, play, give it back. Ends as LineKeyed's: SENT, BUSY, TIME_OUT, CUT."""
        async with self._turn:
            if not self.driver.health.usable:
                return Act.CUT
            self._busy = True
            try:
                if not await self._granted(group):
                    return Act.BUSY
                return await self._speak(play)
            except RadioRefused as refused:
                return Act.BUSY if refused.why is Why.BUSY else Act.CUT
            except TimeoutError:
                return Act.BUSY
            finally:
                self._busy = False
                while not self._changes.empty():
                    self._changes.get_nowait()

    async def _granted(self, group: str) -> bool:
        """Ask for the air of that group, and wait for the answer. TimeoutError without one."""
        if self._instance is not None and self._group != group:
            await self.driver.hang_up()
            async with asyncio.timeout(GRANT_S):
                while (await self._changes.get()).state != "ended":
                    pass
        if self._instance is None:
            self._group = group
            await self.driver.call(group, group=True)
        else:
            await self.driver.press(self._instance)
        async with asyncio.timeout(GRANT_S):
            while True:
                change = await self._changes.get()
                self._instance = None if change.state == "ended" else change.call
                if change.state == "talking":
                    return True
                if change.state in ("denied", "listening", "ended"):
                    return False

    async def _speak(self, play: Play) -> Act:
        instance = self._instance
        sound = asyncio.ensure_future(play())
        taken = asyncio.ensure_future(self._taken())
        try:
            await asyncio.wait(
                (sound, taken), timeout=self.time_out_s, return_when=asyncio.FIRST_COMPLETED
            )
            return Act.SENT if sound.done() else Act.CUT if taken.done() else Act.TIME_OUT
        finally:
            for task in (sound, taken):
                task.cancel()
            await asyncio.gather(sound, taken, return_exceptions=True)
            if instance is not None and self._instance is not None:
                await asyncio.shield(self._release(instance))

    async def _taken(self) -> None:
        """Until the air is somebody else's or the call has ended."""
        while (await self._changes.get()).state not in ("listening", "denied", "ended"):
            pass

    async def _release(self, instance: int) -> None:
        try:
            await self.driver.release(instance)
        except RadioRefused:  # the network has ended the call by itself
            self._instance = None


@dataclass(frozen=True, slots=True)
class ToGroup:
    """The same for one talk group."""

    voice: PeiVoice
    group: str

    async def transmit(self, play: Play, *, override: bool = False) -> Act:
        """`override` has no meaning here: the network decides who talks."""
        return await self.voice.transmit(self.group, play)
