"""`bridge110 lab` as people start it: a process of its own, judged by its exit status."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.packages import find_program
from bridge.lab.ports import VARIABLE, LabPorts, claimed, spare_ports
from bridge.lab.root import AsteriskRoot, cache_dir

LIMIT_S = 240.0
"""A fax takes half a minute each way, and a loaded machine may need a second try."""
FACTS = 15
"""Of a case; its fax adds two."""

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture
def lab_ports(asterisk_root: AsteriskRoot) -> Iterator[LabPorts]:
    """Ports that nobody uses; what the laboratory there left is gone afterwards."""
    assert asterisk_root.version  # built before, so that no test waits for it
    with spare_ports(last_first=True) as found:
        ports = found  # the laboratory takes them itself: far from where other tests look
    yield ports
    lab(ports, "down")
    shutil.rmtree(cache_dir() / f"lab-{ports.base}", ignore_errors=True)


def _command(ports: LabPorts, *words: str) -> tuple[list[str], Mapping[str, str]]:
    command = [sys.executable, "-m", "bridge", "lab", *words]
    return command, {**os.environ, VARIABLE: str(ports.base)}


def lab(ports: LabPorts, *words: str) -> subprocess.CompletedProcess[str]:
    command, environment = _command(ports, *words)
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def wait_info(ports: LabPorts, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until and process.poll() is None:
        asked = lab(ports, "info", "--json")
        if asked.returncode == 0:
            found: dict[str, Any] = json.loads(asked.stdout)
            return found
    raise AssertionError(f"no laboratory came up; exit status {process.poll()}")


def test_once_exits_0_when_the_telephones_confirm_every_fact_and_leaves_nothing_running(
    lab_ports: LabPorts,
) -> None:
    done = lab(lab_ports, "up", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all three hear each other" in done.stdout
    assert "✗" not in done.stdout
    assert "the order is on the radio's display" in done.stdout
    if find_program("iaxmodem") is None:
        assert "no fax is shown" in done.stderr
        assert f"{FACTS}/{FACTS}" in done.stdout
    else:
        assert "closes its order" in done.stdout
        assert f"{FACTS + 2}/{FACTS + 2}" in done.stdout
    with claimed(lab_ports):
        assert lab(lab_ports, "info").returncode == 1


def test_once_exits_1_when_12345_is_not_heard(lab_ports: LabPorts) -> None:
    done = lab(lab_ports, "up", "--once", "--mute-hotline")
    assert done.returncode == 1, done.stdout
    assert "all three hear each other" in done.stderr
    with claimed(lab_ports):
        assert "✗" in done.stdout


def test_a_bare_laboratory_tells_every_address_plays_a_call_when_asked_and_ends(
    lab_ports: LabPorts, tmp_path: Path
) -> None:
    command, environment = _command(lab_ports, "up", "--bare")
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        info = wait_info(lab_ports, process)
        assert info["sip"] == f"sip:127.0.0.1:{lab_ports.sip}"
        assert info["http"] == f"http://127.0.0.1:{lab_ports.http}/"
        assert info["ami"]["port"] == lab_ports.ami
        assert info["ami"]["secret"]
        assert info["fastagi"].endswith(f":{lab_ports.fastagi}")
        assert info["sip_secret"]
        assert info["gateways"]["radio-1"]["driver"] == "tetra-pei"
        assert all(Path(modem).exists() for modem in info["fax"]["modems"].values())
        assert bool(info["fax"]["modems"]) is (find_program("iaxmodem") is not None)
        terminals = {f"unit-{unit}" for unit in info["units"]}
        assert set(info["tokens"]) == {*info["seats"], *terminals}
        asked = lab(lab_ports, "call", "--json")
        assert asked.returncode == 0, asked.stdout + asked.stderr
        assert json.loads(asked.stdout)["confirmed"] is True
        assert lab(lab_ports, "down").returncode == 0
        assert process.wait(LIMIT_S) == 0
    finally:
        process.terminate()
        process.wait(LIMIT_S)


def test_robots_of_a_standing_laboratory_play_another_call(
    lab_ports: LabPorts, tmp_path: Path
) -> None:
    command, environment = _command(lab_ports, "up")
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        wait_info(lab_ports, process)
        board = b"board: http://127.0.0.1:"
        until = time.monotonic() + LIMIT_S
        while board not in (tmp_path / "out").read_bytes():
            assert process.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        second = lab(lab_ports, "call")
        assert second.returncode == 0, second.stdout + second.stderr
        assert "-0002" in second.stdout, "the second case of the day"
        assert f"{FACTS}/{FACTS}" in second.stdout
    finally:
        process.terminate()
        assert process.wait(LIMIT_S) == 0
