"""The scheduled check of units' wires."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.domain.delivery import ChannelKind
from bridge.flows.unit_checks import UnitChecks
from tests.domain.order_story import SILENT, WATER
from tests.hardware.pty_kit import until
from tests.orders.order_kit import life

AWAY = "radio-1: 未登记 / not registered"


@pytest.mark.req("LL-09")
async def test_a_unit_without_a_working_wire_is_an_alarm_until_one_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.flows.unit_checks.AGAIN_SECONDS", 0.05)
    units = {"water": WATER, "silent": SILENT}
    async with life(tmp_path, units=units) as kit:
        for wire in kit.wires.values():
            wire.well = AWAY
        checks = UnitChecks(kit.orders, timedelta(hours=24))
        running = asyncio.ensure_future(checks.run())
        try:
            await until(lambda: "no working wire" in kit.alarms.get("unit.water", ""))
            assert "no working wire" in kit.alarms["unit.silent"], "a unit without any wire"
            assert checks.results["water"][ChannelKind.RADIO].words == AWAY
            kit.wires[ChannelKind.RADIO].well = ""
            await until(lambda: kit.alarms["unit.water"] == "")
            seen = len(await kit.facts("unit.checked"))
            kit.wires[ChannelKind.RADIO].well = AWAY
            await asyncio.sleep(0.3)
            checked = [fact.subject for fact in await kit.facts("unit.checked")]
            assert checked[seen:].count("water") <= 1, "one that works waits for its round"
            assert kit.alarms["unit.water"] == ""
            assert set(checked[seen:]) >= {"silent"}
        finally:
            running.cancel()
            await asyncio.wait((running,))
