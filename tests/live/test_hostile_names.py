"""What callers write as their name is text: the call goes on, and the desk shows it safely."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.lab.tones import CITIZEN
from bridge.lab.world import World
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
