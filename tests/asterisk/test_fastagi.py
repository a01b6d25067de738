"""The FastAGI server over real TCP: no peer can stop it, none gets more than it may.

Each case is a defect of the library underneath (F1-F10) or a threat (S2, S5, S6).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bridge.asterisk.agi_request import AgiRequest, Limits
from bridge.asterisk.fastagi import FastAgiServer, Outcome
from bridge.wire.agi import AgiCommandError, Answer

NONCE = "5a" * 16
TIGHT = Limits(header_s=0.3, command_s=0.3, handler_s=1.0, per_address=8, total=8)


class Leg:
    """An Asterisk channel that speaks AGI to the server, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, script: str = f"accept?nonce={NONCE}", extra: bytes = b"") -> None:
        await self.send(b"agi_network: yes\nagi_network_script: " + script.encode() + b"\n" + extra)
        await self.send(b"\n")

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def line(self) -> bytes:
        """The next command, or b"" when the server has closed."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.readline()
            except ConnectionError:
                return b""

    async def closed(self) -> bool:
        return await self.line() == b""


class Rig:
    """A running server, and a client's way to it."""

    def __init__(self, server: FastAgiServer) -> None:
        self.server = server

    @contextlib.asynccontextmanager
    async def leg(self) -> AsyncIterator[Leg]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            yield Leg(reader, writer)
        finally:
            writer.transport.abort()

    async def wait_outcome(self, outcome: Outcome, count: int = 1) -> None:
        await wait_until(lambda: self.server.outcomes[outcome] >= count)


async def wait_until(condition: Callable[[], bool], limit: float = 5.0) -> None:
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(
    endpoint: Callable[[AgiRequest], Awaitable[object]], limits: Limits = TIGHT
) -> AsyncIterator[Rig]:
    server = FastAgiServer(lambda nonce: nonce == NONCE, port=0, limits=limits)
    server.add_route("/accept", endpoint)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run(stop))
        await server.listening.wait()
        yield Rig(server)
        stop.set()


async def answer_digits(request: AgiRequest) -> Answer:
    return await request.command("SAY", "DIGITS", "110", "")


async def assert_well(rig: Rig) -> None:
    """The server still serves a whole request."""
    done = rig.server.outcomes["done"]
    async with rig.leg() as leg:
        await leg.ask()
        assert await leg.line() == b'SAY DIGITS 110 ""\n'
        await leg.send(b"200 result=0\n")
        assert await leg.closed()
    await rig.wait_outcome("done", done + 1)


async def test_request_is_served_and_counted() -> None:
    async with serving(answer_digits) as rig:
        await assert_well(rig)
        assert rig.server.outcomes == {"done": 1}
        assert rig.server.connections == 0


async def test_connect_and_close_is_harmless_and_the_loop_does_not_spin() -> None:
    async with serving(answer_digits) as rig:
        for _ in range(50):
            async with rig.leg():
                pass
        await rig.wait_outcome("closed_early", 50)
        before, started = time.process_time(), time.monotonic()
        await asyncio.sleep(0.2)
        busy = (time.process_time() - before) / (time.monotonic() - started)
        assert busy < 0.5, "the loop spins after connections have closed"
        await assert_well(rig)


async def test_black_hole_is_cut_off_at_the_header_deadline() -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        started = time.monotonic()
        assert await leg.closed()
        assert 0.2 < time.monotonic() - started < 2.0
        await rig.wait_outcome("slow_request")


async def test_half_a_line_is_cut_off_at_the_header_deadline() -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        await leg.send(b"agi_network: yes\nagi_netw")
        assert await leg.closed()
        await rig.wait_outcome("slow_request")
        await assert_well(rig)


async def test_slowloris_gains_no_time_by_sending_bytes() -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        started = time.monotonic()
        while not rig.server.outcomes["slow_request"]:
            await leg.send(b"a")
            await asyncio.sleep(0.02)
            assert time.monotonic() - started < 2.0
        assert await leg.closed()


