"""Every act of a call, driven by REST alone, shown by tone and ear (issue: the call).

Citizen 620, seat 700, second seat 850, 12345 1000, leader 1300, unit 1600, hold 440.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.lab.phone import Behaviour
from bridge.lab.tones import CITIZEN, HOLD, HOTLINE, LEADER, SEAT, SECOND_SEAT, UNIT
from bridge.lab.world import World
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, room_of

pytestmark = [pytest.mark.live]


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with room_of(world) as found:
        yield found


@pytest.mark.req("LY-05")
@pytest.mark.req("LY-08")
async def test_one_key_three_way_and_the_seat_leaves(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("three-way", to="12345")
    third = await fetched(hotline)
    assert third.caller == call.number
    assert third.headers.get("X-Case-Id") == call.id
    await all_talk(call.citizen, call.at_seat, third)
    await call.state("conferenced")
    left = time.monotonic()
    await call.leave()
    await talk(call.citizen, third)
    assert call.citizen.longest_gap(left - 0.2, time.monotonic()) < 0.15
    taken = await call.handoff("taken")
    assert list(taken["times"]) == [
        "requested",
        "ringing",
        "answered",
        "accepted",
        "joined",
        "taken",
    ]


@pytest.mark.req("LY-08")
async def test_transfer_lets_the_seat_go_after_a_person_accepted(room: Room) -> None:
    hotline = await room.people.hotline(Behaviour("auto", keys="1", keys_after=1.5))
    call = await room.talking()
    await call.act("transfer", to="12345")
    third = await fetched(hotline)
    await asyncio.sleep(0.5)
    assert call.at_seat.end is None, "nobody has accepted yet"
    assert SEAT in call.citizen.hears()
    await talk(call.citizen, third, within=8)
    await call.at_seat.wait_ended(3)
    assert (await call.handoff("taken"))["kind"] == "transfer"


async def test_leave_before_acceptance_becomes_leave_when_accepted(room: Room) -> None:
    hotline = await room.people.hotline(Behaviour("auto", keys="1", keys_after=1.5))
    call = await room.talking()
    await call.act("three-way", to="12345")
    third = await fetched(hotline)
    await call.leave()
    assert call.at_seat.end is None
    await talk(call.citizen, third, within=8)
    await call.at_seat.wait_ended(3)


async def test_private_consultation_swap_and_merge(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("consult", to="12345")
    third = await fetched(hotline)
    await talk(call.at_seat, third)
    await call.citizen.wait_hears({HOLD}, 3)
    await call.state("consulting")
    await call.act("alternate")
    await talk(call.citizen, call.at_seat)
    await third.wait_hears({HOLD}, 3)
    await call.state("alternated")
    await call.act("alternate")
    await talk(call.at_seat, third)
    await call.citizen.wait_hears({HOLD}, 3)
    await call.state("consulting")
    await call.act("conference")
    await all_talk(call.citizen, call.at_seat, third)
    await call.state("conferenced")


async def test_a_consultation_given_up_brings_the_citizen_back(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("consult", to="12345")
    third = await fetched(hotline)
    await talk(call.at_seat, third)
    await call.state("consulting")
    await call.act("reconnect")
    await talk(call.citizen, call.at_seat)
    await third.wait_ended(3)


async def test_consulting_seat_leaves_and_the_third_has_the_citizen(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("consult", to="12345")
    third = await fetched(hotline)
    await talk(call.at_seat, third)
    await call.state("consulting")
    await call.leave()
    await talk(call.citizen, third)
    assert (await call.handoff("taken"))["kind"] == "consult"


async def test_hold_and_retrieve(room: Room) -> None:
    call = await room.talking()
    await call.act("hold")
    await call.citizen.wait_hears({HOLD}, 3)
    await call.state("held")
    await call.act("retrieve")
    await talk(call.citizen, call.at_seat)


@pytest.mark.req("LY-08")
async def test_take_back(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("transfer", to="12345")
    third = await fetched(hotline)
    await talk(call.citizen, third, within=8)
    await call.handoff("taken")
    await call.act("join")
    back = await fetched(call.seat)
    await all_talk(call.citizen, back, third)
    await call.desk.leave(await call.leg("hotline"), confirm=True)
    await talk(call.citizen, back)
    assert (await call.handoff("ended"))["outcome"] == "taken_back"


async def test_cancel_while_it_rings(room: Room) -> None:
    hotline = await room.people.hotline(Behaviour("ring"))
    call = await room.talking()
    await call.act("three-way", to="12345")
    third = await hotline.wait_call(3)
    await call.act("cancel")
    await third.wait_ended(3)
    assert (await call.handoff("ended"))["outcome"] == "cancelled"
    await talk(call.citizen, call.at_seat)
    hotline.behaviour = Behaviour("auto", keys="1")
    hotline.forget_calls()
    await call.act("three-way", to="12345")
    await all_talk(call.citizen, call.at_seat, await fetched(hotline), within=8)


@pytest.mark.parametrize(("manner", "outcome"), [("busy", "busy"), ("reject", "rejected")])
@pytest.mark.req("LY-08")
async def test_a_peer_that_refuses_leaves_citizen_and_seat_talking(
    room: Room, manner: str, outcome: str
) -> None:
    await room.people.hotline(Behaviour(manner))  # type: ignore[arg-type]
    call = await room.talking()
    await call.act("three-way", to="12345")
    assert (await call.handoff("ended"))["outcome"] == outcome
    await talk(call.citizen, call.at_seat)


async def test_mute(room: Room) -> None:
    call = await room.talking()
    leg = await call.leg("seat-8001")
    await call.desk.must("PUT", f"legs/{leg}/mute", {"on": True})
    await call.citizen.wait_hears_not({SEAT}, 3)
    await call.at_seat.wait_hears({CITIZEN}, 3)
    await call.desk.must("PUT", f"legs/{leg}/mute", {"on": False})
    await talk(call.citizen, call.at_seat)


@pytest.mark.parametrize(
    ("mode", "seat_hears", "citizen_hears"),
    [
        ("listen", {CITIZEN}, {SEAT}),
        ("whisper", {CITIZEN, LEADER}, {SEAT}),
        ("barge", {CITIZEN, LEADER}, {SEAT, LEADER}),
        ("talk", {CITIZEN, LEADER}, {SEAT, LEADER}),
    ],
)
async def test_the_shift_leader(
    room: Room, mode: str, seat_hears: set[int], citizen_hears: set[int]
) -> None:
    leader = await room.people.seat("8099", LEADER)
    call = await room.talking()
    await room.world.leader.act(call.id, "intrude", mode=mode)
    at_leader = await fetched(leader)
    await at_leader.wait_hears({CITIZEN, SEAT}, 4)
    await call.at_seat.wait_hears(seat_hears, 3)
    await call.citizen.wait_hears(citizen_hears, 3)
    await at_leader.hangup()
    await talk(call.citizen, call.at_seat)


async def test_a_further_party_and_another_seat(room: Room) -> None:
    hotline = await room.people.hotline()
    unit = await room.people.phone("6001", UNIT, Behaviour("auto", keys="1"))
    other = await room.people.seat("8002", SECOND_SEAT)
    call = await room.talking()
    await call.act("three-way", to="12345")
    at_hotline = await fetched(hotline)
    await all_talk(call.citizen, call.at_seat, at_hotline)
    await call.act("three-way", to="6001")
    at_unit = await fetched(unit)
    await all_talk(call.citizen, call.at_seat, at_hotline, at_unit, within=8)
    await call.act("three-way", to="seat:8002")
    at_other = await fetched(other)
    await all_talk(call.citizen, call.at_seat, at_hotline, at_unit, at_other, within=8)


@pytest.mark.req("LU-06")
async def test_12345_calls_110_and_hands_a_case_back(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    case = (await call.state("established"))["case"]
    await call.act("transfer", to="12345")
    third = await fetched(hotline)
    await talk(call.citizen, third, within=8)
    back = await hotline.dial("110", headers={"X-Case-Id": call.id})
    at_seat = await fetched(call.seat)
    await talk(back, at_seat)
    found = await call.desk.wait_call("12345", "established")
    assert found["case"] == case
    assert found["entry"] == "12345"


async def test_the_desk_ends_the_call_only_when_it_says_so_twice(room: Room) -> None:
    call = await room.talking()
    refused = await call.desk.request("DELETE", f"calls/{call.id}")
    assert refused.status == 409
    assert refused.doc["code"] == "needs-confirmation"
    assert call.citizen.end is None
    await call.desk.must("DELETE", f"calls/{call.id}?confirm=true")
    assert (await call.citizen.wait_ended(3)).who == "them"


async def test_the_citizen_hangs_up(room: Room) -> None:
    call = await room.talking()
    await call.citizen.hangup()
    await call.at_seat.wait_ended(3)


@pytest.mark.req("LL-51")
async def test_a_telephone_that_dies_gives_the_citizen_a_sound_at_once(room: Room) -> None:
    call = await room.talking()
    died = time.monotonic()
    call.at_seat.mute_rtp(True)
    heard = await call.citizen.wait_hears({HOLD}, 3)
    assert heard - died <= 1.5
    again = await fetched(call.seat, 16)
    await talk(call.citizen, again)


async def test_a_seat_that_left_serves_the_next_citizen(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("transfer", to="12345")
    third = await fetched(hotline)
    await talk(call.citizen, third, within=8)
    _, next_citizen = await room.people.citizen(UNIT)
    at_seat = await fetched(call.seat, 8)
    await talk(next_citizen, at_seat)
    assert HOTLINE in call.citizen.hears()
