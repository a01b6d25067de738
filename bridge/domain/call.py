"""The record of a call, its legs and its handoffs: what follows from the facts, and nothing else.

A `Book` is the fold of a journal: `apply` takes one fact after another and is the only place where
records change. The daemon's live state, what the desk is shown, and `db rebuild` are all such
folds, so they cannot disagree about what a fact means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from bridge.domain.conversation import S
from bridge.domain.handoff import H
from bridge.domain.journal import Fact, Json, iso
from bridge.domain.order_book import GROUPS, OrderBook


class Role(StrEnum):
    """What a leg is in its call."""

    CITIZEN = "citizen"
    SEAT = "seat"
    HOTLINE = "hotline"
    UNIT = "unit"
    LEADER = "leader"
    RADIO = "radio"
    """A radio group by its gateway: it hears and talks, and is no person who could take a call."""


@dataclass(slots=True)
class Leg:
    """One party's connection (通话支路). Times are UTC or None while it has not happened."""

    id: str
    channel: str
    role: Role
    name: str
    number: str = ""
    handoff: str | None = None
    bridge: str | None = None
    held: bool = False
    muted: bool = False
    initiated_at: datetime | None = None
    alerting_at: datetime | None = None
    answered_at: datetime | None = None
    joined_at: datetime | None = None
    left_at: datetime | None = None
    cleared_at: datetime | None = None
    cause: int | None = None

    @property
    def seat(self) -> str | None:
        """The seat whose telephone this is, or None."""
        return self.name.removeprefix("seat-") if self.role is Role.SEAT else None

    @property
    def live(self) -> bool:
        return self.cleared_at is None

    @property
    def state(self) -> str:
        """CSTA local connection state."""
        if not self.live:
            return "null"
        if self.held:
            return "hold"
        if self.answered_at or self.joined_at:
            return "connected"
        return "alerting" if self.alerting_at else "initiated"


@dataclass(slots=True)
class Handoff:
    """One handing-over of the matter (移交), with every time it went through."""

    id: str
    kind: str  # three-way | transfer | consult | key | incoming
    target: str
    seat: str | None
    actor: str
    state: H = H.REQUESTED
    outcome: str | None = None
    leave: bool = False
    cancelled: bool = False
    fallback_tried: bool = False
    leg: str | None = None
    times: dict[str, datetime] = field(default_factory=dict)
    learnt: bool = False

    @property
    def being_called(self) -> bool:
        """Nobody over there has accepted yet."""
        return self.state in (H.REQUESTED, H.RINGING, H.ANSWERED)


@dataclass(slots=True)
class Call:
    """One citizen's call; its id is the citizen's Uniqueid (channel variable CASE)."""

    id: str
    case: str
    channel: str
    number: str
    entry: str
    state: S = S.QUEUED
    offered_at: datetime | None = None
    cleared_at: datetime | None = None
    outcome: str | None = None
    seat: str | None = None
    last_left: str | None = None
    ended_by: str | None = None
    intent: dict[str, Json] | None = None
    callback: bool = False
    legs: dict[str, Leg] = field(default_factory=dict)
    handoffs: dict[str, Handoff] = field(default_factory=dict)
    unobserved: list[tuple[datetime, datetime]] = field(default_factory=list)
    recording: Mapping[str, Json] | None = None
    seen_at: datetime | None = None

    @property
    def citizen(self) -> Leg:
        return self.legs[self.id]

    @property
    def live(self) -> bool:
        return self.state is not S.CLEARED

    def others(self) -> list[Leg]:
        """Legs in the citizen's bridge beside the citizen."""
        bridge = self.citizen.bridge
        if bridge is None:
            return []
        return [leg for leg in self.legs.values() if leg.bridge == bridge and leg.id != self.id]

    def companions(self, leg: Leg) -> list[Leg]:
        """Legs in the same bridge as `leg`, beside itself."""
        if leg.bridge is None:
            return []
        return [
            other for other in self.legs.values() if other.bridge == leg.bridge and other is not leg
        ]

    def seat_leg(self, seat: str | None) -> Leg | None:
        """The live leg of that seat, or None."""
        for leg in self.legs.values():
            if leg.live and leg.role is Role.SEAT and leg.seat == seat:
                return leg
        return None

    def persons(self) -> list[Leg]:
        """Those with the citizen who are people at a telephone."""
        return [leg for leg in self.others() if leg.role is not Role.RADIO]

    def called(self) -> Handoff | None:
        """The handoff whose third is being called, or None: there is never more than one."""
        return next((h for h in self.handoffs.values() if h.being_called), None)


@dataclass(slots=True)
class Seat:
    """A call-taker's position (坐席) as its facts tell."""

    id: str
    state: str = "loggedOff"
    agent: str = ""
    role: str = ""
    reason: str = ""
    next_state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    phone: str = ""


@dataclass(slots=True)
class Case:
    """One citizen's matter (求助件), as its first call opened it; its calls name it."""

    number: str
    caller: str
    entry: str
    opened_at: datetime


