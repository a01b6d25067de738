"""A network box with a serial radio behind it (RFC 2217 server): PTT comes in as RTS and DTR, the
squelch goes out as CTS and DCD. Says what a measuring instrument would: every key-up with its time.

The telnet side is pyserial's PortManager; this file plays the port behind it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from serial.rfc2217 import (
    COM_PORT_OPTION,
    SERVER_SET_LINESTATE_MASK,
    SERVER_SET_MODEMSTATE_MASK,
    SET_LINESTATE_MASK,
    SET_MODEMSTATE_MASK,
    PortManager,
)

POLL_S: Final = 0.02
"""Seconds between two looks for changed lines, as real boxes do."""
MASK_ANSWERS: Final = {
    SET_LINESTATE_MASK: SERVER_SET_LINESTATE_MASK,
    SET_MODEMSTATE_MASK: SERVER_SET_MODEMSTATE_MASK,
}


@dataclass(frozen=True, slots=True)
class Move:
    """An output line moved: seconds of the loop's clock."""

    at: float
    line: str
    level: bool


class BoxLines:
    """The port behind the box, as PortManager wants it."""

    def __init__(self, moved: Callable[[str, bool], None]) -> None:
        self._moved = moved
        self._levels = {"rts": False, "dtr": False}
        self.cts = self.dsr = self.ri = self.cd = False
        self.baudrate = 9600
        self.bytesize = 8
        self.parity = "N"
        self.stopbits = 1
        self.xonxoff = self.rtscts = False
        self.break_condition = False

    @property
    def rts(self) -> bool:
        return self._levels["rts"]

    @rts.setter
    def rts(self, level: bool) -> None:
        self._set("rts", level)

    @property
    def dtr(self) -> bool:
        return self._levels["dtr"]

    @dtr.setter
    def dtr(self, level: bool) -> None:
        self._set("dtr", level)

    def _set(self, line: str, level: bool) -> None:
        if self._levels[line] != level:
            self._levels[line] = level
            self._moved(line, level)

    def reset_input_buffer(self) -> None:
        """Nothing waits here."""

    def reset_output_buffer(self) -> None:
        """Nothing waits here."""


class LineBox:
    """Listens on `port` of 127.0.0.1. `moves` are all key-ups; `heard` what a client wrote."""

    def __init__(self, rng: random.Random, *, echo: bool = False) -> None:
        self._rng = rng
        self._echo = echo
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._manager: Any = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.lines = BoxLines(self._moved)
        self.moves: list[Move] = []
        self.heard = bytearray()
        self.port = 0
        self.drop_on_close = True
        self.open_pulse_s = 0.0
        """How long both lines are up when a client comes, as a kernel has it on a local port."""
        self.changed = asyncio.Event()

    async def open(self, port: int = 0) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """The name under which a driver opens it."""
        return f"rfc2217://127.0.0.1:{self.port}"

    def _moved(self, line: str, level: bool) -> None:
        self.moves.append(Move(self._loop.time(), line, level))
        self.changed.set()

    def set_squelch(self, open_: bool) -> None:
        """The radio hears a carrier, or hears it no longer: CTS and DCD."""
        self.lines.cts = self.lines.cd = open_
        self._notify()

    async def flutter(self, times: int, seconds: float) -> None:
        """Short drops of the carrier, as from a moving car."""
        for _ in range(times):
            self.set_squelch(not self.lines.cts)
            await asyncio.sleep(seconds * (0.5 + self._rng.random()))

    def _notify(self) -> None:
        if self._manager is not None:
            self._manager.check_modem_lines()

    def say(self, data: bytes) -> None:
        """Bytes from the radio to the client."""
        if self._writer is not None and self._manager is not None:
            self._writer.write(b"".join(self._manager.escape(data)))

    def cut(self) -> None:
        """The network between box and client breaks."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._writer is not None:
            writer.close()
            return
        self._writer = writer
        if self.open_pulse_s:
            self.lines.rts = self.lines.dtr = True
            await asyncio.sleep(self.open_pulse_s)
            self.lines.rts = self.lines.dtr = False
        manager = self._manager = _Manager(cast(Any, self.lines), cast(Any, _Out(writer)))
        poll = asyncio.ensure_future(self._poll(manager))
        try:
            while data := await reader.read(1024):
                payload = b"".join(manager.filter(data))
                self.heard += payload
                self.changed.set()
                if self._echo and payload:
                    self.say(payload)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            poll.cancel()
            self._writer = self._manager = None
            if self.drop_on_close:
                self.lines.rts = self.lines.dtr = False
            writer.close()

    async def _poll(self, manager: Any) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            manager.check_modem_lines()

    async def close(self) -> None:
        """Stop listening and let the client go."""
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


class _Manager(PortManager):
    """PortManager leaves the masks of line and modem states unanswered; RFC 2217 has answers."""

    def _telnet_process_subnegotiation(self, suboption: bytes) -> None:
        super()._telnet_process_subnegotiation(suboption)  # type: ignore[misc]
        if suboption[:1] == COM_PORT_OPTION and suboption[1:2] in MASK_ANSWERS:
            self.rfc2217_send_subnegotiation(MASK_ANSWERS[suboption[1:2]], suboption[2:3])


class _Out:
    """Where PortManager writes its telnet answers."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._writer.write(data)
