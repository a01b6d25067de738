"""The room: a clock that is set back neither keeps a seat from work nor spoils a recording."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from bridge.domain.acts import Act
from bridge.domain.agent import AgentAct
from bridge.domain.call import Call, Leg, Role, Seat
from bridge.domain.seen import Arrived, Born, Gone
from bridge.flows.cases import CaseNumbers
from bridge.flows.ports import Store, Transaction
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room, leg_times
from tests.flows.test_cases import ZONE

CALL = "1764000000.1"
AT = datetime(2026, 11, 24, 3, tzinfo=UTC)
HOTLINE = Born(
    call=CALL, at=AT, leg="key-1", channel="PJSIP/12345-1", role=Role.HOTLINE, name="hotline"
)
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


def room_of(
    clock: Clock, recorder: Recorder, on_over: Callable[[Call], None] = lambda call: None
) -> Room:
    return Room(
        recorder=recorder,
        switch=Queue(),
        clock=clock,
        numbers=CaseNumbers(ZONE),
        targets={},
        new_id=lambda: "new",
        spawn=lambda work, name: work.close(),
        wrap_up=WRAP_UP,
        on_over=on_over,
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


async def test_a_leg_that_comes_to_light_while_the_recording_is_joined_keeps_the_call() -> None:
    """Its own end closes the call: until then memory does not let it go."""
    recorder, over = Kept(), list[Call]()
    room = room_of(Clock(), recorder, over.append)
    room.see(Arrived(call=CALL, at=AT, channel="PJSIP/trunk-1", number="138", entry="110"))
    room.see(Gone(call=CALL, at=AT, leg=CALL, cause=16))
    (call,) = over

    async def joined(_: Call) -> Mapping[str, Any]:
        if not call.legs.get("key-1"):
            room.see(HOTLINE)
        return {"tracks": []}

    await room.close(call, joined)
    assert room.book.calls == {CALL: call}
    room.see(Gone(call=CALL, at=AT, leg="key-1", cause=16))
    assert over == [call, call]
    await asyncio.gather(room.close(call, joined), room.close(call, joined))
    assert room.book.calls == {}
    assert recorder.kinds.count("recording.closed") == 1


def test_an_end_before_the_beginning_is_not_known() -> None:
    leg = Leg("s1", "PJSIP/8001-1", Role.SEAT, "seat-8001", joined_at=AT)
    leg.cleared_at = AT + timedelta(seconds=9)
    assert leg_times(leg) == ("seat-8001", AT, leg.cleared_at)
    leg.cleared_at = AT - timedelta(hours=1)
    assert leg_times(leg) == ("seat-8001", AT, None)
