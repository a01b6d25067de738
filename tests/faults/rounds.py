"""One round: calls in their states, one fault for all of them, and what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.domain.conversation import S
from bridge.lab.phone import Behaviour
from bridge.store.connection import open_reading
from tests.faults.cell import Bounds, Fate, Line, broken
from tests.faults.matrix import LASTING, Fault, Kill, Trouble, bounds, nonsense
from tests.faults.stage import SEATS, UNITS, Stage, Talk, now
from tests.faults.states import bring, talk_with_seats
from tests.faults.steps import Step
from tests.faults.strikes import STRIKES, restart
from tests.faults.truth import Seen, double_acts, fate, silence_ms, wait_lost, wait_truth
from tests.faults.witness import NAMED, watch

TRUTH_WAIT_S: Final = 15.0
TAIL_S: Final = 1.2
"""How long the legs are listened to after the desk shows the truth."""
NOT_REACHED: Final = "the step was never reached"
DEATH_S: Final = 10.0
"""By then the daemon has come to the step at which it shall die."""
HANDOFF = "SELECT 1 FROM journal WHERE kind = 'handoff.requested' AND subject = ?"


@dataclass(frozen=True, slots=True)
class Judged:
    """A cell, and the promises it broke."""

    line: Line
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What is judged after everybody has hung up: listening again takes time."""

    talk: Talk
    bounds: Bounds
    fate: Fate
    double: int
    seen: Seen
    until: float


async def run_fault(
    stage: Stage, fault: Fault, only: Sequence[S] = LASTING
) -> list[tuple[S, Judged]]:
    """This fault in every state of `only` where it makes sense."""
    states = [state for state in only if not nonsense(state, fault)]
    talks = dict(zip(states, await bring(stage, states), strict=True))
    since = now()
    try:
        mended = await STRIKES[fault.trouble](stage, talks, fault)
    finally:
        await mend(stage)
    limits = [bounds(state, fault) for state in states]
    names = [(f"{state.value} × {fault.name}", state.value, fault.name) for state in states]
    judged = await _judge(stage, list(talks.values()), limits, names, since, mended)
    if fault.trouble in (Trouble.CLOCK_ON, Trouble.CLOCK_BACK, Trouble.ASTERISK):
        stage.orders.give()
        await stage.register()
    return list(zip(states, judged, strict=True))


async def mend(stage: Stage) -> None:
    """Roads open, disk well, no step armed. The clock stays where it was set."""
    stage.doom(None)
    for road in (stage.ami, stage.agi):
        if road.mode != "open":
            await road.be("open")


async def run_kill(stage: Stage, kill: Kill) -> Judged:
    """The daemon dies at a named step of what is done in one state, and comes back."""
    since = 0.0

    def arm(call: str) -> None:
        nonlocal since
        since = now()
        stage.doom(Step(kill.place, kill.what, call))

    async with watch(stage) as witness:
        talk = await _SCENES.get(kill.doing, _asking)(stage, kill, arm)
        died = await _wait_death(stage)
    await mend(stage)
    mended = await restart(stage) if died else now()
    name = (f"{kill.state.value} × {kill.name}", kill.state.value, kill.name)
    (judged,) = await _judge(stage, [talk], [kill.bounds], [name], since, mended)
    missing = await witness.missing()
    line = replace(judged.line, shown=witness.shown, lost=len(missing))
    if missing:
        line = replace(line, detail="; ".join([line.detail, *missing[:NAMED]]))
    if died:
        return Judged(line, tuple(broken(line, kill.bounds)))
    judged = replace(judged, line=line)
    return Judged(replace(judged.line, detail=NOT_REACHED), (*judged.broken, NOT_REACHED))


async def _wait_death(stage: Stage) -> bool:
    ends = now() + DEATH_S
    while now() < ends:
        if not stage.world.daemon.running:
            return True
        await asyncio.sleep(0.02)
    return False


Arm = Callable[[str], None]


