"""The handoff: the durable fact that somebody else now answers for the matter.

A transfer is an act on the telephone; a handoff is who answers for the matter. The table says how
a handoff moves from asked-for to an end; the ends are a closed list. Responsibility moves at most
once, and only after a person at the other side has accepted (LY-08).
"""

from __future__ import annotations

from enum import StrEnum


class H(StrEnum):
    """States of a handoff."""

    REQUESTED = "requested"
    RINGING = "ringing"
    ANSWERED = "answered"  # the telephone was answered; a person has not accepted yet
    ACCEPTED = "accepted"  # a person has accepted
    JOINED = "joined"  # and talks with the citizen (or, consulting, with the seat)
    TAKEN = "taken"  # the seat has left; the other side alone answers for the matter
    ENDED = "ended"


class HE(StrEnum):
    """Events of a handoff."""

    RINGING = "their telephone rings"
    ANSWERED = "their telephone was answered"
    ACCEPTED = "a person accepted"
    JOINED = "they talk with the citizen or the seat"
    SEAT_LEFT = "no seat is left, they stay with the citizen"
    SEAT_BACK = "a seat is in the call again"
    FAILED = "their leg ended before a person accepted"
    PARTY_GONE = "their leg ended after a person had accepted"
    CITIZEN_GONE = "the citizen's leg was cleared"
    CALL_ENDED = "the call was ended by the desk or with a goodbye"
    SWITCH_LOST = "Asterisk itself went away"


class Outcome(StrEnum):
    """How a handoff ended. The list is closed; reports count by it."""

    COMPLETED = "completed"  # they had the citizen when the call ended
    TAKEN_BACK = "taken_back"  # they had it, a seat came back and they left
    PEER_LEFT = "peer_left"  # they joined and left again while a seat was there
    CANCELLED = "cancelled"  # withdrawn by the desk before a person accepted
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    NOT_ACCEPTED = "not_accepted"  # answered, nobody pressed 1: a machine or silence
    UNREACHABLE = "unreachable"  # no way to them: trunk down, number unknown, congestion
    FAILED = "failed"
    CITIZEN_LEFT = "citizen_left"  # the citizen hung up before they had taken the matter
    ENDED_BY_DESK = "ended_by_desk"  # the desk ended the call before they had taken the matter
    UNKNOWN = "unknown"  # nobody saw the end
    LOST_WITH_ASTERISK = "lost_with_asterisk"


class CallOutcome(StrEnum):
    """How a call ended (three-way sheet, "How a call ends")."""

    CITIZEN_LEFT = "citizen_left"
    ENDED_BY_SEAT = "ended_by_seat"
    ENDED_BY_PEER = "ended_by_peer"
    ENDED_BY_DESK = "ended_by_desk"
    UNKNOWN = "unknown"
    LOST_WITH_ASTERISK = "lost_with_asterisk"


UNSEEN = -1
"""Stands for the cause of an end that nobody saw."""

FAILURE = "by cause"
"""The outcome is read from the cause of the leg's end (`outcome_of_cause`)."""

_OPEN_END = {
    HE.FAILED: (H.ENDED, FAILURE),
    HE.CITIZEN_GONE: (H.ENDED, Outcome.CITIZEN_LEFT),
    HE.CALL_ENDED: (H.ENDED, Outcome.ENDED_BY_DESK),
    HE.SWITCH_LOST: (H.ENDED, Outcome.LOST_WITH_ASTERISK),
    HE.PARTY_GONE: (H.ENDED, Outcome.PEER_LEFT),
}

HANDOFF: dict[H, dict[HE, tuple[H, str | None]]] = {
    H.REQUESTED: {
        HE.RINGING: (H.RINGING, None),
        HE.ANSWERED: (H.ANSWERED, None),
        HE.ACCEPTED: (H.ACCEPTED, None),
        HE.JOINED: (H.JOINED, None),
        **_OPEN_END,
    },
    H.RINGING: {
        HE.ANSWERED: (H.ANSWERED, None),
        HE.ACCEPTED: (H.ACCEPTED, None),
        HE.JOINED: (H.JOINED, None),
        **_OPEN_END,
    },
    H.ANSWERED: {
        HE.ACCEPTED: (H.ACCEPTED, None),
        HE.JOINED: (H.JOINED, None),
        **_OPEN_END,
        HE.FAILED: (H.ENDED, Outcome.NOT_ACCEPTED),
    },
    H.ACCEPTED: {
        HE.JOINED: (H.JOINED, None),
        **_OPEN_END,
        HE.FAILED: (H.ENDED, Outcome.PEER_LEFT),
    },
    H.JOINED: {
        HE.SEAT_LEFT: (H.TAKEN, None),
        **_OPEN_END,
        HE.FAILED: (H.ENDED, Outcome.PEER_LEFT),
    },
    H.TAKEN: {
        HE.SEAT_BACK: (H.JOINED, None),
        HE.PARTY_GONE: (H.ENDED, Outcome.COMPLETED),
        HE.FAILED: (H.ENDED, Outcome.COMPLETED),
        HE.CITIZEN_GONE: (H.ENDED, Outcome.COMPLETED),
        HE.CALL_ENDED: (H.ENDED, Outcome.COMPLETED),
        HE.SWITCH_LOST: (H.ENDED, Outcome.LOST_WITH_ASTERISK),
    },
    H.ENDED: {},
}


def advance(state: H, event: HE) -> tuple[H, str | None] | None:
    """Next state and outcome (or FAILURE), or None where the event says nothing new. Total."""
    return HANDOFF[state].get(event)


# Q.850 causes as Asterisk reports them on the leg that failed.
_CAUSES: dict[int, Outcome] = {
    1: Outcome.UNREACHABLE,
    2: Outcome.UNREACHABLE,
    3: Outcome.UNREACHABLE,
    17: Outcome.BUSY,
    18: Outcome.NO_ANSWER,
    19: Outcome.NO_ANSWER,
    20: Outcome.UNREACHABLE,
    21: Outcome.REJECTED,
    22: Outcome.UNREACHABLE,
    27: Outcome.UNREACHABLE,
    28: Outcome.UNREACHABLE,
    31: Outcome.UNREACHABLE,
    34: Outcome.UNREACHABLE,
    38: Outcome.UNREACHABLE,
    41: Outcome.UNREACHABLE,
    42: Outcome.UNREACHABLE,
    44: Outcome.UNREACHABLE,
    50: Outcome.REJECTED,
    58: Outcome.UNREACHABLE,
}


def outcome_of_cause(cause: int, *, rang: bool, cancelled: bool) -> Outcome:
    """Outcome of a leg that ended before acceptance, from its Q.850 cause."""
    if cancelled:
        return Outcome.CANCELLED
    if cause == UNSEEN:
        return Outcome.UNKNOWN
    if cause in (0, 16, 26, 127):
        return Outcome.NO_ANSWER if rang else Outcome.FAILED
    return _CAUSES.get(cause, Outcome.FAILED)


RETRY_ON_FALLBACK = frozenset({Outcome.UNREACHABLE, Outcome.FAILED})
"""Outcomes after which the target's fallback trunk is tried, within the same handoff."""
