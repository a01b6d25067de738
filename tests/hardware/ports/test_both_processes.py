"""An order by radio through the daemon and the port process, both as they are in the field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.radios import ARRIVED
from hardware.rig.air import Set
from tests.hardware.ports.both import DUTY_SMS, OFFICER, both
from tests.hardware.pty_kit import until

pytestmark = pytest.mark.timeout(120)

WORDS = "水管爆裂，路面积水已漫过人行道，请速到现场关阀抢修并回告。" * 11


@pytest.mark.req("SB-11")
@pytest.mark.req("SB-13")
@pytest.mark.req("SB-15")
async def test_300_characters_are_received_consumed_and_signed_by_the_status_of_arrival(
    tmp_path: Path,
) -> None:
    async with both(tmp_path) as room:
        await room.start()
        assert len(WORDS) >= 300
        ident = await room.order(WORDS)
        order = await room.until(ident, state="dispatched")
        read = await room.attempt(ident, "radio", "read")
        assert [name for name in read["times"] if name != "queued"] == [
            *("sending", "sent", "delivered", "read")
        ]
        (shown,) = room.shown()
        assert WORDS in shown
        order = await room.until(ident)
        assert order["acknowledged"] is None, "what machines say signs nothing"
        room.terminal.status_from(OFFICER, ARRIVED)
        order = await room.until(ident, state="arrived")
        assert (order["acknowledged"]["channel"], order["acknowledged"]["by"]) == ("radio", OFFICER)
        clocks = {clock["name"]: clock for clock in order["clocks"]}
        assert clocks["arrival"]["met_at"]
        assert clocks["result"]["met_at"] is None
        assert clocks["result"]["limit_s"] == 24 * 3600
        assert order["missing"] == ["situation"]
        assert room.modem.sent == []


@pytest.mark.req("SB-11")
async def test_a_set_that_is_off_is_sent_and_not_delivered_and_the_next_channel_begins(
    tmp_path: Path,
) -> None:
    async with both(tmp_path) as room:
        await room.start()
        room.air.sets[OFFICER] = Set(on=False, stored=True)
        ident = await room.order(WORDS)
        await room.attempt(ident, "sms", "delivered")
        order = await room.until(ident)
        assert order["state"] == "dispatched"
        (radio,) = [one for one in order["attempts"] if one["channel"] == "radio"]
        assert (radio["state"], radio["data"]) == ("sent", {"stored": True})
        assert room.shown() == []
        assert {message.number for message in room.modem.sent} == {DUTY_SMS}
        assert WORDS in "".join(message.text for message in room.modem.sent)


async def test_a_cable_pulled_in_a_command_is_repeated_once_with_the_mark(tmp_path: Path) -> None:
    async with both(tmp_path) as room:
        await room.start()
        room.terminal.ways.answer_s = 0.4
        ident = await room.order("请速到场。")
        await until(lambda: bool(room.terminal.sent))
        room.pty.pull()
        await room.attempt(ident, "radio", "unknown")
        room.terminal.ways.answer_s = 0
        room.terminal.restart()
        room.pty.plug()
        await room.attempt(ident, "radio", "read")
        assert ["可能重复" in text for text in room.shown()] in ([True], [False, True])
        room.terminal.status_from(OFFICER, ARRIVED)
        await room.until(ident, state="arrived")


@pytest.mark.req("LL-09")
async def test_the_way_to_a_unit_is_checked_and_no_way_left_is_an_alarm(tmp_path: Path) -> None:
    async with both(tmp_path) as room:
        await room.start()
        ident = await room.order("请速到场。")
        await room.attempt(ident, "radio", "read")
        found = await room.desk.must("POST", "units/water/test")
        assert {wire["channel"]: wire["works"] for wire in found["wires"]} == {
            "radio": True,
            "sms": True,
        }
        room.terminal.set_coverage(False)
        room.modem.ways.network = False

        async def none_works() -> Mapping[str, Any] | None:
            found = await room.desk.must("POST", "units/water/test")
            return None if any(wire["works"] for wire in found["wires"]) else found

        lost = await room.desk.wait_for(none_works, 40, "no wire works")
        words = {wire["channel"]: wire["words"] for wire in lost["wires"]}
        assert words["radio"].startswith("radio-1: 未登记")
        assert words["sms"].startswith("sms-1: 未登记")
        alarms = (await room.desk.must("GET", "snapshot"))["alarms"]
        named = {alarm["alarm"]: alarm["words"] for alarm in alarms}
        assert "unit water has no working wire" in named["unit.water"]
        assert {"gateway.radio-1", "gateway.sms-1"} <= set(named)
        room.terminal.set_coverage(True)

        async def cleared() -> bool:
            await room.desk.must("POST", "units/water/test")
            names = [one["alarm"] for one in (await room.desk.must("GET", "snapshot"))["alarms"]]
            return not {"unit.water", "gateway.radio-1"} & set(names)

        assert await room.desk.wait_for(cleared, 20, "the alarms are over")
