"""An event loop without time, threads or sockets: one seed gives one run.

The clock jumps to the next timer. Tasks that are woken in the same turn run in an order drawn from
the run's Random; what asyncio promises to keep in order (`call_soon`, the start of tasks) stays in
order. Every daemon lives in a *life*, a mark in the context of its tasks and callbacks: a life that
was killed runs nothing any more, no `finally` and no `except`, as after SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import random
from collections import deque
from collections.abc import Callable
from typing import Any

START = 1_770_000_000.0
"""Second since 1970 at which every run begins (2026-02-02)."""

LIFE: contextvars.ContextVar[int] = contextvars.ContextVar("life", default=0)
"""Which daemon a callback belongs to; 0 is the world: switch, disk, people."""

MAX_TURNS = 2_000_000
"""Turns of one run: above it something spins without time passing."""


class Spinning(Exception):
    """The run does not come to an end."""


class SimLoop(asyncio.base_events.BaseEventLoop):
    """Virtual time, seeded order. `dial` connects instead of `create_connection`."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.turns = 0
        self.dial: Callable[[Callable[[], asyncio.BaseProtocol]], Any] | None = None
        self.errors: list[str] = []
        self.burying = False
        self._now = 0.0
        self._dead: set[int] = set()
        self._parked: list[asyncio.Handle] = []
        self.set_exception_handler(self._note_error)

    def time(self) -> float:
        return self._now

    def kill(self, life: int) -> None:
        """SIGKILL: nothing of this life runs from now on."""
        self._dead.add(life)

    def bury(self) -> None:
        """At the end of a run: the dead may unwind, so that their objects can be let go."""
        self.burying = True
        self._dead.clear()
        for handle in self._parked:
            self._ready.append(handle)
        self._parked.clear()
        self.set_exception_handler(lambda *_: None)

    def _note_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns > MAX_TURNS and not self.burying:
            raise Spinning(f"{MAX_TURNS} turns at {self._now:.3f} s")
        ready, timers = self._ready, self._scheduled
        while timers and timers[0].cancelled():
            heapq.heappop(timers)._scheduled = False  # type: ignore[attr-defined]
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            if not timers:
                raise Spinning(f"nothing left to do at {self._now:.3f} s")
            self._now = max(self._now, timers[0].when())
        while timers and timers[0].when() <= self._now:
            timer = heapq.heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]
            if not timer.cancelled():
                ready.append(timer)
        for handle in self._in_order():
            if handle.cancelled():
                continue
            if self._dead and handle._context.get(LIFE, 0) in self._dead:  # type: ignore[attr-defined]
                self._parked.append(handle)
                continue
            handle._run()

    def _in_order(self) -> list[asyncio.Handle]:
        """What is ready now; woken tasks among themselves in the order of the seed."""
        batch = list(self._ready)
        self._ready.clear()
        if len(batch) > 1:
            places = [at for at, handle in enumerate(batch) if _wakes(handle)]
            if len(places) > 1:
                woken = [batch[at] for at in places]
                self.chance.shuffle(woken)
                for at, handle in zip(places, woken, strict=True):
                    batch[at] = handle
        return batch

    # Nothing from outside ever comes.

    def _process_events(self, event_list: Any) -> None:
        raise AssertionError("no selector here")

    def _write_to_self(self) -> None:
        pass

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        raise AssertionError(f"a thread for {func!r}: nothing above the edges may need one")

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], *_: Any, **__: Any
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        assert self.dial is not None
        made: tuple[asyncio.BaseTransport, asyncio.BaseProtocol] = await self.dial(protocol_factory)
        return made


def _wakes(handle: asyncio.Handle) -> bool:
    return getattr(handle._callback, "__name__", "") == "task_wakeup"  # type: ignore[attr-defined]


def in_life(life: int) -> contextvars.Context:
    """A context whose callbacks belong to this life."""
    context = contextvars.Context()
    context.run(LIFE.set, life)
    return context
