"""The room: a clock set back neither keeps a seat from work nor spoils a recording, and
a seat's facts are stored in their order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from bridge.domain.acts import Act
from bridge.domain.agent import AE, AgentAct
from bridge.domain.call import Leg, Role, Seat
from bridge.flows.cases import CaseNumbers
from bridge.flows.ports import Store, Transaction
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room, leg_times
from tests.flows.test_cases import ZONE

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
WRAP_UP = timedelta(seconds=5)


class Clock:
    """Stands where it was put."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


class Kept(Recorder):
    """Transactions in the order in which they came; a commit ends when it is let go."""

    def __init__(self) -> None:
        super().__init__(cast(Store, None), lambda words: None)
        self.works: list[Transaction] = []
        self.let_go = asyncio.Event()

    def record(self, work: Transaction) -> None:
        self.works.append(work)

    async def commit(self, work: Transaction) -> None:
        self.works.append(work)
        await self.let_go.wait()

    @property
    def kinds(self) -> list[str]:
        return [fact.kind for work in self.works for fact in work.facts]


class Queue:
    """A switch that does what seats ask for."""

    async def carry_out(self, act: Act) -> None:
        raise NotImplementedError

    async def agent(self, act: AgentAct) -> None:
        pass


def room_of(clock: Clock, recorder: Recorder) -> Room:
    return Room(
        recorder=recorder,
        switch=Queue(),
        clock=clock,
        numbers=CaseNumbers(ZONE),
        targets={},
        new_id=lambda: "new",
        spawn=lambda work, name: work.close(),
        wrap_up=WRAP_UP,
        on_over=lambda call: None,
    )


@pytest.mark.parametrize(
    ("later", "state"),
    [(0.0, "workingAfterCall"), (4.9, "workingAfterCall"), (5.0, "ready"), (-3600.0, "ready")],
)
def test_wrap_up_ends_in_time_and_when_the_clock_is_set_back(later: float, state: str) -> None:
    clock, recorder = Clock(), Kept()
    room = room_of(clock, recorder)
    room.book.seats["8001"] = Seat("8001", "workingAfterCall", "a", until=AT + WRAP_UP)
    clock.at += timedelta(seconds=later)
    room.end_wrap_ups()
    assert room.book.seats["8001"].state == state
    assert recorder.kinds == (["agent.ready"] if state == "ready" else [])


def test_an_end_before_the_beginning_is_not_known() -> None:
    leg = Leg("s1", "PJSIP/8001-1", Role.SEAT, "seat-8001", joined_at=AT)
    leg.cleared_at = AT + timedelta(seconds=9)
    assert leg_times(leg) == ("seat-8001", AT, leg.cleared_at)
    leg.cleared_at = AT - timedelta(hours=1)
    assert leg_times(leg) == ("seat-8001", AT, None)


async def test_what_a_telephone_does_while_its_seat_logs_on_is_told_after_it() -> None:
    """Else the row would say that nobody is logged on, and the next start believe it."""
    recorder = Kept()
    room = room_of(Clock(), recorder)
    logging_on = asyncio.ensure_future(
        room.agent("8001", AE.LOG_ON, actor="t", key="k", agent="li", role="110")
    )
    while not recorder.kinds:
        await asyncio.sleep(0)
    room.phone("8001", "Reachable")
    assert recorder.kinds == ["agent.loggedOn"]
    recorder.let_go.set()
    await logging_on
    assert recorder.kinds == ["agent.loggedOn", "seat.phone"]
    last = recorder.works[-1].rows[-1]
    assert (last.state, last.doc["phone"]) == ("notReady", "Reachable")