async def test_2_mb_without_a_blank_line_is_refused_quickly() -> None:
    async with serving(answer_digits, Limits()) as rig, rig.leg() as leg:
        cpu = time.process_time()
        flood = asyncio.create_task(leg.send(b"agi_x: " + b"y" * 2_000_000))
        await rig.wait_outcome("bad_peer")
        assert time.process_time() - cpu < 0.5
        assert await leg.closed()
        await flood


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\nHost: x\n\n", b"\0" * 50 + b"\n\n"])
async def test_what_is_not_agi_is_refused(garbage: bytes) -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        await leg.send(garbage)
        assert await leg.closed()
        await rig.wait_outcome("bad_peer")


async def test_caller_name_in_gbk_does_not_stop_the_handler() -> None:
    names: list[str] = []

    async def read_name(request: AgiRequest) -> None:
        names.append(request.headers["agi_calleridname"])

    async with serving(read_name) as rig, rig.leg() as leg:
        await leg.ask(extra="agi_calleridname: 张三\n".encode("gbk"))
        await rig.wait_outcome("done")
        assert names == ["����"]


async def test_hangup_in_a_command_is_no_answer_and_shifts_none() -> None:
    got: list[Answer] = []

    async def two_commands(request: AgiRequest) -> None:
        got.append(await request.command("STREAM", "FILE", "a", ""))
        got.append(await request.command("STREAM", "FILE", "b", ""))

    async with serving(two_commands) as rig, rig.leg() as leg:
        await leg.ask()
        await leg.line()
        await leg.send(b"HANGUP\n200 result=-1 endpos=0\n")
        assert await leg.closed(), "a second command was sent to a channel that is gone"
        await rig.wait_outcome("hung_up")
        assert got == [Answer(200, "-1", endpos=0)]


@pytest.mark.parametrize("ending", [b"511 Command Not Permitted on a dead channel\n", None])
async def test_dead_channel_and_closed_connection_are_a_hangup(ending: bytes | None) -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        await leg.ask()
        await leg.line()
        if ending:
            await leg.send(ending)
        else:
            leg.writer.close()
        await rig.wait_outcome("hung_up")
        assert rig.server.outcomes.total() == 1


async def test_usage_of_several_lines_is_one_answer() -> None:
    got: list[Answer] = []

    async def two_commands(request: AgiRequest) -> None:
        got.append(await request.command("SAY", "DIGITS"))
        got.append(await request.command("ANSWER"))

    async with serving(two_commands) as rig, rig.leg() as leg:
        await leg.ask()
        await leg.line()
        await leg.send(
            b"520-Invalid command syntax.\nUsage: SAY DIGITS\n520 End of proper usage.\n"
        )
        await leg.line()
        await leg.send(b"200 result=0\n")
        await rig.wait_outcome("done")
        assert [answer.code for answer in got] == [520, 200]
        assert "Usage: SAY DIGITS" in got[0].text


async def test_argument_with_a_second_command_is_never_sent() -> None:
    async def inject(request: AgiRequest) -> None:
        with pytest.raises(AgiCommandError):
            await request.command("SET", "VARIABLE", "X", 'x"\nEXEC System "id')
        with pytest.raises(AgiCommandError):
            await request.send_command('SET VARIABLE X "x"\nEXEC System "id"')
        await request.command("NOOP")

    async with serving(inject) as rig, rig.leg() as leg:
        await leg.ask()
        assert await leg.line() == b"NOOP\n"
        await leg.send(b"200 result=0\n")
        await rig.wait_outcome("done")


@pytest.mark.parametrize("script", ["accept", "accept?nonce=", "accept?nonce=" + "0" * 32])
async def test_foreign_ticket_is_refused_and_counted(script: str) -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        await leg.ask(script)
        assert await leg.closed()
        await rig.wait_outcome("refused_nonce")
        assert rig.server.outcomes["done"] == 0


@pytest.mark.parametrize("script", ["", "other", "accept/x", "../accept", "accept%2f"])
async def test_unknown_path_is_refused_even_with_a_good_ticket(script: str) -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        await leg.ask(f"{script}?nonce={NONCE}")
        assert await leg.closed()
        await rig.wait_outcome("unknown_path")


