"""The server inside the daemon: signals, sockets, stopping."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.desk.server import inherited, listen
from tests.desk.desk_kit import running

TAKES_OVER = """
import os, socket
from bridge.desk.server import inherited
made = socket.create_server(("127.0.0.1", 0))
os.dup2(made.fileno(), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
taken = inherited()
assert taken is not None and not os.get_inheritable(3)
assert taken.getsockname() == made.getsockname()
print("taken over")
"""


async def test_the_process_keeps_its_own_signal_handlers(tmp_path: Path) -> None:
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(kind) for kind in kinds]
    async with running(tmp_path) as kit:
        assert (await kit.client().http.get("seats")).status_code == 200
        assert [signal.getsignal(kind) for kind in kinds] == before


async def test_the_port_is_free_again_after_the_end(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.cti():
        port = kit.desk.port
    listen("127.0.0.1", port).close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


def test_a_port_that_is_taken_is_told_with_the_mend() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"http 127\.0\.0\.1:{port}: .* is another daemon"):
            listen("127.0.0.1", port)


def test_a_socket_that_systemd_opened_is_taken_over() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TAKES_OVER], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.strip() == "taken over", done.stderr


def test_a_socket_meant_for_another_process_is_left_alone() -> None:
    assert inherited({}) is None
    assert inherited({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None


async def test_every_refusal_is_logged_and_no_token_with_it(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        with capture_logs() as lines:
            await kit.client(None).http.get("snapshot")
            await kit.client("T-8002").http.get(f"calls/{call}")
            await kit.client("T-8002").do("POST", f"calls/{call}/hold")
            await kit.client().do("POST", f"calls/{call}/hold", key=None)
            await kit.client().do("POST", f"calls/{call}/three-way", {})
        codes = [line["code"] for line in lines if line["event"] == "desk.refused"]
        assert codes == ["no-token", "no-such-call", "case-owned", "key-missing", "bad-request"]
        assert not any(token in str(lines) for token in kit.tokens.values())
