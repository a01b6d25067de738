"""The room: a clock that is set back neither keeps a seat from work nor spoils a recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from bridge.domain.acts import Act
from bridge.domain.agent import AgentAct
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
    """Facts as they were recorded."""

    def __init__(self) -> None:
        super().__init__(cast(Store, None), lambda words: None)
        self.kinds: list[str] = []

    def record(self, work: Transaction) -> None:
        self.kinds += [fact.kind for fact in work.facts]


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
