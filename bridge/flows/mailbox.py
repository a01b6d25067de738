"""One mailbox per case: events in order, one decision at a time, no global lock.

What is seen is handled at once unless a request of the same case is being stored; then it waits
those few milliseconds, so that both see the same state. Acts of a case are done one after another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

MAX_PENDING = 2_000
"""Things seen of one case while a request is being stored (deadline 3 s): a hundred a second are
far above what a call can give. Above it a snapshot is asked for instead."""


@dataclass(slots=True)
class Mailbox:
    """Order of one case."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pending: deque[Callable[[], None]] = field(default_factory=deque)
    overflowed: bool = False
    _tail: asyncio.Future[None] | None = None

    @property
    def busy(self) -> bool:
        """A request is being stored or acts are being done."""
        return self.lock.locked() or self.acting

    @property
    def acting(self) -> bool:
        """Acts are being done."""
        return self._tail is not None

    def post(self, handle: Callable[[], None]) -> None:
        """Handle something seen: now, or right after the request in work."""
        if not self.lock.locked() and not self.pending:
            handle()
        elif len(self.pending) < MAX_PENDING:
            self.pending.append(handle)
        else:
            self.overflowed = True

    async def ask(self, decide: Callable[[], Awaitable[T]]) -> T:
        """Decide and store a request alone, then handle what was seen meanwhile."""
        async with self.lock:
            try:
                return await decide()
            finally:
                while self.pending:
                    self.pending.popleft()()

    async def in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do acts after those asked for earlier in the same case."""
        before = self._tail
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tail = mine
        try:
            if before is not None:
                await asyncio.shield(before)
            return await work()
        finally:
            mine.set_result(None)
            if self._tail is mine:
                self._tail = None
