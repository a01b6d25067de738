"""How an order and its attempts move: two tables with an answer for every state and event.

An order ends with a result or by the centre's cancelling; nobody at a unit can refuse it (LL-27,
YJ-44). What machines say moves attempts only; a person's proof moves the order (orders sheet,
section 1).
"""

from __future__ import annotations

from enum import StrEnum

from bridge.domain.delivery import A, Says


class O(StrEnum):  # noqa: E742  beside S, H and A, the states of the other tables
    """States of an order."""

    DRAFT = "draft"
    DISPATCHED = "dispatched"
    EXHAUSTED = "exhausted"  # the ladder has ended without a person: alarm, next contact
    ACKNOWLEDGED = "acknowledged"
    ARRIVED = "arrived"
    RESULT = "result"  # the result is here; it closes the order
    CLOSED = "closed"
    CANCELLED = "cancelled"


class OE(StrEnum):
    """Events of an order."""

    DISPATCH = "the centre sends it"
    LADDER_ENDED = "the last step is over and no person has signed"
    SIGNED = "a person signs"
    ARRIVED = "the unit is on site"
    RESULT = "the unit reports the result"
    CLOSE = "the result closes it"
    CANCEL = "the centre cancels it"
    REMIND = "the centre reminds"
    PROGRESS = "the unit reports progress or promises a date"
    DISPUTE = "a person signs and objects"


OPEN = frozenset({O.DISPATCHED, O.EXHAUSTED, O.ACKNOWLEDGED, O.ARRIVED})
"""States in which a unit can report and its code holds."""
WANTS_PERSON = frozenset({O.DISPATCHED, O.EXHAUSTED})
"""States in which the ladder goes on."""
ENDED = frozenset({O.CLOSED, O.CANCELLED})

_REPORTS = {
    OE.SIGNED: O.ACKNOWLEDGED,
    OE.ARRIVED: O.ARRIVED,
    OE.RESULT: O.RESULT,
    OE.PROGRESS: O.ACKNOWLEDGED,
    OE.DISPUTE: O.ACKNOWLEDGED,
}
"""A report before its turn is a fact all the same: whoever reports has read the order."""

ORDER: dict[O, dict[OE, O]] = {
    O.DRAFT: {OE.DISPATCH: O.DISPATCHED, OE.CANCEL: O.CANCELLED},
    O.DISPATCHED: {
        **_REPORTS,
        OE.LADDER_ENDED: O.EXHAUSTED,
        OE.CANCEL: O.CANCELLED,
        OE.REMIND: O.DISPATCHED,
    },
    O.EXHAUSTED: {
        **_REPORTS,
        OE.LADDER_ENDED: O.EXHAUSTED,
        OE.CANCEL: O.CANCELLED,
        OE.REMIND: O.DISPATCHED,
    },
    O.ACKNOWLEDGED: {**_REPORTS, OE.CANCEL: O.CANCELLED, OE.REMIND: O.ACKNOWLEDGED},
    O.ARRIVED: {
        OE.SIGNED: O.ARRIVED,
        OE.ARRIVED: O.ARRIVED,
        OE.PROGRESS: O.ARRIVED,
        OE.DISPUTE: O.ARRIVED,
        OE.RESULT: O.RESULT,
        OE.CANCEL: O.CANCELLED,
        OE.REMIND: O.ARRIVED,
    },
    O.RESULT: {OE.CLOSE: O.CLOSED},
    O.CLOSED: {},
    O.CANCELLED: {},
}

EVENT_OF: dict[Says, OE] = {
    Says.SIGN: OE.SIGNED,
    Says.IN_HAND: OE.SIGNED,
    Says.ARRIVED: OE.ARRIVED,
    Says.PROGRESS: OE.PROGRESS,
    Says.PROMISE: OE.PROGRESS,
    Says.RESULT: OE.RESULT,
    Says.DISPUTE: OE.DISPUTE,
}


def after(state: O, event: OE) -> O | None:
    """The next state, or None where that is not possible. Total."""
    return ORDER[state].get(event)


def possible(state: O) -> tuple[str, ...]:
    """What can be done now, by the names of the interface."""
    return tuple(name for event, name in _NAMES.items() if event in ORDER[state])


_NAMES = {
    OE.DISPATCH: "confirmSiteOrder",
    OE.SIGNED: "acknowledgeOrder",
    OE.ARRIVED: "reportArrival",
    OE.PROGRESS: "reportProgress",
    OE.RESULT: "reportResult",
    OE.DISPUTE: "openDispute",
    OE.REMIND: "remindOrder",
    OE.CANCEL: "cancelOrder",
}

_MACHINE = (A.QUEUED, A.SENDING, A.SENT, A.DELIVERED, A.READ)
"""What machines say, each stronger than the one before."""
_OUT = frozenset({A.FAILED, A.EXPIRED, A.WITHDRAWN, A.UNKNOWN})

ATTEMPT: dict[A, frozenset[A]] = {
    **{
        state: frozenset(_MACHINE[place + 1 :]) | _OUT | {A.ACKNOWLEDGED}
        for place, state in enumerate(_MACHINE)
    },
    # Its outcome was not seen; what is learnt later is believed.
    A.UNKNOWN: frozenset({A.SENT, A.DELIVERED, A.READ, A.FAILED, A.WITHDRAWN, A.ACKNOWLEDGED}),
    # Whatever a machine had said, a person's word stands above it.
    A.FAILED: frozenset({A.ACKNOWLEDGED}),
    A.EXPIRED: frozenset({A.DELIVERED, A.READ, A.ACKNOWLEDGED}),
    A.WITHDRAWN: frozenset({A.DELIVERED, A.READ, A.ACKNOWLEDGED}),
    A.ACKNOWLEDGED: frozenset(),
}
"""Where an attempt can go from each state. Anything else that is told is a late echo."""

UNDER_WAY = frozenset({A.QUEUED, A.SENDING, A.SENT, A.DELIVERED, A.READ})
"""States that a channel may still change; an order that is over tells these to stop."""


def moves(state: A, told: A) -> bool:
    """Whether what a channel tells is news. Total."""
    return told in ATTEMPT[state]
