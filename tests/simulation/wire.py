"""The wire between daemon and switch: bytes in order, late, one way only, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bridge.asterisk.guarded import GuardedProtocol
from tests.simulation.chance import Chance
from tests.simulation.loop import LIFE, SimLoop, in_life

WORLD = in_life(0)
TINY = 1e-6
"""Seconds between two deliveries, so that none overtakes another."""

Headers = list[tuple[str, str]]


class Far(Protocol):
    """The switch behind the wire."""

    def action(self, wire: Wire, headers: Headers) -> None: ...

    def closed(self, wire: Wire) -> None: ...


class _Socket:
    def setsockopt(self, *_: object) -> None:
        pass


class Wire(asyncio.Transport):
    """One connection. `deaf_out`: actions vanish; `deaf_in`: nothing comes back; until `deaf_until`
    events are lost."""

    def __init__(self, far: Far, loop: SimLoop, chance: Chance, life: int) -> None:
        super().__init__()
        self.protocol: GuardedProtocol
        self.life = life
        self.signed_in = False
        self.deaf_out = False
        self.deaf_in = False
        self.deaf_until = 0.0
        self.late = 0.0
        self._far = far
        self._loop = loop
        self._chance = chance
        self._context = in_life(life)
        self._closed = False
        self._out_at = 0.0
        self._in_at = 0.0
        self._segment: bytearray | None = None
        self._written: bytearray | None = None
        self._written_at = 0.0
        self._tail = b""

    # What the daemon does

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closed or self.deaf_out:
            return
        if self._written is not None and self._written_at == self._loop.time():
            self._written += data  # what is written in one turn leaves together
            return
        self._written, self._written_at = bytearray(data), self._loop.time()
        self._out_at = max(self._out_at + TINY, self._loop.time() + self._chance.delay(1e-4, 3e-3))
        self._loop.call_at(self._out_at, self._arrive, self._written, context=WORLD)

    def abort(self) -> None:
        self._end(None)

    def close(self) -> None:
        self._end(None)

    def is_closing(self) -> bool:
        return self._closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return _Socket() if name == "socket" else default

    # What the switch does

    def send(self, data: bytes) -> None:
        """To the daemon, after everything sent before."""
        if self._closed or self.deaf_in:
            return
        if self._segment is not None:  # what is under way goes in one piece, as TCP does
            self._segment += data
            return
        self._segment = bytearray(data)
        delay = self._chance.delay(1e-4, 3e-3) + self.late
        self._in_at = max(self._in_at + TINY, self._loop.time() + delay)
        self._loop.call_at(self._in_at, self._receive, context=self._context)

    def cut(self, reason: str) -> None:
        """The connection breaks; what is under way may still arrive, or not."""
        if self._chance.random.random() < 0.5:
            self.deaf_out = True
        self._end(ConnectionResetError(reason))

    # Between them

    def _arrive(self, data: bytearray) -> None:
        if self.deaf_out and self._chance.random.random() < 0.5:
            return
        *blocks, self._tail = (self._tail + bytes(data)).split(b"\r\n\r\n")
        for block in blocks:
            lines = block.decode().split("\r\n")
            self._far.action(self, [(k, v) for k, _, v in (x.partition(": ") for x in lines)])

    def _receive(self) -> None:
        segment, self._segment = self._segment, None
        if segment and not self._closed:
            self.protocol.data_received(bytes(segment))

    def _end(self, error: Exception | None) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.call_soon(self.protocol.connection_lost, error, context=self._context)
        if not self.deaf_out:
            self._loop.call_later(0.001, self._far.closed, self, context=WORLD)


class Exchange:
    """Where daemons dial to. `refuse` lets nobody in, `silent` lets them wait."""

    def __init__(self, far: Far, loop: SimLoop, chance: Chance) -> None:
        self.refuse = False
        self.wires: list[Wire] = []
        self._far = far
        self._loop = loop
        self._chance = chance

    async def dial(
        self, factory: Callable[[], asyncio.BaseProtocol]
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """As `loop.create_connection`."""
        await asyncio.sleep(self._chance.delay(2e-4, 5e-3))
        if self.refuse:
            raise ConnectionRefusedError("nobody listens")
        protocol = factory()
        assert isinstance(protocol, GuardedProtocol)
        wire = Wire(self._far, self._loop, self._chance, LIFE.get())
        wire.protocol = protocol
        protocol.connection_made(wire)
        self.wires.append(wire)
        wire.send(b"Asterisk Call Manager/11.0.0\r\n")
        return wire, protocol

    def open_wires(self) -> Sequence[Wire]:
        """Connections that neither side has ended."""
        self.wires = [wire for wire in self.wires if not wire.is_closing()]
        return self.wires

    def hang(self, life: int) -> None:
        """The process at the other end is gone: the kernel closes its connections."""
        for wire in self.open_wires():
            if wire.life == life:
                wire._closed = True
                self._loop.call_later(0.001, self._far.closed, wire, context=WORLD)
