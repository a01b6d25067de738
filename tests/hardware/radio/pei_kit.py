"""A driver on an emulated terminal over a real pty, with everything the driver told."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hardware.port import PortSettings
from hardware.radio.dialect import PeiDialect, load
from hardware.radio.events import Delivery, Health, RadioEvent, Stage
from hardware.radio.tetra_pei import TetraPei
from hardware.rig.air import Air
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from tests.hardware.pty_kit import until

E = TypeVar("E")
QUICK = dataclasses.replace(
    load("tetra-standard", PeiDialect), answer_s=15.0, probe_s=0.3, sent_wait_s=5.0
)


@dataclass
class Rig:
    """The parts, and what the driver told so far."""

    driver: TetraPei
    terminal: PeiTerminal
    pty: PtyEnd
    air: Air
    told: list[RadioEvent] = field(default_factory=list)

    def stages(self, key: str) -> list[Stage]:
        return [e.stage for e in self.told if isinstance(e, Delivery) and e.key == key]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.told if isinstance(event, kind)]

    async def wait_stage(self, key: str, stage: Stage) -> None:
        await until(lambda: stage in self.stages(key))

    async def wait_usable(self, usable: bool = True) -> None:
        await until(lambda: self.driver.health.usable is usable)


@asynccontextmanager
async def rig(
    tmp_path: Path, dialect: PeiDialect = QUICK, ways: Behaviour | None = None
) -> AsyncIterator[Rig]:
    """A terminal that is registered, and a driver that has initialised it."""
    rng = random.Random(7)
    air = Air()
    pty = PtyEnd(lambda data: terminal.feed(data), rng)
    terminal = PeiTerminal(pty.write, air, ways or Behaviour())
    pty.link(tmp_path / "radio-1")
    told: list[RadioEvent] = []
    settings = PortSettings(name=str(tmp_path / "radio-1"), rate=dialect.rate)
    driver = TetraPei(settings, dialect, emit=told.append, rng=rng)
    made = Rig(driver, terminal, pty, air, told)
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(driver.run(stop))
            try:
                await until(lambda: driver.health != Health(False, "尚未打开 / not opened yet"))
                yield made
            finally:
                stop.set()
    finally:
        terminal.close()
        pty.close()
