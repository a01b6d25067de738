"""What can be seen of a call on the switch, in the words of the domain.

The edge translates AMI events, the snapshot and CEL into these; all three roads lead to the same
`decide.observe`, so a thing learnt late means what it would have meant in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge.domain.call import Role
from bridge.domain.conversation import E


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Common: the call it belongs to, when it was (Asterisk's clock, UTC), and, when the daemon
    was not watching, when it was learnt. `own`: concluded from an act of ours that was not done;
    what happened on the switch before it may still be unknown."""

    call: str
    at: datetime
    learnt: datetime | None = None
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived(Seen):
    """A citizen's channel entered the plan. `back`: the case id a hand-back brought along."""

    channel: str
    number: str
    entry: str
    back: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Born(Seen):
    """A leg's channel exists."""

    leg: str
    channel: str
    role: Role
    name: str
    number: str = ""
    handoff: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rang(Seen):
    leg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Seen):
    leg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Seen):
    """A person at the leg accepted (pressed 1, or answered where an answer is enough)."""

    leg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered(Seen):
    leg: str
    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited(Seen):
    leg: str
    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone(Seen):
    """The leg's channel was cleared, or never came to be. `cause` is Q.850."""

    leg: str
    cause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Seen):
    """Something that only the dialplan or the watch knows: an event of the conversation."""

    what: E
    leg: str | None = None
    cause: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed(Seen):
    """A seat's *1 began a three-way by the dialplan alone."""

    leg: str
    handoff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantsCallback(Seen):
    """The citizen has waited a minute without a seat."""


AnySeen = (
    Arrived
    | Born
    | Rang
    | Answered
    | Accepted
    | Entered
    | Exited
    | Gone
    | Noted
    | Keyed
    | WantsCallback
)
