"""The thread that writes: takes all that wait, commits them in one sync, tells all of them.

The event loop never waits for the disk. Publication hangs on the commit: `publish` is called on
the loop for every committed group, in the order of the journal, before its waiters are woken and
also when they are gone (guard rule 6).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from bridge.domain.journal import Entry
from bridge.flows.ports import StoreError, StoreUnknown
from bridge.store.committer import Committer, Failure, Job, Result
from bridge.store.open import Options
from bridge.store.session import Head, Session

T = TypeVar("T")

CLOSE_SECONDS = 15.0
"""Longest wait for the last commits at shutdown; the service manager gives us 20 s."""


@dataclass(slots=True)
class Waiting(Generic[T]):
    """A job in the queue and who waits for it. The waiter may go; the job stays."""

    job: Job
    size: int
    future: asyncio.Future[T]


class Writer:
    """Queue and thread around a Committer. Made on the event loop; all methods are called there.

    At most `queue_limit` jobs or `queue_bytes` of text wait; beyond that `submit` raises
    StoreError at once, and nothing was done.
    """

    def __init__(
        self,
        committer: Committer,
        publish: Callable[[Sequence[Entry]], None],
        monotonic: Callable[[], float],
        options: Options,
    ) -> None:
        self._committer = committer
        self._publish = publish
        self._monotonic = monotonic
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._changed = threading.Condition()
        self._queue: deque[Waiting[object]] = deque()
        self._queued_bytes = 0
        self._arrived: list[Waiting[object]] = []
        self._arrived_bytes = 0
        self._closing = False
        self._head = committer.head
        self._finished_at = monotonic()
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def head(self) -> Head:
        """Last entry that was published."""
        return self._head

    @property
    def finished_at(self) -> float:
        """Monotonic second at which the thread last finished a round, done or failed."""
        return self._finished_at

    @property
    def waiting(self) -> int:
        """Jobs not yet taken by the thread."""
        return len(self._queue) + len(self._arrived)

    async def submit(
        self, act: Callable[[Session], T], *, urgent: bool = False, size: int = 0
    ) -> T:
        """Have `act` done in the next group and return its value, synced.

        Raises StoreFull, StoreUnknown or StoreError as `Store.commit` does. A waiter that is
        cancelled leaves its job in the queue: it is committed and published all the same.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closing or self._ended.done():
            raise StoreError("the store is closed")
        if (
            self.waiting >= self._options.queue_limit
            or self._queued_bytes + self._arrived_bytes + size > self._options.queue_bytes
        ):
            raise StoreError(
                f"{self.waiting} transactions wait for the disk already; it is too slow "
                "or stuck, look at `bridge110 status`"
            )
        if not self._arrived:
            self._loop.call_soon(self._hand_over)
        self._arrived.append(cast(Waiting[object], Waiting(Job(act, urgent), size, future)))
        self._arrived_bytes += size
        return await future

    async def wait_ended(self) -> None:
        """Return when the thread ended after `close`; raise what stopped it otherwise."""
        await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Commit what waits, then end the thread. Raises TimeoutError when the disk is stuck."""
        self._hand_over()
        with self._changed:
            self._closing = True
            self._changed.notify()
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.wait([self._ended])

    def _hand_over(self) -> None:
        """Give the thread what the tasks of one turn of the loop brought, as one group.

        One by one, the first would be synced alone while the others wait for the next sync.
        """
        with self._changed:
            self._queue += self._arrived
            self._queued_bytes += self._arrived_bytes
            self._arrived, self._arrived_bytes = [], 0
            self._changed.notify()

    # In the thread.

    def _work(self) -> None:
        group: list[Waiting[object]] | None = []
        measured_at = self._monotonic()
        try:
            while (group := self._take()) is not None:
                self._tell(self._settle, group, self._round(group))
                if self._monotonic() - measured_at >= self._options.idle_seconds:
                    self._committer.measure()
                    measured_at = self._monotonic()
            self._committer.close()
            self._tell(self._end, [], None)
        except Exception as error:  # noqa: BLE001 - carried to the loop, where it ends the process
            self._tell(self._end, group or [], error)

    def _round(self, group: Sequence[Waiting[object]]) -> Result:
        if not group:
            return self._committer.idle()
        return self._committer.commit([waiting.job for waiting in group])

    def _take(self) -> list[Waiting[object]] | None:
        """Everything that waits, up to the limit; nothing after an idle second; None at the end."""
        with self._changed:
            if not self._queue and not self._closing:
                self._changed.wait(self._options.idle_seconds)
            if not self._queue and self._closing:
                return None
            count = min(len(self._queue), self._options.group_limit)
            group = [self._queue.popleft() for _ in range(count)]
            self._queued_bytes -= sum(waiting.size for waiting in group)
            return group

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody is left to be told
            self._loop.call_soon_threadsafe(callback, *arguments)

    # On the loop again.

    def _settle(self, group: Sequence[Waiting[object]], result: Result) -> None:
        self._finished_at = self._monotonic()
        if result.entries:
            last = result.entries[-1]
            self._head = Head(last.site, last.seq, last.hash)
            try:
                self._publish(result.entries)
            except Exception as error:  # noqa: BLE001 - ends the process through wait_ended
                self._fail(error)
        for waiting, outcome in zip(group, result.outcomes, strict=True):
            if waiting.future.done():
                continue
            if isinstance(outcome, Failure):
                waiting.future.set_exception(outcome.error)
            else:
                waiting.future.set_result(outcome)

    def _end(self, group: Sequence[Waiting[object]], error: Exception | None) -> None:
        """The thread is gone. What it held may have happened, what still waits has not."""
        left = StoreError("the store's writer has stopped")
        for waiting in group:
            if not waiting.future.done():
                waiting.future.set_exception(StoreUnknown(f"the store's writer stopped: {error}"))
        self._hand_over()
        with self._changed:
            for waiting in self._queue:
                if not waiting.future.done():
                    waiting.future.set_exception(left)
            self._queue.clear()
        if error is not None:
            self._fail(error)
        elif not self._ended.done():
            self._ended.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)
            self._ended.exception()  # not every user waits for it
