"""The laboratory's addresses: 127.0.0.1 and ports that all move together, so that labs can stand
side by side."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bridge.lab.progress import SetupError
from bridge.lab.root import cache_dir

HOST: Final = "127.0.0.1"
VARIABLE: Final = "BRIDGE110_LAB_BASE"
STEP: Final = 100
"""No two ports below are a multiple of this apart, so labs on different bases never meet."""
LAST_BASE: Final = 2100
FIRST_SPARE: Final = 300
"""Where tests begin to look for a base; the ones before are for people."""


@dataclass(frozen=True, slots=True)
class LabPorts:
    """Every port of one laboratory: `base` added to the numbers of architecture section 6."""

    base: int = 0

    def __post_init__(self) -> None:
        if self.base not in range(0, LAST_BASE + 1, STEP):
            raise SetupError(
                f"{VARIABLE}={self.base}: must be a multiple of {STEP} from 0 to {LAST_BASE}"
            )

    @property
    def sip(self) -> int:
        return 5160 + self.base

    @property
    def ami(self) -> int:
        return 5138 + self.base

    @property
    def fastagi(self) -> int:
        return 4573 + self.base

    @property
    def http(self) -> int:
        return 8110 + self.base

    @property
    def box(self) -> int:
        """The network box of the line-keyed radio (RFC 2217)."""
        return 5190 + self.base

    @property
    def trunk(self) -> int:
        """Where the robot stands that plays the public network and takes calls to citizens."""
        return 5170 + self.base

    @property
    def rtp(self) -> range:
        """Asterisk's own RTP and RTCP ports: 500 legs."""
        start = 10000 + 10 * self.base
        return range(start, start + 1000)

    def as_dict(self) -> dict[str, int]:
        """Name and number of each single port, for `lab info`."""
        names = ("sip", "ami", "fastagi", "http", "box", "trunk")
        return {name: getattr(self, name) for name in names}


def ports_from_environment(environment: Mapping[str, str] = os.environ) -> LabPorts:
    """The ports that `BRIDGE110_LAB_BASE` asks for. Raises SetupError when it is not usable."""
    text = environment.get(VARIABLE, "0").strip() or "0"
    if not (text.isascii() and text.isdigit()):
        raise SetupError(f"{VARIABLE}={text!r}: must be a multiple of {STEP} from 0 to {LAST_BASE}")
    return LabPorts(int(text))


@contextmanager
def claimed(ports: LabPorts) -> Iterator[LabPorts]:
    """Keeps `ports` for this process. Raises SetupError when another lab or program has them."""
    with _lock(ports) as free:
        if not free or (busy := _busy(ports)):
            what = "another laboratory runs there" if not free else f"ports {busy} are taken"
            raise SetupError(
                f"{VARIABLE}={ports.base}: {what}; "
                f"end it, or choose another multiple of {STEP} up to {LAST_BASE}"
            )
        yield ports


@contextmanager
def spare_ports(*, last_first: bool = False) -> Iterator[LabPorts]:
    """Keeps the first ports that nobody uses, for tests. Raises SetupError when all are taken."""
    bases = range(FIRST_SPARE, LAST_BASE + 1, STEP)
    for base in reversed(bases) if last_first else bases:
        ports = LabPorts(base)
        with _lock(ports) as free:
            if free and not _busy(ports):
                yield ports
                return
    raise SetupError(f"no free laboratory ports from base {FIRST_SPARE} to {LAST_BASE}")


@contextmanager
def _lock(ports: LabPorts) -> Iterator[bool]:
    """True while the lock file of this base is ours; the system frees it when we die."""
    directory = cache_dir()
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f"lab-{ports.base}.lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _busy(ports: LabPorts) -> list[int]:
    """Ports that some program listens on now."""
    listened = (ports.ami, ports.fastagi, ports.http, ports.box)
    tcp = [port for port in listened if not _free(port, socket.SOCK_STREAM)]
    udp = [p for p in (ports.sip, ports.trunk) if not _free(p, socket.SOCK_DGRAM)]
    return tcp + udp


def _free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
