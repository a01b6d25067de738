"""A conventional radio keyed by modem lines or a USB sound chip's pin (line-keyed sheet).

Thin: keying decides, this file moves the lines, looks at the squelch and has the sound played.
PTT is released in every way out: end, error, cancellation, lost port, time-out timer.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hardware.port import ModemLines, NoModemLines, Port, PortSettings, open_port
from hardware.radio.events import CallChange, Emit, Health
from hardware.radio.keying import Act, K, Keying, KeyingTimes, Squelch
from hardware.serial_link import LinkError, SerialLink
from hardware.trace import Trace

LOOK_S: Final = 0.02
"""Seconds between two looks at the squelch while a transmission is under way or heard."""
IDLE_LOOK_S: Final = 0.25
_OUT: Final = re.compile(r"(?:!?(?:RTS|DTR)){1,2}")
_IN: Final = re.compile(r"!?(CTS|DCD|DSR|RI)")

Play = Callable[[], Awaitable[None]]


class LinesError(ValueError):
    """A line notation that is none; the text says what is."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """Which lines are wired, in svxlink's notation: `RTS`, `!RTS`, `RTS!DTR`; `CTS`, `!DCD`."""

    ptt: str = "RTS"
    squelch: str = ""

    def __post_init__(self) -> None:
        if not _OUT.fullmatch(self.ptt):
            raise LinesError(f"{self.ptt!r}: RTS, !RTS, DTR, !DTR, RTS!DTR …")
        if not self.two_lines and not any(self.outputs(True).values()):
            raise LinesError(
                f"{self.ptt!r}: 程序停止时会发射 / keys the radio when the program does not run"
            )
        if self.squelch and not _IN.fullmatch(self.squelch):
            raise LinesError(f"{self.squelch!r}: CTS, DCD, DSR, RI, !CTS …")

    def outputs(self, keyed: bool) -> dict[str, bool]:
        """The levels of rts and dtr that key or release."""
        found = re.findall(r"(!?)(RTS|DTR)", self.ptt)
        return {name.lower(): keyed != bool(inverted) for inverted, name in found}

    def is_open(self, lines: ModemLines) -> bool:
        """The squelch is open by these inputs."""
        if not self.squelch:
            return False
        level: bool = getattr(lines, self.squelch.lstrip("!").lower())
        return level != self.squelch.startswith("!")

    @property
    def two_lines(self) -> bool:
        """Keying needs both lines in opposite states: a port that raises both while it is opened
        does not key."""
        return len(set(self.outputs(True).values())) == 2


