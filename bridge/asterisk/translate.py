"""AMI events in the words of the domain. One table by event name; everything else is ignored.

`manager.conf` sends CASE, LEG and HANDOFF with every channel event, so an event tells by itself
whose it is; nothing is remembered here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from bridge.domain.call import Role
from bridge.domain.conversation import E
from bridge.domain.seen import (
    Accepted,
    Answered,
    AnySeen,
    Arrived,
    Born,
    Entered,
    Exited,
    Gone,
    Keyed,
    Noted,
    Rang,
    WantsCallback,
)
from bridge.wire.ami import Message

CASE = re.compile(r"[A-Za-z0-9_-]{0,32}-?[0-9]{1,12}\.[0-9]{1,12}\Z")
"""A citizen's Uniqueid: `epoch.number`, after a system name where one is set."""
_LEG = re.compile(r"[a-z]{1,16}(-[A-Za-z0-9]{1,32})?\Z")
_HANDOFF = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_CHANNEL = re.compile(r"PJSIP/([A-Za-z0-9_-]{1,64})-[0-9a-f]{8}\Z")

_NOTES = {
    "CitizenAlone": E.CITIZEN_ALONE,
    "CitizenHeld": E.CITIZEN_HELD,
    "CitizenWaits": E.CITIZEN_WAITS,
    "CallEnded": E.GOODBYE,
    "SeatWaits": E.SEAT_WAITS,
    "PartyHeld": E.PARTY_HELD,
}

Seens = Iterator[AnySeen]


class Translator:
    """Turns events into things seen. `seat_of` tells whether an endpoint is a seat.

    `now` serves only where Asterisk sent no time (lists of a snapshot).
    """

    def __init__(self, seats: Callable[[str], bool], now: Callable[[], datetime]) -> None:
        self._seats = seats
        self._now = now

    def translate(self, event: Message, learnt: datetime | None = None) -> Seens:
        """Things seen in one event, in order; none for events that mean nothing to a call."""
        found = _TABLE.get(event.name)
        if found is not None:
            yield from found(self, event, learnt)

    def at(self, event: Message) -> datetime:
        """When Asterisk made the event (timestampevents=yes)."""
        try:
            return datetime.fromtimestamp(float(event.get("Timestamp")), UTC)
        except (ValueError, OverflowError, OSError):
            return self._now()

    def identity(self, channel: str, leg: str) -> tuple[Role, str] | None:
        """Role and name of a leg, from its LEG variable or, before that is set, its endpoint."""
        if leg and _LEG.match(leg):
            kind, _, _ = leg.partition("-")
            if kind in _ROLES:
                return _ROLES[kind], leg
        found = _CHANNEL.match(channel)
        if found is None:
            return None
        endpoint = found.group(1)
        if self._seats(endpoint):
            return Role.SEAT, f"seat-{endpoint}"
        return None

    def _born(self, event: Message, learnt: datetime | None) -> Born | None:
        """The leg a channel event speaks of; None for channels that are no leg of a case."""
        variables = event.variables
        case, unique = variables.get("CASE", ""), event.get("Uniqueid")
        channel = event.get("Channel")
        if not CASE.match(case) or not _HANDOFF.match(unique) or not _CHANNEL.match(channel):
            return None
        leg = variables.get("LEG", "")
        identity = self.identity(channel, leg)
        if identity is None:
            return None
        role, name = identity
        handoff = variables.get("HANDOFF", "")
        return Born(
            call=case,
            at=self.at(event),
            learnt=learnt,
            leg=unique,
            channel=channel,
            role=role,
            name=name,
            handoff=handoff if _HANDOFF.match(handoff) else None,
        )

    def _state(self, event: Message, learnt: datetime | None) -> Seens:
        born = self._born(event, learnt)
        if born is None:
            return
        yield born
        common = {"call": born.call, "at": born.at, "learnt": learnt}
        state = event.get("ChannelState")
        if state == "5" and born.role is not Role.CITIZEN:
            yield Rang(leg=born.leg, **common)  # type: ignore[arg-type]
        elif state == "6":
            yield Answered(leg=born.leg, **common)  # type: ignore[arg-type]

    def _enter(self, event: Message, learnt: datetime | None) -> Seens:
        born = self._born(event, learnt)
        if born is not None:
            yield born
            bridge = event.get("BridgeUniqueid")
            yield Entered(call=born.call, at=born.at, learnt=learnt, leg=born.leg, bridge=bridge)

    def _leave(self, event: Message, learnt: datetime | None) -> Seens:
        born = self._born(event, learnt)
        if born is not None:
            bridge = event.get("BridgeUniqueid")
            yield Exited(call=born.call, at=born.at, learnt=learnt, leg=born.leg, bridge=bridge)

    def _hangup(self, event: Message, learnt: datetime | None) -> Seens:
        born = self._born(event, learnt)
        if born is not None:
            yield born
            cause = number(event.get("Cause"))
            yield Gone(call=born.call, at=born.at, learnt=learnt, leg=born.leg, cause=cause)

    def _user(self, event: Message, learnt: datetime | None) -> Seens:
        kind, case, at = event.get("UserEvent"), event.get("Case"), self.at(event)
        unique = event.get("Uniqueid")
        if not CASE.match(case):
            return
        if kind == "CitizenArrived":
            if unique == case and _CHANNEL.match(event.get("Channel")):
                yield _arrived(event, at, learnt)
        elif kind in _NOTES:
            cause = number(event.get("Cause"))
            yield Noted(call=case, at=at, learnt=learnt, what=_NOTES[kind], leg=unique, cause=cause)
        elif kind == "CitizenStillWaits":
            yield WantsCallback(call=case, at=at, learnt=learnt)
        elif kind == "SeatKey" and _HANDOFF.match(event.get("Handoff")):
            handoff = event.get("Handoff")
            yield Keyed(call=case, at=at, learnt=learnt, leg=unique, handoff=handoff)
        elif kind == "LegAccepted":
            yield Accepted(call=case, at=at, learnt=learnt, leg=unique)


def _arrived(event: Message, at: datetime, learnt: datetime | None) -> Arrived:
    """`Number` and `Back` were filtered by the plan; here they are only cut to length."""
    return Arrived(
        call=event.get("Case"),
        at=at,
        learnt=learnt,
        channel=event.get("Channel"),
        number=re.sub(r"[^0-9+]", "", event.get("Number"))[:32],
        entry="12345" if event.get("Entry") == "12345" else "110",
        back=re.sub(r"[^0-9.\-]", "", event.get("Back"))[:64],
    )


def number(text: str) -> int:
    """A cause; 0 where there is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


_ROLES = {role.value: role for role in Role}

_TABLE: dict[str, Callable[[Translator, Message, datetime | None], Seens]] = {
    "Newstate": Translator._state,
    "BridgeEnter": Translator._enter,
    "BridgeLeave": Translator._leave,
    "Hangup": Translator._hangup,
    "UserEvent": Translator._user,
}
"""Events that mean something to a call."""
EVENTS = tuple(_TABLE)
