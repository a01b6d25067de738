"""The serial port as fax drivers use it: `hardware.serial_link` behind `ModemWire`."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Final, Self

from hardware.fax.wire import WireGone, WireHeld
from hardware.port import NoModemLines, PortSettings
from hardware.port_interface import HELD
from hardware.serial_link import LinkError, SerialLink
from hardware.trace import Trace

OPEN_SECONDS: Final = 5.0
DTR_DOWN: Final = 0.1
"""At least 75 ms, for a modem to notice (T.31 manuals)."""
DTR_REST: Final = 2.6
"""What slow modems need after that."""
MAX_WAITING: Final = 1 << 20
"""Octets that may wait to be read: nine minutes of V.17. More means that nobody reads."""


class PortWire:
    """One port while it is open; use as an asynchronous context. Not reopened: a modem that was
    unplugged has lost its call and its settings."""

    def __init__(self, settings: PortSettings, trace: Trace | None = None) -> None:
        self._waiting = bytearray()
        self._news = asyncio.Event()
        self._gone = ""
        self._stop = asyncio.Event()
        self._link = SerialLink(
            settings,
            on_data=self._data,
            on_down=self._down,
            rng=random.Random(settings.name),  # noqa: S311 - when to try again, no secret
            trace=trace,
        )
        self._owner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Opens the port. Raises WireGone: away, refused, or held by another program."""
        self._owner = asyncio.create_task(self._link.run(self._stop))
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                while not self._link.up:
                    if self._gone:
                        raise WireHeld(self._gone) if HELD in self._gone else WireGone(self._gone)
                    up = asyncio.ensure_future(self._link.wait_up())
                    news = asyncio.ensure_future(self._news.wait())
                    await asyncio.wait((up, news), return_when=asyncio.FIRST_COMPLETED)
                    up.cancel()
                    news.cancel()
        except TimeoutError:
            await self._close()
            raise WireGone(f"{OPEN_SECONDS:.0f} 秒内未打开 / not opened in time") from None
        except WireGone:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        self._stop.set()
        if self._owner is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._owner

    def _data(self, data: bytes) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting += data
        self._news.set()

    def _down(self, reason: str) -> None:
        self._gone = reason
        self._news.set()

    def now(self) -> float:
        """Monotonic seconds."""
        return asyncio.get_running_loop().time()

    async def write(self, data: bytes) -> None:
        """Returns when the system has taken the data. Raises WireGone."""
        try:
            await self._link.write(data)
        except LinkError as error:
            raise WireGone(str(error)) from error

    async def read(self, seconds: float) -> bytes:
        """What has come; empty when nothing came in so many seconds. Raises WireGone."""
        if not self._waiting:
            if self._gone:
                raise WireGone(self._gone)
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
        data = bytes(self._waiting)
        self._waiting.clear()
        return data

    async def drop_dtr(self) -> None:
        """The last-resort reset; a pty has no such line."""
        try:
            await self._link.set_lines(dtr=False)
            await asyncio.sleep(DTR_DOWN)
            await self._link.set_lines(dtr=True)
            await asyncio.sleep(DTR_REST)
        except NoModemLines:
            return
        except LinkError as error:
            raise WireGone(str(error)) from error
