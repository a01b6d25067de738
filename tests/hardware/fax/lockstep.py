"""A telephone call in one process without real time: our Class 1 driver, spandsp's T.31 modem, a
line, spandsp's fax terminal, moved on 20 ms at a time. The same seed gives the same call.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any

from hardware.fax.class1 import Class1
from hardware.fax.model import Model
from hardware.fax.t30 import Outcome, Report
from hardware.fax.watch import FrameSeen
from tests.hardware.fax.spandsp import (
    ALERTING,
    ANSWERED,
    BLOCK,
    BUSY,
    CONNECTED,
    CONTROL_ANSWER,
    CONTROL_CALL,
    CONTROL_HANGUP,
    HANGUP,
    NO_ANSWER,
    Modem,
    Noise,
    Samples,
    Terminal,
    block,
)

TICK = BLOCK / 8000
LIMIT = 900.0
"""Seconds on the line after which a call counts as endless."""


class _Tick:
    """Given up until the next 20 ms."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class LineWire:
    """The serial line to the modem in this process; its clock is the line's."""

    def __init__(self, line: PhoneLine) -> None:
        self._line = line
        self.modem: Modem | None = None
        self.delay = 0.0
        """Seconds that the host takes for each command (a busy host)."""
        self._ready = 0.0

    def now(self) -> float:
        return self._line.now

    async def write(self, data: bytes) -> None:
        assert self.modem is not None
        until = self._line.now + self.delay
        while self._line.now < until:
            await _Tick()
        for at in range(0, len(data), 256):
            while not self.modem.clear_to_send:
                await _Tick()
            self.modem.hear(data[at : at + 256])

    async def read(self, seconds: float) -> bytes:
        assert self.modem is not None
        until = self._line.now + seconds
        while not self.modem.said and self._line.now < until:
            await _Tick()
        data = bytes(self.modem.said)
        self.modem.said.clear()
        return data

    async def drop_dtr(self) -> None:
        return None


@dataclass
class PhoneLine:
    """What lies between the modem and the far terminal."""

    lib: ctypes.CDLL
    terminal: Terminal | None
    noise: Noise | None = None
    cut_at: float | None = None
    """Seconds after the call was answered."""
    silent_from: float | None = None
    """From then the terminal is not heard any more, though the call stands."""
    busy: bool = False
    nobody: bool = False
    spoil: Callable[[float, Samples], None] | None = None
    """Damages what our modem sends, by the time of the call."""
    now: float = 0.0
    dialled: str = ""
    answered_at: float | None = None
    ended: bool = False
    _plans: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wire = LineWire(self)
        self.modem = Modem(self.lib, self._control)
        self.wire.modem = self.modem

    def _control(self, operation: int, number: str) -> None:
        if operation == CONTROL_CALL:
            self.dialled = number
            event = BUSY if self.busy else NO_ANSWER if self.nobody else CONNECTED
            self._plans.append((self.now + (45.0 if self.nobody else 0.5), self._later(event)))
        elif operation == CONTROL_ANSWER:
            self._plans.append((self.now + 0.1, self._later(ANSWERED)))
        elif operation == CONTROL_HANGUP and self.answered_at is not None:
            self.ended = True

    def _later(self, event: int) -> Callable[[], None]:
        def happen() -> None:
            self.modem.event(event)
            if event in (CONNECTED, ANSWERED):
                self.answered_at = self.now

        return happen

    def ring(self) -> None:
        """A call comes in, and rings again every 5 s until it is answered."""
        if self.answered_at is None:
            self.modem.event(ALERTING)
            self._plans.append((self.now + 5.0, self.ring))

    def tick(self) -> None:
        """20 ms pass."""
        self.now += TICK
        due = [plan for plan in self._plans if plan[0] <= self.now]
        self._plans = [plan for plan in self._plans if plan[0] > self.now]
        for _, happen in due:
            happen()
        ours, theirs = self.modem.speak(), block()
        if self.answered_at is not None and not self.ended and self.terminal is not None:
            since = self.now - self.answered_at
            theirs = self.terminal.speak()
            if self.spoil is not None:
                self.spoil(since, ours)
            if self.noise is not None:
                self.noise.add(ours)
            self.terminal.listen(ours)
            if self.silent_from is not None and since >= self.silent_from:
                theirs = block()
            if self.cut_at is not None and since >= self.cut_at:
                self.ended = True
                self.modem.event(HANGUP)
                self.terminal.hang_up()
        self.modem.listen(theirs)

    def run(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Move the line on until the work is done. Raises AssertionError when it never is."""
        while True:
            try:
                work.send(None)
            except StopIteration as done:
                result = done.value
                break
            self.tick()
            assert self.now < LIMIT, "the call does not end"
        for _ in range(100):  # the far end hears that we are gone
            if self.terminal is None or self.terminal.result is not None:
                break
            self.terminal.listen(block())
            self.terminal.speak()
        if self.terminal is not None:
            self.terminal.hang_up()
        assert isinstance(result, Outcome)
        return result

    def close(self) -> None:
        """Give spandsp's memory back."""
        self.modem.close()
        if self.terminal is not None:
            self.terminal.close()
        if self.noise is not None:
            self.noise.close()


def driver(line: PhoneLine, model: Model | None = None) -> tuple[Class1, list[Report | FrameSeen]]:
    """Our driver on the line, and what it reports."""
    seen: list[Report | FrameSeen] = []
    return Class1(line.wire, model or Model(init=("ATE0V1Q0",)), seen.append), seen
