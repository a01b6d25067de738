"""Hands the link's messages to their callbacks: one consumer, in order, bounded, isolated.

Everything goes through one queue, answers too: whoever gets an answer has seen all that
Asterisk said before it. A long queue is worked off in slices, so that the socket is read between.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from bridge.asterisk.link_state import LinkCounters
from bridge.wire.ami import Message

Callback = Callable[[Message], object]
Handlers = tuple[Callback, ...]

SLICE_S: Final = 0.004
"""Longest work at a stretch before the loop may read the socket again (guard rule 10: 20 ms)."""

BATCH: Final = 16
"""Messages between two looks at the clock."""

STAR: Final = "*"

_log = structlog.get_logger(__name__)


class Dispatcher:
    """Ordered delivery by event name.

    At the bound of `max_backlog` waiting messages all of them are discarded, counted, and
    `on_overflow` is told: the link drops itself and takes a snapshot, nothing is lost silently.
    """

    def __init__(
        self,
        counters: LinkCounters,
        *,
        max_backlog: int,
        on_overflow: Callable[[int], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.counters = counters
        self.on_response: Callback | None = None
        """Takes the answers; set by the session that asked."""
        self.intercept: Callback | None = None
        """Sees every event before its callbacks while a list answer is being collected."""
        self._max_backlog = max_backlog
        self._on_overflow = on_overflow
        self._on_failure = on_failure
        self._queue: deque[Message] = deque()
        self._scheduled = False
        self._when_empty: Callable[[], None] | None = None
        self._by_name: dict[str, list[Callback]] = {}
        self._table: dict[str, Handlers] = {}
        self._star: Handlers = ()
        self._failures: dict[str, int] = {}

    def register(self, name: str, callback: Callback) -> Callable[[], None]:
        """Call `callback` for each event of that exact name, or of every name for `"*"`.

        Returns what takes it off again. Raises ValueError for a pattern, TypeError for a
        coroutine function: its order and its errors would be lost (libraries.md P15).
        """
        if not name or (name != STAR and any(mark in name for mark in "*?[")):
            raise ValueError(f"{name!r}: register one event name or '*', patterns are not matched")
        if inspect.iscoroutinefunction(callback):
            raise TypeError(f"callback of {name!r} is a coroutine function: put into a queue there")
        self._by_name.setdefault(name, []).append(callback)
        self._rebuild()

        def unregister() -> None:
            callbacks = self._by_name.get(name, [])
            if callback in callbacks:
                callbacks.remove(callback)
                self._rebuild()

        return unregister

    def _rebuild(self) -> None:
        self._star = tuple(self._by_name.get(STAR, ()))
        self._table = {
            name: (*callbacks, *self._star)
            for name, callbacks in self._by_name.items()
            if name != STAR
        }

    @property
    def backlog(self) -> int:
        """Messages that wait."""
        return len(self._queue)

    def feed(self, messages: Sequence[Message]) -> None:
        """Take messages in the order received."""
        queue = self._queue
        queue.extend(messages)
        if len(queue) > self._max_backlog:
            self._overflow()
        elif not self._scheduled:
            self._drain()

    def when_empty(self, then: Callable[[], None]) -> None:
        """Call `then` once all that was received so far is delivered (at once if nothing waits)."""
        self._when_empty = then
        if not self._scheduled:
            self._drain()

    def _overflow(self) -> None:
        discarded = len(self._queue)
        self.counters.discarded += discarded
        self._queue.clear()
        self._on_overflow(discarded)

    def _drain(self) -> None:
        queue, loop = self._queue, asyncio.get_running_loop()
        self._scheduled = True  # a callback that feeds or waits must not start a second consumer
        end = loop.time() + SLICE_S
        while queue:
            for _ in range(min(BATCH, len(queue))):
                self._deliver(queue.popleft())
            if queue and loop.time() > end:
                loop.call_soon(self._drain)
                return
        self._scheduled = False
        then, self._when_empty = self._when_empty, None
        if then is not None:
            then()

    def _deliver(self, message: Message) -> None:
        name = message.name
        if not name:
            self.counters.answers += 1
            if self.on_response is not None:
                self.on_response(message)
            return
        self.counters.events += 1
        if self.intercept is not None:
            self.intercept(message)
        for callback in self._table.get(name, self._star):
            try:
                callback(message)
            except Exception as error:  # noqa: BLE001  one handler's fault must not cost the others
                self._failed(name, callback, error)

    def _failed(self, name: str, callback: Callback, error: Exception) -> None:
        self.counters.handler_errors += 1
        place = getattr(callback, "__qualname__", type(callback).__qualname__)
        times = self._failures[place] = self._failures.get(place, 0) + 1
        if times == 1 or times % 1000 == 0:  # a handler that always fails must not fill the log
            _log.error("ami.handler_failed", name=name, handler=place, times=times, exc_info=error)
            self._on_failure(f"{place} on {name}: {type(error).__name__}")
