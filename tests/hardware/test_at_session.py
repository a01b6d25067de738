"""AT commands over a real pseudo-terminal: turns, time-outs, cancelled callers, pulled cable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hardware.at import AtDialect, Command, End, Output, Unsolicited
from hardware.at_session import AtSession
from tests.hardware.pty_kit import Device, device, link_to, running, until

DIALECT = AtDialect(unsolicited={"RING": None}, resync_s=0.3)
PROBE = Command(text="AT", timeout_s=10)


@asynccontextmanager
async def session() -> AsyncIterator[tuple[AtSession, Device, list[Output]]]:
    events: list[Output] = []
    at = AtSession(DIALECT, events.append)
    async with device() as modem:
        link = link_to(modem.name, at.data)
        at.attach(link)
        link._on_down = at.down
        async with running(link):
            yield at, modem, events


async def test_commands_of_many_callers_wait_for_their_turn() -> None:
    async with session() as (at, modem, events):
        outstanding: list[int] = []

        def answer(data: bytes) -> None:
            outstanding.append(modem.heard.count(b"AT"))
            modem.say(b"\r\nRING\r\n\r\nOK\r\n")

        modem.on_bytes = answer
        done = await asyncio.gather(*(at.send(PROBE) for _ in range(8)))
        assert [a.end for a in done] == [End.OK] * 8
        assert outstanding == list(range(1, 9)), "the next goes out after the answer to the last"
        assert events == [Unsolicited("RING")] * 8


async def test_a_silent_modem_ends_the_command_and_is_probed_until_it_answers() -> None:
    async with session() as (at, modem, _):
        answer = await at.send(Command(text="AT+FOO", timeout_s=0.2))
        assert answer.end is End.TIMEOUT
        await modem.wait_heard(b"\x1b\rAT\r")
        modem.on_bytes = lambda data: modem.say(b"\r\nOK\r\n")
        modem.say(b"\r\nOK\r\n")
        assert (await at.send(PROBE)).end is End.OK


async def test_a_caller_that_gives_up_leaves_a_line_that_is_found_again() -> None:
    async with session() as (at, modem, _):
        gone = asyncio.ensure_future(at.send(PROBE))
        await modem.wait_heard(b"AT\r")
        gone.cancel()
        await modem.wait_heard(b"\x1b\rAT\r")
        modem.on_bytes = lambda data: modem.say(b"\r\nOK\r\n")
        modem.say(b"\r\nOK\r\n")
        assert (await at.send(PROBE)).end is End.OK


async def test_a_cable_pulled_in_the_middle_is_an_unknown_end() -> None:
    async with session() as (at, modem, _):
        asked = asyncio.ensure_future(at.send(PROBE))
        await modem.wait_heard(b"AT\r")
        modem.pull()
        assert (await asked).end is End.LOST
        await until(lambda: at.dialogue.ready)
        assert (await at.send(PROBE)).end is End.LOST
