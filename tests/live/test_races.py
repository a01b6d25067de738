"""Two things at the same instant: nobody is lost, nobody is called twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.lab.call import Call
from bridge.lab.desk_client import Reply
from bridge.lab.phone import Behaviour
from bridge.lab.world import World
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, Talk, room_of

pytestmark = [pytest.mark.live]


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with room_of(world) as found:
        yield found


async def test_a_consultation_is_merged_twenty_times_of_twenty(room: Room) -> None:
    hotline = await room.people.hotline(Behaviour("auto", keys="1", keys_after=0.1))
    call = await room.talking()
    for _ in range(20):
        await call.act("consult", to="12345")
        third = await fetched(hotline)
        await talk(call.at_seat, third)
        await call.state("consulting")
        await call.act("conference")
        await all_talk(call.citizen, call.at_seat, third)
        await call.state("conferenced")
        await call.desk.leave(await call.leg("hotline"), confirm=True)
        await talk(call.citizen, call.at_seat)
        await call.state("established")


@pytest.mark.parametrize("first", ["key", "desk", "both"])
async def test_key_and_desk_make_one_call_to_12345(room: Room, first: str) -> None:
    hotline = await room.people.hotline(Behaviour("ring"))
    call = await room.talking()

    async def desk() -> Reply:
        return await call.desk.request("POST", f"calls/{call.id}/three-way", {"to": "12345"})

    if first == "key":
        await call.at_seat.press("*1")
        await hotline.wait_call(3)
        await call.handoff("ringing")
        assert (await desk()).doc["code"] == "third-already-called"
    elif first == "desk":
        assert (await desk()).ok
        await hotline.wait_call(3)
        await call.at_seat.press("*1")
    else:
        await asyncio.gather(call.at_seat.press("*1"), desk())
        await hotline.wait_call(3)
    with pytest.raises(TimeoutError):
        await hotline.wait_call(1.5)


async def test_key_and_desk_at_nearly_the_same_instant(room: Room) -> None:
    """The key is known 0.36 s after its first digit was begun; the desk aims at that instant."""
    hotline = await room.people.hotline(Behaviour("ring"))
    call = await room.talking()
    chance = random.Random(110)
    for _ in range(8):
        wait = 0.30 + chance.random() * 0.12
        await asyncio.gather(call.at_seat.press("*1"), _ask_after(call, wait))
        third = await hotline.wait_call(3)
        with pytest.raises(TimeoutError):
            await hotline.wait_call(0.4)
        await third.hangup()
        await call.handoff("ended")
        await talk(call.citizen, call.at_seat)


async def _ask_after(call: Talk, wait: float) -> None:
    await asyncio.sleep(wait)
    await call.desk.request("POST", f"calls/{call.id}/three-way", {"to": "12345"})


async def test_the_seat_leaves_as_the_third_answers(room: Room) -> None:
    """At the same instant, a little before, a little after: the citizen is with somebody."""
    hotline = await room.people.hotline(Behaviour("ring"))
    seat, desk = await room.sit()
    for offset in (-0.02, -0.005, 0.0, 0.005, 0.02):
        phone, citizen = await room.people.citizen()
        at_seat = await fetched(seat, 10)
        await talk(citizen, at_seat)
        call = await desk.wait_call(phone.user, "established")
        await desk.act(call["id"], "three-way", to="12345")
        third = await hotline.wait_call(3)
        await third.answer()
        await third.wait_hears(set(), 3, others=True)

        await asyncio.gather(_press(third, -offset), _leave(at_seat, 0.18 + offset))
        await citizen.wait_hears({third.leg.tone}, 8)
        await citizen.hangup()
        await third.wait_ended(5)


async def _press(third: Call, after: float) -> None:
    await asyncio.sleep(max(0.0, after))
    await third.press("1")


async def _leave(at_seat: Call, after: float) -> None:
    await asyncio.sleep(after)
    await at_seat.hangup()


@pytest.mark.parametrize("after", [0.0, 0.01, 0.05, 0.3, 0.6, 1.0])
async def test_the_citizen_may_hang_up_at_any_moment_of_a_three_way(
    room: Room, after: float
) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("three-way", to="12345")
    await asyncio.sleep(after)
    await call.citizen.hangup()
    await call.at_seat.wait_ended(3)

    async def over() -> bool:
        return all(c.end is not None for c in hotline.calls)

    await call.desk.wait_for(over, 4, "nobody is left on the hotline")
