"""The AT dialogue of a fax modem: one command, one result code, data streams in between.

Common to all classes. A line is read without the LF that belongs to it, because what follows
CONNECT may be data. Every wait ends: by a code, in time, or because a person has cancelled.
"""

from __future__ import annotations

import re
from typing import Final

from hardware.fax.hdlc import DLE_ETX
from hardware.fax.model import Model
from hardware.fax.t30 import Cause
from hardware.fax.wire import ModemWire

COMMAND_SECONDS: Final = 5.0
"""Until a command that only sets something is answered; soft modems take 20 ms."""
ABORT_SECONDS: Final = 2.0
SLICE: Final = 0.2
"""How often a wait looks whether a person has cancelled, in seconds."""
CHUNK: Final = 1024
"""Octets written at once: 0.6 s at 14400 bit/s."""
CAN: Final = b"\x18"
MAX_LINE: Final = 400
NUMBER: Final = re.compile(r"[0-9*#,]{1,40}")
"""What may be dialled; a comma is a pause."""

DIALLED: Final = {
    "BUSY": Cause.BUSY,
    "NO ANSWER": Cause.NO_ANSWER,
    "NO CARRIER": Cause.NO_FAX,
    "NO DIALTONE": Cause.NO_DIALTONE,
    "NO DIAL TONE": Cause.NO_DIALTONE,
    "NO LOOP CURRENT": Cause.NO_DIALTONE,
    "VOICE": Cause.NO_FAX,
    "VCON": Cause.NO_FAX,
    "ERROR": Cause.MODEM,
    "OK": Cause.MODEM,
    "BLACKLISTED": Cause.NUMBER_BLOCKED,
    "DIALING DISABLED": Cause.NUMBER_BLOCKED,
}
"""Result codes of a dial command, and what they mean for the call."""
FINAL_CODES: Final = frozenset(DIALLED) | {"CONNECT", "+FCERROR", "+FRH:3"}
_DELAYED: Final = re.compile(r"DELAYED\b")


class ModemFault(Exception):
    """The modem does not answer as a fax modem should."""


class Stopped(Exception):
    """A person has cancelled."""


