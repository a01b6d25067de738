"""What systemd and a service say to each other: sd_notify(3), sd_listen_fds(3). Linux alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

READY: Final = "READY=1"
WATCHDOG: Final = "WATCHDOG=1"
STOPPING: Final = "STOPPING=1"
FIRST_FD: Final = 3
"""SD_LISTEN_FDS_START."""


def status(words: str) -> str:
    """What `systemctl status` shows; one line."""
    return f"STATUS={' '.join(words.split())}"


def notify(*lines: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send `lines` to the service manager. False when there is none, or it does not take them."""
    address = environment.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)  # a full queue of the manager never holds up the loop
            out.sendto("\n".join(lines).encode(), address.replace("@", "\0", 1))
    except OSError:
        return False
    return True


def listen_fds(environment: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets that were opened for us by a .socket unit; none without one."""
    if environment.get("LISTEN_PID", "") != str(os.getpid()):
        return []
    count = environment.get("LISTEN_FDS", "0")
    last = FIRST_FD + (int(count) if count.isdecimal() else 0)
    for fd in range(FIRST_FD, last):
        os.set_inheritable(fd, False)
    return [socket.socket(fileno=fd) for fd in range(FIRST_FD, last)]


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which WATCHDOG must be sent; None when nobody waits for it."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) else None
