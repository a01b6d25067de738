"""The first way to 12345 is dead: the second is used within the same handoff, and both are told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import cast

import pytest

from bridge.lab.ports import HOST
from bridge.lab.world import make_world
from tests.live.conftest import NewSwitch
from tests.live.people import all_talk, fetched
from tests.live.room import room_of
from tests.live.test_record import journal

pytestmark = [pytest.mark.live]

DIAL = 'dial = "PJSIP/12345@hotline"'


class Refusing(asyncio.DatagramProtocol):
    """An exchange that has no line left: 503 to every INVITE."""

    def __init__(self) -> None:
        self.invites = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith(b"INVITE") and self._transport is not None:
            self.invites += 1
            head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            lines = [b"SIP/2.0 503 Service Unavailable", *_kept(head), b"Content-Length: 0"]
            self._transport.sendto(b"\r\n".join(lines) + b"\r\n\r\n", addr)


def _kept(head: list[bytes]) -> Iterator[bytes]:
    for line in head:
        if re.match(rb"(Via|From|Call-ID|CSeq):", line, re.IGNORECASE):
            yield line
        elif line.lower().startswith(b"to:"):
            yield line + b";tag=full"


@pytest.mark.parametrize("first", ["PJSIP/6010", "PJSIP/12345@trunk"], ids=["gone", "full"])
async def test_the_second_trunk_takes_over_and_the_record_names_both(
    new_switch: NewSwitch, first: str
) -> None:
    world = make_world(await new_switch())
    config = world.daemon.config
    text = config.read_text(encoding="utf-8")
    assert text.count(DIAL) == 1
    other = f'dial = "{first}"\nfallback = "PJSIP/12345@hotline"'
    config.write_text(text.replace(DIAL, other), encoding="utf-8")
    loop = asyncio.get_running_loop()
    transport, exchange = await loop.create_datagram_endpoint(
        Refusing, local_addr=(HOST, world.ports.trunk)
    )
    await world.daemon.start()
    try:
        async with room_of(world) as room:
            hotline = await room.people.hotline()
            talk = await room.talking()
            await talk.act("three-way", to="12345")
            third = await fetched(hotline)
            await all_talk(talk.citizen, talk.at_seat, third)
            joined = await talk.handoff("joined")
            assert joined["fallback_tried"]
            assert exchange.invites == (first.endswith("trunk"))
            facts = [fact for fact in await journal(room) if fact.call == talk.id]
            (told,) = [fact for fact in facts if fact.kind == "handoff.fallback"]
            assert told.data["outcome"] == "unreachable"
            assert (told.subject, len([f for f in facts if f.kind == "handoff.requested"])) == (
                joined["id"],
                1,
            )
            made = [
                fact for fact in facts if fact.kind == "call.originated" and "dial" in fact.data
            ]
            assert [fact.data["handoff"] for fact in made] == [joined["id"]] * 2
            dialled = [fact.data["dial"] for fact in made]
            assert dialled == [first, "PJSIP/12345@hotline"]
            legs = {leg["id"]: leg for leg in (await talk.desk.call(talk.id))["legs"]}
            assert legs[str(made[1].subject)]["channel"].startswith("PJSIP/hotline-")
    finally:
        await world.daemon.stop()
        transport.close()
