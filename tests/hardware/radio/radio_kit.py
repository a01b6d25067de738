"""A driver on an emulated device over a real pty, with everything the driver told."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hardware.port import PortSettings
from hardware.radio.dialect import Map27Dialect, PeiDialect, load
from hardware.radio.events import Delivery, Emit, Health, RadioEvent, Stage
from hardware.radio.map27 import Map27
from hardware.radio.sms import SmsModem
from hardware.radio.tetra_pei import TetraPei
from hardware.rig.air import Air
from hardware.rig.map27_unit import Map27Unit
from hardware.rig.map27_unit import Ways as Map27Ways
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from hardware.rig.sms_modem import SmsModemRig
from hardware.rig.sms_modem import Ways as SmsWays
from tests.hardware.pty_kit import until

E = TypeVar("E")
PEI = dataclasses.replace(
    load("tetra-standard", PeiDialect), answer_s=15.0, probe_s=0.3, sent_wait_s=5.0
)
MAP27 = dataclasses.replace(load("map27-standard", Map27Dialect), answer_s=30.0, latency_s=0.5)
MOMENT = datetime(2026, 11, 25, 16, 5, 30, tzinfo=UTC)


class Driver(Protocol):
    health: Health

    async def run(self, stop: asyncio.Event) -> None: ...


class Radio(Protocol):
    def feed(self, data: bytes) -> None: ...

    def close(self) -> None: ...


D = TypeVar("D", bound=Driver)
R = TypeVar("R", bound=Radio)


@dataclass
class Rig(Generic[D, R]):
    """The parts, and what the driver told so far."""

    driver: D
    radio: R
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
async def on_pty(
    port: Path, make: Callable[[Callable[[bytes], None], Air], R]
) -> AsyncIterator[tuple[R, PtyEnd, Air]]:
    """The device alone, under that name."""
    air = Air()
    pty = PtyEnd(lambda data: radio.feed(data), random.Random(7))
    radio = make(pty.write, air)
    pty.link(port)
    try:
        yield radio, pty, air
    finally:
        radio.close()
        pty.close()


@asynccontextmanager
async def driven(
    port: Path,
    make: Callable[[Callable[[bytes], None], Air], R],
    drive: Callable[[Emit, random.Random], D],
) -> AsyncIterator[Rig[D, R]]:
    """Device and driver, once the driver has told how the device is."""
    async with on_pty(port, make) as (radio, pty, air):
        told: list[RadioEvent] = []
        driver = drive(told.append, random.Random(7))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(driver.run(stop))
            try:
                await until(lambda: bool(told))
                yield Rig(driver, radio, pty, air, told)
            finally:
                stop.set()


@asynccontextmanager
async def pei(
    tmp_path: Path, dialect: PeiDialect = PEI, ways: Behaviour | None = None
) -> AsyncIterator[Rig[TetraPei, PeiTerminal]]:
    """A TETRA terminal."""
    settings = PortSettings(name=str(tmp_path / "radio-1"), rate=dialect.rate)
    async with driven(
        tmp_path / "radio-1",
        lambda write, air: PeiTerminal(write, air, ways or Behaviour()),
        lambda emit, rng: TetraPei(settings, dialect, emit=emit, rng=rng),
    ) as rig:
        yield rig


@asynccontextmanager
async def map27(
    tmp_path: Path, dialect: Map27Dialect = MAP27
) -> AsyncIterator[Rig[Map27, Map27Unit]]:
    """A MAP27 radio with its network."""
    settings = PortSettings(name=str(tmp_path / "radio-1"), rate=dialect.rate)
    async with driven(
        tmp_path / "radio-1",
        lambda write, air: Map27Unit(write, air, Map27Ways()),
        lambda emit, rng: Map27(settings, dialect, emit=emit, rng=rng),
    ) as rig:
        await rig.wait_usable()
        yield rig


def sms_modem(write: Callable[[bytes], None], air: Air) -> SmsModemRig:
    """A modem whose clock stands at MOMENT."""
    return SmsModemRig(write, air, lambda: MOMENT, SmsWays())


@asynccontextmanager
async def sms(tmp_path: Path) -> AsyncIterator[Rig[SmsModem, SmsModemRig]]:
    """An SMS modem that is registered."""
    settings = PortSettings(name=str(tmp_path / "sms-1"), rate=115200)
    async with driven(
        tmp_path / "sms-1",
        sms_modem,
        lambda emit, rng: SmsModem(settings, emit=emit, rng=rng, probe_s=0.3),
    ) as rig:
        await rig.wait_usable()
        yield rig
