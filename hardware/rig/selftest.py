"""Measures a keyed line from outside: does opening key it, when does the sound begin, does the
time-out timer release it. The observer is the other end of a null-modem cross, or our line box.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hardware.port import Port, PortError, PortGone, PortSettings, open_port
from hardware.radio.events import Health, RadioEvent
from hardware.radio.keying import Act, KeyingTimes
from hardware.radio.line_keyed import LineKeyed, Wiring
from hardware.rig.line_box import LineBox

OPENINGS: Final = 5
LOOK_S: Final = 0.002
PATIENCE_S: Final = 20.0
SOUND_S: Final = 0.3
TIMER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `value` in `unit`; `good` is None where there is no bound."""

    name: str
    value: float
    unit: str
    good: bool | None
    words: str


class Observer(Protocol):
    """Says at which moments the transmitter was keyed: (moment, keyed), oldest first."""

    def edges(self) -> Sequence[tuple[float, bool]]: ...


@dataclass
class BoxObserver:
    """Our own network box sees every key-up itself."""

    box: LineBox
    wiring: Wiring

    def edges(self) -> Sequence[tuple[float, bool]]:
        wanted = self.wiring.outputs(True)
        levels = dict.fromkeys(wanted, False)
        found: list[tuple[float, bool]] = []
        for move in self.box.moves:
            levels[move.line] = move.level
            keyed = all(levels.get(line, False) == level for line, level in wanted.items())
            if not found or found[-1][1] != keyed:
                found.append((move.at, keyed))
        return found


class CrossObserver:
    """A second adapter whose CTS is our RTS and whose DSR is our DTR (null-modem cable)."""

    def __init__(self, port: Port, name: str, wiring: Wiring) -> None:
        self._port = port
        self._name = name
        self._wanted = wiring.outputs(True)
        self._edges: list[tuple[float, bool]] = []
        self._gone = ""
        port.start(lambda _: None, self._lost)

    def _lost(self, reason: str) -> None:
        self._gone = f"{self._name}: {reason}"

    def edges(self) -> Sequence[tuple[float, bool]]:
        return self._edges

    async def watch(self) -> None:
        """Look without pause, until cancelled. Raises PortError."""
        loop = asyncio.get_running_loop()
        while True:
            if self._gone:
                raise PortGone(self._gone)
            lines = await self._port.lines()
            levels = {"rts": lines.cts, "dtr": lines.dsr}
            keyed = all(levels[line] == level for line, level in self._wanted.items())
            if not self._edges or self._edges[-1][1] != keyed:
                self._edges.append((loop.time(), keyed))
            await asyncio.sleep(LOOK_S)


async def across(
    settings: PortSettings, watch: PortSettings, wiring: Wiring, rng: random.Random
) -> list[Finding]:
    """The self-test with the other end of a null-modem cross as observer. Raises PortError: a port
    that cannot be opened, has no modem lines (a pty), or sees nothing of the other."""
    port = await open_port(watch)
    observer = CrossObserver(port, watch.name, wiring)
    looking: asyncio.Task[None] | None = None
    try:
        await port.lines()
        looking = asyncio.ensure_future(observer.watch())
        measuring = asyncio.ensure_future(selftest(settings, wiring, observer, rng))
        await asyncio.wait((looking, measuring), return_when=asyncio.FIRST_COMPLETED)
        if not measuring.done():
            measuring.cancel()
            await asyncio.wait((measuring,))
            looking.result()
        return measuring.result()
    finally:
        if looking is not None:
            looking.cancel()
            await asyncio.wait((looking,))
        await port.close()


async def selftest(
    settings: PortSettings, wiring: Wiring, observer: Observer, rng: random.Random
) -> list[Finding]:
    """Open, key and let the timer run out; what the observer saw of it. Raises PortError."""
    try:
        return await _measured(settings, wiring, observer, rng)
    except TimeoutError as error:
        raise PortError(
            f"{settings.name}: 观测端看不到发射,请检查交叉线与接线 / the observer saw no key-up: "
            "look at the cross and the wiring"
        ) from error


async def _measured(
    settings: PortSettings, wiring: Wiring, observer: Observer, rng: random.Random
) -> list[Finding]:
    report = [await _openings(settings, wiring, observer)]
    times = KeyingTimes(lead_in_s=0.3, tail_s=0.1, time_out_s=TIMER_S)
    usable = asyncio.Event()

    def told(event: RadioEvent) -> None:
        if isinstance(event, Health) and event.usable:
            usable.set()

    radio = LineKeyed(settings, wiring, times, emit=told, rng=rng)
    stop = asyncio.Event()
    running = asyncio.ensure_future(radio.run(stop))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await usable.wait()
        return report + await _keying(radio, times, observer)
    finally:
        stop.set()
        await running


async def _openings(settings: PortSettings, wiring: Wiring, observer: Observer) -> Finding:
    """How long opening and closing key the transmitter, the longest of OPENINGS."""
    levels = wiring.outputs(False)
    idle = dataclasses.replace(settings, rts=levels.get("rts", False), dtr=levels.get("dtr", False))
    before = len(observer.edges())
    for _ in range(OPENINGS):
        port = await open_port(idle)
        try:
            await port.set_lines(rts=levels.get("rts"), dtr=levels.get("dtr"))
            await asyncio.sleep(0.05)
        finally:
            await port.close()
        await asyncio.sleep(0.05)
    edges = list(observer.edges())[before:]
    longest = max((b[0] - a[0] for a, b in itertools.pairwise(edges) if a[1]), default=0.0)
    keyed = any(edge[1] for edge in edges)
    words = "打开串口会瞬间发射 / opening keys the radio" if keyed else "不会发射 / never keyed"
    return Finding("open_pulse", longest * 1000, "ms", not keyed, words)


async def _keying(radio: LineKeyed, times: KeyingTimes, observer: Observer) -> list[Finding]:
    loop = asyncio.get_running_loop()
    began: list[float] = []

    async def sound() -> None:
        began.append(loop.time())
        await asyncio.sleep(SOUND_S)

    async def endless() -> None:
        await asyncio.sleep(PATIENCE_S)

    first = len(observer.edges())
    sent = await radio.transmit(sound)
    await _edges(observer, lambda edges: len(edges) >= first + 2)
    up, down = [at for at, _ in list(observer.edges())[first : first + 2]]
    lead, held = began[0] - up, down - up
    second = len(observer.edges())
    timed = await radio.transmit(endless)
    await _edges(observer, lambda edges: len(edges) >= second + 2)
    a, b = [at for at, _ in list(observer.edges())[second : second + 2]]
    return [
        Finding(
            "lead_in", lead * 1000, "ms", lead >= times.lead_in_s * 0.5, "发射到出声 / key to sound"
        ),
        Finding("held", held * 1000, "ms", sent is Act.SENT, "一次发射 / one transmission"),
        Finding(
            "time_out",
            (b - a) * 1000,
            "ms",
            timed is Act.TIME_OUT and b - a <= TIMER_S + 0.5,
            f"限时 / timer of {TIMER_S * 1000:.0f} ms",
        ),
    ]


async def _edges(
    observer: Observer, enough: Callable[[Sequence[tuple[float, bool]]], bool]
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if enough(observer.edges()):
                return
            await asyncio.sleep(0.005)
