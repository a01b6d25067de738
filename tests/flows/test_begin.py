"""What may begin beside a commit, and what becomes of it when the commit fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.domain.acts import Act, Command, DialThird, Target
from bridge.domain.agent import AgentAct
from bridge.domain.call import Call, Role
from bridge.domain.conversation import E
from bridge.domain.errors import Refused
from bridge.domain.journal import Entry
from bridge.domain.seen import Arrived, Born, Entered
from bridge.flows.calls import Calls
from bridge.flows.cases import CaseNumbers
from bridge.flows.ports import StoreFull, Transaction
from bridge.flows.recorder import Recorder

AT = datetime(2026, 11, 24, tzinfo=UTC)
HOTLINE = Target("12345", "12345", "PJSIP/12345@hotline", Role.HOTLINE, "hotline")


class Clock:
    @staticmethod
    def now() -> datetime:
        return AT

    @staticmethod
    def monotonic() -> float:
        return 0.0


class Desk:
    """One call with its seat; everything that is told goes into `told`, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.error: Exception | None = None
        self.numbers = 0
        self.tasks: set[asyncio.Task[object]] = set()
        self.recorder = Recorder(self, lambda _: None)
        self.calls = Calls(
            recorder=self.recorder,
            switch=self,
            clock=Clock(),
            numbers=CaseNumbers(ZoneInfo("Asia/Shanghai")),
            targets={"12345": HOTLINE},
            new_id=self.new_id,
            spawn=self.spawn,
            wrap_up=timedelta(seconds=1),
            on_over=self.over,
        )
        self.calls.begin = lambda acts: self.tell("begun", acts)
        self.calls.give_up = lambda acts: self.tell("given up", acts)

    def tell(self, what: str, acts: Sequence[Act]) -> None:
        if any(isinstance(act, DialThird) for act in acts):
            self.told.append(what)

    def new_id(self) -> str:
        self.numbers += 1
        return f"n{self.numbers}"

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    @staticmethod
    def over(_: Call) -> None: ...

    async def commit(self, work: Transaction) -> Sequence[Entry]:
        if any(fact.kind == "handoff.requested" for fact in work.facts):
            self.told.append("stored" if self.error is None else "not stored")
            if self.error is not None:
                raise self.error
        return []

    async def happened(self, entries: Sequence[Entry]) -> bool:
        return False

    async def carry_out(self, act: Act) -> None:
        if isinstance(act, DialThird):
            self.told.append("dialled")

    async def agent(self, act: AgentAct) -> None: ...

    async def three_way(self) -> None:
        command = Command(
            service=E.THREE_WAY,
            call="1.1",
            actor="t",
            role="T",
            key="key-00001",
            seat="8001",
            target=HOTLINE,
            new_leg=self.new_id(),
            new_handoff=self.new_id(),
        )
        await self.calls.ask(command)


@contextlib.asynccontextmanager
async def talking() -> AsyncIterator[Desk]:
    desk = Desk()
    running = asyncio.create_task(desk.recorder.run())
    see = desk.calls.see
    see(
        Arrived(
            call="1.1", at=AT, channel="PJSIP/trunk-1", number="13800138000", entry="110", back=""
        )
    )
    see(
        Born(call="1.1", at=AT, leg="1.2", channel="PJSIP/8001-2", role=Role.SEAT, name="seat-8001")
    )
    see(Entered(call="1.1", at=AT, leg="1.1", bridge="b"))
    see(Entered(call="1.1", at=AT, leg="1.2", bridge="b"))
    try:
        yield desk
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_the_lock_is_begun_before_and_the_dial_comes_after_the_commit() -> None:
    async with talking() as desk:
        await desk.three_way()
    assert desk.told == ["begun", "stored", "dialled"]


async def test_what_was_begun_is_given_up_when_the_commit_fails() -> None:
    async with talking() as desk:
        desk.error = StoreFull("disk full")
        with pytest.raises(Refused, match="store-cannot-write"):
            await desk.three_way()
    assert desk.told == ["begun", "not stored", "given up"]


async def test_nothing_is_begun_while_an_earlier_act_of_the_case_is_under_way() -> None:
    """It might be the very act that takes the lock off."""
    async with talking() as desk:
        case = desk.calls.book.calls["1.1"].case
        earlier = asyncio.Event()

        async def work() -> None:
            await earlier.wait()

        desk.spawn(desk.calls._box(case).in_turn(work), "earlier")
        await asyncio.sleep(0)
        desk.spawn(desk.three_way(), "three-way")
        async with asyncio.timeout(5):
            while "stored" not in desk.told:
                await asyncio.sleep(0)
        earlier.set()
        async with asyncio.timeout(5):
            while "dialled" not in desk.told:
                await asyncio.sleep(0)
    assert desk.told == ["stored", "dialled"]
