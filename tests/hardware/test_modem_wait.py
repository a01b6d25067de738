"""The wait for modem lines: on a pseudo-terminal there is none; a blocked one ends when asked to.

`BRIDGE110_SERIAL=/dev/ttyS0` names a real local port with nothing connected, for the second.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from hardware.modem_wait import ModemWait
from hardware.port import open_port
from hardware.port_interface import PortSettings
from tests.hardware.pty_kit import until

SERIAL = os.environ.get("BRIDGE110_SERIAL", "")


def waiting() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "modem-wait"]


async def test_a_pseudo_terminal_cannot_wait_and_is_let_go() -> None:
    master, slave = os.openpty()
    try:
        changes: list[float] = []
        wait = ModemWait(slave, lambda: changes.append(time.monotonic()))
        wait.start()
        await until(lambda: not wait.waits)
        wait.end()
        assert changes == []
        assert waiting() == []
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.skipif(not SERIAL, reason="BRIDGE110_SERIAL names no local port")
async def test_a_blocked_wait_ends_at_once_and_the_port_is_free() -> None:
    for _ in range(20):
        port = await open_port(PortSettings(name=SERIAL))
        port.start(lambda _data: None, lambda _reason: None)
        port.watch_lines(lambda: None)
        await asyncio.sleep(0.05)
        assert waiting() == ["modem-wait"], "this driver waits"
        began = time.monotonic()
        await port.close()
        assert time.monotonic() - began < 0.2
        assert waiting() == []
