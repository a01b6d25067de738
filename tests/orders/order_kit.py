"""Orders with a real store behind them, a clock that the test moves, and wires that record."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bridge.domain.case_file import CommandRule
from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress, Received, Says
from bridge.domain.journal import Entry, Fact, Json
from bridge.domain.order import Order
from bridge.domain.unit import Unit
from bridge.flows.case_desk import CaseDesk
from bridge.flows.order_desk import Asker, OrderAsk, OrderDesk
from bridge.flows.order_inbox import TRIES_CURSOR, Inbox
from bridge.flows.orders import Orders, Site
from bridge.flows.ports import Transaction
from bridge.flows.recorder import Recorder
from bridge.flows.rows import rows_after
from bridge.flows.view import View
from bridge.store import Options, SqliteStore, open_store
from tests.domain.order_story import UNITS

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
CASE = "20261124-0001"
SEAT = Asker("lab-8001", "8001")
RULES = (CommandRule("ENV", frozenset({1, 2}), "突发环境事件应急预案", "bank"),)
"""What needs a special plan here; the bank plays the body that commands then."""
_keys = itertools.count()


class MovedClock:
    """Wall and monotonic time of the test."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()


@dataclass
class Wire:
    """A wire that records what it is asked for, and tells what the test wants told. `past` is what
    the far side remembers of attempts (the test plays it), also over a restart of ours."""

    kind: ChannelKind
    sent: list[Job] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    known: Callable[[str], Progress | None] = lambda _: None
    well: str = ""

    async def send(self, job: Job) -> None:
        self.sent.append(job)

    async def withdraw(self, attempt: str) -> None:
        self.withdrawn.append(attempt)

    async def look(self, attempt: str) -> Progress | None:
        self.looked.append(attempt)
        return self.known(attempt)

    async def test(self, addresses: Any) -> str:
        return self.well


@dataclass
class Kit:
    """One life of the daemon's orders."""

    store: SqliteStore
    clock: MovedClock
    orders: Orders
    inbox: Inbox
    desk: OrderDesk
    view: View
    wires: dict[ChannelKind, Wire]
    alarms: dict[str, str]
    tasks: asyncio.TaskGroup
    cases: CaseDesk

    async def send(self, *units: str, key: str = "", **more: Any) -> list[str]:
        ask = OrderAsk(
            **{
                "case": CASE,
                "units": units or ("water",),
                "kind": "site",
                "klass": "GENERAL",
                "words": "水管爆裂",
                **more,
            }
        )
        answer = await self.desk.send(SEAT, ask, key or f"key-{next(_keys)}")
        found: Any = answer.body["orders"]
        return [one["order"] for one in found]

    async def order(self, ident: str) -> Order:
        found = await self.orders.find(ident)
        assert found is not None
        return found

    async def tell(self, attempt: str, *states: A, cause: Cause | None = None) -> None:
        for state in states:
            at = self.clock.now()
            await self.orders.progress(Progress(attempt=attempt, state=state, at=at, cause=cause))
        await self.settled()

    async def says(
        self, says: Says, channel: ChannelKind, *, source: str = "x", key: str = "", **more: Any
    ) -> Any:
        told = Received(
            channel=channel,
            source=source,
            at=self.clock.now(),
            key=key or f"key-{next(_keys)}",
            says=says,
            **more,
        )
        taken = await self.inbox.take(told)
        await self.settled()
        return taken

    async def later(self, seconds: float) -> None:
        """So many seconds later, with everything that is due until then in its turn."""
        until = self.clock.at + timedelta(seconds=seconds)
        while True:
            following = self.orders.due.next()
            if following is None or following > until:
                break
            self.clock.at = max(self.clock.at, following)
            self.orders.tick()
            await self.settled()
        self.clock.at = until

    async def settled(self) -> None:
        """Everything that was begun has come to its end."""
        for _ in range(500):
            busy = [
                task
                for task in asyncio.all_tasks()
                if task.get_name().startswith("work:") and not task.done()
            ]
            if not busy:
                return
            await asyncio.wait(busy, timeout=5)
        raise TimeoutError("work that never ends")

    async def facts(self, prefix: str = "") -> list[Fact]:
        found: list[Fact] = []
        after = 0
        while page := await self.store.reader.entries_after(after):
            found += [entry.fact for entry in page if entry.fact.kind.startswith(prefix)]
            after = page[-1].seq
        return found


@asynccontextmanager
async def life(
    directory: Path,
    clock: MovedClock | None = None,
    channels: frozenset[ChannelKind] = frozenset(ChannelKind),
    units: dict[str, Unit] | None = None,
    known: Callable[[str], Progress | None] = lambda _: None,
) -> AsyncIterator[Kit]:
    """One run of the daemon's orders on the store in `directory`; `known` is what the far sides
    still know of attempts."""
    clock = clock or MovedClock()
    view = View("test", clock.now)
    alarms: dict[str, str] = {}
    readers: list[Callable[[Sequence[Entry]], None]] = [view.publish]

    def publish(entries: Sequence[Entry]) -> None:
        for read in readers:
            read(entries)

    async with (
        open_store(
            directory / "site.db",
            site="test",
            now=clock.now,
            monotonic=clock.monotonic,
            publish=publish,
            options=Options(ballast_bytes=0),
        ) as store,
        asyncio.TaskGroup() as tasks,
    ):
        recorder = Recorder(store, lambda _: None)
        writing = tasks.create_task(recorder.run())

        def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
            tasks.create_task(work, name=f"work:{name}")

        if await store.reader.case(CASE) is None:
            await store.commit(a_case())
        orders = Orders(
            recorder=recorder,
            clock=clock,
            memory=store.reader,
            units=units or UNITS,
            site=Site("指挥中心", "7110", UTC),
            spawn=spawn,
            alarm=lambda name, words: alarms.__setitem__(name, words),
        )
        wires = {kind: Wire(kind, known=known) for kind in channels}
        for wire in wires.values():
            orders.use(wire)

        cases = CaseDesk(
            recorder=recorder,
            clock=clock,
            memory=store.reader,
            alarm=alarms.__setitem__,
            spawn=spawn,
        )
        readers.append(cases.see)
        numbers = itertools.count(1_000_001)
        orders.restore(entry.fact for entry in await store.reader.facts_of_open_orders())
        view.restore(entry.fact for entry in await store.reader.facts_of_open_orders())
        orders.resume()
        tries = await store.reader.cursor(TRIES_CURSOR)
        inbox = Inbox(orders, tries)
        desk = OrderDesk(orders, cases.known, lambda: next(numbers), copy_to="housing")
        cases.direct(desk, RULES)
        await cases.restore()
        cases.resume()
        kit = Kit(store, clock, orders, inbox, desk, view, wires, alarms, tasks, cases)
        try:
            yield kit
        finally:
            await kit.settled()
            await recorder.drain(5)
            writing.cancel()


def a_case() -> Transaction:
    """A citizen has called: the case is opened."""
    from bridge.domain.call import Book

    book = Book()
    call = "1764000000.1"
    data: dict[str, Json] = {
        "channel": "PJSIP/trunk-00000001",
        "number": "13800138000",
        "entry": "110",
        "back": "",
    }
    fact = Fact("call.offered", START, CASE, call, call, "switch", data)
    book.apply(fact)
    return Transaction([fact], rows_after(book, [fact]))


def one_line(fact: Fact) -> str:
    """For the words of a failing test."""
    return f"{fact.kind} {fact.subject} {json.dumps(dict(fact.data), ensure_ascii=False)}"
