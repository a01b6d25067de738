"""The call-taker at a seat: CSTA agent states in one table (softphone sheet 7.2).

    LoggedOff -> NotReady <-> Ready -> Reserved -> Busy -> WorkingAfterCall -> Ready

Wrap-up is ours, as a pause of the queue member: with the daemon dead nobody is held back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Literal

from bridge.domain.call import Book, Seat
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json


class A(StrEnum):
    """Agent states."""

    LOGGED_OFF = "loggedOff"
    NOT_READY = "notReady"
    READY = "ready"
    RESERVED = "reserved"
    BUSY = "busy"
    AFTER_CALL = "workingAfterCall"


class AE(Enum):
    """Events of an agent: services, and what its telephone does."""

    LOG_ON = "log on"
    LOG_OFF = "log off"
    SET_READY = "set ready"
    SET_NOT_READY = "set not ready"
    SET_AFTER_CALL = "set working after call"
    ALERTING = "the telephone rings for a citizen"
    CONNECTED = "the telephone is in a call"
    NO_ANSWER = "the ring was not answered"
    CLEARED = "the last leg was cleared"
    WRAP_OVER = "the time for wrap-up is over"


AGENT: dict[A, dict[AE, A | str]] = {
    A.LOGGED_OFF: {AE.LOG_ON: A.NOT_READY},
    A.NOT_READY: {
        AE.LOG_ON: "already-logged-on",
        AE.LOG_OFF: A.LOGGED_OFF,
        AE.SET_READY: A.READY,
        AE.SET_NOT_READY: A.NOT_READY,
        AE.SET_AFTER_CALL: A.AFTER_CALL,
        AE.ALERTING: A.RESERVED,
        AE.CONNECTED: A.BUSY,
    },
    A.READY: {
        AE.LOG_ON: "already-logged-on",
        AE.LOG_OFF: A.LOGGED_OFF,
        AE.SET_READY: A.READY,
        AE.SET_NOT_READY: A.NOT_READY,
        AE.SET_AFTER_CALL: A.AFTER_CALL,
        AE.ALERTING: A.RESERVED,
        AE.CONNECTED: A.BUSY,
    },
    A.RESERVED: {
        AE.LOG_ON: "already-logged-on",
        AE.LOG_OFF: "seat-busy",
        AE.SET_READY: A.RESERVED,
        AE.SET_NOT_READY: A.NOT_READY,
        AE.SET_AFTER_CALL: "seat-busy",
        AE.CONNECTED: A.BUSY,
        AE.NO_ANSWER: A.NOT_READY,
        AE.CLEARED: A.READY,
    },
    A.BUSY: {
        AE.LOG_ON: "already-logged-on",
        AE.LOG_OFF: "seat-busy",
        AE.SET_READY: A.BUSY,
        AE.SET_NOT_READY: A.BUSY,
        AE.SET_AFTER_CALL: A.BUSY,
        AE.CLEARED: A.AFTER_CALL,
    },
    A.AFTER_CALL: {
        AE.LOG_ON: "already-logged-on",
        AE.LOG_OFF: A.LOGGED_OFF,
        AE.SET_READY: A.READY,
        AE.SET_NOT_READY: A.NOT_READY,
        AE.SET_AFTER_CALL: A.AFTER_CALL,
        AE.ALERTING: A.RESERVED,
        AE.CONNECTED: A.BUSY,
        AE.WRAP_OVER: A.READY,
    },
}

_SERVICES = {AE.LOG_ON, AE.LOG_OFF, AE.SET_READY, AE.SET_NOT_READY, AE.SET_AFTER_CALL}


def agent_step(state: A, event: AE) -> A | str | None:
    """Next state, a refusal's code, or None where the event says nothing here. Total."""
    found = AGENT[state].get(event)
    if found is None and event in _SERVICES:
        return "not-logged-on"
    return found


@dataclass(frozen=True, slots=True)
class AgentAct:
    """What the queue is told about a seat."""

    what: Literal["add", "remove", "pause", "unpause"]
    seat: str
    agent: str = ""
    reason: str = ""


def agent_event(
    book: Book,
    seat: str,
    event: AE,
    *,
    at: datetime,
    actor: str = "switch",
    agent: str = "",
    role: str = "",
    reason: str = "",
    wrap_up: timedelta = timedelta(seconds=0),
) -> tuple[list[Fact], list[AgentAct]]:
    """Facts and acts that follow from one event of a seat's agent. Raises Refused."""
    record = book.seats.get(seat) or Seat(seat)
    now = A(record.state)
    found = agent_step(now, event)
    if found is None:
        return [], []
    if not isinstance(found, A):
        raise Refused(found, now.value)
    data: dict[str, Json] = {}
    kind = found.value
    if now in (A.BUSY, A.RESERVED) and found is now:
        want = {AE.SET_READY: A.READY, AE.SET_NOT_READY: A.NOT_READY}.get(event, A.AFTER_CALL)
        kind, data = "next", {"state": want.value, "reason": reason}
    elif event is AE.LOG_ON:
        kind, data = "loggedOn", {"agent": agent, "role": role}
    elif event is AE.CLEARED and now is A.BUSY:
        found, data = _after_call(record, at, wrap_up)
        kind = found.value
    elif found is A.NOT_READY:
        data = {"reason": "ring-no-answer" if event is AE.NO_ANSWER else reason}
    fact = Fact(f"agent.{kind}", at, subject=seat, actor=actor, data=data)
    acts = _queue_acts(seat, now, found, event, agent, reason=str(data.get("reason", "")))
    book.apply(fact)
    return [fact], acts


def _after_call(record: Seat, at: datetime, wrap_up: timedelta) -> tuple[A, dict[str, Json]]:
    """Wrap-up, unless something else was asked for during the call."""
    if record.next_state == A.NOT_READY.value:
        return A.NOT_READY, {"reason": record.reason}
    if record.next_state == A.READY.value or not wrap_up:
        return A.READY, {}
    until = (at + wrap_up).isoformat()
    return A.AFTER_CALL, {"until": until}


def queue_mends(book: Book, members: Mapping[str, bool]) -> list[AgentAct]:
    """What the queue must be told so that it agrees with the book.

    `members`: the queue's seats, True where paused. Seats that the book does not know are left
    alone: somebody else's members. A seat that rings or talks is left as it is.
    """
    acts: list[AgentAct] = []
    for seat in book.seats.values():
        state, paused = A(seat.state), members.get(seat.id)
        if state is A.LOGGED_OFF:
            acts += [AgentAct("remove", seat.id)] if paused is not None and seat.since else []
            continue
        if paused is None:
            acts.append(AgentAct("add", seat.id, seat.agent, "notReady"))
            paused = True
        if state is A.READY and paused:
            acts.append(AgentAct("unpause", seat.id))
        elif state in (A.NOT_READY, A.AFTER_CALL) and not paused:
            acts.append(AgentAct("pause", seat.id, reason=seat.reason or state.value))
    return acts


def _queue_acts(
    seat: str, before: A, after: A, event: AE, agent: str, *, reason: str
) -> list[AgentAct]:
    if event is AE.LOG_ON:
        return [AgentAct("add", seat, agent, "notReady")]
    if after is A.LOGGED_OFF:
        return [AgentAct("remove", seat)]
    if after is A.READY:
        return [AgentAct("unpause", seat)]
    if after in (A.NOT_READY, A.AFTER_CALL) and before is not after:
        return [AgentAct("pause", seat, reason=reason or after.value)]
    return []