class ModemAt:
    """The dialogue with one modem. `cancel` may come from the same loop."""

    def __init__(self, wire: ModemWire, model: Model) -> None:
        self._wire = wire
        self._model = model
        self._buffer = bytearray()
        self._after_cr = False
        self._said = ""
        """Lines before the result code."""
        self._cancelled = False

    def cancel(self) -> None:
        """End the call; its outcome still tells what became of it."""
        self._cancelled = True

    async def wait_ring(self, seconds: float) -> bool:
        """Whether RING came within so many seconds."""
        until = self._wire.now() + seconds
        while (left := until - self._wire.now()) > 0:
            if await self._next_line(left) == "RING":
                return True
        return False

    async def on_hook(self) -> None:
        """On hook for sure: a first ATH0 may only end a state of the modem (fax sheet, 9)."""
        for _ in range(3):
            if await self._command("ATH0") == "OK" and await self._command("AT") == "OK":
                await self._command("ATH0")
                return
        await self._wire.drop_dtr()

    async def resynchronise(self) -> None:
        """Until AT is answered by OK: the ladder from a plain AT to DTR. Raises ModemFault."""
        for step in (b"", CAN, DLE_ETX + CAN, b"+++"):
            if step:
                await self._wire.write(step)
            await self._drain(0.3 if step else 0.02)
            if await self._command("AT", 1.0) == "OK":
                return
        await self._wire.drop_dtr()
        await self._drain(0.5)
        if await self._command("ATZ", COMMAND_SECONDS) != "OK":
            raise ModemFault("调制解调器不应答 / the modem does not answer AT")

    async def _abort(self) -> None:
        """End a pending reception. Raises ModemFault when the modem cannot be brought back."""
        await self._wire.write(CAN)
        until = self._wire.now() + ABORT_SECONDS
        while (left := until - self._wire.now()) > 0:
            code = await self._result(left)
            if code in ("OK", "NO CARRIER", "ERROR"):
                return
        await self.resynchronise()

    def _lost_in_data(self) -> bool:
        """Whether the modem has said in the middle of our sending that the call is gone."""
        return b"NO CARRIER" in self._buffer

    async def _must(self, command: str) -> None:
        code = await self._command(command)
        if code != "OK":
            raise ModemFault(f"{command}: {code or '无应答 / no answer'}")

    async def _command(
        self, command: str, seconds: float = COMMAND_SECONDS, *, stoppable: bool = False
    ) -> str:
        """Send a command line, wait for its result code; empty when none came.

        Raises Stopped, where the wait may be long, when a person cancels meanwhile.
        """
        if self._model.command_delay_s:
            await self._rest(self._model.command_delay_s)
        self._buffer.clear()
        self._said = ""
        await self._wire.write(command.encode("ascii") + b"\r")
        return await self._result(seconds, stoppable=stoppable)

    async def ask(self, command: str) -> str:
        """The text before the result code; empty when the modem refuses the command."""
        code = await self._command(command)
        return self._said.replace(command, "").strip() if code == "OK" else ""

    async def _result(self, seconds: float, *, stoppable: bool = False) -> str:
        """The next final result code."""
        until = self._wire.now() + seconds
        while True:
            line = await self._next_line(until - self._wire.now(), stoppable=stoppable)
            if not line:
                return ""
            if (found := self.result_of(line)) is not None:
                return found
            if len(self._said) < MAX_LINE:
                self._said += line + " "

    @staticmethod
    def result_of(line: str) -> str | None:
        """The final result code in a line; None for another line."""
        if line in FINAL_CODES or _DELAYED.match(line):
            return line
        return "CONNECT" if line.startswith("CONNECT ") else None

    @staticmethod
    def dialled(code: str) -> Cause:
        """Why dialling ended with this code."""
        return Cause.NUMBER_BLOCKED if _DELAYED.match(code) else DIALLED.get(code, Cause.MODEM)

    async def _next_line(self, seconds: float, *, stoppable: bool = False) -> str:
        """The next line that is not empty; empty when none came in time."""
        until = self._wire.now() + max(seconds, 0.0)
        while True:
            cut = next((n for n, octet in enumerate(self._buffer) if octet in b"\r\n"), None)
            if cut is not None:
                line = bytes(self._buffer[:cut]).decode("ascii", "replace").strip()
                self._after_cr = self._buffer[cut : cut + 1] == b"\r"
                del self._buffer[: cut + 1]
                self._take_in(b"")
                if line:
                    return line
                continue
            del self._buffer[:-MAX_LINE]
            if stoppable and self._cancelled:
                raise Stopped
            left = until - self._wire.now()
            if left <= 0:
                return ""
            self._take_in(await self._wire.read(min(left, SLICE)))

    def _take_in(self, data: bytes) -> None:
        """Into the buffer, without the LF that belongs to the line before: data may follow it."""
        self._buffer += data
        if self._after_cr and self._buffer:
            self._after_cr = False
            if self._buffer[:1] == b"\n":
                del self._buffer[:1]

    async def _octets(self, seconds: float) -> bytes:
        """What has come of a data stream; empty after so many seconds. Raises Stopped."""
        until = self._wire.now() + max(seconds, 0.0)
        while True:
            if self._cancelled:
                raise Stopped
            if self._buffer:
                octets = bytes(self._buffer)
                self._buffer.clear()
                return octets
            left = until - self._wire.now()
            if left <= 0:
                return b""
            self._take_in(await self._wire.read(min(left, SLICE)))

    async def _rest(self, seconds: float) -> None:
        """Wait, taking in what the modem says."""
        until = self._wire.now() + seconds
        while (left := until - self._wire.now()) > 0:
            self._take_in(await self._wire.read(min(left, SLICE)))

    async def _drain(self, seconds: float) -> None:
        """Throw away what still comes."""
        while await self._wire.read(seconds):
            pass
        self._buffer.clear()
