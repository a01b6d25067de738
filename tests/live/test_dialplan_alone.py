"""The plans hold with no daemon at all: nobody answers any question here.

Each party knows by tone whom it heard; citizen 620, seat 700, 12345 1000, hold 440, ringing 450.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.asterisk.link_state import AmiSettings
from bridge.asterisk.manager import AmiLink
from bridge.lab.call import Call
from bridge.lab.incoming import IncomingCall
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.switch import Switch
from bridge.lab.tones import CITIZEN, HOLD, RINGING
from tests.live.people import People, all_talk, fetched, people_of, talk

pytestmark = [pytest.mark.live]


@pytest_asyncio.fixture
async def people(switch: Switch) -> AsyncIterator[People]:
    async with people_of(switch) as found:
        yield found


@pytest_asyncio.fixture
async def queue(switch: Switch) -> AsyncIterator[AmiLink]:
    """Seat 8001 is a member of the queue; nobody listens to events."""
    settings = AmiSettings(
        port=switch.site.ports.ami, username="bridge110", secret=switch.site.ami_secret
    )
    link = AmiLink(settings, rng=random.Random(1))
    stop = asyncio.Event()
    running = asyncio.create_task(link.run(stop))
    while not link.state.usable:
        await asyncio.sleep(0.01)
    member = {"Queue": "q110", "Interface": "PJSIP/8001"}
    await link.call("QueueAdd", member)
    await link.call("QueuePause", {**member, "Paused": "false"})
    yield link
    await link.call("QueueRemove", member)
    stop.set()
    await running


async def talking(people: People) -> tuple[Call, Phone, IncomingCall]:
    """A citizen talks with seat 8001."""
    seat = await people.seat()
    _, citizen = await people.citizen()
    at_seat = await fetched(seat)
    await talk(citizen, at_seat)
    return citizen, seat, at_seat


@pytest.mark.req("LL-51")
@pytest.mark.req("LU-06")
async def test_a_call_reaches_a_seat_without_the_daemon(people: People, queue: AmiLink) -> None:
    began = time.monotonic()
    citizen, _, at_seat = await talking(people)
    assert time.monotonic() - began < 6
    await citizen.hangup()
    assert (await at_seat.wait_ended(3)).who == "them"


async def test_a_waiting_citizen_always_hears_something(people: People, queue: AmiLink) -> None:
    _, citizen = await people.citizen()
    await citizen.wait_answered(3)
    await citizen.wait_hears({RINGING}, 6)
    now = time.monotonic()
    await asyncio.sleep(3)
    assert citizen.longest_gap(now, now + 3) < 0.15
    assert citizen.longest_silence(now, now + 3, cadences=True) < 1.0


@pytest.mark.req("LY-08")
async def test_the_seats_key_makes_the_three_way(people: People, queue: AmiLink) -> None:
    hotline = await people.hotline()
    citizen, _, at_seat = await talking(people)
    await at_seat.press("*1")
    third = await fetched(hotline)
    assert third.caller == people.phones[-1].user
    assert third.headers.get("X-Case-Id")
    await all_talk(citizen, at_seat, third)
    left = time.monotonic()
    await at_seat.hangup()
    await talk(citizen, third)
    assert citizen.longest_gap(left - 0.2, time.monotonic()) < 0.15


async def test_a_second_key_makes_no_second_call(people: People, queue: AmiLink) -> None:
    hotline = await people.hotline(Behaviour("ring"))
    _, _, at_seat = await talking(people)
    await at_seat.press("*1")
    await hotline.wait_call(3)
    await at_seat.press("*1")
    with pytest.raises(TimeoutError):
        await hotline.wait_call(2)


async def test_the_citizens_own_key_does_nothing(people: People, queue: AmiLink) -> None:
    hotline = await people.hotline()
    citizen, _, at_seat = await talking(people)
    await citizen.press("*1")
    with pytest.raises(TimeoutError):
        await hotline.wait_call(2)
    await talk(citizen, at_seat)


async def test_nobody_presses_and_citizen_and_seat_talk_on(people: People, queue: AmiLink) -> None:
    hotline = await people.hotline(Behaviour("auto"))
    citizen, _, at_seat = await talking(people)
    await at_seat.press("*1")
    third = await fetched(hotline)
    assert (await third.wait_ended(35)).who == "them"
    await talk(citizen, at_seat)


@pytest.mark.req("LY-08")
async def test_leaving_while_12345_rings_leaves_when_accepted(
    people: People, queue: AmiLink
) -> None:
    hotline = await people.hotline(Behaviour("auto", delay=2.0, keys="1"))
    citizen, seat, at_seat = await talking(people)
    await at_seat.press("*1")
    await hotline.wait_call(3)
    seat.forget_calls()
    await at_seat.hangup()
    await citizen.wait_hears({HOLD}, 3)
    await citizen.wait_hears({1000}, 8)
    assert seat.calls[-1] is at_seat, "no seat was rung meanwhile"


async def test_an_ordinary_goodbye_ends_the_call(people: People, queue: AmiLink) -> None:
    citizen, _, at_seat = await talking(people)
    await at_seat.hangup()
    assert (await citizen.wait_ended(8)).who == "them"


@pytest.mark.req("LL-51")
async def test_a_dead_telephone_never_ends_a_call(people: People, queue: AmiLink) -> None:
    """The citizen is queued again with the other's leg gone, and rings the seat that is there."""
    citizen, seat, at_seat = await talking(people)
    died = time.monotonic()
    at_seat.mute_rtp(True)
    await citizen.wait_hears({RINGING}, 5)
    assert time.monotonic() - died < 3.5, "rtp_timeout is 2 s"
    await at_seat.wait_ended(3)
    again = await fetched(seat, 16)
    await talk(citizen, again)
    assert citizen.end is None


async def test_the_citizen_may_hang_up_while_12345_rings(people: People, queue: AmiLink) -> None:
    hotline = await people.hotline(Behaviour("ring"))
    citizen, _, at_seat = await talking(people)
    await at_seat.press("*1")
    third = await hotline.wait_call(3)
    await citizen.hangup()
    await at_seat.wait_ended(3)
    await third.wait_ended(25)


async def test_a_number_that_is_not_110_is_refused(people: People) -> None:
    phone = await people.phone("13900000000", CITIZEN, secret=False)
    for number in ("12345", "8001", "0086", "110&8001", "s"):
        call = await phone.dial(number)
        end = await call.wait_ended(3)
        assert end.status >= 400, number


async def test_a_seats_telephone_cannot_dial_out(people: People) -> None:
    seat = await people.seat()
    for number in ("12345", "110", "8002", "00441"):
        end = await (await seat.dial(number)).wait_ended(3)
        assert end.status >= 400, number
