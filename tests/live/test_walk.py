"""A citizen left alone is never dropped, and a seat left alone is brought back to its citizen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from bridge.asterisk.link_state import AmiSettings
from bridge.lab.desk_client import leg_of
from bridge.lab.tones import CITIZEN, HOLD, LEADER
from bridge.lab.wavear import longest, tones_in
from bridge.lab.world import World
from tests.asterisk.watched import running
from tests.live.people import fetched, talk
from tests.live.room import Room, Talk, room_of
from tests.live.test_record import fact_of

pytestmark = [pytest.mark.live]


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with room_of(world) as found:
        yield found


async def put_alone(room: Room, call: Talk) -> None:
    """The seat's channel into a bridge with nobody in it, as when seat and 12345 answer in the same
    ten milliseconds and 12345 gets the citizen."""
    console = room.world.switch.console
    await console("module load app_bridgewait.so")
    await console("dialplan add extension s,1,BridgeWait() into test-alone replace")
    leg = leg_of(await call.desk.call(call.id), "seat-8001")
    site = room.world.switch.site
    ami = AmiSettings(port=site.ports.ami, username="bridge110", secret=site.ami_secret)
    there = {"Context": "test-alone", "Exten": "s", "Priority": "1"}
    async with running(ami) as other:
        await other.wait_up()
        await other.link.call("Redirect", {"Channel": str(leg["channel"]), **there})


async def test_a_seat_left_alone_in_a_bridge_is_brought_back_to_its_citizen(room: Room) -> None:
    call = await room.talking()
    console = room.world.switch.console
    await console("dialplan set global END_ON_HOOK no")  # nobody has put a handset down here
    try:
        await put_alone(room, call)
        await call.at_seat.wait_hears_not({CITIZEN}, 4)
        await talk(call.citizen, call.at_seat, within=8)
    finally:
        await console("dialplan set global END_ON_HOOK yes")
    assert call.at_seat.end is None, "it was brought, not called again"


async def test_an_on_hook_that_ends_nothing_where_the_site_says_so(room: Room) -> None:
    """END_ON_HOOK=no: an ordinary goodbye too sends the citizen back to a seat."""
    call = await room.talking()
    console = room.world.switch.console
    await console("dialplan set global END_ON_HOOK no")
    try:
        await call.at_seat.hangup()
        again = await fetched(call.seat, 12)
        await talk(call.citizen, again)
    finally:
        await console("dialplan set global END_ON_HOOK yes")
    assert call.citizen.end is None
    assert (await fact_of(room, call.id, "call.alone")).data["cause"] == 16


@pytest.mark.req("LL-51")
async def test_12345_that_dies_after_the_hand_over_costs_the_citizen_a_moment(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("transfer", to="12345")
    third = await fetched(hotline)
    await talk(call.citizen, third, within=8)
    await call.handoff("taken")
    call.seat.forget_calls()
    died = time.monotonic()
    third.mute_rtp(True)
    heard = await call.citizen.wait_hears({HOLD}, 4)
    assert heard - died <= 1.5
    again = await fetched(call.seat, 16)
    await talk(call.citizen, again)
    ended = await fact_of(room, call.id, "handoff.ended")
    assert ended.data["outcome"] == "completed", "12345 had the matter when its leg died"


async def test_12345_goes_before_a_citizen_who_has_waited_longer(room: Room) -> None:
    hotline = await room.people.hotline()
    phone, citizen = await room.people.citizen()
    await room.world.leader.wait_call(phone.user, "queued", 6)
    urgent = await hotline.dial("110")
    await room.world.leader.wait_call("12345", "queued", 6)
    seat, _ = await room.sit("8002")
    first = await fetched(seat, 12)
    await talk(urgent, first)
    await urgent.hangup()
    await talk(citizen, await fetched(seat, 12))


async def test_the_leader_who_listens_has_a_track_too(room: Room) -> None:
    leader = await room.people.seat("8099", LEADER)
    call = await room.talking()
    await room.world.leader.act(call.id, "intrude", mode="whisper")
    at_leader = await fetched(leader)
    await call.at_seat.wait_hears({LEADER}, 4, others=True)
    await asyncio.sleep(0.5)
    await at_leader.hangup()
    await call.citizen.hangup()
    closed: Mapping[str, Any] = (await fact_of(room, call.id, "recording.closed")).data
    tracks = {str(track["leg"]): track for track in closed["tracks"]}
    assert {"citizen", "seat-8001", "leader-8099"} <= set(tracks)
    spoken = tones_in(room.world.switch.run.recordings / tracks["leader-8099"]["file"], {LEADER})
    assert longest(spoken, {LEADER}) >= 0.4
    assert len(str(tracks["leader-8099"]["sha256"])) == 64
