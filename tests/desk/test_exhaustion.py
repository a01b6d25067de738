"""Nobody can take the desk away from the others by holding connections (guard S6)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.desk import server
from tests.desk.desk_kit import Kit, running

IDLE, DRIBBLING, ASKED = 300, 200, 100
BOUND_S = 1.0
"""Of the slowest honest answer, generous for a loaded machine; it takes a few milliseconds."""


@contextlib.asynccontextmanager
async def held(kit: Kit, idle: int, dribbling: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Connections that say nothing, and some that send a header's letters one at a time."""
    writers: list[asyncio.StreamWriter] = []

    async def dribble() -> None:
        for letter in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 1000:
            for writer in writers[idle:]:
                if not writer.transport.is_closing():
                    writer.write(bytes([letter]))
            await asyncio.sleep(0.2)

    for _ in range(idle + dribbling):
        _, writer = await asyncio.open_connection("127.0.0.1", kit.desk.port)
        writers.append(writer)
    dribbles = asyncio.create_task(dribble())
    try:
        yield writers
    finally:
        dribbles.cancel()
        for writer in writers:
            writer.transport.abort()


async def test_500_idle_and_dribbling_connections_keep_no_desk_waiting(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, held(kit, IDLE, DRIBBLING):
        took: list[float] = []
        for _ in range(ASKED):
            began = time.monotonic()
            answer = await kit.client(None).http.get("health")
            took.append(time.monotonic() - began)
            assert answer.status_code == 200
            await kit.clients.pop().aclose()
        assert sorted(took)[ASKED * 99 // 100 - 1] < BOUND_S


async def test_each_is_let_go_at_its_deadline_and_the_place_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 1.0)
    async with running(tmp_path) as kit:
        began = time.monotonic()
        connections = [await asyncio.open_connection("127.0.0.1", kit.desk.port) for _ in range(50)]
        connections[0][1].write(b"GET / HTTP/1.1\r\nHost")
        async with asyncio.timeout(30):
            assert await asyncio.gather(*(reader.read() for reader, _ in connections)) == [b""] * 50
        assert time.monotonic() - began > server.HEADER_SECONDS - 0.5
        assert not server._Bounded._open


async def test_one_address_cannot_have_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PER_ADDRESS", 20)
    async with running(tmp_path) as kit:
        held_back = [await asyncio.open_connection("127.0.0.1", kit.desk.port) for _ in range(20)]
        reader, _ = await asyncio.open_connection("127.0.0.1", kit.desk.port)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        for _, writer in held_back:
            writer.close()
        async with asyncio.timeout(10):
            while server._Bounded._open:
                await asyncio.sleep(0.02)
        assert (await kit.client(None).http.get("health")).status_code == 200
    assert server.PER_ADDRESS < server.CONNECTIONS


async def test_who_does_not_take_the_answer_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TAKE_SECONDS", 0.5)
    full: list[float] = []
    pause = server._Bounded.pause_writing

    def paused(self: server._Bounded) -> None:
        full.append(time.monotonic())
        pause(self)

    monkeypatch.setattr(server._Bounded, "pause_writing", paused)
    async with running(tmp_path) as kit:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", kit.desk.port))
            slow.setblocking(False)
            request = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
            async with asyncio.timeout(60):
                while not full:  # many answers asked for, none taken
                    with contextlib.suppress(BlockingIOError):
                        slow.send(request * 5)
                    await asyncio.sleep(0.02)
                while server._Bounded._open:
                    await asyncio.sleep(0.02)
        assert time.monotonic() - full[0] >= server.TAKE_SECONDS
        assert (await kit.client(None).http.get("health")).status_code == 200


async def test_a_websocket_counts_with_its_own_bound(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.cti():
        assert not server._Bounded._open


async def test_who_was_let_in_before_the_end_is_still_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        reader, writer = await asyncio.open_connection("127.0.0.1", kit.desk.port)
        while not server._Bounded._open:
            await asyncio.sleep(0.01)
        kit.desk._server._server.should_exit = True
        async with asyncio.timeout(10):
            while (
                kit.desk._server._server.servers
                and kit.desk._server._server.servers[0].is_serving()
            ):
                await asyncio.sleep(0.01)
            writer.write(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
