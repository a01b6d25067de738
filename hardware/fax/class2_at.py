"""The AT dialogue of a Class 2 modem: reports (+F...) between a command and its result code."""

from __future__ import annotations

import re
from typing import Final

from hardware.fax import t30_limits as limits
from hardware.fax.hdlc import DLE_ETX, Unshield, shield
from hardware.fax.model import Model
from hardware.fax.modem_at import CHUNK, COMMAND_SECONDS, ModemAt
from hardware.fax.wire import ModemWire

_REPORT: Final = re.compile(r"\+(F[A-Z]+)\s*:\s*(.*)|\+(F[A-Z]+)")


class HungUp(Exception):
    """The call is over: reported by the modem, or cancelled by a person."""


class Class2At(ModemAt):
    """The AT dialogue of a Class 2 modem: reports are collected, data flow in between."""

    def __init__(self, wire: ModemWire, model: Model) -> None:
        super().__init__(wire, model)
        self.reports: dict[str, str] = {}

    @property
    def cancelled(self) -> bool:
        """Whether a person has ended the call."""
        return self._cancelled

    def forget(self) -> None:
        """A new call begins."""
        self._cancelled = False
        self.reports = {}

    async def code(self, command: str, seconds: float = COMMAND_SECONDS) -> str:
        """The result code of a command; its reports are in `reports`. Raises HungUp."""
        self.reports = {}
        self._buffer.clear()
        await self._wire.write(command.encode("ascii") + b"\r")
        return await self.after(b"", seconds)

    async def after(self, data: bytes, seconds: float) -> str:
        """Write, then the next result code with the reports before it."""
        if data:
            await self._wire.write(data)
        until = self._wire.now() + seconds
        while (left := until - self._wire.now()) > 0:
            if self._cancelled:
                raise HungUp
            line = await self._next_line(min(left, 0.5))
            if not line:
                continue
            if (found := _REPORT.fullmatch(line)) is not None:
                self.reports[str(found[1] or found[3])] = found[2] or ""
            elif (result := self.result_of(line)) is not None:
                return result
        return ""

    async def linger(self, seconds: float) -> None:
        """Reports that come late."""
        until = self._wire.now() + seconds
        while (left := until - self._wire.now()) > 0:
            line = await self._next_line(left)
            if (found := _REPORT.fullmatch(line)) is not None:
                self.reports[str(found[1] or found[3])] = found[2] or ""
                if found[1] in ("FPTS", "FHNG"):
                    return

    async def wait_octet(self, octet: bytes, seconds: float) -> None:
        """Until the octet comes, or for so long; it stays out of what is read later."""
        until = self._wire.now() + seconds
        while octet not in self._buffer and (left := until - self._wire.now()) > 0:
            self._take_in(await self._wire.read(min(left, 0.2)))
        self._buffer.clear()

    async def send_data(self, octets: bytes, bps: int) -> None:
        """A page, no faster than a second ahead of the line. Raises HungUp when it is over."""
        started = self._wire.now()
        for at in range(0, len(octets), CHUNK):
            ahead = at * 8 / bps - (self._wire.now() - started)
            if ahead > self._model.ahead_s:
                await self._rest(ahead - self._model.ahead_s)
            if self._cancelled or self._lost_in_data():
                raise HungUp
            await self._wire.write(shield(octets[at : at + CHUNK]))

    async def take_data(self, trigger: bytes, most: int) -> bytes:
        """A page up to DLE ETX, or what there is of it. Raises HungUp when it is too large."""
        await self._wire.write(trigger)
        unshield = Unshield()
        octets = bytearray()
        while not unshield.ended:
            more = await self._some(limits.T2 * 2)
            if not more:
                break
            octets += unshield.feed(more)
            if len(octets) > most:
                raise HungUp
        self._buffer[:0] = unshield.rest
        return bytes(octets)

    async def _some(self, seconds: float) -> bytes:
        until = self._wire.now() + seconds
        while not self._buffer and (left := until - self._wire.now()) > 0:
            if self._cancelled:
                raise HungUp
            self._take_in(await self._wire.read(min(left, 0.2)))
        octets = bytes(self._buffer)
        self._buffer.clear()
        return octets

    async def abort_session(self, command: str) -> None:
        """Leave whatever phase the modem is in."""
        await self._wire.write(DLE_ETX + b"\x18")
        await self._drain(0.3)
        await self.ask(command)
