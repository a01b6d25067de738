"""Which faults strike in which states, and why some cells make no sense. Pure.

The states are those of the call's table. A fault strikes all calls of a round at the same time,
one call in each state; a named step of the daemon strikes the one call whose act it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from bridge.domain.conversation import E, Go, S, step
from tests.faults.cell import BOTH_DEAD_MS, DEAD_PHONE_MS, RETURN_S, Bounds

LASTING: Final = (
    S.QUEUED,
    S.ALERTING,
    S.TALKING,
    S.CONFERENCED,
    S.HELD,
    S.CONSULTING,
    S.ALTERNATED,
    S.WAITING,
    S.ENDING,
)
"""States that a call can be brought into and stays in while something else fails."""

NO_STATE: Final[Mapping[S, str]] = {
    S.PARTED: "lasts a millisecond, while the plan decides; struck through its named steps "
    "(leg.left, call.state) and by random runs",
    S.CLEARED: "no citizen is there any more; what its record needs is struck as call.cleared",
}


class Party(Enum):
    """Whose telephone."""

    CITIZEN = "citizen"
    SEAT = "seat"
    THIRD = "third"


PARTIES: Final[Mapping[S, frozenset[Party]]] = {
    S.QUEUED: frozenset({Party.CITIZEN}),
    S.ALERTING: frozenset({Party.CITIZEN, Party.SEAT}),
    S.TALKING: frozenset({Party.CITIZEN, Party.SEAT}),
    S.CONFERENCED: frozenset(Party),
    S.HELD: frozenset({Party.CITIZEN, Party.SEAT}),
    S.CONSULTING: frozenset(Party),
    S.ALTERNATED: frozenset(Party),
    S.WAITING: frozenset({Party.CITIZEN, Party.THIRD}),
    S.ENDING: frozenset({Party.CITIZEN}),
}
"""Telephones that are in the call, or ring for it, in each state."""


class Trouble(Enum):
    """What happens. The value is its name in cells and reports."""

    KILLED = "daemon killed"
    STOPPED = "daemon stopped and started"
    CUT = "AMI cut"
    HALF_OPEN = "AMI half-open"
    STALLED = "AMI stalled"
    FLOODED = "AMI flooded"
    BAD_SECRET = "AMI wrong secret"
    ASTERISK = "Asterisk killed"
    HANGS_UP = "hangs up"
    DIES = "dies silent"
    PEER_BUSY = "peer busy"
    PEER_REJECTS = "peer rejects"
    PEER_SILENT = "peer silent"
    PEER_MACHINE = "peer is a machine"
    AGI_DEAD = "FastAGI dead"
    AGI_HOLE = "FastAGI black hole"
    STORE_LOCKED = "store locked"
    STORE_FULL = "store full"
    STORE_FAILS = "store fails"
    CLOCK_ON = "clock +1 h"
    CLOCK_BACK = "clock -1 h"
    NONE = "nothing"


PEERS: Final = (
    Trouble.PEER_BUSY,
    Trouble.PEER_REJECTS,
    Trouble.PEER_SILENT,
    Trouble.PEER_MACHINE,
    Trouble.AGI_DEAD,
    Trouble.AGI_HOLE,
)
"""Met while a third party is being called."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A trouble, and what a telephone does in it: `AMI cut; seat hangs up`."""

    trouble: Trouble
    party: Party | None = None
    does: Trouble | None = None
    """HANGS_UP or DIES, where `trouble` is something else."""

    @property
    def name(self) -> str:
        trouble: str = self.trouble.value
        if self.party is None:
            return trouble
        if self.does is None:
            return f"{self.party.value} {trouble}"
        return f"{trouble}; {self.party.value} {self.does.value}"

    @property
    def act(self) -> Trouble | None:
        """What the telephone does, if any does anything."""
        return self.trouble if self.does is None and self.party is not None else self.does


def _faults() -> Iterator[Fault]:
    alone = (
        Trouble.KILLED,
        Trouble.STOPPED,
        Trouble.CUT,
        Trouble.HALF_OPEN,
        Trouble.STALLED,
        Trouble.FLOODED,
        Trouble.BAD_SECRET,
        Trouble.STORE_LOCKED,
        Trouble.STORE_FULL,
        Trouble.STORE_FAILS,
        Trouble.CLOCK_ON,
        Trouble.CLOCK_BACK,
        Trouble.ASTERISK,
    )
    yield from map(Fault, alone)
    for party in Party:
        yield Fault(Trouble.HANGS_UP, party)
        yield Fault(Trouble.DIES, party)
    for trouble in (Trouble.KILLED, Trouble.CUT, Trouble.HALF_OPEN, Trouble.STORE_FULL):
        for party in Party:
            yield Fault(trouble, party, Trouble.HANGS_UP)
    for trouble in (Trouble.KILLED, Trouble.CUT):
        for party in (Party.SEAT, Party.THIRD):
            yield Fault(trouble, party, Trouble.DIES)
    yield from map(Fault, PEERS)


FAULTS: Final = tuple(_faults())


