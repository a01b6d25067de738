"""Laboratories on different bases never meet, and a base is used by one at a time."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from bridge.lab.ports import (
    HOST,
    LAST_BASE,
    STEP,
    LabPorts,
    claimed,
    ports_from_environment,
    spare_ports,
)
from bridge.lab.progress import SetupError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE110_CACHE", str(tmp_path))


def test_the_usual_numbers_are_those_of_the_architecture() -> None:
    assert LabPorts().as_dict() == {
        "sip": 5160,
        "ami": 5138,
        "fastagi": 4573,
        "http": 8110,
        "box": 5190,
        "trunk": 5170,
    }


def test_no_two_bases_share_a_port() -> None:
    tcp, udp = set[int](), set[int]()
    bases = range(0, LAST_BASE + 1, STEP)
    for ports in map(LabPorts, bases):
        single = {ports.ami, ports.fastagi, ports.http, ports.box}
        media = {ports.sip, ports.trunk, *ports.rtp}
        assert not tcp & single
        assert not udp & media
        assert max(media) < 32768  # below the kernel's own ports for outgoing connections
        tcp |= single
        udp |= media
    assert len(tcp) == 4 * len(bases)


@pytest.mark.parametrize("text", ["-100", "50", "2200", "one", "１００", "1e2"])
def test_a_base_that_is_no_step_is_refused_by_the_name_of_its_variable(text: str) -> None:
    with pytest.raises(SetupError, match="BRIDGE110_LAB_BASE"):
        ports_from_environment({"BRIDGE110_LAB_BASE": text})


@pytest.mark.parametrize(
    ("environment", "base"),
    [({}, 0), ({"BRIDGE110_LAB_BASE": ""}, 0), ({"BRIDGE110_LAB_BASE": "300"}, 300)],
)
def test_the_environment_moves_all_ports_together(environment: dict[str, str], base: int) -> None:
    ports = ports_from_environment(environment)
    moved = {
        b - a for a, b in zip(LabPorts().as_dict().values(), ports.as_dict().values(), strict=True)
    }
    assert moved == {base}


def test_a_base_is_used_by_one_lab_at_a_time() -> None:
    with spare_ports() as ports, spare_ports() as others:
        assert others != ports
        with pytest.raises(SetupError, match="another laboratory"), claimed(ports):
            pass


def test_a_base_is_free_again_after_its_lab() -> None:
    for _ in range(2):
        with claimed(LabPorts(LAST_BASE)) as ports:
            assert ports.base == LAST_BASE


@pytest.mark.parametrize(
    ("name", "kind", "ours"),
    [
        ("ami", socket.SOCK_STREAM, True),
        ("ami", socket.SOCK_DGRAM, False),
        ("sip", socket.SOCK_DGRAM, True),
        ("sip", socket.SOCK_STREAM, False),
    ],
)
def test_a_base_is_refused_while_a_foreign_program_has_its_port(
    name: str, kind: socket.SocketKind, ours: bool
) -> None:
    ports = LabPorts(LAST_BASE)
    port = getattr(ports, name)
    with socket.socket(socket.AF_INET, kind) as foreign:
        foreign.bind((HOST, port))
        if kind == socket.SOCK_STREAM:
            foreign.listen()
        expected = pytest.raises(SetupError, match=str(port)) if ours else contextlib.nullcontext()
        with expected, claimed(ports) as taken:
            assert not ours
            assert taken == ports
