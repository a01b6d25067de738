"""FastAGI that is dead, silent, broken or slow on a third's leg: the citizen's call goes on.

The citizen's own channel never asks anybody (lint rule `agi-on-citizen`); what the legs do is told
in seconds, as in the three-way sheet, section 4.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.lab.child import free_port
from bridge.lab.phone import Behaviour
from bridge.lab.ports import HOST
from bridge.lab.tones import UNIT
from bridge.lab.world import World
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, room_of

pytestmark = [pytest.mark.live]

SLOW_S = 0.8
PASSED_OVER_S = 3.0
"""TIMEOUT(absolute) of dialplans/third.conf until the far end has shown that it is there."""


class FarEnd:
    """Whoever answers at the address that the plan asks."""

    def __init__(self, manner: str) -> None:
        self.manner = manner
        self.asked = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\n\n")
            self.asked.set()
            if self.manner == "half a line":
                writer.write(b"EXEC NoOp")
            elif self.manner == "slow":
                await asyncio.sleep(SLOW_S)
                writer.close()

    def close(self) -> None:
        """The process there dies: its sockets are closed."""
        for writer in self._writers:
            writer.close()


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with room_of(world) as found:
        yield found


@contextlib.asynccontextmanager
async def far_end(room: Room, manner: str) -> AsyncIterator[FarEnd]:
    """The plans ask there instead of the daemon, until left."""
    port = free_port()
    end = FarEnd(manner)
    console = room.world.switch.console
    server = None if manner == "dead" else await asyncio.start_server(end.take, HOST, port)
    await console(f"dialplan set global AGI agi://{HOST}:{port}")
    try:
        yield end
    finally:
        await console(f"dialplan set global AGI agi://{HOST}:{room.world.ports.fastagi}")
        end.close()
        if server is not None:
            server.close()


@pytest.mark.parametrize(
    ("manner", "least_s", "most_s"), [("dead", 0.0, 0.7), ("slow", SLOW_S, SLOW_S + 0.7)]
)
async def test_a_leg_whose_question_fails_is_asked_by_the_plan_itself(
    room: Room, manner: str, least_s: float, most_s: float
) -> None:
    """From the answer to the prompt: half a millisecond and 0.8 s in the sheet."""
    hotline = await room.people.hotline(Behaviour("auto"))
    call = await room.talking()
    async with far_end(room, manner):
        began = time.monotonic()
        await call.act("three-way", to="12345")
        third = await fetched(hotline)
        answered = time.monotonic()
        await third.wait_hears(set(), 6, others=True)
        prompted = time.monotonic() - answered
        await third.press("1")
        await all_talk(call.citizen, call.at_seat, third, within=6)
    assert least_s <= prompted + 0.1
    assert prompted <= most_s + 1.0  # a loaded machine; the figure itself is in the sheet
    assert call.citizen.longest_gap(began, time.monotonic()) < 0.2


async def test_a_far_end_that_says_nothing_is_passed_over_and_the_next_third_can_be_called(
    room: Room,
) -> None:
    """The black hole stands all the time; nobody waits for it longer than three seconds."""
    hotline = await room.people.hotline(Behaviour("auto"))
    unit = await room.people.phone("6001", UNIT, Behaviour("auto", keys="1", keys_after=4.5))
    call = await room.talking()
    async with far_end(room, "black hole"):
        began = time.monotonic()
        await call.act("three-way", to="12345")
        third = await fetched(hotline)
        answered = time.monotonic()
        await third.wait_hears(set(), 8, others=True)
        assert time.monotonic() - answered <= PASSED_OVER_S + 1.5
        await third.press("1")
        await all_talk(call.citizen, call.at_seat, third, within=6)
        await call.act("three-way", to="6001")
        await all_talk(call.citizen, call.at_seat, third, await fetched(unit), within=12)
    assert call.citizen.longest_gap(began, time.monotonic()) < 0.2


async def test_a_leg_that_hangs_hangs_alone(room: Room) -> None:
    """Half a line, for which Asterisk waits for ever. Citizen and seat talk on meanwhile; when the
    far end is gone the way is free again."""
    hotline = await room.people.hotline(Behaviour("auto"))
    call = await room.talking()
    async with far_end(room, "half a line") as end:
        began = time.monotonic()
        await call.act("three-way", to="12345")
        third = await fetched(hotline)
        async with asyncio.timeout(5):
            await end.asked.wait()
        await asyncio.sleep(1.5)
        assert third.end is None
        await talk(call.citizen, call.at_seat)
        assert call.citizen.longest_gap(began, time.monotonic()) < 0.2
        await call.act("cancel")
        await talk(call.citizen, call.at_seat)
    await third.wait_ended(5)
    assert (await call.handoff("ended"))["outcome"] == "cancelled"
    hotline.behaviour = Behaviour("auto", keys="1", keys_after=0.4)
    hotline.forget_calls()
    await call.act("three-way", to="12345")
    await all_talk(call.citizen, call.at_seat, await fetched(hotline), within=8)
