"""A radio group in a citizen's call, through a line-keyed gateway: by ear, tone and key.

The gateway's sound is a SIP line (a lab telephone stands for it), its key and squelch a network
line box that the port process drives: everything between is the real thing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from bridge.flows.radio_voice import LIVES_S
from bridge.lab.incoming import IncomingCall
from bridge.lab.tones import CITIZEN, SEAT, UNIT
from bridge.lab.world import World
from tests.live.conftest import NewWorld
from tests.live.people import fetched, talk
from tests.live.radio_kit import GROUP, Gateway, gateway_of, with_radio
from tests.live.room import Room, Talk, room_of
from tests.tracks.listen import tones

pytestmark = [pytest.mark.req("LL-09"), pytest.mark.req("SB-11")]

KEY_WITHIN_S = 0.5
"""From somebody's first sound to the key: detection, daemon, port process, line box."""
HELD_S = (0.5, 2.0)
"""After the last sound: 0.4 s of silence, 0.4 s of hang time, a tail, and a busy machine."""


@dataclass
class Net:
    """A citizen, a seat and a radio group in one call; all are silent at first."""

    world: World
    room: Room
    talk: Talk
    gateway: Gateway
    at_radio: IncomingCall

    async def wait_talking(self, name: str, on: bool) -> None:
        """Until the desk shows that leg as talking, or as silent."""
        leg = await self.talk.leg(name)

        async def look() -> bool:
            return (leg in (await self.talk.desk.snapshot())["talking"]) is on

        await self.talk.desk.wait_for(look, 3.0, f"{name} talks: {on}")

    async def wait_alarm(self, name: str, *, there: bool, within: float = 10.0) -> None:
        """Until the desk shows the alarm, or no longer."""

        async def look() -> bool:
            alarms = (await self.talk.desk.snapshot())["alarms"]
            return any(one["alarm"] == name for one in alarms) is there

        await self.talk.desk.wait_for(look, within, f"alarm {name}: {there}")


@contextlib.asynccontextmanager
async def net_of(new_world: NewWorld, *, time_out_s: float = 20) -> AsyncIterator[Net]:
    world = await new_world()
    await world.daemon.stop()
    with_radio(world)
    async with room_of(world) as room:
        line = await room.people.phone("radio1", 0)
        async with gateway_of(world, line, time_out_s=time_out_s) as gateway:
            await world.daemon.start()
            talk = await room.talking()
            talk.citizen.leg.play(0)
            talk.at_seat.leg.play(0)
            await talk.act("three-way", to=GROUP)
            at_radio = await line.wait_call(6.0)
            await at_radio.wait_answered(6.0)
            await talk.state("conferenced")
            await asyncio.sleep(1.5)
            try:
                yield Net(world, room, talk, gateway, at_radio)
            except BaseException:
                print(world.daemon.log.read_text()[-4000:])
                print((world.switch.run.path / "ports.log").read_text()[-2000:])
                raise


async def test_the_key_follows_the_talker_and_the_group_is_heard(new_world: NewWorld) -> None:
    async with net_of(new_world) as net:
        gateway, citizen, radio = net.gateway, net.talk.citizen, net.at_radio
        seat = net.talk.at_seat
        clock = asyncio.get_running_loop().time
        assert gateway.moves() == [], "nobody has talked"

        for talker, tone in ((citizen, CITIZEN), (seat, SEAT)):
            began = clock()
            talker.leg.play(tone)
            keyed = await gateway.wait_key(True, 3.0)
            assert keyed - began <= KEY_WITHIN_S
            await radio.wait_hears({tone}, 4.0)
            await asyncio.sleep(0.5)
            assert gateway.keyed
            stopped = clock()
            talker.leg.play(0)
            released = await gateway.wait_key(False, 4.0)
            assert HELD_S[0] <= released - stopped <= HELD_S[1]
        count = len(gateway.moves())
        await asyncio.sleep(1.5)
        assert len(gateway.moves()) == count, "nobody talks"

        gateway.box.set_squelch(True)
        radio.leg.play(UNIT)
        await citizen.wait_hears({UNIT}, 4.0)
        await seat.wait_hears({UNIT}, 4.0)
        await net.wait_talking(f"radio-{GROUP}", True)
        citizen.leg.play(CITIZEN)
        await asyncio.sleep(1.0)
        assert len(gateway.moves()) == count, "nobody keys over the radio"
        radio.leg.play(0)
        ended = clock()
        gateway.box.set_squelch(False)
        assert await gateway.wait_key(True, 4.0) - ended <= 1.0
        await net.wait_talking(f"radio-{GROUP}", False)
        await radio.wait_hears({CITIZEN}, 4.0)
        citizen.leg.play(0)
        await gateway.wait_key(False, 4.0)

        recordings = net.world.switch.run.recordings
        (track,) = recordings.glob(f"{net.talk.id}-radio-{GROUP}-*.wav")
        await net.talk.citizen.hangup()
        await net.at_radio.wait_ended(5.0)
        heard = tones(track, [UNIT])[UNIT]
        assert sum(end - begin for begin, end in heard) >= 1.0, "recorded as any leg"
        assert not gateway.keyed