async def test_connections_over_the_cap_are_refused_and_the_place_comes_back() -> None:
    limits = Limits(header_s=30, per_address=3, total=8)
    async with serving(answer_digits, limits) as rig:
        async with rig.leg(), rig.leg(), rig.leg():
            await wait_until(lambda: rig.server.connections == 3)
            async with rig.leg() as fourth:
                assert await fourth.closed()
            assert rig.server.outcomes["refused_cap"] == 1
        await wait_until(lambda: rig.server.connections == 0)
        await assert_well(rig)


async def test_address_that_is_not_listed_is_refused() -> None:
    async with serving(answer_digits) as rig:
        connection = socket.socket()
        connection.bind(("127.0.0.2", 0))
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", rig.server.port))
        reader, writer = await asyncio.open_connection(sock=connection)
        assert await Leg(reader, writer).closed()
        writer.close()
        assert rig.server.outcomes == {"refused_peer": 1}


async def test_command_without_answer_ends_at_its_deadline() -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        await leg.ask()
        await leg.line()
        started = time.monotonic()
        assert await leg.closed()
        assert time.monotonic() - started < 2.0
        await rig.wait_outcome("late")


async def test_handler_ends_at_its_deadline_though_every_command_is_answered() -> None:
    async def for_ever(request: AgiRequest) -> None:
        while True:
            await request.command("NOOP")

    limits = Limits(command_s=5, handler_s=0.3)
    async with serving(for_ever, limits) as rig, rig.leg() as leg:
        await leg.ask()
        while await leg.line():
            await leg.send(b"200 result=0\n")
        await rig.wait_outcome("late")
        assert rig.server.outcomes.total() == 1


async def test_forged_second_answer_ends_the_connection() -> None:
    async with serving(answer_digits) as rig, rig.leg() as leg:
        await leg.ask()
        await leg.line()
        await leg.send(b"200 result=1 (x)\n200 result=49\n")
        assert await leg.closed()
        await rig.wait_outcome("bad_peer")


async def test_handler_that_raises_costs_only_its_own_leg() -> None:
    async def fail(request: AgiRequest) -> None:
        raise RuntimeError("a mistake of ours")

    async with serving(fail, Limits()) as rig:
        rig.server.add_route("well", answer_digits)
        async with rig.leg() as other, rig.leg() as leg:
            await other.ask(f"well?nonce={NONCE}")
            assert await other.line()
            await leg.ask()
            assert await leg.closed()
            await rig.wait_outcome("failed")
            await other.send(b"200 result=0\n")
            await rig.wait_outcome("done")


async def test_stop_ends_open_requests_at_once() -> None:
    server = FastAgiServer(lambda nonce: True, port=0, limits=Limits())
    server.add_route("accept", answer_digits)
    stop = asyncio.Event()
    run = asyncio.create_task(server.run(stop))
    await server.listening.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    leg = Leg(reader, writer)
    await leg.ask()
    assert await leg.line()
    stop.set()
    async with asyncio.timeout(2):
        await run
    assert await leg.closed()
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


async def test_only_this_machine_may_be_listened_on() -> None:
    with pytest.raises(ValueError, match="loopback"):
        FastAgiServer(lambda nonce: True, host="0.0.0.0")


async def test_route_that_could_block_the_loop_is_refused() -> None:
    server = FastAgiServer(lambda nonce: True)
    with pytest.raises(TypeError, match="coroutine"):
        server.add_route("x", lambda request: request)
    server.add_route("x", answer_digits)
    with pytest.raises(ValueError, match="already"):
        server.add_route("/x/", answer_digits)


async def test_500_idle_connections_do_not_keep_a_leg_waiting() -> None:
    limits = Limits(header_s=0.5, per_address=96, total=128)
    async with serving(answer_digits, limits) as rig, contextlib.AsyncExitStack() as idle:
        for _ in range(500):
            await idle.enter_async_context(rig.leg())
        await rig.wait_outcome("refused_cap", 300)
        await wait_until(lambda: rig.server.connections < 96)
        started = time.monotonic()
        await assert_well(rig)
        assert time.monotonic() - started < 1.0