def nonsense(state: S, fault: Fault) -> str:
    """Why this cell makes no sense; empty where it does."""
    if state in NO_STATE:
        return NO_STATE[state]
    if fault.party is not None and fault.party not in PARTIES[state]:
        return f"the {fault.party.value} has no telephone in the call in this state"
    if fault.party is Party.THIRD and state is S.WAITING and fault.act is Trouble.HANGS_UP:
        return "the third only rings: it rejects, which is `peer rejects`"
    if fault.party is Party.SEAT and state is S.ALERTING and fault.act is Trouble.HANGS_UP:
        return "the seat only rings: it does not answer, which the state itself shows"
    if fault.trouble in PEERS and not isinstance(step(state, E.THREE_WAY), Go):
        return "no third party can be called in this state"
    return ""


def bounds(state: S, fault: Fault) -> Bounds:
    """What this cell may cost."""
    found = Bounds()
    if state is S.ENDING:
        found = replace(found, may_end=True)
    if fault.trouble is Trouble.ASTERISK:
        return replace(found, asterisk=True, truth_s=RETURN_S)
    if fault.party is Party.CITIZEN:
        return replace(found, may_leave=True)
    if fault.act is Trouble.DIES:
        deaf = fault.trouble is not Trouble.DIES
        return replace(found, silence_ms=BOTH_DEAD_MS if deaf else DEAD_PHONE_MS)
    if fault.act is Trouble.HANGS_UP and fault.party is not None:
        return replace(found, may_end=last_other(state, fault.party))
    return found


def last_other(state: S, party: Party) -> bool:
    """Whether this party is the only one who talks with the citizen: an ordinary goodbye."""
    return (state, party) in {
        (S.TALKING, Party.SEAT),
        (S.ALTERNATED, Party.SEAT),
    }


@dataclass(frozen=True, slots=True)
class Act:
    """Something asked for in a state, and the steps it goes through in the daemon."""

    state: S
    service: str
    fact: str
    acts: tuple[tuple[str, tuple[str, ...]], ...]
    """Acts that follow, each with the actions it sends to Asterisk."""


ACTS: Final = (
    Act(S.TALKING, "three-way", "handoff.requested", (("DialThird", ("Originate",)),)),
    Act(
        S.TALKING,
        "transfer",
        "handoff.requested",
        (("DialThird", ("Originate",)), ("Clear", ("Hangup",))),
    ),
    Act(
        S.TALKING,
        "consult",
        "handoff.requested",
        (("Hold", ("Setvar", "Redirect")), ("DialThird", ("Originate",))),
    ),
    Act(S.TALKING, "hold", "call.service", (("Hold", ("Setvar", "Redirect")),)),
    Act(S.CONFERENCED, "leave", "call.service", (("Clear", ("Hangup",)),)),
    Act(S.HELD, "retrieve", "call.service", (("Bring", ("Redirect",)),)),
    Act(S.CONSULTING, "conference", "call.service", (("Bring", ("Redirect",)),)),
    Act(S.CONSULTING, "alternate", "call.service", (("HoldThird", ("Setvar", "Redirect")),)),
    Act(S.CONSULTING, "reconnect", "call.service", (("Clear", ("Hangup",)),)),
    Act(
        S.ALTERNATED,
        "alternate",
        "call.service",
        (("Hold", ("Setvar", "Redirect")), ("Private", ("Redirect",))),
    ),
    Act(S.ALTERNATED, "conference", "call.service", (("Bring", ("Redirect",)),)),
    Act(S.WAITING, "cancel", "call.service", (("Clear", ("Hangup",)),)),
    Act(S.TALKING, "clear", "call.ending", (("Clear", ("Hangup",)),)),
)

SEEN: Final = (
    (S.QUEUED, "dial", "call.offered"),
    (S.ALERTING, "answer", "call.delivered"),
    (S.ALERTING, "answer", "call.established"),
    (S.PARTED, "seat hangs up", "leg.left"),
    (S.PARTED, "seat hangs up", "call.state"),
    (S.ENDING, "seat hangs up", "call.ending"),
    (S.CLEARED, "citizen hangs up", "call.cleared"),
)
"""Things that happen on the telephones, and the fact at whose commit the daemon is killed."""


@dataclass(frozen=True, slots=True)
class Kill:
    """The daemon dies at a named step of something that is done in a state."""

    state: S
    doing: str
    place: str
    what: str

    @property
    def name(self) -> str:
        return f"daemon killed at {self.place} {self.what} of {self.doing}"

    @property
    def bounds(self) -> Bounds:
        """What it may cost."""
        ends = self.doing in ("clear", "seat hangs up")
        return Bounds(may_end=ends, may_leave=self.doing == "citizen hangs up")


def kills() -> Iterator[Kill]:
    """One at every named step."""
    for act in ACTS:
        for place in ("before-commit", "committed", "published"):
            yield Kill(act.state, act.service, place, act.fact)
        for name, actions in act.acts:
            yield Kill(act.state, act.service, "before-act", name)
            for action in actions:
                yield Kill(act.state, act.service, "before-action", action)
                yield Kill(act.state, act.service, "after-action", action)
            yield Kill(act.state, act.service, "after-act", name)
    for state, doing, fact in SEEN:
        for place in ("before-commit", "committed", "published"):
            yield Kill(state, doing, place, fact)


def kills_once() -> list[Kill]:
    """`kills` without repeats: acts share actions."""
    return list(dict.fromkeys(kills()))