async def test_a_talker_without_end_is_cut_and_the_group_gets_the_air(new_world: NewWorld) -> None:
    async with net_of(new_world, time_out_s=2.0) as net:
        gateway, citizen = net.gateway, net.talk.citizen
        citizen.leg.play(CITIZEN)
        began = await gateway.wait_key(True, 3.0)
        ended = await gateway.wait_key(False, 5.0)
        assert 1.9 <= ended - began <= 2.5
        await asyncio.sleep(1.5)
        assert not gateway.keyed, "the same breath does not key again"
        citizen.leg.play(0)
        await asyncio.sleep(1.2)
        citizen.leg.play(CITIZEN)
        await gateway.wait_key(True, 3.0)


async def test_a_pulled_cable_is_told_and_the_citizen_goes_on(new_world: NewWorld) -> None:
    async with net_of(new_world) as net:
        gateway, citizen, seat = net.gateway, net.talk.citizen, net.talk.at_seat
        citizen.leg.play(CITIZEN)
        await gateway.wait_key(True, 3.0)
        port = gateway.box.port
        await gateway.box.close()
        await net.wait_alarm("gateway.radio-1", there=True)
        assert not gateway.keyed
        await seat.wait_hears({CITIZEN}, 4.0)
        citizen.leg.play(0)
        gateway.box.moves.clear()
        await gateway.box.open(port)
        await net.wait_alarm("gateway.radio-1", there=False, within=30.0)
        assert gateway.moves() == []
        citizen.leg.play(CITIZEN)
        await gateway.wait_key(True, 3.0)


async def test_a_gateway_whose_line_dies_leaves_the_others_talking(new_world: NewWorld) -> None:
    async with net_of(new_world) as net:
        net.gateway.line.die()
        await net.talk.state("established", within=12.0)
        net.talk.citizen.leg.play(CITIZEN)
        net.talk.at_seat.leg.play(SEAT)
        await talk(net.talk.citizen, net.talk.at_seat)
        await asyncio.sleep(0.5)
        assert not net.gateway.keyed


async def test_a_group_takes_no_call_and_the_last_person_does_not_leave_by_mistake(
    new_world: NewWorld,
) -> None:
    async with net_of(new_world) as net:
        desk = net.talk.desk
        refused = await desk.request("POST", f"calls/{net.talk.id}/transfer", {"to": GROUP})
        assert refused.doc["code"] == "group-takes-no-call"
        own = await net.talk.leg("seat-8001")
        refused = await desk.request("DELETE", f"legs/{own}")
        assert refused.doc["code"] == "would-leave-citizen-alone"
        await net.talk.at_seat.hangup()
        await net.at_radio.wait_ended(4.0)
        await net.talk.citizen.wait_ended(12.0)

        async def outcome() -> object:
            return (await desk.call(net.talk.id))["outcome"]

        assert await desk.wait_for(outcome, 3.0, "outcome") == "ended_by_seat"


async def test_without_the_daemon_the_key_is_let_go_and_the_radio_leaves(
    new_world: NewWorld,
) -> None:
    async with net_of(new_world) as net:
        second, _ = await net.room.sit("8002")
        citizen = net.talk.citizen
        citizen.leg.play(CITIZEN)
        await net.gateway.wait_key(True, 3.0)
        killed = asyncio.get_running_loop().time()
        net.world.daemon.kill()
        assert await net.gateway.wait_key(False, 3.0) - killed <= 1.0
        net.talk.seat.die()
        await net.at_radio.wait_ended(LIVES_S + 5.0)
        await talk(citizen, await fetched(second, within=20.0))