async def _asking(stage: Stage, kill: Kill, arm: Arm) -> Talk:
    """A call in that state whose call-taker asks for a service."""
    (talk,) = await bring(stage, [kill.state])
    body = {"to": talk.third.user} if kill.doing in ("three-way", "transfer", "consult") else {}
    arm(talk.id)
    await talk.ask(kill.doing, **body)
    return talk


async def _dials(stage: Stage, kill: Kill, arm: Arm) -> Talk:
    await stage.only_ready([])
    arm("*")
    return await stage.dial(UNITS[0])


async def _answers(stage: Stage, kill: Kill, arm: Arm) -> Talk:
    seat = stage.phones[SEATS[0]]
    seat.behaviour = Behaviour(delay=0.3)
    await stage.only_ready([seat.user])
    arm("*")
    talk = await stage.dial(UNITS[0])
    talk.seat = seat
    return talk


async def _seat_hangs_up(stage: Stage, kill: Kill, arm: Arm) -> Talk:
    (talk,) = await talk_with_seats(stage, 1)
    at_seat = talk.at(talk.seat)
    assert at_seat is not None
    arm(talk.id)
    await at_seat.hangup()
    return talk


async def _citizen_hangs_up(stage: Stage, kill: Kill, arm: Arm) -> Talk:
    (talk,) = await talk_with_seats(stage, 1)
    arm(talk.id)
    await talk.citizen.hangup()
    return talk


_SCENES: Mapping[str, Callable[[Stage, Kill, Arm], Awaitable[Talk]]] = {
    "dial": _dials,
    "answer": _answers,
    "seat hangs up": _seat_hangs_up,
    "citizen hangs up": _citizen_hangs_up,
}


async def _judge(
    stage: Stage,
    talks: Sequence[Talk],
    limits: Sequence[Bounds],
    names: Sequence[tuple[str, str, str]],
    since: float,
    mended: float,
) -> list[Judged]:
    """Wait for the truth, listen a little longer, end the calls, then judge what was heard."""
    await asyncio.gather(*(talk.repeat_unanswered() for talk in talks))
    lost = any(limit.asterisk for limit in limits)
    seen = await (wait_lost if lost else wait_truth)(stage, talks, TRUTH_WAIT_S)
    await asyncio.sleep(TAIL_S)
    until = now()
    heard = [
        _Heard(
            talk,
            limit,
            fate(talk, limit, until),
            double_acts(talk),
            one,
            stage.dead.get(talk.number, until),
        )
        for talk, limit, one in zip(talks, limits, seen, strict=True)
    ]
    await well(stage)
    missing = await asyncio.to_thread(not_in_journal, stage, talks)
    await stage.clear()
    found = []
    for one, name in zip(heard, names, strict=True):
        silence = 0 if lost else silence_ms(one.talk, since, one.until)
        truth = None if one.seen.at is None else round(max(0.0, one.seen.at - mended), 2)
        detail = one.seen.differed if truth is None else ""
        line = Line(*name, one.fate, silence, missing[one.talk.number], one.double, truth)
        line = replace(line, detail=detail)
        found.append(Judged(line, tuple(broken(line, one.bounds))))
    return found


async def well(stage: Stage) -> None:
    """The daemon runs and its store takes what waits."""
    if not stage.world.daemon.running:
        await stage.world.daemon.start(wait_up=False)
    await stage.world.daemon.wait_up()


def not_in_journal(stage: Stage, talks: Sequence[Talk]) -> dict[str, int]:
    """Handoffs whose acceptance was answered and that the journal does not have, by citizen."""
    found = {}
    with open_reading(stage.store) as connection:
        for talk in talks:
            told = [
                str(asked.reply.doc["handoff"])
                for asked in talk.asked.values()
                if asked.calls_a_third and asked.reply is not None and asked.reply.ok
            ]
            there = [bool(list(connection.execute(HANDOFF, (ident,)))) for ident in told]
            found[talk.number] = there.count(False)
    return found
