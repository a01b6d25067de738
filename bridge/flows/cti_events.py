"""Facts of the journal as CTI events: one table, and the data that each event carries.

Names are CSTA's where it has a word (softphone sheet 7.4). A fact without a row here is not shown:
it is internal to the journal (`call.service`, `call.intends`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bridge.domain.call import Book, Call, Leg, Role, Seat
from bridge.domain.decide import possible
from bridge.domain.journal import Fact, Json, iso
from bridge.flows.case_events import CASE_EVENTS
from bridge.flows.order_events import ORDER_EVENTS
from bridge.flows.peer_events import PEER_EVENTS

Data = dict[str, Json]
Describe = Callable[[Call, Leg | None, Fact], Data]

EPHEMERAL = ("leg.talking", "leg.quality", "radio.ptt")
"""Events of a call that are no facts: true for a moment, not kept in the journal."""

LINKS = ("asterisk", "store", "platform", "trunk", "radio", "fax", "database")
"""What `link.<name>` events speak of."""


def leg_line(leg: Leg, talking: frozenset[str] = frozenset()) -> Data:
    """A leg in a few words, as lists of legs show it (sheet 7.4, `call.conferenced`)."""
    since = leg.joined_at or leg.answered_at or leg.alerting_at or leg.initiated_at
    return {
        "leg": leg.id,
        "role": leg.role.value,
        "seat": leg.seat,
        "number": leg.number,
        "state": leg.state,
        "since": iso(since) if since else None,
        "talking": leg.id in talking,
        "muted": leg.muted,
    }


def _plain(*names: str) -> Describe:
    """The named members of the fact's own data."""
    return lambda _call, _leg, fact: {name: fact.data.get(name) for name in names}


def _offered(call: Call, _: Leg | None, fact: Fact) -> Data:
    caller: Data = {"number": call.number, "display": call.number, "verified": False}
    return {"caller": caller, "dialled": call.entry, "back": fact.data.get("back") or None}


def _originated(_: Call, leg: Leg | None, fact: Fact) -> Data:
    number = leg.number if leg else ""
    data: Mapping[str, Any] = fact.data
    return {
        "role": data["role"],
        "name": data["name"],
        "to": number,
        "handoff": data.get("handoff") or None,
        "mode": data.get("mode"),
    }


def _party(_: Call, leg: Leg | None, __: Fact) -> Data:
    return {
        "role": leg.role.value if leg else None,
        "number": leg.number if leg else None,
        "handoff": leg.handoff if leg else None,
    }


def _state(call: Call, _: Leg | None, fact: Fact) -> Data:
    legs: list[Json] = [leg_line(leg) for leg in call.legs.values() if leg.live]
    may: list[Json] = list(possible(call))
    return {
        "from": fact.data.get("from"),
        "why": fact.data.get("why"),
        "legs": legs,
        "possible": may,
    }


def _connection_cleared(call: Call, leg: Leg | None, fact: Fact) -> Data:
    left: list[Json] = [other.id for other in call.legs.values() if other.live]
    stays = "stays" if call.others() else None
    after = "ended" if leg is not None and leg.role is Role.CITIZEN else stays
    return {"cause": fact.data.get("cause"), "left": left, "next": after}


def _handoff(call: Call, _: Leg | None, fact: Fact) -> Data:
    handoff = call.handoffs.get(fact.subject or "")
    return {
        "handoff": fact.subject,
        "kind": handoff.kind if handoff else None,
        "target": handoff.target if handoff else None,
        "from": handoff.seat if handoff else None,
        "outcome": handoff.outcome if handoff else None,
        "learnt": handoff.learnt if handoff else False,
    }


