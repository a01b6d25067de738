"""The self-test of keyed lines: two boxes wired as a cross, and what cannot be measured."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hardware.port import NoModemLines, PortError, PortSettings
from hardware.radio.line_keyed import Wiring
from hardware.rig.line_box import LineBox
from hardware.rig.selftest import Finding, across
from tests.hardware.pty_kit import device

RNG = random.Random(1)


@asynccontextmanager
async def crossed(
    *, open_pulse_s: float = 0.0, wired: bool = True
) -> AsyncIterator[tuple[LineBox, LineBox]]:
    """Two boxes; RTS and DTR of the first are CTS and DSR of the second."""
    tested, watching = LineBox(RNG), LineBox(RNG)
    tested.open_pulse_s = open_pulse_s

    async def wire() -> None:
        while True:
            await tested.changed.wait()
            tested.changed.clear()
            watching.lines.cts, watching.lines.dsr = tested.lines.rts, tested.lines.dtr

    await tested.open()
    await watching.open()
    wiring = asyncio.ensure_future(wire()) if wired else None
    try:
        yield tested, watching
    finally:
        if wiring is not None:
            wiring.cancel()
        await tested.close()
        await watching.close()


async def measured(tested: str, watching: str, ptt: str = "RTS") -> dict[str, Finding]:
    ports = PortSettings(name=tested), PortSettings(name=watching)
    return {one.name: one for one in await across(*ports, Wiring(ptt), RNG)}


@pytest.mark.parametrize("ptt", ["RTS", "RTS!DTR"])
async def test_the_other_end_of_a_cross_measures_pulse_lead_in_and_timer(ptt: str) -> None:
    async with crossed() as (tested, watching):
        found = await measured(tested.url, watching.url, ptt)
    assert all(one.good for one in found.values()), found
    assert found["open_pulse"].value == 0
    assert 200 <= found["lead_in"].value <= 450
    assert 900 <= found["time_out"].value <= 1500


@pytest.mark.parametrize(("ptt", "keys"), [("RTS", True), ("RTS!DTR", False)])
async def test_a_port_that_pulses_when_it_opens_is_found_and_two_lines_are_the_mend(
    ptt: str, keys: bool
) -> None:
    async with crossed(open_pulse_s=0.15) as (tested, watching):
        pulse = (await measured(tested.url, watching.url, ptt))["open_pulse"]
    assert (pulse.good, pulse.value > 50) == (not keys, keys)


async def test_a_pty_is_said_to_have_no_lines_and_a_cross_that_is_not_there_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with device() as one, device() as two:
        with pytest.raises(NoModemLines, match="no modem lines"):
            await measured(one.name, two.name)
        async with crossed() as (tested, watching):
            with pytest.raises(NoModemLines, match=one.name):
                await measured(one.name, watching.url)
    monkeypatch.setattr("hardware.rig.selftest.PATIENCE_S", 0.8)
    async with crossed(wired=False) as (tested, watching):
        with pytest.raises(PortError, match="look at the cross"):
            await measured(tested.url, watching.url)


async def test_a_watching_port_that_goes_away_ends_the_measurement_in_words() -> None:
    async with crossed() as (tested, watching):
        measuring = asyncio.ensure_future(measured(tested.url, watching.url))
        await asyncio.sleep(0.5)
        assert not measuring.done()
        await watching.close()
        with pytest.raises(PortError, match=watching.url):
            await measuring
