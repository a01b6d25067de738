"""Small parts that the store's tests share: a clock, a decision, a store on a real file."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bridge.domain.journal import Entry, Fact
from bridge.flows.ports import Message, Row, Transaction
from bridge.store import Options, SqliteStore, open_store
from bridge.store.session import Session

SITE = "site-1"
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
SMALL = Options(ballast_bytes=4096, idle_seconds=0.02)


def at(seconds: float) -> datetime:
    """A moment of the test's day."""
    return START + timedelta(seconds=seconds)


def decision(
    n: int, case: str = "case-1", state: str = "open", urgent: bool = False
) -> Transaction:
    """A fact, the state that follows from it, and a message."""
    return Transaction(
        facts=[Fact("handoff.requested", at(n), case=case, call="call-1", data={"n": n})],
        rows=[Row("case", case, case, state, {"n": n})],
        messages=[Message("platform", f"key-{n}", {"n": n}, at(n))],
        urgent=urgent,
    )


def replay(facts: Iterable[Fact]) -> list[Row]:
    """What `decision` does to the state, as a pure function of the facts."""
    return [Row("case", str(fact.case), fact.case, "open", fact.data) for fact in facts]


@asynccontextmanager
async def opened(
    directory: Path,
    publish: Callable[[Sequence[Entry]], None] = lambda _: None,
    options: Options = SMALL,
    now: Callable[[], datetime] = lambda: START,
) -> AsyncIterator[SqliteStore]:
    """A store on a real file."""
    async with open_store(
        directory / "site.db",
        site=SITE,
        now=now,
        monotonic=time.monotonic,
        publish=publish,
        options=options,
    ) as store:
        yield store


@asynccontextmanager
async def busy_writer(store: SqliteStore) -> AsyncIterator[None]:
    """The writer thread is held in a job meanwhile, so that what comes waits and forms a group."""
    entered, leave = threading.Event(), threading.Event()

    def hold(_: Session) -> None:
        entered.set()
        assert leave.wait(10)

    holding = asyncio.create_task(store._writer.submit(hold))
    assert await asyncio.to_thread(entered.wait, 10)
    try:
        yield
    finally:
        leave.set()
        await holding


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition; fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
