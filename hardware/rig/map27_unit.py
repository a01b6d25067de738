"""A MAP27 radio unit (MAP27 sheet, section 7): the link layer in its other role, and a network of
scripted mobiles behind it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hardware.radio import map27_net as net
from hardware.radio.map27_frame import FrameDecoder
from hardware.radio.map27_link import LinkRefused, Map27Link, Output, Packet, Put
from hardware.radio.map27_net import (
    Ack,
    Address,
    Call,
    Condition,
    Data,
    Disconnect,
    Progress,
    Status,
)
from hardware.rig.air import Air, Set

_CODEWORDS: Final = (5, 11, 16, 22, 27, 33, 38, 44, 49, 55, 60, 66, 71, 77, 82, 88)
"""Octets in which data messages come out at the far end (4.4): the rest is padding."""

_PART: Final = re.compile(rb"(\d+)/(\d+) ")
"""How our own driver marks the parts of a long text."""


@dataclass(slots=True)
class Ways:
    """How the radio and its network behave. `waits` D0/02 come before each end; `cause` ends every
    message by E0; `no_mst`: the controller refuses extended data; `dumb` gives no end at all."""

    contact: bool = True
    waits: int = 0
    cause: int | None = None
    no_mst: bool = False
    dumb: bool = False
    answer_s: float = 0.01
    cleared: int | None = None
    n1: int = 6


@dataclass
class Map27Unit:
    """`write` carries bytes to the DTE. `messages` are what the DTE sent, in order."""

    write: Callable[[bytes], None]
    air: Air
    ways: Ways = field(default_factory=Ways)
    messages: list[net.Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._decoder = FrameDecoder()
        self._timers: set[asyncio.TimerHandle] = set()
        self._tick_timer: asyncio.TimerHandle | None = None
        self.link = Map27Link(19200, self.ways.n1, latency_s=0.05)
        self._carry_out(self.link.start(self._loop.time()))

    def feed(self, data: bytes) -> None:
        """Bytes from the DTE."""
        for body in self._decoder.feed(data):
            self._carry_out(self.link.frame(body, self._loop.time()))

    def _tick(self) -> None:
        self._tick_timer = None
        self._carry_out(self.link.tick(self._loop.time()))

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Put):
                self.write(output.data)
            elif isinstance(output, Packet):
                self._heard(net.decode(output.data, from_radio=False))
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        due = self.link.deadline
        self._tick_timer = None if due is None else self._loop.call_at(due, self._tick)

    def say(self, message: net.Message) -> None:
        """A network message to the DTE; lost while the link is down."""
        try:
            data = net.encode(message, from_radio=True)
            self._carry_out(self.link.send(data, self._loop.time()))
        except LinkRefused:
            return

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(handle)
            act()

        handle = self._loop.call_later(seconds, due)
        self._timers.add(handle)

    def _heard(self, message: net.Message) -> None:
        self.messages.append(message)
        if isinstance(message, net.Interrogation):
            if message.reason == 3:
                self.say(
                    Condition(False, False, self.ways.contact, 120 if self.ways.contact else None)
                )
            else:
                self.say(net.Personality(31, 1, 7, b"\xff\x00\x00", 0xFF))
        elif isinstance(message, Status | Data):
            self._message(message)
        elif isinstance(message, Call):
            self._call(message)
        elif isinstance(message, Disconnect) and message.kind == 0x86:
            self.say(Disconnect(0x86, message.prefix, message.ident, 0x0B))

    def _message(self, message: Status | Data) -> None:
        if self.ways.dumb:
            return
        at = self.ways.answer_s
        for _ in range(self.ways.waits):
            self._later(at, lambda: self.say(Ack(0xD0, message.address, 2)))
            at += self.ways.answer_s
        if self.ways.cleared is not None:
            cause = self.ways.cleared
            to = message.address
            self._later(at, lambda: self.say(Disconnect(0xA6, to.prefix, to.ident, cause)))
            return
        self._later(at, lambda: self._end(message))

    def _end(self, message: Status | Data) -> None:
        number = str(message.address)
        there = self.air.of(number)
        if isinstance(message, Data) and message.extended and self.ways.no_mst:
            self.say(Ack(0xE0, message.address, 0x0D))
        elif self.ways.cause is not None or not there.on or not self.ways.contact:
            cause = 4 if self.ways.cause is None else self.ways.cause
            self.say(Ack(0xE0, message.address, cause))
        else:
            octets = bytes((message.status,)) if isinstance(message, Status) else message.data
            self.air.hear(number, octets)
            self.say(Ack(0xC0, message.address, 0))
            part = _PART.match(octets)
            if part is None or part[1] == part[2]:
                self._later(there.reply_s, lambda: self._reply(number, there))

    def _reply(self, number: str, there: Set) -> None:
        if there.reply_status is not None:
            self.status_from(number, there.reply_status)
        if there.reply_text is not None:
            self.text_from(number, there.reply_text)

    def _call(self, call: Call) -> None:
        there = self.air.of(str(call.address))
        if not there.on:
            self._later(0.01, lambda: self.say(Progress(0xE4, call.address, 4)))
            return
        self._later(0.01, lambda: self.say(Progress(0xD4, call.address, 1)))
        self._later(0.03, lambda: self.say(Progress(0xC4, call.address, 0)))

    # scripts

    def status_from(self, number: str, value: int) -> None:
        """A mobile presses a status key."""
        self.air.say(number, bytes((value,)))
        self.say(Status(net.parse_address(number), value))

    def text_from(self, number: str, text: str) -> None:
        """A mobile writes; padded to the length of the radio's codewords."""
        self.air.say(number, text.encode())
        data = text.encode("gb18030")
        size = next((n for n in _CODEWORDS if n >= len(data)), 88)
        address = net.parse_address(number)
        self.say(Data(size > 22, address, net.BINARY, data.ljust(size, b"\0")[:88]))

    def call_from(self, number: str, *, hook: bool = False, emergency: bool = False) -> None:
        """A mobile calls."""
        self.say(Call(emergency, net.parse_address(number), 8 if hook else 0))

    def set_contact(self, there: bool) -> None:
        """The radio loses or finds its network; it says so."""
        self.ways.contact = there
        self.say(Condition(False, False, there, 120 if there else None))

    def restart(self) -> None:
        """Power cycle: the link begins anew."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._decoder = FrameDecoder()
        self.link = Map27Link(19200, self.ways.n1, latency_s=0.05)
        self._carry_out(self.link.start(self._loop.time()))

    def close(self) -> None:
        """Nothing happens any more."""
        for timer in self._timers:
            timer.cancel()
        if self._tick_timer is not None:
            self._tick_timer.cancel()


def address(text: str) -> Address:
    """`prefix/ident` as a script writes it."""
    return net.parse_address(text)
