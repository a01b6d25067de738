"""Whatever loses a call between the switch and the journal is on the desk within ten seconds."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from bridge.lab.call import Call
from bridge.lab.process import DaemonProcess
from bridge.lab.switch import Switch
from bridge.lab.world import World, make_world
from tests.live.conftest import NewSwitch
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, Talk, room_of

pytestmark = [pytest.mark.live]

WITHIN_S = 10.0
CAP = """
import sys
from bridge.__main__ import main
from bridge.domain.seen import Arrived
from bridge.flows.calls import Calls

see = Calls.see


def capped(self, seen):
    if isinstance(seen, Arrived) and self.book.calls:
        return  # "one call at a time ought to be enough"
    see(self, seen)


Calls.see = capped
sys.argv = ["bridge110", "run", "--config", sys.argv[1]]
main()
"""
FULL = """
[from-trunk]
exten => 110,1,Hangup(17)
exten => i,1,Hangup(1)
"""


class Capped(DaemonProcess):
    """A daemon with a mailbox that drops every arrival while there is a call."""

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", CAP, str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@pytest_asyncio.fixture
async def room(new_switch: NewSwitch) -> AsyncIterator[Room]:
    world = make_world(await new_switch())
    await world.daemon.start()
    try:
        async with room_of(world) as found:
            yield found
    finally:
        await world.daemon.stop()


async def alarm(world: World, wanted: str, within: float = WITHIN_S) -> str:
    """The reckoning's alarm, once it says this."""

    async def look() -> str:
        alarms = (await world.leader.snapshot())["alarms"]
        words = [str(one["words"]) for one in alarms if one["alarm"] == "reconcile"]
        return words[0] if words and wanted in words[0] else ""

    return str(await world.leader.wait_for(look, within, f"alarm {wanted}"))


async def report(world: World) -> tuple[int, Mapping[str, Any], str]:
    """`bridge110 reconcile`: exit status, JSON, errors."""
    program = [sys.executable, "-m", "bridge", "reconcile", "--json"]
    done = await asyncio.to_thread(
        subprocess.run,
        [*program, "--config", str(world.daemon.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


async def settled(world: World, differences: int) -> tuple[int, Mapping[str, Any], str]:
    """The report, once it has judged so much as to find that many differences."""
    deadline = time.monotonic() + 30
    while True:
        status, found, words = await report(world)
        if len(found["differences"]) >= differences and not (found["waiting"] and not differences):
            return status, found, words
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.5)


async def another(room: Room, former: Talk) -> Call:
    """One more citizen talks with the seat of `former`."""
    phone, citizen = await room.people.citizen()
    await talk(citizen, await fetched(former.seat, 10))
    await former.desk.wait_call(phone.user, "established")
    return citizen


async def alarms(world: World) -> list[Any]:
    found: list[Any] = (await world.leader.snapshot())["alarms"]
    return [one for one in found if one["alarm"] == "reconcile"]


async def test_calls_of_every_kind_are_delivered_or_explained_to_the_last_one(room: Room) -> None:
    """Then a plan that turns calls away, and one that lets a citizen go, are both noticed."""
    world, switch = room.world, room.world.switch
    _, waiting = await room.people.citizen()
    await asyncio.sleep(0.5)
    await waiting.hangup()
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("three-way", to="12345")
    third = await fetched(hotline)
    await all_talk(call.citizen, call.at_seat, third)
    await call.leave()
    await talk(call.citizen, third)
    await third.hangup()
    await call.citizen.wait_ended(10)
    other = await another(room, call)
    await other.hangup()
    status, sum_, _ = await settled(world, 0)
    assert (status, sum_["exact"]) == (0, True), sum_
    assert (sum_["came_in"], sum_["delivered"]) == (3, 2)
    assert sum_["explained"] == {"citizen_left": 1}
    assert await alarms(world) == []

    plan = switch.run.etc / "dialplans" / "entry.conf"
    kept = plan.read_text(encoding="utf-8")
    plan.write_text(kept.replace("[from-trunk]", "[never]") + FULL, encoding="utf-8")
    await switch.console("dialplan reload")
    _, refused = await room.people.citizen()
    await refused.wait_ended(5)
    plan.write_text(kept, encoding="utf-8")
    await switch.console("dialplan reload")
    await another(room, call)
    channel = str((await world.leader.snapshot())["calls"][0]["channel"])
    await switch.console(f"channel request hangup {channel}")
    words = await alarm(world, "the switch let the call go")
    assert "来电未被拨号方案受理" in words
    status, found, words = await settled(world, 2)
    assert status == 1
    assert {one["what"] for one in found["differences"]} == {"not_named", "dropped"}
    assert found["came_in"] == 5
    assert "对账不符 2 件" in words


async def capped(switch: Switch) -> World:
    world = make_world(switch)
    fields = {f.name: getattr(world.daemon, f.name) for f in dataclasses.fields(world.daemon)}
    world.daemon = Capped(**fields)
    return world


async def test_a_mailbox_that_drops_is_noticed(new_switch: NewSwitch) -> None:
    world = await capped(await new_switch())
    await world.daemon.start()
    try:
        async with room_of(world) as room:
            first = await room.talking()
            began = time.monotonic()
            _, lost = await room.people.citizen()
            words = await alarm(world, "not in the journal", WITHIN_S + 2)
            took = time.monotonic() - began
            assert took <= WITHIN_S, f"{took:.1f} s"
            assert first.id not in words
            assert lost.end is None, "the citizen waits on: the switch does not need us"
            calls = (await world.leader.snapshot())["calls"]
            assert [call["id"] for call in calls] == [first.id]
            status, found, _ = await settled(world, 1)
            assert status == 1
            assert [one["what"] for one in found["differences"]] == ["missing"]
            assert found["differences"][0]["call"] in words
            await lost.hangup()
    finally:
        await world.daemon.stop()
