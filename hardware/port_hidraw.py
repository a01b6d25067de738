"""PTT and squelch on the GPIO pins of a USB sound chip (CM108 family), as a port with two lines.

`hidraw:/dev/radio-2` or `hidraw:/dev/radio-2?gpio=3`: RTS is the output pin, CTS the chip's
volume-down button input, which interfaces use for the squelch (line-keyed sheet, section 2).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
from collections.abc import Callable
from typing import Final

from hardware.port_interface import (
    ModemLines,
    NoModemLines,
    OnData,
    OnGone,
    Port,
    PortGone,
    PortSettings,
    refused,
)

SCHEME: Final = "hidraw:"
_NAME: Final = re.compile(r"hidraw:(/[^?]+?)(?:\?gpio=([1-8]))?")
DEFAULT_GPIO: Final = 3
VOL_UP: Final = 0x01
VOL_DOWN: Final = 0x02
INPUT_REPORT: Final = 4
"""Octets of an input report; the first one holds the buttons."""


def output_report(gpio: int, level: bool) -> bytes:
    """The five octets that set one pin; octet 1 is the report id (four fail with EPIPE)."""
    bit = 1 << gpio - 1
    return bytes((0, 0, bit if level else 0, bit, 0))


def parse_name(name: str) -> tuple[str, int] | None:
    """Device file and pin of a port name; None for another kind of name."""
    match = _NAME.fullmatch(name)
    return None if match is None else (match[1], int(match[2] or DEFAULT_GPIO))


async def open_hidraw(settings: PortSettings) -> Port:
    """Open exclusively, the pin released. Raises PortGone."""
    parsed = parse_name(settings.name)
    if parsed is None:
        raise PortGone(f"{settings.name}: 需要 / needed: hidraw:/dev/name or …?gpio=1–8")
    path, gpio = parsed
    loop = asyncio.get_running_loop()

    def open_it() -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, output_report(gpio, False))
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    try:
        return _Hidraw(settings.name, await loop.run_in_executor(None, open_it), gpio)
    except OSError as error:
        raise refused(settings, error) from error


class _Hidraw:
    def __init__(self, name: str, descriptor: int, gpio: int) -> None:
        self._name = name
        self._fd = descriptor
        self._gpio = gpio
        self._buttons = 0
        self._loop = asyncio.get_running_loop()
        self._on_gone: OnGone | None = None
        self._changed: Callable[[], None] = lambda: None

    def start(self, on_data: OnData, on_gone: OnGone) -> None:
        self._on_gone = on_gone
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        try:
            report = os.read(self._fd, 64)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(str(error))
            return
        if not report:
            self._lost("end of file")
        elif len(report) >= INPUT_REPORT:
            self._buttons = report[len(report) // INPUT_REPORT * INPUT_REPORT - INPUT_REPORT]
            self._changed()

    def _lost(self, reason: str) -> None:
        self._loop.remove_reader(self._fd)
        on_gone, self._on_gone = self._on_gone, None
        if on_gone is not None:
            on_gone(reason)

    async def write(self, data: bytes) -> None:
        raise PortGone(f"{self._name}: 没有数据线 / carries no data")

    async def set_lines(self, *, rts: bool | None = None, dtr: bool | None = None) -> None:
        if dtr is not None:
            raise NoModemLines(f"{self._name}: 只有 RTS / has RTS alone")
        if rts is None:
            return
        report = output_report(self._gpio, rts)
        try:
            await asyncio.shield(self._loop.run_in_executor(None, os.write, self._fd, report))
        except OSError as error:
            raise PortGone(f"{self._name}: {error}") from error

    async def lines(self) -> ModemLines:
        pressed = bool(self._buttons & VOL_DOWN)
        return ModemLines(cts=pressed, dsr=False, ri=False, dcd=bool(self._buttons & VOL_UP))

    def watch_lines(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def close(self) -> None:
        if self._fd < 0:
            return
        self._on_gone = None
        self._loop.remove_reader(self._fd)
        descriptor, self._fd = self._fd, -1

        def end() -> None:
            with contextlib.suppress(OSError):
                os.write(descriptor, output_report(self._gpio, False))
            os.close(descriptor)

        await asyncio.shield(self._loop.run_in_executor(None, end))
