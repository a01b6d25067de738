"""Who holds a transmitter down: presses of the owner on voice gateways.

A press lasts from `press` to `release`. The driver waits for a free channel, keys, gives the
lead-in and stops at its time-out timer; what happens is told at once and not kept: an owner that
is lost has let go of everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from hardware.radio.keying import Act
from hardware.radio.line_keyed import Play

MAX_PRESSES: Final = 64
"""Presses that wait or hold; more are refused."""

Body = dict[str, Any]


class Transmitter(Protocol):
    """A radio that can be keyed for a sound."""

    def transmit(self, play: Play, *, override: bool = False) -> Coroutine[Any, Any, Act]: ...


class _Press:
    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.on_air = False
        self.task: asyncio.Task[Act] | None = None


class Keyer:
    """`transmitter(gateway, group)` finds the radio, None where there is none that can be keyed."""

    def __init__(
        self,
        transmitter: Callable[[str, str], Transmitter | None],
        say: Callable[[Body], None],
    ) -> None:
        self._transmitter = transmitter
        self._say = say
        self._presses: dict[str, _Press] = {}

    def press(
        self,
        ident: str,
        gateway: str,
        group: str,
        *,
        override: bool,
        spawn: Callable[[Coroutine[Any, Any, Act]], asyncio.Task[Act]],
    ) -> None:
        """Key `gateway` under the owner's `ident`; the same one again does nothing. Told: `ready`
        once the lead-in is over, then `over` with the reason."""
        if ident in self._presses:
            return
        radio = self._transmitter(gateway, group)
        if radio is None or not ident or len(self._presses) >= MAX_PRESSES:
            self._over(ident, gateway, "refused")
            return
        press = self._presses[ident] = _Press()

        async def speak() -> None:
            press.on_air = True
            self._say({"type": "keying", "id": ident, "gateway": gateway, "state": "ready"})
            await press.let_go.wait()

        def over(task: asyncio.Task[Act]) -> None:
            del self._presses[ident]
            lost = task.cancelled() or task.exception() is not None
            self._over(ident, gateway, Act.CUT if lost else task.result())

        press.task = spawn(radio.transmit(speak, override=override))
        press.task.add_done_callback(over)

    def _over(self, ident: str, gateway: str, why: str) -> None:
        body = {"type": "keying", "id": ident, "gateway": gateway, "state": "over", "why": why}
        self._say(body)

    def release(self, ident: str) -> None:
        """Let go; a press that was still waiting for the channel never keys."""
        press = self._presses.get(ident)
        if press is None:
            return
        press.let_go.set()
        if not press.on_air and press.task is not None:
            press.task.cancel()

    def release_all(self) -> None:
        """The owner is lost."""
        for ident in list(self._presses):
            self.release(ident)
