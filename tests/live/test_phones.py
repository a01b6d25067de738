"""The laboratory's telephones before a real Asterisk: accounts, identity, hold, sudden death."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from bridge.lab.phone import Behaviour, Phone
from bridge.lab.ports import HOST
from bridge.lab.sip import SipError
from bridge.lab.switch import Switch
from bridge.lab.tones import CITIZEN, HOTLINE, RINGING, SEAT
from tests.live.people import People, fetched, people_of, talk


@pytest_asyncio.fixture
async def people(switch: Switch) -> AsyncIterator[People]:
    """Seat 8001 is the queue's only member."""
    await switch.console("queue add member PJSIP/8001 to q110")
    async with people_of(switch) as found:
        yield found
    await switch.console("queue remove member PJSIP/8001 from q110")


async def until_shown(switch: Switch, command: str, fits: Callable[[str], bool]) -> str:
    """What Asterisk's console says to `command`, as soon as it `fits`; 5 s at most."""
    shown = ""
    try:
        async with asyncio.timeout(5):
            while not fits(shown := await switch.console(command)):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{command}: {shown}") from None
    return shown


def contact_of(shown: str, user: str) -> str:
    """The line of `pjsip show contacts` that is about this account, empty without one."""
    return next((line for line in shown.splitlines() if f"{user}/sip:" in line), "")


async def test_a_registered_telephone_answers_the_switchs_questions_until_it_leaves(
    switch: Switch, people: People
) -> None:
    seat = await people.seat("8002")
    await until_shown(switch, "pjsip show contacts", lambda s: "Avail" in contact_of(s, "8002"))
    await seat.stop()
    await until_shown(switch, "pjsip show contacts", lambda s: not contact_of(s, "8002"))
    with pytest.raises(RuntimeError, match="8002 is off"):
        await seat.dial("110")


async def test_a_wrong_secret_is_refused_and_leaves_no_contact(switch: Switch) -> None:
    stranger = Phone("8003", "wrong", (HOST, switch.site.ports.sip), tone=SEAT)
    with pytest.raises(SipError, match="8003 is not registered: 40"):
        await stranger.start()
    stranger.die()
    assert not contact_of(await switch.console("pjsip show contacts"), "8003")


async def test_the_hotline_is_challenged_and_then_reaches_a_seat(people: People) -> None:
    seat, hotline = await people.seat(), await people.hotline(Behaviour("ring"))
    mine = await hotline.dial("110", headers={"X-Case-Id": "1795496543.1"})
    theirs = await fetched(seat)
    await talk(mine, theirs)
    assert mine.headers.get("Authorization").startswith('Digest username="hotline"')
    await mine.hangup()
    assert (await theirs.wait_ended(3)).who == "them"


@pytest.mark.parametrize(
    "shown",
    [
        "张三".encode("gbk"),
        b"\xff\xfe${SHELL(id)}",
        b"A&B, Inc. " + b"x" * 1000,
        "‮反了\u200b".encode(),
    ],
    ids=["gbk", "expression", "long", "direction"],
)
async def test_a_caller_with_a_hostile_name_gets_through_to_a_seat(
    people: People, shown: bytes
) -> None:
    seat = await people.seat()
    citizen = await people.phone("13911110000", CITIZEN, secret=False)
    name = shown.decode("utf-8", "surrogateescape")
    mine = await citizen.dial("110", identity=f'"{name}" <sip:13911110000@127.0.0.1>')
    theirs = await fetched(seat)
    await talk(mine, theirs)
    assert theirs.caller == "13911110000"


async def test_a_seat_that_holds_by_its_own_key_is_not_heard_until_it_is_back(
    people: People,
) -> None:
    seat = await people.seat()
    _, mine = await people.citizen()
    theirs = await fetched(seat)
    await talk(mine, theirs)
    await theirs.hold("inactive")
    await mine.wait_hears_not({SEAT}, 3)
    await theirs.unhold()
    await talk(mine, theirs)
    assert mine.end is None


async def test_a_dead_seat_is_cleared_by_the_switch_and_the_citizen_stays(people: People) -> None:
    seat = await people.seat()
    _, mine = await people.citizen()
    theirs = await fetched(seat)
    await talk(mine, theirs)
    died = time.monotonic()
    seat.die()
    await mine.wait_hears({RINGING}, 8)
    assert mine.end is None
    assert mine.longest_silence(died - 0.1, time.monotonic(), cadences=True) < 3.2


async def test_keys_by_telephone_event_reach_the_others_ear(people: People) -> None:
    seat = await people.seat()
    _, mine = await people.citizen()
    theirs = await fetched(seat)
    await talk(mine, theirs)
    await theirs.press("159#")
    async with asyncio.timeout(3):
        while mine.keys_heard != "159#":
            await asyncio.sleep(0.02)
    assert await mine.wait_hears({SEAT}, 2) > 0
    assert HOTLINE not in mine.heard(0.0, time.monotonic())