class Book:
    """The fold of a journal: cases, calls, seats and orders as their facts leave them."""

    def __init__(self) -> None:
        self.orders = OrderBook()
        self.calls: dict[str, Call] = {}
        self.cases: dict[str, Case] = {}
        self.seats: dict[str, Seat] = {}

    def apply(self, fact: Fact) -> None:
        """Let one fact take effect. Facts of unknown kind change nothing (newer journals)."""
        group, _, name = fact.kind.partition(".")
        if group == "agent" or group == "seat":
            _seat(self.seats.setdefault(fact.subject or "", Seat(fact.subject or "")), name, fact)
            return
        if group in GROUPS:
            self.orders.apply(fact)
            return
        if fact.kind == "call.offered":
            self._offered(fact)
            return
        call = self.calls.get(fact.call or "")
        if call is None:
            return
        if fact.actor == "switch":  # what people ask for tells nothing of the switch
            call.seen_at = max(call.seen_at, fact.at) if call.seen_at else fact.at
        if group == "handoff":
            _handoff(call, name, fact)
        elif fact.kind in _ON_CALL:
            _ON_CALL[fact.kind](call, fact)
        elif fact.kind in _ON_LEG and fact.subject in call.legs:
            _ON_LEG[fact.kind](call, call.legs[fact.subject or ""], fact)

    def forget(self, call: str) -> None:
        """Drop a call that is over and whose record is durable, so that memory stays bounded."""
        gone = self.calls.pop(call, None)
        if gone is not None and all(c.case != gone.case for c in self.calls.values()):
            self.cases.pop(gone.case, None)

    def _offered(self, fact: Fact) -> None:
        data: Mapping[str, Any] = fact.data
        if fact.call is None or fact.case is None or fact.call in self.calls:
            return
        call = Call(fact.call, fact.case, data["channel"], data["number"], data["entry"])
        call.offered_at = call.seen_at = fact.at
        citizen = Leg(fact.call, data["channel"], Role.CITIZEN, "citizen", data["number"])
        citizen.initiated_at = fact.at
        call.legs[fact.call] = citizen
        self.calls[fact.call] = call
        if data.get("opens_case", True):
            self.cases[fact.case] = Case(fact.case, call.number, call.entry, fact.at)


def _state(call: Call, fact: Fact) -> None:
    before, call.state = call.state, S(str(fact.data["to"]))
    if before is S.ENDING and call.state is not S.CLEARED:
        call.ended_by = None  # somebody joined while goodbye was being said: it goes on


def _intends(call: Call, fact: Fact) -> None:
    found = fact.data.get("intent")
    call.intent = dict(found) if isinstance(found, dict) else None


