"""One client's events: a bounded queue that never makes the others wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

QUEUE = 1_000
"""Events that wait for one client; above it the client is too slow and is let go (close 4008)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One CTI event. `text` is its envelope as JSON. `seats`: the seats whose call it concerns,
    before or after it; None where it concerns no call, or a call that no seat has had yet."""

    seq: int
    type: str
    text: str
    case: str | None
    call: str | None
    seat: str | None
    seats: frozenset[str] | None
    command: str | None


class Subscription:
    """The events for one client, in order. `too_slow` once more than QUEUE waited."""

    def __init__(self, wants: Callable[[Event], bool], limit: int = QUEUE) -> None:
        self.wants = wants
        self.too_slow = False
        self._limit = limit
        self._events: deque[Event] = deque()
        self._ready = asyncio.Event()
        self._slow = asyncio.Event()

    def put(self, event: Event) -> None:
        """Called by the view. Never blocks."""
        if self.too_slow or not self.wants(event):
            return
        if len(self._events) >= self._limit:
            self.too_slow = True
            self._slow.set()
            self._events.clear()
        else:
            self._events.append(event)
        self._ready.set()

    @property
    def waiting(self) -> int:
        """Events not taken yet."""
        return len(self._events)

    async def next(self, timeout: float) -> Event | None:
        """The next event, or None after `timeout` seconds or when `too_slow`."""
        if not self._events and not self.too_slow:
            self._ready.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._ready.wait()
            except TimeoutError:
                return None
        return self._events.popleft() if self._events else None

    async def wait_too_slow(self) -> None:
        """Return once the client was found too slow, however its taker is stuck."""
        await self._slow.wait()
