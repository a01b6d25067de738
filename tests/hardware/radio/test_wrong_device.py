"""Another device on the port, or another bit rate: told as unusable, nothing sent, no harm done."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from hardware.port import PortSettings
from hardware.radio.dialect import Map27Dialect, PeiDialect, load
from hardware.radio.events import Health, RadioEvent, StatusIn
from hardware.radio.map27 import Map27
from hardware.radio.tetra_pei import TetraPei
from hardware.rig.air import Air
from hardware.rig.map27_unit import Map27Unit
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from hardware.rig.sms_modem import SmsModemRig, Ways
from tests.hardware.pty_kit import device, until

PEI = dataclasses.replace(load("tetra-standard", PeiDialect), answer_s=0.2)


@asynccontextmanager
async def driven(driver: TetraPei | Map27) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(driver.run(stop))
        try:
            yield
        finally:
            stop.set()


def told_down(told: list[RadioEvent]) -> bool:
    return any(isinstance(event, Health) and not event.usable for event in told)


async def test_a_map27_radio_where_a_tetra_terminal_should_be(tmp_path: Path) -> None:
    told: list[RadioEvent] = []
    pty = PtyEnd(lambda data: radio.feed(data), random.Random(1))
    pty.link(tmp_path / "radio-1")
    radio = Map27Unit(pty.write, Air())
    driver = TetraPei(
        PortSettings(name=str(tmp_path / "radio-1")), PEI, emit=told.append, rng=random.Random(1)
    )
    async with driven(driver):
        await until(lambda: told_down(told))
        assert not driver.health.usable
    radio.close()
    pty.close()
    assert radio.messages == []


async def test_a_tetra_terminal_where_a_map27_radio_should_be(tmp_path: Path) -> None:
    told: list[RadioEvent] = []
    pty = PtyEnd(lambda data: radio.feed(data), random.Random(1))
    pty.link(tmp_path / "radio-1")
    radio = PeiTerminal(pty.write, Air(), Behaviour())
    dialect = load("map27-standard", Map27Dialect)
    driver = Map27(
        PortSettings(name=str(tmp_path / "radio-1")),
        dialect,
        emit=told.append,
        rng=random.Random(1),
    )
    async with driven(driver):
        await until(lambda: told_down(told))
        await asyncio.sleep(0.3)
        assert not driver.health.usable
        assert any(isinstance(event, Health) and "returns our own" in event.words for event in told)
    radio.close()
    pty.close()
    assert radio.sent == []


async def test_our_own_status_from_a_line_that_echoes_is_never_a_units_answer() -> None:
    told: list[RadioEvent] = []
    dialect = load("map27-standard", Map27Dialect)
    async with device() as loop:
        driver = Map27(
            PortSettings(name=loop.name), dialect, emit=told.append, rng=random.Random(1)
        )
        loop.on_bytes = loop.say
        async with driven(driver):
            await until(lambda: told_down(told))
            driver.send_status("k", "31/2001", 2)
            await asyncio.sleep(0.5)
            assert not any(isinstance(event, StatusIn) for event in told)
            assert not driver.health.usable


async def test_a_gsm_modem_where_a_tetra_terminal_should_be(tmp_path: Path) -> None:
    """It knows AT, and none of the commands that matter."""
    told: list[RadioEvent] = []
    pty = PtyEnd(lambda data: modem.feed(data), random.Random(1))
    pty.link(tmp_path / "radio-1")
    modem = SmsModemRig(pty.write, Air(), lambda: datetime(2026, 1, 1, tzinfo=UTC), Ways())
    driver = TetraPei(
        PortSettings(name=str(tmp_path / "radio-1")), PEI, emit=told.append, rng=random.Random(1)
    )
    async with driven(driver):
        await until(lambda: told_down(told))
        (first,) = [e for e in told if isinstance(e, Health)][:1]
        assert "initialisation failed" in first.words
    modem.close()
    pty.close()
    assert modem.sent == []


async def test_the_noise_of_a_wrong_bit_rate_is_noise(tmp_path: Path) -> None:
    told: list[RadioEvent] = []
    rng = random.Random(1)
    async with device() as radio:
        driver = TetraPei(
            PortSettings(name=radio.name), PEI, emit=told.append, rng=random.Random(1)
        )
        async with driven(driver):
            for _ in range(50):
                radio.say(rng.randbytes(30))
                await asyncio.sleep(0.01)
            await until(lambda: told_down(told))
            assert not driver.health.usable
