"""Who may see and do what: the table of softphone sheet 10.3, for what there is to do now.

A third-party desk (P) whose token names a seat acts as that seat's call-taker; without one it only
reads. Engineers (E) see seats and links but no cases, auditors (A) see and change nothing.
"""

from __future__ import annotations

from bridge.desk.problems import Problem
from bridge.desk.tokens import Grant
from bridge.domain.call import Call
from bridge.domain.conversation import E
from bridge.domain.errors import Refused
from bridge.flows.subscription import Event
from bridge.flows.view import seats_of

SEES_ALL_CALLS = frozenset({"L", "A"})
SEES_SEATS = frozenset({"T", "L", "E", "A", "P"})
SEES_ORDERS = frozenset({"T", "L", "A", "P"})
"""Orders are the centre's: every seat may see them; a unit sees its own on its terminal."""
GIVES_ORDERS = frozenset({"T", "L"})
SEES_FAX = SEES_ORDERS | {"E"}
"""The modem board, with the numbers that are called."""
RUNS_FAX = frozenset({"L", "E"})
"""Who may let modems rest, and close numbers."""
OF_ORDERS = frozenset({"order", "attempt", "clock", "peer", "case", "paper"})
"""First words of the types of their events."""
LEADER_ONLY = frozenset({E.INTRUDE})
OWN_SEAT = frozenset({E.JOIN, E.INTRUDE, E.CLEAR_PARTY})
"""Services in which a leader means the own telephone unless another seat is named."""


def may_see(grant: Grant, call: Call) -> bool:
    """Leaders and auditors see every call; a seat sees its own, and those nobody has had yet."""
    if grant.role in SEES_ALL_CALLS or (grant.role == "P" and grant.seat is None):
        return True
    if grant.role not in ("T", "P"):
        return False
    return call.seat is None or grant.seat in seats_of(call)


def may_hear(grant: Grant, event: Event) -> bool:
    """The same for an event of the WebSocket."""
    if event.type.partition(".")[0] in OF_ORDERS:
        return grant.role in SEES_ORDERS
    if event.type.startswith("fax."):
        return grant.role in SEES_FAX
    if event.call is None:
        return event.seat is None or grant.role in SEES_SEATS
    if grant.role in SEES_ALL_CALLS or (grant.role == "P" and grant.seat is None):
        return True
    return grant.role in ("T", "P") and (event.seats is None or grant.seat in event.seats)


def check_sees_seats(grant: Grant) -> None:
    """Raises Refused where the role has no business with seats."""
    if grant.role not in SEES_SEATS:
        raise Refused("not-allowed")


def seat_for(
    grant: Grant, asked: str | None, call: Call | None = None, service: E | None = None
) -> str | None:
    """The seat a command is for. A call-taker's is their own. A leader may name any seat; unnamed
    it is their own where they take part or are about to, else the one that has the call.

    Raises Refused: not-allowed, not-your-seat.
    """
    if grant.role == "L":
        own = grant.seat
        if asked or call is None or service in OWN_SEAT or call.seat_leg(own) is not None:
            return asked or own
        return call.seat or own
    if grant.role not in ("T", "P") or grant.seat is None:
        raise Refused("not-allowed")
    if asked is not None and asked != grant.seat:
        raise Refused("not-your-seat")
    return grant.seat


def check_command(grant: Grant, service: E, call: Call, leg: str | None) -> None:
    """May this person do that to this call? Raises Refused, or Problem("case-owned")."""
    if grant.role == "L":
        return
    if grant.role not in ("T", "P") or grant.seat is None or service in LEADER_ONLY:
        raise Refused("not-allowed", call.state.value)
    if grant.seat not in seats_of(call):
        if call.seat is not None:
            raise Problem("case-owned", state=call.state.value)
        raise Refused("not-in-this-call", call.state.value)
    named = call.legs.get(leg or "")
    if service is E.MUTE and named is not None and named.seat != grant.seat:
        raise Refused("not-your-seat", call.state.value)