CALL_EVENTS: dict[str, tuple[str, Describe]] = {
    "call.offered": ("call.offered", _offered),
    "call.originated": ("call.originated", _originated),
    "call.delivered": ("call.delivered", _party),
    "leg.answered": ("leg.answered", _party),
    "call.established": ("call.established", _party),
    "call.held": ("call.held", _party),
    "call.retrieved": ("call.retrieved", _party),
    "leg.left": ("leg.left", _party),
    "leg.muted": ("leg.muted", _plain("on")),
    "leg.still": ("leg.still", _party),
    "call.state": ("call.state", _state),
    "call.conferenced": ("call.conferenced", _state),
    "call.queued": ("call.queued", _state),
    "call.alone": ("call.alone", _plain("cause")),
    "call.ending": ("call.ending", _plain("by")),
    "call.callback": ("call.callback", _plain("number", "reason")),
    "call.unobserved": ("call.unobserved", _plain("from", "to")),
    "call.connectionCleared": ("call.connectionCleared", _connection_cleared),
    "call.cleared": ("call.cleared", _plain("outcome", "cause")),
    "recording.closed": ("recording.closed", lambda _call, _leg, _fact: {}),
    "handoff.requested": ("handoff.requested", _handoff),
    "handoff.ringing": ("handoff.ringing", _handoff),
    "handoff.answered": ("handoff.answered", _handoff),
    "handoff.accepted": ("handoff.accepted", _handoff),
    "handoff.joined": ("handoff.joined", _handoff),
    "handoff.taken": ("call.transferred", _handoff),
    "handoff.leaveLater": ("handoff.leaveLater", _handoff),
    "handoff.cancelled": ("handoff.cancelled", _handoff),
    "handoff.fallback": ("handoff.fallback", _handoff),
    "handoff.ended": ("handoff.ended", _handoff),
}
"""What a fact about a call is called outside, and its data. The state of the call, the name of
the handoff and what was only learnt later are added to each."""

SEAT_EVENTS = (
    "agent.loggedOn",
    "agent.loggedOff",
    "agent.ready",
    "agent.notReady",
    "agent.reserved",
    "agent.busy",
    "agent.workingAfterCall",
    "agent.next",
    "seat.phone",
)
"""Facts about seats keep their names; all carry the seat's present state."""

_BY_STATE = {"conferenced": "call.conferenced", "queued": "call.queued"}


def kind_outside(fact: Fact, before: Leg | None) -> str:
    """The row of the table that a fact belongs to. `before`: its leg before the fact, if any."""
    if fact.kind == "call.state":
        return _BY_STATE.get(str(fact.data.get("to")), "call.state")
    if fact.kind == "call.established" and before is not None and before.held:
        return "call.retrieved"
    return fact.kind


def call_data(kind: str, call: Call, fact: Fact) -> tuple[str, Data] | None:
    """Type and data of the event for a fact that has taken effect on `call`, or None."""
    row = CALL_EVENTS.get(kind)
    if row is None:
        return None
    name, describe = row
    data = describe(call, call.legs.get(fact.subject or ""), fact)
    data["state"] = call.state.value
    if fact.learnt_at is not None:
        data["learnt_at"] = iso(fact.learnt_at)
    return name, data


def seat_data(book: Book, fact: Fact) -> tuple[str, Data] | None:
    """The same for a fact about a seat."""
    if fact.kind not in SEAT_EVENTS:
        return None
    seat = book.seats.get(fact.subject or "") or Seat(fact.subject or "")
    return fact.kind, {
        "state": seat.state,
        "agent": seat.agent,
        "reason": seat.reason,
        "since": iso(seat.since) if seat.since else None,
        "next_state": seat.next_state,
        "until": iso(seat.until) if seat.until else None,
        "phone": seat.phone,
    }


EVENT_TYPES = tuple(
    dict.fromkeys(
        [
            *(name for name, _ in CALL_EVENTS.values()),
            *SEAT_EVENTS,
            *ORDER_EVENTS,
            *PEER_EVENTS,
            *CASE_EVENTS,
            *EPHEMERAL,
            *(f"link.{name}" for name in LINKS),
            "fax.board",
            "alarm.raised",
            "alarm.cleared",
            "heartbeat",
        ]
    )
)
"""Every type that can be sent; the AsyncAPI document is made from it."""
