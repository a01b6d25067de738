"""Ports of serialx: the second backend, a transport and its protocol."""

from __future__ import annotations

import asyncio
import contextlib
import termios
from collections.abc import Callable
from typing import Any

import serialx

from hardware.port_interface import (
    READ_SIZE,
    ModemLines,
    NoModemLines,
    OnData,
    OnGone,
    Port,
    PortError,
    PortGone,
    PortSettings,
    refused,
)


async def open_serialx(settings: PortSettings) -> Port:
    """A port of serialx. Raises PortGone."""
    port = _Serialx(settings.name)
    rts, dtr = (serialx.PinState.convert(level) for level in (settings.rts, settings.dtr))
    try:
        transport, _ = await serialx.create_serial_connection(
            asyncio.get_running_loop(),
            lambda: port,
            settings.name,
            settings.rate,
            parity=serialx.Parity(settings.parity),
            stopbits=serialx.StopBits(settings.stop),
            xonxoff=settings.xonxoff,
            rtscts=settings.rtscts,
            exclusive=True,
            byte_size=settings.bits,
            dtr_on_open=dtr,
            rts_on_open=serialx.PinState.UNDEFINED if settings.rtscts else rts,
            close_timeout=2.0,
        )
    except (OSError, ValueError, TimeoutError, serialx.SerialException, termios.error) as error:
        raise refused(settings, error) from error
    transport.set_write_buffer_limits(high=0)
    if settings.name.startswith("rfc2217://"):  # it does not tell the gateway by itself
        await port.set_lines(rts=settings.rts, dtr=settings.dtr)
    return port


class _Serialx(asyncio.Protocol):
    """A port of serialx: a transport and its protocol."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._transport: Any = None
        self._on_data: OnData | None = None
        self._on_gone: OnGone | None = None
        self._early = b""
        self._gone: str | None = None
        self._ready = asyncio.Event()
        self._ready.set()

    def start(self, on_data: OnData, on_gone: OnGone) -> None:
        self._on_data, self._on_gone = on_data, on_gone
        early, self._early = self._early, b""
        if early:
            on_data(early)
        if self._gone is not None:
            on_gone(self._gone)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._on_data is not None:
            self._on_data(data)
        else:
            self._early = (self._early + data)[-READ_SIZE:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = str(exc or "closed")
        self._ready.set()
        on_gone, self._on_gone = self._on_gone, None
        if on_gone is not None:
            on_gone(self._gone)

    def pause_writing(self) -> None:
        self._ready.clear()

    def resume_writing(self) -> None:
        self._ready.set()

    async def write(self, data: bytes) -> None:
        await self._ready.wait()
        self._check()
        self._transport.write(data)
        await self._ready.wait()
        self._check()

    def _check(self) -> None:
        if self._gone is not None:
            raise PortGone(f"{self._name}: {self._gone}")

    async def set_lines(self, *, rts: bool | None = None, dtr: bool | None = None) -> None:
        self._check()
        await self.lines()
        try:
            await self._transport.set_modem_pins(rts=rts, dtr=dtr)
        except (OSError, serialx.SerialException) as error:
            raise PortGone(f"{self._name}: {error}") from error

    async def lines(self) -> ModemLines:
        self._check()
        try:
            pins = await self._transport.get_modem_pins()
        except (OSError, serialx.SerialException, NotImplementedError) as error:
            raise NoModemLines(f"{self._name}: {error}") from error
        if pins.cts is serialx.PinState.UNDEFINED:
            raise NoModemLines(f"{self._name}: 无控制线 / has no modem lines")
        high = serialx.PinState.HIGH
        return ModemLines(
            cts=pins.cts is high, dsr=pins.dsr is high, ri=pins.rng is high, dcd=pins.car is high
        )

    def watch_lines(self, changed: Callable[[], None]) -> None:
        """This kind does not tell."""

    async def close(self) -> None:
        self._on_gone = None
        if self._gone is None:
            with contextlib.suppress(PortError, TimeoutError):
                async with asyncio.timeout(2):
                    await self.set_lines(rts=False, dtr=False)
        if self._transport is not None:
            self._transport.abort()
            with contextlib.suppress(OSError, TimeoutError, serialx.SerialException):
                async with asyncio.timeout(5):
                    await self._transport.wait_closed()
