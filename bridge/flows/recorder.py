"""Brings decisions to the store in the order in which they were made.

Facts of what was *seen* are kept until they can be stored: a full disk never stops a call and
costs no fact while the process lives (guard rule 17). What was *asked for* waits for its commit and
is refused when that fails: nobody is told of anything that is not durable.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from bridge.domain.journal import Fact
from bridge.flows.ports import Store, StoreError, StoreInvalid, StoreUnknown, Transaction

_log = structlog.get_logger(__name__)

MAX_WAITING = 100_000
"""Transactions of seen things kept while the store cannot write: some hours of a busy room.
Above it the oldest are let go (CEL keeps what they told) and the loss is counted and shown."""
RETRY_SECONDS = 0.2
SILENT_SECONDS = 0.8
"""A commit that takes longer is told: the desk knows within a second what is not being stored."""
MERGE = 256
"""Transactions of seen things that go to the store as one."""


@dataclass(slots=True)
class _Item:
    work: Transaction
    done: asyncio.Future[None] | None = None


class Recorder:
    """One queue to the store. `on_trouble(words)` is called at each change; empty words: well."""

    def __init__(self, store: Store, on_trouble: Callable[[str], None]) -> None:
        self._store = store
        self._on_trouble = on_trouble
        self._waiting: deque[_Item] = deque()
        self._wake = asyncio.Event()
        self._storing = False
        self.trouble = ""
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Transactions not stored yet."""
        return len(self._waiting)

    def record(self, work: Transaction) -> None:
        """Store this as soon as it can be. Never blocks, never fails."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(_Item(work))
        self._wake.set()

    async def commit(self, work: Transaction) -> None:
        """Store this, after everything recorded before. Raises StoreError and its kinds."""
        await asyncio.shield(self.submit(work))

    def submit(self, work: Transaction) -> asyncio.Future[None]:
        """The same, to be waited for elsewhere: done when it is known what became of it.

        Raises StoreError at once while the store cannot write, unless the work is urgent.
        """
        if self.trouble and not work.urgent:
            raise StoreError(self.trouble)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Item(work, done))
        self._wake.set()
        return done

    def _hurry(self) -> None:
        """Urgent work takes along what was seen before of the same calls and seats, also what a
        full disk has just sent back, so that the order of their facts holds."""
        about: set[str] = set()
        for item in reversed(self._waiting):
            if item.work.urgent:
                about |= _about(item.work)
            elif about and item.done is None and not about.isdisjoint(_about(item.work)):
                about |= _about(item.work)
                item.work = replace(item.work, urgent=True)

    async def run(self) -> None:
        """Bring everything to the store until cancelled; `drain` before that."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                self._storing = True
                await self._round()
                self._storing = False

    async def drain(self, timeout: float) -> None:
        """Wait until everything is stored, at most `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while self._waiting or self._storing:
                self._wake.set()
                await asyncio.sleep(0.01)

    async def _round(self) -> None:
        """One batch: seen things that stand together as one transaction, requests by themselves."""
        self._hurry()
        batch = _merged(self._waiting)
        self._waiting.clear()
        silent = asyncio.get_running_loop().call_later(
            SILENT_SECONDS, self._tell, "存储没有响应 / the store does not answer"
        )
        try:
            results = await asyncio.gather(
                *(self._store.commit(item.work) for item in batch), return_exceptions=True
            )
        finally:
            silent.cancel()
        back: list[_Item] = []
        for item, told in zip(batch, results, strict=True):
            result: object = told
            if isinstance(result, StoreUnknown) and result.entries:
                result = await self._find_out(result)
            if not isinstance(result, BaseException):
                _settle(item, None)
            elif item.done is not None and isinstance(result, Exception):
                _settle(item, result)
            elif isinstance(result, StoreInvalid):
                self.lost += 1  # our own fault: it can never be stored, and must not stop the rest
                _log.error("recorder.invalid", reason=str(result), facts=len(item.work.facts))
            elif isinstance(result, StoreError):
                back.append(item)
            else:
                raise result  # our own fault: the process ends
        failed = next((r for r in results if isinstance(r, StoreError)), None)
        self._tell(str(failed) if back and failed else "")
        if back:
            self._waiting.extendleft(reversed(back))
            await asyncio.sleep(RETRY_SECONDS)

    async def _find_out(self, unknown: StoreUnknown) -> StoreError | None:
        """What became of work whose commit was left open: None when it has happened.

        Everything behind it waits: to write it a second time, or to forget it, would be untrue.
        """
        while True:
            try:
                if await self._store.happened(unknown.entries):
                    return None
                return StoreError(f"it has not happened: {unknown}")
            except StoreError as error:
                self._tell(str(error))
                await asyncio.sleep(RETRY_SECONDS)

    def _tell(self, words: str) -> None:
        if bool(words) != bool(self.trouble):
            self.trouble = words
            self._on_trouble(words)


def _about(work: Transaction) -> set[str]:
    """Calls and seats that this work tells of."""
    return {name for fact in work.facts for name in (fact.call, _seat(fact)) if name}


def _seat(fact: Fact) -> str | None:
    return fact.subject if fact.kind.startswith(("agent.", "seat.")) else None


def _settle(item: _Item, error: Exception | None) -> None:
    if item.done is None or item.done.done():
        return
    if error is None:
        item.done.set_result(None)
    else:
        item.done.set_exception(error)
        item.done.exception()  # a waiter that has gone away leaves no complaint


def _merged(items: Sequence[_Item] | deque[_Item]) -> list[_Item]:
    """Neighbouring seen things become one transaction; requests keep their own."""
    out: list[_Item] = []
    group: list[Transaction] = []
    urgent = False

    def close() -> None:
        if group:
            out.append(_Item(merge(group)))
            group.clear()

    for item in items:
        if item.done is not None or len(group) >= MERGE or item.work.urgent != urgent:
            close()
            urgent = item.work.urgent
        if item.done is not None:
            out.append(item)
        else:
            group.append(item.work)
    close()
    return out


def merge(works: Sequence[Transaction]) -> Transaction:
    """Several transactions as one: facts in order, the last state of each record."""
    if len(works) == 1:
        return works[0]
    rows = {(row.table, row.id): row for work in works for row in work.rows}
    cursors = {name: value for work in works for name, value in work.cursors.items()}
    return Transaction(
        facts=[fact for work in works for fact in work.facts],
        rows=list(rows.values()),
        messages=[message for work in works for message in work.messages],
        cursors=cursors,
        urgent=any(work.urgent for work in works),
    )
