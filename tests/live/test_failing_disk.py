"""The disk under the daemon fails in a call: people talk on, and the desk is told the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from bridge.lab.desk_client import Reply
from bridge.lab.settings_file import STORE_FILE
from bridge.lab.world import World, make_world
from tests.live.conftest import NewSwitch
from tests.live.failing_disk import FailingDisk
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, Talk, room_of

pytestmark = [pytest.mark.live]

BALLAST_MB = 8


@dataclass
class Case:
    """A citizen talks with a seat, on a daemon whose disk can fail."""

    room: Room
    disk: FailingDisk
    world: World
    talk: Talk

    async def act(self, service: str, **body: Any) -> Reply:
        return await self.talk.desk.request("POST", f"calls/{self.talk.id}/{service}", body)

    async def store_is(self, state: str, within: float = 10.0) -> None:
        """What the desk is told of the store, by `link.store`."""

        async def look() -> bool:
            links = (await self.world.leader.snapshot())["links"]
            return bool(links.get("store", {}).get("state", "up") == state)

        await self.world.leader.wait_for(look, within, f"store {state}")

    async def alarm(self, name: str, *, there: bool, within: float = 10.0) -> None:
        async def look() -> bool:
            alarms = (await self.world.leader.snapshot())["alarms"]
            return any(one["alarm"] == name for one in alarms) is there

        await self.world.leader.wait_for(look, within, f"alarm {name} {there}")

    async def still_talking(self) -> None:
        await talk(self.talk.citizen, self.talk.at_seat)


@pytest_asyncio.fixture
async def case(new_switch: NewSwitch) -> AsyncIterator[Case]:
    world = make_world(await new_switch())
    config = world.daemon.config
    text = config.read_text("utf-8")
    assert "ballast_mb = 0" in text
    config.write_text(text.replace("ballast_mb = 0", f"ballast_mb = {BALLAST_MB}"), "utf-8")
    faults = config.parent / "faults"
    faults.mkdir()
    disk = FailingDisk(faults, config.parent / STORE_FILE)
    world.daemon.environment = disk.environment
    await world.daemon.start()
    process = world.daemon.process
    try:
        async with room_of(world) as room:
            yield Case(room, disk, world, await room.talking())
        assert world.daemon.process is process
        assert world.daemon.running, "no fault of the disk ends the daemon"
    finally:
        await world.daemon.stop()


@pytest.mark.timeout(180)
async def test_on_a_full_disk_the_call_goes_on_hang_ups_are_stored_and_no_restart_is_needed(
    case: Case,
) -> None:
    with case.disk.fails("full"):
        refused = await case.act("three-way", to="12345")
        assert (refused.status, refused.doc["code"]) == (503, "store-cannot-write")
        await case.store_is("down")
        await case.still_talking()
        assert (case.world.daemon.config.parent / f"{STORE_FILE}.ballast").stat().st_size
    await case.store_is("up")
    hotline = await case.room.people.hotline()
    assert (await case.act("three-way", to="12345")).ok
    third = await fetched(hotline)
    await all_talk(case.talk.citizen, case.talk.at_seat, third)
    with case.disk.fails("full"):
        await case.talk.leave()  # a hang-up drops the ballast
        await case.alarm("store-reserve-used", there=True)
        await talk(case.talk.citizen, third)
        refused = await case.act("three-way", to="12345")
        assert refused.doc["code"] == "store-cannot-write"
    await case.alarm("store-reserve-used", there=False)
    await case.store_is("up")
    taken = await case.talk.handoff("taken", within=8.0)
    assert taken["seat"] == case.talk.desk.seat


@pytest.mark.timeout(180)
async def test_a_failed_sync_is_told_as_unknown_nothing_is_dialled_and_the_truth_comes_back(
    case: Case,
) -> None:
    hotline = await case.room.people.hotline()
    with case.disk.fails("sync"):
        asked = await case.act("three-way", to="12345")
        assert (asked.status, asked.doc["code"]) == (504, "outcome-unknown")
        await case.store_is("down")
        again = await case.act("three-way", to="12345")
        assert again.doc["code"] in ("store-cannot-write", "outcome-unknown")
        await case.still_talking()
    await case.store_is("up")
    with pytest.raises(TimeoutError):
        await hotline.wait_call(1.0)
    handoffs = (await case.talk.desk.call(case.talk.id))["handoffs"]
    assert [handoff["state"] for handoff in handoffs] in ([], ["ended"])
    assert (await case.act("three-way", to="12345")).ok
    await all_talk(case.talk.citizen, case.talk.at_seat, await fetched(hotline))


@pytest.mark.timeout(180)
async def test_a_slow_disk_refuses_nothing_and_one_that_does_not_answer_is_told(
    case: Case,
) -> None:
    hotline = await case.room.people.hotline()
    with case.disk.fails("slow"):
        assert (await case.act("three-way", to="12345")).ok
        third = await fetched(hotline)
        await all_talk(case.talk.citizen, case.talk.at_seat, third)
        await case.talk.state("conferenced")
    with case.disk.fails("stuck"):
        await third.hangup()
        await case.store_is("down")
        await case.still_talking()
        refused = await case.act("three-way", to="12345")
        assert refused.doc["code"] == "store-cannot-write"
    await case.store_is("up")
    await case.talk.state("established")
