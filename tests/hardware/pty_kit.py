"""A pair of pseudo-terminals: the driver opens one end, the test is the device at the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from hardware.port import PortSettings
from hardware.serial_link import SerialLink

PATIENCE: Final = 20.0
"""Seconds that a test waits for something that must come."""


class Device:
    """The device's end of a pty. `heard` is all that the driver wrote."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)
        self.heard = bytearray()
        self._change = asyncio.Event()
        self.on_bytes: Callable[[bytes], None] = lambda _: None
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return
        self.heard += data
        self._change.set()
        self.on_bytes(data)

    def say(self, data: bytes) -> None:
        """Bytes towards the driver; short ones, so that the pty takes them at once."""
        os.write(self._master, data)

    async def wait_heard(self, wanted: bytes) -> None:
        """Until the driver has written `wanted`."""
        async with asyncio.timeout(PATIENCE):
            while wanted not in self.heard:
                self._change.clear()
                await self._change.wait()

    def deaf(self) -> None:
        """Stop to take bytes: the driver's writes fill the pty."""
        asyncio.get_running_loop().remove_reader(self._master)

    def pull(self) -> None:
        """Pull the cable: both ends of the pty are gone."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1
            with contextlib.suppress(OSError):
                os.close(self._slave)


@asynccontextmanager
async def device() -> AsyncIterator[Device]:
    made = Device()
    try:
        yield made
    finally:
        made.pull()


@asynccontextmanager
async def running(link: SerialLink) -> AsyncIterator[None]:
    """The link's owner task while the test runs; the port is open at the beginning."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(link.run(stop))
        try:
            async with asyncio.timeout(PATIENCE):
                await link.wait_up()
            yield
        finally:
            stop.set()


def link_to(name: str, on_data: Callable[[bytes], None], **more: object) -> SerialLink:
    """A link with settings that matter to no test."""
    settings = PortSettings(name=name, **more)  # type: ignore[arg-type]
    return SerialLink(settings, on_data=on_data, rng=random.Random(1))


async def until(true: Callable[[], bool]) -> None:
    """Wait for a condition that the loop will make true."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.005)
