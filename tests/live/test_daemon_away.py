"""The daemon is killed and comes back: the calls went on, and the case tells what was not seen."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bridge.lab.tones import HOLD, UNIT
from bridge.lab.world import World
from tests.live.conftest import NewWorld
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, room_of

pytestmark = [pytest.mark.live]


@pytest_asyncio.fixture
async def room(new_world: NewWorld) -> AsyncIterator[Room]:
    async with room_of(await new_world()) as found:
        yield found


async def command(world: World, *words: str) -> Any:
    """A `bridge110` command about this world's store, its JSON."""
    program = [sys.executable, "-m", "bridge", *words, "--config", str(world.daemon.config)]
    done = await asyncio.to_thread(
        subprocess.run, [*program, "--json"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


async def back(room: Room) -> None:
    await room.world.daemon.start()


@pytest.mark.req("LL-51")
async def test_the_key_works_without_the_daemon_and_is_learnt_afterwards(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    room.world.daemon.kill()
    await call.citizen.press("*1")
    with pytest.raises(TimeoutError):
        await hotline.wait_call(1)
    await call.at_seat.press("*1")
    third = await fetched(hotline)
    await all_talk(call.citizen, call.at_seat, third)
    await call.at_seat.hangup()
    await talk(call.citizen, third)
    await back(room)
    handoff = await call.handoff("taken", within=5)
    assert handoff["kind"] == "key"
    assert handoff["learnt"] is True
    shown = await call.state("established")
    assert shown["unobserved"], "the case says what nobody watched"
    (begin, end), *_ = shown["unobserved"]
    assert begin < end
    await talk(call.citizen, third)


@pytest.mark.req("LL-51")
async def test_a_restart_finds_every_leg_where_it_is(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("three-way", to="12345")
    third = await fetched(hotline)
    await all_talk(call.citizen, call.at_seat, third)
    await call.state("conferenced")
    room.world.daemon.kill()
    began = time.monotonic()
    await back(room)
    await call.state("conferenced")
    assert time.monotonic() - began < 8
    await all_talk(call.citizen, call.at_seat, third)
    await call.leave()
    await talk(call.citizen, third)
    assert (await call.handoff("taken"))["outcome"] is None


async def test_the_daemon_dies_between_the_request_and_the_acceptance(room: Room) -> None:
    hotline = await room.people.hotline()
    hotline.behaviour.keys_after = 2.5
    call = await room.talking()
    await call.act("transfer", to="12345")
    third = await fetched(hotline)
    room.world.daemon.kill()
    await all_talk(call.citizen, call.at_seat, third, within=10)
    assert len(hotline.calls) == 1, "nobody is called twice"
    await back(room)
    handoff = await call.handoff("taken", within=5)
    assert handoff["learnt"] is True
    await call.at_seat.wait_ended(3)
    await talk(call.citizen, third)
    assert len(hotline.calls) == 1


@pytest.mark.req("LL-51")
async def test_a_call_that_came_and_went_unseen_is_in_the_record(room: Room) -> None:
    await room.sit()
    seat = room.people.phones[0]
    room.world.daemon.kill()
    phone, citizen = await room.people.citizen(UNIT)
    at_seat = await fetched(seat)
    await talk(citizen, at_seat)
    await at_seat.hangup()
    await citizen.wait_ended(8)
    await back(room)

    async def recorded() -> Any:
        found = (await command(room.world, "case", "list", "--full-numbers"))["cases"]
        return [case for case in found if phone.user in json.dumps(case)]

    (case,) = await room.world.leader.wait_for(recorded, 8, "the unseen call")
    shown = await command(room.world, "case", "export", case["case"])
    text = json.dumps(shown, ensure_ascii=False)
    assert "ended_by_seat" in text
    assert '"learnt_at": "' in text or '"learnt_at":"' in text


async def test_a_citizen_held_when_the_daemon_died_is_given_back(room: Room) -> None:
    call = await room.talking()
    await call.act("hold")
    await call.citizen.wait_hears({HOLD}, 3)
    room.world.daemon.kill()
    await call.at_seat.hangup()
    again = await fetched(call.seat, 20)
    await talk(call.citizen, again)


async def test_asterisk_killed_leaves_every_number_for_a_call_back(room: Room) -> None:
    call = await room.talking()
    await call.state("established")
    await room.world.switch.kill()
    await room.world.switch.start()
    began = time.monotonic()

    async def lost() -> Any:
        found = (await room.world.leader.snapshot())["calls"]
        mine = await room.world.leader.request("GET", f"calls/{call.id}")
        over = [c for c in found if c["id"] == call.id] or ([mine.doc] if mine.ok else [])
        return over and over[0]["outcome"] == "lost_with_asterisk" and over[0]

    found = await room.world.leader.wait_for(lost, 8, "lost with Asterisk")
    assert found["callback"] is True
    assert found["number"] == call.number
    assert time.monotonic() - began < 5
