"""Acceptance with words: only a person's 1 accepts, every failure leaves it to the dialplan."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from bridge.asterisk.acceptance import PATH, Acceptance, Words
from bridge.asterisk.fastagi import FastAgiServer
from bridge.asterisk.nonces import Nonces

WORDS = Words(("bridge110/case-from",), "13800001111", ("bridge110/press-1",))
NO_KEY = b"200 result=0 endpos=800\n"
KEY_1 = b"200 result=49 endpos=800\n"
ACCEPTED = b"SET VARIABLE ACCEPTED 1\n"

Person = Callable[[bytes], bytes | None]
"""What the channel answers to a command; None: it says nothing more."""


class Desk:
    def __init__(self, server: FastAgiServer, nonces: Nonces[Words]) -> None:
        self.server = server
        self.nonces = nonces

    async def call(self, person: Person, words: Words = WORDS) -> list[bytes]:
        """One leg to its end: every command that it was sent."""
        nonce = self.nonces.issue(words)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(b"agi_network: yes\n")
        writer.write(f"agi_network_script: {PATH}?nonce={nonce}\n\n".encode())
        seen: list[bytes] = []
        try:
            async with asyncio.timeout(5):
                with contextlib.suppress(ConnectionError):
                    while line := await reader.readline():
                        seen.append(line)
                        answer = person(line)
                        if answer is not None:
                            writer.write(answer)
        finally:
            writer.transport.abort()
        return seen


@contextlib.asynccontextmanager
async def desk(**settings: float) -> AsyncIterator[Desk]:
    nonces: Nonces[Words] = Nonces(asyncio.get_running_loop().time)
    server = FastAgiServer(nonces.authorize, port=0)
    quick = {"sound_s": 0.3, "key_s": 0.1, "total_s": 3.0, **settings}
    server.add_route(PATH, Acceptance(nonces.take, tries=2, **quick).handle)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run(stop))
        await server.listening.wait()
        yield Desk(server, nonces)
        stop.set()


async def test_key_1_after_the_words_accepts() -> None:
    async with desk() as here:
        seen = await here.call(lambda line: KEY_1 if line.startswith(b"WAIT") else NO_KEY)
        assert seen == [
            b"SET AUTOHANGUP 25\n",
            b"STREAM FILE bridge110/case-from 1\n",
            b"SAY DIGITS 13800001111 1\n",
            b"STREAM FILE bridge110/press-1 1\n",
            b"WAIT FOR DIGIT 100\n",
            ACCEPTED,
        ]
        assert here.server.outcomes == {"done": 1}


@pytest.mark.parametrize("command", [b"STREAM FILE bridge110/case-from", b"SAY", b"STREAM FILE b"])
async def test_key_1_during_the_words_accepts_at_once(command: bytes) -> None:
    async with desk() as here:
        seen = await here.call(lambda line: KEY_1 if line.startswith(command) else NO_KEY)
        assert seen[-1] == ACCEPTED
        assert b"WAIT FOR DIGIT 100\n" not in seen


@pytest.mark.parametrize("code", range(70))
async def test_no_key_but_1_accepts(code: int) -> None:
    async with desk() as here:
        answer = f"200 result={code}\n".encode()
        seen = await here.call(lambda line: answer)
        assert (ACCEPTED in seen) == (code == ord("1"))


async def test_nobody_presses_and_the_tries_are_bounded() -> None:
    async with desk() as here:
        seen = await here.call(lambda line: NO_KEY)
        assert seen.count(b"WAIT FOR DIGIT 100\n") == 2
        assert ACCEPTED not in seen


async def test_missing_sound_file_still_lets_the_key_accept() -> None:
    async with desk() as here:
        broken = b"200 result=-1 endpos=0\n"
        seen = await here.call(lambda line: KEY_1 if line.startswith(b"WAIT") else broken)
        assert seen[-1] == ACCEPTED


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"511 Command Not Permitted on a dead channel\n",
        b"HANGUP\n200 result=-1 endpos=0\n",
        b"nonsense\n",
        b"200 result=1 (half",
    ],
)
async def test_error_of_any_kind_never_accepts_and_ends_in_bounded_time(
    answer: bytes | None,
) -> None:
    async with desk() as here:
        seen = await here.call(lambda line: answer)
        assert ACCEPTED not in seen
        assert here.server.outcomes["done"] == 0


async def test_all_of_it_is_bounded_though_each_answer_comes_in_time() -> None:
    async with desk(total_s=0.3) as here:
        nonce = here.nonces.issue(Words(("a",) * 500))
        reader, writer = await asyncio.open_connection("127.0.0.1", here.server.port)
        writer.write(f"agi_network_script: {PATH}?nonce={nonce}\n\n".encode())
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                while await reader.readline():
                    await asyncio.sleep(0.02)
                    writer.write(NO_KEY)
        writer.transport.abort()
        assert here.server.outcomes == {"late": 1}


async def test_ticket_opens_the_route_once() -> None:
    async with desk() as here:
        nonce = here.nonces.issue(WORDS)
        assert here.nonces.take(nonce) is WORDS
        reader, writer = await asyncio.open_connection("127.0.0.1", here.server.port)
        writer.write(f"agi_network_script: {PATH}?nonce={nonce}\n\n".encode())
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert await reader.readline() == b""
        writer.transport.abort()
        assert here.server.outcomes == {"refused_nonce": 1}


@pytest.mark.parametrize("name", ["", "../etc/passwd", "/etc/x", "a b", "a\nb", "A", "a//b", "a.b"])
def test_only_plain_names_of_sounds_are_spoken(name: str) -> None:
    with pytest.raises(ValueError, match="sound"):
        Words((name,))


@pytest.mark.parametrize("number", ["12", "1" * 17, "110&1", "１１０", "+86110"])
def test_only_digits_are_said(number: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        Words(number=number)
