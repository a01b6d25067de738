"""Order benches: `order.first_attempt_s`, `order.cancel_s`, `order.tick_flat`.

A real store on the disk, the real terminal wire; the telephones are a wire that takes the time when
it is asked. 200 orders run meanwhile; p99 of those measured beside them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import apsw

from bridge.domain.delivery import A, ChannelKind, Job, Progress, Says
from bridge.domain.order_book import OrderBook
from bridge.domain.order_decide import create
from tests.domain.order_story import centre, content
from tests.orders.order_kit import CASE, Kit, MovedClock, Wire, life

Record = dict[str, Any]

RUNNING: Final = 200
MEASURED: Final = 200
TICKS: Final = 2_000
SLICES: Final = 21
MANY, FEW = 10_000, 100


class WallClock(MovedClock):
    """The machine's own."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class TimedWire(Wire):
    """Takes the time of every send and of every stop."""

    sent_at: dict[str, float] = field(default_factory=dict)
    stopped_at: dict[str, float] = field(default_factory=dict)

    async def send(self, job: Job) -> None:
        self.sent_at.setdefault(job.sheet.order, time.monotonic())
        self.sent.append(job)

    async def withdraw(self, attempt: str) -> None:
        self.stopped_at.setdefault(attempt.rpartition(".")[0], time.monotonic())


def first_attempt_s() -> Record:
    """Dispatch → first attempt leaves, 200 orders running; p99."""
    return asyncio.run(_first_attempt())


def cancel_s() -> Record:
    """A person's proof → every running attempt told to stop, 200 orders running; p99."""
    return asyncio.run(_cancel())


def tick_flat() -> Record:
    """Cost of a tick with 10 000 open orders ÷ with 100; median of paired slices."""
    return asyncio.run(_tick_flat())


async def _life(stack: AsyncExitStack) -> tuple[Kit, TimedWire]:
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge110-bench-"))
    kit = await stack.enter_async_context(
        life(Path(directory), WallClock(), frozenset({ChannelKind.PHONE}))
    )
    wire = TimedWire(ChannelKind.PHONE)
    kit.orders.use(wire)
    await asyncio.gather(*(_running(kit) for _ in range(RUNNING)))
    await kit.settled()
    return kit, wire


async def _running(kit: Kit) -> str:
    """One more order whose first attempt is under way."""
    (order,) = await kit.send("water")
    for state in (A.SENDING, A.SENT):
        told = Progress(attempt=f"{order}.1", state=state, at=kit.clock.now())
        await kit.orders.progress(told)
    return order


async def _first_attempt() -> Record:
    async with AsyncExitStack() as stack:
        kit, wire = await _life(stack)
        spent: list[float] = []

        async def one() -> None:
            begun = time.monotonic()
            (order,) = await kit.send("water")
            await kit.settled()
            spent.append(wire.sent_at[order] - begun)

        for _ in range(MEASURED // 4):
            await asyncio.gather(*(one() for _ in range(4)))
    return record("order.first_attempt_s", _p99(spent), "s", None, max(spent), len(spent))


async def _cancel() -> Record:
    async with AsyncExitStack() as stack:
        kit, wire = await _life(stack)
        orders = [await _running(kit) for _ in range(MEASURED)]
        spent: list[float] = []

        async def one(order: str) -> None:
            begun = time.monotonic()
            await kit.says(Says.SIGN, ChannelKind.TERMINAL, unit="water", order=order)
            spent.append(wire.stopped_at[order] - begun)

        for place in range(0, MEASURED, 4):
            await asyncio.gather(*(one(order) for order in orders[place : place + 4]))
        attempts = len(wire.sent)
        await asyncio.sleep(1.0)
        assert len(wire.sent) == attempts, "a signed order sends nothing more"
    return record("order.cancel_s", _p99(spent), "s", None, max(spent), len(spent))


async def _tick_flat() -> Record:
    async with AsyncExitStack() as stack:
        kits = []
        for count in (MANY, FEW):
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge110-bench-"))
            kit = await stack.enter_async_context(life(Path(directory), MovedClock()))
            _fill(kit, count)
            kits.append(kit)
        gc.collect()
        gc.disable()
        try:
            ratios = [_slice(kits[0]) / _slice(kits[1]) for _ in range(SLICES)]
        finally:
            gc.enable()
    value = statistics.median(ratios)
    return record("order.tick_flat", value, "ratio", "100 open orders", max(ratios), len(ratios))


def _fill(kit: Kit, count: int) -> None:
    """Open orders in memory, each with times of its own that lie ahead."""
    book = OrderBook()
    for number in range(count):
        work = create(
            centre(),
            kit.clock.now() + timedelta(seconds=number % 977),
            "bench",
            ident=f"{CASE}-{number:05d}",
            case=CASE,
            unit="water",
            code="00000000",
            seat=None,
            content=content(),
        )
        book.orders[work.order.id] = work.order
        kit.orders.due.set(work.order.id, work.order.next_due())
    kit.orders.book.orders.update(book.orders)


def _slice(kit: Kit) -> float:
    """Seconds of TICKS ticks, each of which finds the next due time."""
    begun = time.perf_counter()
    for _ in range(TICKS):
        kit.orders.tick()
    return time.perf_counter() - begun


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.99) - 1)]


def record(name: str, value: float, unit: str, baseline: Any, worst: float, n: int) -> Record:
    """One line of `make bench`."""
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "baseline": baseline,
        "worst": round(worst, 4),
        "n": n,
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version(), "sqlite": apsw.sqlite_lib_version()},
    }


BENCHES: Final[dict[str, Callable[[], Record]]] = {
    "order.first_attempt_s": first_attempt_s,
    "order.cancel_s": cancel_s,
    "order.tick_flat": tick_flat,
}
