"""The citizen hangs up at every step of a call: everything ends, and the journal says who left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from bridge.lab.phone import Behaviour
from bridge.lab.tones import HOLD, LEADER
from bridge.lab.world import World
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, Talk, room_of
from tests.live.test_record import fact_of

pytestmark = [pytest.mark.live]


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with room_of(world) as found:
        yield found


async def _held(room: Room, call: Talk) -> None:
    await call.act("hold")
    await call.citizen.wait_hears({HOLD}, 3)
    await call.state("held")


async def _consulting(room: Room, call: Talk) -> None:
    hotline = await room.people.hotline()
    await call.act("consult", to="12345")
    await talk(call.at_seat, await fetched(hotline))
    await call.state("consulting")


async def _alternated(room: Room, call: Talk) -> None:
    await _consulting(room, call)
    await call.act("alternate")
    await talk(call.citizen, call.at_seat)
    await call.state("alternated")


async def _conferenced(room: Room, call: Talk) -> None:
    hotline = await room.people.hotline()
    await call.act("three-way", to="12345")
    await all_talk(call.citizen, call.at_seat, await fetched(hotline))
    await call.state("conferenced")


async def _asked_for_key_1(room: Room, call: Talk) -> None:
    hotline = await room.people.hotline(Behaviour("auto"))
    await call.act("three-way", to="12345")
    await fetched(hotline)
    await call.handoff("answered")


async def _waiting(room: Room, call: Talk) -> None:
    hotline = await room.people.hotline(Behaviour("ring"))
    await call.act("three-way", to="12345")
    await hotline.wait_call(3)
    await call.at_seat.hangup()
    await call.citizen.wait_hears({HOLD}, 3)
    await call.state("waiting")


async def _taken(room: Room, call: Talk) -> None:
    await _conferenced(room, call)
    await call.leave()
    await call.handoff("taken")


async def _listened_to(room: Room, call: Talk) -> None:
    leader = await room.people.seat("8099", LEADER)
    await room.world.leader.act(call.id, "intrude", mode="listen")
    await fetched(leader)


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (_held, None),
        (_consulting, "citizen_left"),
        (_alternated, "citizen_left"),
        (_asked_for_key_1, "citizen_left"),
        (_waiting, "citizen_left"),
        (_conferenced, "citizen_left"),
        (_taken, "completed"),
        (_listened_to, None),
    ],
)
async def test_the_citizen_may_hang_up_at_every_step(
    room: Room, step: Callable[[Room, Talk], Awaitable[None]], outcome: str | None
) -> None:
    call = await room.talking()
    await step(room, call)
    await call.citizen.hangup()
    cleared = await fact_of(room, call.id, "call.cleared")
    assert cleared.data["outcome"] == "citizen_left"
    if outcome is not None:
        assert (await fact_of(room, call.id, "handoff.ended")).data["outcome"] == outcome

    async def over() -> bool:
        return all(one.end is not None for phone in room.people.phones for one in phone.calls)

    await call.desk.wait_for(over, 6, "every telephone is free")


async def test_the_citizen_may_hang_up_while_a_seat_rings(room: Room) -> None:
    seat, desk = await room.sit(behaviour=Behaviour("ring"))
    phone, citizen = await room.people.citizen()
    ringing = await seat.wait_call(6)
    call = await desk.wait_call(phone.user, "alerting")
    await citizen.hangup()
    await ringing.wait_ended(4)
    cleared = await fact_of(room, str(call["id"]), "call.cleared")
    assert (cleared.data["outcome"], cleared.data["answered"]) == ("citizen_left", False)