def _originated(call: Call, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    leg = call.legs.setdefault(
        fact.subject or "",
        Leg(fact.subject or "", data["channel"], Role(data["role"]), data["name"]),
    )
    leg.channel, leg.name, leg.role = data["channel"], data["name"], Role(data["role"])
    leg.number = data.get("number", "") or leg.number
    leg.handoff = data.get("handoff") or leg.handoff
    leg.initiated_at = leg.initiated_at or fact.at
    if leg.handoff in call.handoffs:
        call.handoffs[leg.handoff].leg = leg.id


def _established(call: Call, leg: Leg, fact: Fact) -> None:
    leg.bridge = str(fact.data["bridge"])
    leg.held = False
    leg.answered_at = leg.answered_at or fact.at
    leg.joined_at = leg.joined_at or fact.at
    leg.left_at = None
    if leg.seat is not None and call.citizen.bridge in (None, leg.bridge):
        call.seat = leg.seat


def _left(call: Call, leg: Leg, fact: Fact) -> None:
    leg.bridge = None
    leg.left_at = fact.at
    if leg.role not in (Role.CITIZEN, Role.RADIO):
        call.last_left = leg.role.value


def _connection_cleared(call: Call, leg: Leg, fact: Fact) -> None:
    cause = fact.data.get("cause")
    leg.bridge = None
    leg.cleared_at = fact.at
    leg.left_at = leg.left_at or (fact.at if leg.joined_at else None)
    leg.cause = cause if isinstance(cause, int) else None


def _alerting(_: Call, leg: Leg, fact: Fact) -> None:
    leg.alerting_at = leg.alerting_at or fact.at


def _answered(_: Call, leg: Leg, fact: Fact) -> None:
    leg.answered_at = leg.answered_at or fact.at


def _held(_: Call, leg: Leg, fact: Fact) -> None:
    leg.held = True


def _late(_: Call, leg: Leg, fact: Fact) -> None:
    leg.cleared_at = leg.cause = None


def _muted(_: Call, leg: Leg, fact: Fact) -> None:
    leg.muted = bool(fact.data["on"])


def _callback(call: Call, _: Fact) -> None:
    call.callback = True


def _ended_by(call: Call, fact: Fact) -> None:
    by = fact.data["by"]
    call.ended_by = str(by) if by is not None else None


def _unobserved(call: Call, fact: Fact) -> None:
    start, end = (
        datetime.fromisoformat(str(fact.data["from"])),
        datetime.fromisoformat(str(fact.data["to"])),
    )
    call.unobserved.append((start, end))


def _recording(call: Call, fact: Fact) -> None:
    call.recording = fact.data


def _cleared(call: Call, fact: Fact) -> None:
    call.state = S.CLEARED
    call.cleared_at = fact.at
    call.outcome = str(fact.data["outcome"])
    call.intent = None


_ON_CALL: dict[str, Callable[[Call, Fact], None]] = {
    "call.state": _state,
    "call.intends": _intends,
    "call.originated": _originated,
    "call.callback": _callback,
    "call.ending": _ended_by,
    "call.unobserved": _unobserved,
    "call.cleared": _cleared,
    "recording.closed": _recording,
}

_ON_LEG: dict[str, Callable[[Call, Leg, Fact], None]] = {
    "call.delivered": _alerting,
    "leg.answered": _answered,
    "call.established": _established,
    "leg.left": _left,
    "call.held": _held,
    "call.connectionCleared": _connection_cleared,
    "leg.late": _late,
    "leg.muted": _muted,
}


def _handoff(call: Call, name: str, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    ident = fact.subject or ""
    if name == "requested":
        found = Handoff(ident, data["kind"], data["target"], data["seat"], fact.actor)
        found.leave = bool(data.get("leave"))
        call.handoffs.setdefault(ident, found)
    handoff = call.handoffs.get(ident)
    if handoff is None:
        return
    handoff.learnt = handoff.learnt or fact.learnt_at is not None
    if name in _MARKS:
        setattr(handoff, _MARKS[name], True)
    if name in H._value2member_map_:
        handoff.state = H(name)
        handoff.times.setdefault(name, fact.at)
    if name == "ended":
        handoff.outcome = data["outcome"]


_MARKS = {"leaveLater": "leave", "cancelled": "cancelled", "fallback": "fallback_tried"}

_AGENT_STATES = {
    "loggedOn": "notReady",
    "loggedOff": "loggedOff",
    "ready": "ready",
    "notReady": "notReady",
    "reserved": "reserved",
    "busy": "busy",
    "workingAfterCall": "workingAfterCall",
}


def _seat(seat: Seat, name: str, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    if name == "phone":
        seat.phone = data["state"]
        return
    if name == "next":
        seat.next_state = data["state"]
        return
    if name not in _AGENT_STATES:
        return
    seat.state, seat.since = _AGENT_STATES[name], fact.at
    seat.reason = data.get("reason", "")
    until = data.get("until")
    seat.until = datetime.fromisoformat(until) if until else None
    if name == "loggedOn":
        seat.agent, seat.role = data["agent"], data["role"]
    if name == "loggedOff":
        seat.agent = seat.role = ""
    if name not in ("busy", "reserved"):
        seat.next_state = None


_PLAIN = frozenset({str, int, bool, float, type(None)})


def as_json(value: Any) -> Json:
    """Records as JSON: times as UTC text, enums as their words, pairs as lists."""
    if value.__class__ in _PLAIN:
        return cast(Json, value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(v) for v in value]
    if hasattr(value, "__slots__"):
        members = [(name, getattr(value, name)) for name in value.__slots__]
        return {name: v if v.__class__ in _PLAIN else as_json(v) for name, v in members}
    assert value is None or isinstance(value, bool | int | float | str)
    return value


def leg_doc(leg: Leg) -> dict[str, Json]:
    """A leg as the desk and the store see it."""
    doc = as_json(leg)
    assert isinstance(doc, dict)
    return {**doc, "state": leg.state, "seat": leg.seat}


def call_head(call: Call) -> dict[str, Json]:
    """A call without its legs and handoffs."""
    return {
        name: as_json(getattr(call, name))
        for name in Call.__slots__
        if name not in ("legs", "handoffs")
    }


def draft_of(call: Call) -> Call:
    """A copy for trying a decision: facts applied to it leave the call as it is."""
    legs = {leg.id: copy(leg) for leg in call.legs.values()}
    handoffs = {h.id: replace(h, times=dict(h.times)) for h in call.handoffs.values()}
    return replace(call, legs=legs, handoffs=handoffs, unobserved=[*call.unobserved])


def call_doc(call: Call) -> dict[str, Json]:
    """A call with its legs and handoffs, as the desk sees it."""
    doc = call_head(call)
    doc["legs"] = [leg_doc(leg) for leg in call.legs.values()]
    doc["handoffs"] = [as_json(h) for h in call.handoffs.values()]
    return doc


def fold(facts: Iterable[Fact]) -> Book:
    """The book that these facts make."""
    book = Book()
    for fact in facts:
        book.apply(fact)
    return book


def live_calls(book: Book) -> Iterator[Call]:
    """Calls that are not over."""
    return (call for call in list(book.calls.values()) if call.live)