class LineKeyed:
    """One radio. `run` owns the port; `transmit` keys it for a sound."""

    def __init__(
        self,
        settings: PortSettings,
        wiring: Wiring,
        times: KeyingTimes,
        *,
        emit: Emit,
        rng: random.Random,
        trace: Trace | None = None,
        opener: Callable[[PortSettings], Awaitable[Port]] = open_port,
    ) -> None:
        self._wiring = wiring
        self._times = times
        self._emit = emit
        self._keying = Keying(times, rng)
        self._squelch = Squelch(times)
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._result: asyncio.Future[Act] | None = None
        self._player: asyncio.Task[None] | None = None
        self._play: Play | None = None
        self.keyed_s = 0.0
        self.health = Health(False, "尚未打开 / not opened yet")
        released = wiring.outputs(False)
        self._link = SerialLink(
            dataclasses.replace(
                settings, rts=released.get("rts", False), dtr=released.get("dtr", False)
            ),
            on_data=lambda _: None,
            on_up=self._opened,
            on_down=self._lost,
            on_lines=self._wake.set,
            rng=rng,
            trace=trace,
            opener=opener,
        )

    @property
    def busy(self) -> bool:
        """Somebody talks on the channel, as far as the squelch can be believed."""
        return self._squelch.open and not self._squelch.stuck(_now())

    async def run(self, stop: asyncio.Event) -> None:
        """Own the port until `stop`; at the end the transmitter is off."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run(stop))
            watch = tasks.create_task(self._watch())
            await stop.wait()
            watch.cancel()
            await self._carry_out(self._keying.stop())
            self._settle([Act.CUT])  # the watch may have been carrying out an end

    async def transmit(self, play: Play, *, override: bool = False) -> Act:
        """Key, play, release. The end: SENT (or ACKNOWLEDGED, NO_ANSWER where an answer is waited
        for), BUSY, TIME_OUT, CUT. One after another; a cancelled caller releases PTT."""
        async with self._turn:
            if not self._link.up:
                return Act.CUT
            self._result = asyncio.get_running_loop().create_future()
            self._play = play
            try:
                now = _now()
                await self._carry_out(self._keying.start(now, busy=self.busy, override=override))
                self._wake.set()
                return await self._result
            finally:
                if not self._result.done() or self._result.cancelled():
                    await asyncio.shield(self._carry_out(self._keying.stop()))
                await self._end_player()

    def answered(self) -> None:
        """The called station was heard (tones decoded, or the operator says so)."""
        self._settle(self._keying.answered(_now()))

    async def stop(self) -> None:
        """Emergency stop."""
        await self._carry_out(self._keying.stop())

    def _opened(self) -> None:
        self._tell(Health(True, "可用 / usable"))

    def _lost(self, reason: str) -> None:
        """The kernel (or the gateway's end of session) drops the lines with the port."""
        self._settle(self._keying.stop())
        self._tell(Health(False, reason))

    def _tell(self, health: Health) -> None:
        if health != self.health:
            self.health = health
            self._emit(health)

    async def _watch(self) -> None:
        """Look at the squelch and at the clock."""
        while True:
            await self._link.wait_up()
            active = self._keying.state is not K.IDLE
            if self._wiring.squelch:
                await self._look()
                active = active or self._squelch.open or self._squelch.unsettled
            now = _now()
            await self._carry_out(self._keying.channel(self.busy, now))
            await self._carry_out(self._keying.tick(now))
            pause = LOOK_S if active else IDLE_LOOK_S
            if self._keying.deadline is not None:
                pause = min(pause, max(0.001, self._keying.deadline - _now()))
            self._wake.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _look(self) -> None:
        was = self._squelch.open
        try:
            raw = self._wiring.is_open(await self._link.lines())
        except NoModemLines as error:
            self._tell(Health(False, str(error)))
            await asyncio.sleep(IDLE_LOOK_S)
            return
        except LinkError:
            return
        self._squelch.see(raw, _now())
        if self._squelch.open != was:
            self._emit(CallChange(0, "listening" if self._squelch.open else "idle"))

    async def _carry_out(self, acts: list[Act]) -> None:
        for act in acts:
            if act is Act.KEY:
                await self._key(True)
            elif act is Act.UNKEY:
                await self._end_player()
                await self._key(False)
            elif act is Act.STOP:
                await self._end_player()
            elif act is Act.PLAY:
                self._player = asyncio.ensure_future(self._sound())
        self._settle(acts)

    def _settle(self, acts: list[Act]) -> None:
        ends = [act for act in acts if act not in (Act.KEY, Act.UNKEY, Act.STOP, Act.PLAY)]
        if Act.SENT in ends and self._keying.state is K.WAITING:
            return
        if ends and self._result is not None and not self._result.done():
            self._result.set_result(ends[-1])

    async def _key(self, down: bool) -> None:
        levels = self._wiring.outputs(down)
        try:
            await self._link.set_lines(rts=levels.get("rts"), dtr=levels.get("dtr"))
        except (LinkError, NoModemLines) as error:
            self._tell(Health(False, str(error)))
            if down:
                self._settle(self._keying.stop())
            return
        self._emit(CallChange(0, "talking" if down else "idle"))

    async def _sound(self) -> None:
        assert self._play is not None
        try:
            await self._play()
        finally:
            await self._carry_out(self._keying.played(_now()))
            self._wake.set()

    async def _end_player(self) -> None:
        player, self._player = self._player, None
        if player is not None and player is not asyncio.current_task() and not player.done():
            player.cancel()
            await asyncio.wait((player,))


def _now() -> float:
    return asyncio.get_running_loop().time()
