"""The daemon is dead and a telephone dies too, or only seems to: the stand-by is heard at once.

Citizen 620, seat 700, hold 440, ringing 450.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.lab.tones import HOLD, RINGING
from bridge.lab.world import World
from tests.live.people import fetched, talk
from tests.live.room import Room, Talk, room_of

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

BOUND_S = 2.5
"""`rtp_timeout` and half a second."""


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    """A room whose daemon is killed by the test; it is back afterwards."""
    await world.standby.start()
    async with room_of(world) as found:
        yield found
        if not world.daemon.running:
            await world.daemon.start()
    await world.standby.stop()


async def _late(call: Talk) -> None:
    """Now Asterisk alone would take 2.9 s to clear the seat: it compares whole seconds, half a
    second after what was agreed last, and the last packet comes at the beginning of one."""
    await asyncio.sleep((0.42 - time.time()) % 1)
    await call.at_seat.unhold()
    await asyncio.sleep(1.0 + (0.03 - time.time()) % 1)


@pytest.mark.req("LL-51")
async def test_a_dead_telephone_is_no_long_silence_without_the_daemon(room: Room) -> None:
    call = await room.talking()
    room.world.daemon.kill()
    await _late(call)
    died = time.monotonic()
    call.seat.die()
    assert await call.citizen.wait_hears({HOLD}, 4) - died <= BOUND_S
    await call.citizen.wait_hears({RINGING}, 15)
    assert call.citizen.longest_silence(died, time.monotonic(), cadences=True) <= BOUND_S
    assert call.citizen.end is None


async def test_a_telephone_that_was_only_silent_is_back_with_the_citizen(room: Room) -> None:
    call = await room.talking()
    room.world.daemon.kill()
    await _late(call)
    call.at_seat.mute_rtp(True)
    await call.citizen.wait_hears({HOLD}, 3)
    call.at_seat.mute_rtp(False)
    await talk(call.citizen, call.at_seat, within=6)


async def test_who_holds_by_a_telephones_own_key_is_not_taken_for_dead(room: Room) -> None:
    call = await room.talking()
    room.world.daemon.kill()
    await call.at_seat.hold("inactive")
    with pytest.raises(TimeoutError):
        await call.citizen.wait_hears({HOLD}, 4)
    await call.at_seat.unhold()
    await talk(call.citizen, call.at_seat)


async def test_with_the_daemon_there_it_acts_first_and_a_goodbye_is_one(room: Room) -> None:
    call = await room.talking()
    died = time.monotonic()
    call.at_seat.mute_rtp(True)
    assert await call.citizen.wait_hears({HOLD}, 4) - died <= 1.5
    again = await fetched(call.seat, 16)
    await talk(call.citizen, again)
    await again.hangup()
    await call.citizen.wait_ended(8)


async def test_a_mark_that_nobody_takes_is_taken_off(room: Room) -> None:
    """Both act at once: the plan has moved the citizen already, and the mark would stay."""
    call = await room.talking()
    room.world.daemon.kill()
    console = room.world.switch.console
    shown = await console("core show channels concise")
    citizen = next(line.split("!")[0] for line in shown.splitlines() if "citizen-queue" in line)
    await _late(call)
    call.at_seat.mute_rtp(True)
    await call.citizen.wait_hears({HOLD}, 4)
    await console(f"dialplan set chanvar {citizen} SHARED(HELD) 1")
    again = await fetched(call.seat, 16)
    await talk(call.citizen, again)
    await again.hangup()
    await call.citizen.wait_ended(8)
