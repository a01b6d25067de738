"""Acts on the switch and requests from people, as plain values.

An act says what is to be done with which channels; `bridge/asterisk/acts.py` does it. Channels are
Asterisk channel names, legs are their unique ids, chosen by us before the act (a repeat of the
same id is refused by Asterisk: no voice act happens twice).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.domain.call import Role
from bridge.domain.conversation import E


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who can be called into a case: a desk such as 12345, a unit, another seat.

    `dial` is the channel to call (`PJSIP/12345@hotline`), `fallback` a second way, `accept` what
    proves a person there: `press` (key 1) or `answer`; `ring_timeout` in seconds.
    """

    id: str
    title: str
    dial: str
    role: Role
    name: str
    accept: Literal["press", "answer"] = "press"
    ring_timeout: int = 20
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A request of a person or program: one CSTA service with its arguments.

    `key` is the idempotency key; `leg` is a leg named by the request, `new_leg` and `new_handoff`
    are fresh ids for what the act may create. `role` is that of the token; `agent` and `duty` are
    who sits at the seat and in which role (SB-08).
    """

    service: E
    call: str
    actor: str
    role: str
    key: str
    seat: str | None = None
    target: Target | None = None
    leg: str | None = None
    mode: Literal["listen", "whisper", "barge", "talk"] | None = None
    on: bool = True
    confirm: bool = False
    new_leg: str = ""
    new_handoff: str = ""
    agent: str = ""
    duty: str = ""


@dataclass(frozen=True, slots=True)
class DialThird:
    """Call a third; `private_with` is the waiting seat's channel for a consultation."""

    call: str
    citizen: str
    leg: str
    handoff: str
    target: Target
    number: str
    private_with: str | None = None
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class DialSeat:
    """Call a seat back into the case."""

    call: str
    citizen: str
    leg: str
    seat: str
    number: str


@dataclass(frozen=True, slots=True)
class DialLeader:
    """Connect a shift leader: spying on a seat's channel, or (`talk`) as a leg heard by all."""

    call: str
    citizen: str
    leg: str
    seat: str
    mode: str
    spied: str | None
    number: str


@dataclass(frozen=True, slots=True)
class Hold:
    """`held` gets the hold sound when `holder` has gone to wait."""

    call: str
    held: str
    holder: str


@dataclass(frozen=True, slots=True)
class HoldThird:
    """The seat goes to the citizen, the third is held."""

    call: str
    third: str
    seat: str


@dataclass(frozen=True, slots=True)
class Bring:
    """Bring a waiting leg back into the citizen's conversation."""

    call: str
    channel: str


@dataclass(frozen=True, slots=True)
class Private:
    """The held third talks with the waiting seat again."""

    call: str
    third: str
    seat: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Clear one leg; `cause` is Q.850."""

    call: str
    leg: str
    channel: str
    cause: int = 16


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody is being called any more: the lock on a second third is taken away. One that the
    seat's key has taken meanwhile stays, unless it was the key's third that ended (`by_key`)."""

    call: str
    citizen: str
    by_key: bool = False


@dataclass(frozen=True, slots=True)
class WithoutRadio:
    """No radio group stands between the citizen and a goodbye any more."""

    call: str
    citizen: str


@dataclass(frozen=True, slots=True)
class Mute:
    """What the leg says is not heard (or is heard again) by the others."""

    call: str
    leg: str
    channel: str
    on: bool


Act = (
    DialThird
    | DialSeat
    | DialLeader
    | Hold
    | HoldThird
    | Bring
    | Private
    | Clear
    | Release
    | WithoutRadio
    | Mute
)
