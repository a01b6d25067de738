"""What callers write as their name is text: the call goes on, and the desk shows it safely."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.lab.ports import HOST
from bridge.lab.tones import CITIZEN
from bridge.lab.world import World
from tests.attack.raw_sip import RawCall, raw_phone
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, room_of
from tests.live.test_record import journal

pytestmark = [pytest.mark.live]


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with room_of(world) as found:
        yield found


@pytest.mark.parametrize(
    "name",
    [
        b"\x1b[2J\x07\tAction: Hangup",
        b"Action: Originate%0d%0aChannel: PJSIP/8002&PJSIP/8003",
        b"${SHELL(id)}$[1+1]${CURL(http://127.0.0.1/)}",
        b"x" * 4000,
        "\u5f20\u4e09".encode("gbk"),
        "<script>alert(1)</script>\u202e".encode(),
    ],
    ids=["control", "ampersand", "expression", "4 kB", "gbk", "markup"],
)
async def test_a_hostile_name_changes_nothing(room: Room, name: bytes) -> None:
    hotline = await room.people.hotline()
    seat, desk = await room.sit()
    number = "13911110000"
    citizen = await room.people.phone(number, CITIZEN, secret=False)
    shown = name.decode("utf-8", "surrogateescape")
    mine = await citizen.dial("110", identity=f'"{shown}" <sip:{number}@127.0.0.1>')
    theirs = await fetched(seat)
    await talk(mine, theirs)
    call = await desk.wait_call(number, "established")
    await desk.act(call["id"], "three-way", to="12345")
    third = await fetched(hotline)
    assert third.caller == number
    await all_talk(mine, theirs, third)
    assert len(hotline.calls) == 1
    texts = [json.dumps(await desk.snapshot(), ensure_ascii=False)]
    texts += [str(fact) for fact in await journal(room) if fact.call == call["id"]]
    for text in texts:
        assert "SHELL" not in text
        assert "Action:" not in text
        assert "<script>" not in text
        assert all(sign >= " " for sign in text)
    calls = (await desk.snapshot())["calls"]
    assert [one["id"] for one in calls] == [call["id"]], "nothing else was begun or ended"


@pytest.mark.parametrize(
    "name",
    [
        b'\r\n "Zhang\rAction: Hangup\rChannel: all"',
        b'"Zhang\rX-Case-Id: 1.1\r"',
        b'\r\n\t"Zhang%0d%0aAction: Originate%0d%0a"',
    ],
    ids=["folded, with CR", "CR", "folded and escaped"],
)
async def test_line_breaks_in_a_name_written_by_hand_are_text_and_the_call_goes_on(
    room: Room, name: bytes
) -> None:
    """CR LF as bytes on the wire, which no telephone of ours would write (RFC 3261, 7.3.1: a line
    that begins with white space goes on)."""
    seat, desk = await room.sit()
    number, server = "13911110001", (HOST, room.world.ports.sip)
    before = await journal(room)
    target = f"sip:110@{HOST}:{server[1]}".encode()
    mine = RawCall("by-hand", target, name + b" <sip:%s@127.0.0.1>" % number.encode(), hold_s=4.0)
    placing = asyncio.create_task((await raw_phone(server)).place([mine]))
    theirs = await fetched(seat, 8)
    call = await desk.wait_call(number, "established")
    assert (await desk.call(call["id"]))["number"] == number
    assert theirs.caller == number
    assert "\r" not in theirs.headers.get("From", "")
    await theirs.wait_ended(12)
    await placing
    assert mine.status == 200
    texts = [json.dumps(await desk.snapshot(), ensure_ascii=False)]
    texts += [str(fact) for fact in (await journal(room))[len(before) :]]
    for text in texts:
        assert "Action:" not in text
        assert "Zhang" not in text
        assert all(sign >= " " for sign in text)
    assert [one["number"] for one in (await desk.snapshot())["calls"]] in ([], [number])


@pytest.mark.parametrize(
    "sender",
    [
        b'"Zhang\r\n Action: Hangup"',
        b"Zhang\r\n Action",
        b'"Li\r\nX-Case-Id: 20260101-0001\r\nSubject: "',
        b'"Li\r\n\r\nINVITE sip:8001@x SIP/2.0\r\n"',
    ],
    ids=["folded inside", "folded words", "a header", "a message"],
)
async def test_what_is_no_sip_any_more_begins_no_call_and_the_next_is_as_ever(
    room: Room, sender: bytes
) -> None:
    seat, desk = await room.sit()
    server = (HOST, room.world.ports.sip)
    target = f"sip:110@{HOST}:{server[1]}".encode()
    mine = RawCall("cut", target, sender + b" <sip:13911110002@127.0.0.1>")
    await (await raw_phone(server)).place([mine])
    assert mine.status != 200
    honest, citizen = await room.people.citizen()
    theirs = await fetched(seat, 8)
    await talk(citizen, theirs)
    assert theirs.caller == honest.user
    assert (await desk.wait_call(honest.user, "established"))["number"] == honest.user
