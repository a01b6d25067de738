"""The service manager is told over a real datagram socket; sockets handed over are taken up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app import sd_notify


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_lines_arrive_in_one_datagram(manager: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": manager.getsockname()}
    told = sd_notify.status("3 路通话\n READY=0")
    assert sd_notify.notify(sd_notify.READY, told, environment=environment)
    assert manager.recv(4096).decode() == "READY=1\nSTATUS=3 路通话 READY=0"


def test_abstract_address_is_understood() -> None:
    name = f"\0bridge110-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        listening.settimeout(5)
        environment = {"NOTIFY_SOCKET": "@" + name[1:]}
        assert sd_notify.notify(sd_notify.WATCHDOG, environment=environment)
        assert listening.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    assert not sd_notify.notify(sd_notify.STOPPING, environment={"NOTIFY_SOCKET": address})


def test_full_manager_never_holds_the_daemon_up(manager: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": manager.getsockname()}
    sent = [sd_notify.notify("X=" + "y" * 1000, environment=environment) for _ in range(2000)]
    assert sent[0]
    assert not sent[-1]


def test_watchdog_time_is_in_seconds_and_ours_alone() -> None:
    assert sd_notify.watchdog_s({"WATCHDOG_USEC": "10000000"}) == 10.0
    assert sd_notify.watchdog_s({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}) is None
    assert sd_notify.watchdog_s({}) is None


CHILD = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
from bridge.app import sd_notify
[one] = sd_notify.listen_fds()
print(one.getsockname()[1], os.get_inheritable(one.fileno()))
os.environ["LISTEN_PID"] = "1"
print(sd_notify.listen_fds())
"""


def test_listening_socket_is_taken_up_by_the_process_it_is_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        kept = os.dup(listening.fileno())

        script = f"exec {sys.executable} -c '{CHILD}' 3<&{kept}"
        try:
            done = subprocess.run(
                ["/bin/bash", "-c", script],
                pass_fds=[kept],
                env={"LISTEN_FDS": "1", "PATH": os.defpath, "PYTHONPATH": os.getcwd()},
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        finally:
            os.close(kept)
    assert done.stdout.split("\n")[:2] == [f"{port} False", "[]"], done.stderr
