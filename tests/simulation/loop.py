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
from collections.abc import Callable, Sequence
from typing import Any

START = 1_770_000_000.0
"""Second since 1970 at which every run begins (2026-02-02)."""

LIFE: contextvars.ContextVar[int] = contextvars.ContextVar("life", default=0)
"""Which daemon a callback belongs to; 0 is the world: switch, disk, people."""

_current = contextvars.copy_context

MAX_TURNS = 2_000_000
"""Turns of one run: above it something spins without time passing."""


class Spinning(Exception):
    """The run does not come to an end."""


class SimHandle:
    """What asyncio's tasks, futures and timeouts use of a `TimerHandle`."""

    __slots__ = ("__weakref__", "args", "callback", "context", "gone", "moment")

    def __init__(
        self,
        moment: float,
        callback: Callable[..., object],
        args: Sequence[Any],
        context: contextvars.Context,
    ) -> None:
        self.moment = moment
        self.callback = callback
        self.args = args
        self.context = context
        self.gone = False

    def cancel(self) -> None:
        self.gone = True
        self.callback, self.args = _nothing, ()

    def cancelled(self) -> bool:
        return self.gone

    def when(self) -> float:
        return self.moment


class SimLoop(asyncio.base_events.BaseEventLoop):
    """Virtual time, seeded order. `dial` connects instead of `create_connection`."""

    _ready: deque[SimHandle]
    _stopping: bool

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance
        self.turns = 0
        self.dial: Callable[[Callable[[], asyncio.BaseProtocol]], Any] | None = None
        self.errors: list[str] = []
        self.burying = False
        self._now = 0.0
        self._timers: list[tuple[float, int, SimHandle]] = []
        self._count = 0
        self._dead: set[int] = set()
        self._parked: list[SimHandle] = []
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
        self._ready.extend(self._parked)
        self._parked.clear()
        self.set_exception_handler(lambda *_: None)

    def _note_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> SimHandle:
        handle = SimHandle(0.0, callback, args, _current() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> SimHandle:
        handle = SimHandle(when, callback, args, _current() if context is None else context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> SimHandle:
        when = self._now + delay
        handle = SimHandle(when, callback, args, _current() if context is None else context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def _run_once(self) -> None:
        """Turn after turn, until `stop`."""
        ready, timers, pop, run = self._ready, self._timers, heapq.heappop, self._run
        while True:
            self.turns += 1
            if self.turns > MAX_TURNS and not self.burying:
                raise Spinning(f"{MAX_TURNS} turns at {self._now:.3f} s")
            while timers and timers[0][2].gone:
                pop(timers)
            if not ready and not self._stopping:
                if not timers:
                    raise Spinning(f"nothing left to do at {self._now:.3f} s")
                first = timers[0][0]
                if first > self._now:
                    self._now = first
            while timers and timers[0][0] <= self._now:
                ready.append(pop(timers)[2])
            if len(ready) == 1:
                run(ready.popleft())
            else:
                for handle in self._in_order():
                    run(handle)
            if self._stopping:
                return

    def _run(self, handle: SimHandle) -> None:
        if handle.gone:
            return
        context = handle.context
        if self._dead and context.get(LIFE, 0) in self._dead:
            self._parked.append(handle)
            return
        try:
            context.run(handle.callback, *handle.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  as asyncio does
            self.call_exception_handler({"message": "a callback failed", "exception": error})

    def _in_order(self) -> list[SimHandle]:
        """What is ready now; woken tasks among themselves in the order of the seed."""
        batch = list(self._ready)
        self._ready.clear()
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
    ) -> SimHandle:
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


def _wakes(handle: SimHandle) -> bool:
    return getattr(handle.callback, "__name__", "") == "task_wakeup"


def in_life(life: int) -> contextvars.Context:
    """A context whose callbacks belong to this life."""
    context = contextvars.Context()
    context.run(LIFE.set, life)
    return context


def _nothing(*_: object) -> None:
    """What a cancelled callback does; it holds nothing in memory."""
