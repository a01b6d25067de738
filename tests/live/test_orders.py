"""An order down its ladder on a real Asterisk: terminal off, duty phone busy, the next one signs.

The observers are telephones of the laboratory and SIPp: what they did not see was not sent.
"""

from __future__ import annotations

import asyncio

import pytest

from bridge.lab.child import free_port
from bridge.lab.phone import Behaviour
from bridge.lab.ports import HOST
from bridge.lab.sipp import DUTY_PHONE, register, start_sipp
from bridge.lab.tones import UNIT
from tests.faults.proxy import Road
from tests.live.conftest import NewSwitch
from tests.live.ordering import PIN, UNITS, duty, lead_by, ordering
from tests.live.people import PRESSES_1, all_talk, fetched

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]


@pytest.mark.req("SB-11")
@pytest.mark.req("SB-35")
@pytest.mark.req("LL-52")
async def test_terminal_off_phone_busy_then_a_foreign_phone_presses_1(
    new_switch: NewSwitch,
) -> None:
    async with ordering(new_switch) as room:
        busy = await duty(room.people, "6001", Behaviour("busy"))
        leader = await duty(room.people, "6003", Behaviour("ring"))
        site = room.world.switch.site
        server, port = (HOST, site.ports.sip), free_port()
        await register(room.world.switch.root, server, "6002", site.sip_secret, port)
        values: dict[str, str | int] = {"press_ms": 1500, "talk_ms": 20000}
        async with start_sipp(
            room.world.switch.root, DUTY_PHONE, server, values=values, tone=UNIT, port=port
        ) as sipp:
            order = await room.give()
            signed = await room.until(order, "acknowledged")
            report = await sipp.wait_ended(30)
        assert (report.created, report.successful) == (1, 1), report.errors
        story = [(a["channel"], a["state"], a["cause"]) for a in signed["attempts"]]
        assert story == [
            ("terminal", "failed", "offline"),
            ("phone", "failed", "busy"),
            ("phone", "acknowledged", None),
        ]
        assert signed["acknowledged"]["channel"] == "phone"
        assert signed["acknowledged"]["unit"] == "water"
        assert "7110" in report.log, "the centre's number is shown"
        await asyncio.sleep(6.5)  # longer than the step: the next one would have begun
        assert (await room.order(order))["attempts"] == signed["attempts"]
        assert len(busy.calls) == 1
        assert leader.calls == []


@pytest.mark.req("LU-15")
async def test_one_click_sends_the_order_and_by_the_units_choice_the_call(
    new_switch: NewSwitch,
) -> None:
    units = UNITS.replace("tier = 1", 'tier = 1\ncall_along = "6004"')
    units += '[units.housing]\nname = "住建局"\nterminal = { users = ["unit-6005"] }\n'
    async with ordering(new_switch, units, stays=True) as room:
        there = await duty(room.people, "6004", PRESSES_1)
        path = f"cases/{room.case}/orders"
        click = {"words": "水管爆裂", "copy_centre": True}
        data_only = await room.desk.must("POST", path, {"units": ["housing"], **click})
        assert data_only.get("along") is None
        await asyncio.sleep(1)
        assert there.calls == [], "data only"
        answer = await room.desk.must("POST", path, {"units": ["water"], **click})
        along = {"unit": "water", "call": room.talk.id, "to": "6004", "refused": None}
        assert answer["along"] == along
        await all_talk(room.talk.citizen, room.talk.at_seat, await fetched(there))
        again = await room.desk.must("POST", path, {"units": ["water"], **click})
        assert again["orders"][0]["order"] != answer["orders"][0]["order"]
        await asyncio.sleep(1)
        assert len(there.calls) == 1, "who is in the call is not called again"


@pytest.mark.req("SB-13")
async def test_silence_is_no_person_the_leader_objects_and_the_unit_calls_in(
    new_switch: NewSwitch,
) -> None:
    """The leader of the unit presses 3: signed, disputed, in force. Then the unit reports by
    calling the report line with the order's code and its PIN."""
    async with ordering(new_switch) as room:
        phone = await duty(room.people, "6001", Behaviour("reject"))
        await duty(room.people, "6003", Behaviour("auto", keys="3", keys_after=1.0))
        order = await room.give()
        found = await room.until(order, "acknowledged", within=40)
        assert found["disputed"]
        assert found["attempts"][1]["cause"] == "rejected"
        assert found["attempts"][-1]["addresses"] == ["PJSIP/6003"]
        call = await phone.dial("7110")
        await call.wait_answered(5)
        await call.press(found["code"])
        await call.press(PIN + "#")

        async def reported() -> bool:
            await call.press("2")  # a key before its menu is not heard
            await asyncio.sleep(1.0)
            await call.press("#")
            await asyncio.sleep(1.0)
            return bool((await room.order(order))["reports"])

        await room.desk.wait_for(reported, 40, "a report by telephone")
        reports = (await room.order(order))["reports"]
        assert {report["says"] for report in reports} == {"progress"}
        recorded = reports[0]["words"].removeprefix("电话录音 ")
        assert (room.world.switch.run.recordings / recorded).stat().st_size > 44
        await call.hangup()


async def test_the_key_pressed_while_the_daemon_is_dead_is_not_lost(
    new_switch: NewSwitch,
) -> None:
    """Killed while the duty phone listens; Asterisk's own log brings the key; nothing is dialled
    again."""
    async with ordering(new_switch) as room:
        phone = await duty(room.people, "6001", Behaviour("auto"))
        order = await room.give()
        call = await phone.wait_call(20)
        await call.wait_answered(5)
        await room.attempt(order, "phone", "sent")
        room.world.daemon.kill()
        await call.press("1")
        await room.world.daemon.start()
        signed = await room.until(order, "acknowledged")
        assert signed["attempts"][-1]["state"] == "acknowledged"
        assert len(phone.calls) == 1


async def test_killed_while_it_rings_the_same_call_is_found_again(new_switch: NewSwitch) -> None:
    async with ordering(new_switch) as room:
        phone = await duty(room.people, "6001", Behaviour("auto", delay=8.0))
        order = await room.give()
        call = await phone.wait_call(20)
        await room.attempt(order, "phone", "sent")
        room.world.daemon.kill()
        await room.world.daemon.start()
        await call.wait_answered(15)
        await call.press("5")
        signed = await room.until(order, "acknowledged")
        assert signed["in_hand"] == ""
        assert len(phone.calls) == 1, "never dialled a second time"


async def test_a_call_about_an_order_cancelled_while_the_link_is_cut_ends_when_it_is_back(
    new_switch: NewSwitch,
) -> None:
    async with ordering(new_switch) as room:
        await room.world.daemon.stop()
        road = Road(room.world.ports.ami)
        await road.start()
        await lead_by(room.world, road.port)
        await room.world.daemon.start()
        phone = await duty(room.people, "6001", Behaviour("auto"))
        order = await room.give()
        call = await phone.wait_call(20)
        await call.wait_answered(5)
        await room.attempt(order, "phone", "sent")
        await road.be("refuse")
        await room.desk.must("POST", f"orders/{order}/cancel", {"reason": "误派"})
        await asyncio.sleep(1.0)
        assert call.end is None, "nobody can reach it"
        await road.be("open")
        await call.wait_ended(10)
        assert (await room.order(order))["state"] == "cancelled"
        await room.world.daemon.stop()
        await road.stop()
