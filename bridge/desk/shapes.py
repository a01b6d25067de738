"""What clients are answered: the shapes in the published contract. Members may be added in v1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

Time = str | None


class Leg(BaseModel):
    """通话支路."""

    id: str
    channel: str
    role: Literal["citizen", "seat", "hotline", "unit", "leader", "radio"]
    name: str
    number: str
    handoff: str | None
    bridge: str | None
    held: bool
    muted: bool
    initiated_at: Time
    alerting_at: Time
    answered_at: Time
    joined_at: Time
    left_at: Time
    cleared_at: Time
    cause: int | None
    state: Literal["null", "initiated", "alerting", "connected", "hold"]
    seat: str | None


class Handoff(BaseModel):
    """移交."""

    id: str
    kind: str
    target: str
    seat: str | None
    actor: str
    state: str
    outcome: str | None
    leave: bool
    cancelled: bool
    fallback_tried: bool
    leg: str | None
    times: dict[str, str]
    learnt: bool


class CallDoc(BaseModel):
    """A citizen's call with its legs and handoffs, and the services possible now."""

    id: str
    case: str
    channel: str
    number: str
    entry: str
    state: str
    offered_at: Time
    cleared_at: Time
    outcome: str | None
    seat: str | None
    last_left: str | None
    ended_by: str | None
    callback: bool
    legs: list[Leg]
    handoffs: list[Handoff]
    unobserved: list[list[str]]
    seen_at: Time
    possible: list[str]


class SeatDoc(BaseModel):
    """坐席."""

    id: str
    state: str
    agent: str
    role: str
    reason: str
    next_state: str | None
    since: Time
    until: Time
    phone: str


class LinkDoc(BaseModel):
    """A link to the outside: `state` up, degraded or down; `detail` in its own words."""

    state: Literal["up", "degraded", "down"]
    detail: str
    since: str


class AlarmDoc(BaseModel):
    """Something a person must look at."""

    alarm: str
    words: str
    since: str


class ModemDoc(BaseModel):
    """What one fax modem does; what does not apply is null. `page` is on the line, or was
    confirmed last."""

    modem: str
    port: str
    state: Literal[
        "idle", "dialling", "sending", "receiving", "paused", "held", "unplugged", "away"
    ]
    why: str
    key: str | None
    number: str | None
    page: int | None
    of: int | None
    confirmed: int | None
    bps: int | None
    ecm: bool | None
    far_id: str | None


class FaxWaiting(BaseModel):
    """A fax that waits for a modem, or for its hours."""

    key: str
    number: str
    urgent: bool
    pages: int


class FaxBoard(BaseModel):
    """The modems of one gateway, and what waits, in its order. `paused`: why nothing is sent."""

    gateway: str
    modems: list[ModemDoc]
    waiting: list[FaxWaiting]
    paused: str | None


class FaxBlocked(BaseModel):
    """A number that is not dialled."""

    number: str
    reason: str


class FaxPaused(BaseModel):
    """A modem that rests; an empty name stands for all sending."""

    modem: str
    reason: str


class FaxDoc(BaseModel):
    """The fax desk."""

    boards: list[FaxBoard]
    blocked: list[FaxBlocked]
    paused: list[FaxPaused]


class FaxDone(BaseModel):
    """The modem or number that was decided about."""

    subject: str


class Snapshot(BaseModel):
    """Everything true now; events after `seq` of this `epoch` tell the rest."""

    epoch: str
    seq: int
    now: str
    calls: list[CallDoc]
    seats: list[SeatDoc]
    links: dict[str, LinkDoc]
    alarms: list[AlarmDoc]
    talking: list[str]
    fax: list[FaxBoard]


class CallList(BaseModel):
    """Live calls."""

    calls: list[CallDoc]


class SeatList(BaseModel):
    """All seats."""

    seats: list[SeatDoc]


class TargetDoc(BaseModel):
    """Somebody who can be called into a case."""

    id: str
    title: str
    role: str
    accept: Literal["press", "answer"]
    ring_timeout: int


class TargetList(BaseModel):
    """All of them."""

    targets: list[TargetDoc]


class Accepted(BaseModel):
    """A command under way; its events carry `cause.command` = its Idempotency-Key."""

    call: str
    handoff: str


class AgentAccepted(BaseModel):
    """An agent's service, done."""

    seat: str


class StoreDoc(BaseModel):
    """The durable memory: why it cannot write (or empty), what waits, what to look at."""

    away: str
    waiting: int
    warnings: list[str]


class Health(BaseModel):
    """The daemon lives; how its links and its store are."""

    status: Literal["up", "degraded"]
    epoch: str
    seq: int
    links: dict[str, LinkDoc]
    store: StoreDoc
    calls: int


class ProblemDoc(BaseModel):
    """RFC 9457. `state` and `possible` where a call refused."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    state: str | None = None
    possible: list[str] = []
    errors: list[dict[str, str]] = []
