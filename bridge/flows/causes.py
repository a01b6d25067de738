"""Which command led to which event: `cause` of the CTI envelope (softphone sheet 7, principle 2).

A command's own facts stand beside its `call.service` fact. What the switch did because of it comes
later: by the handoff or leg the command created, or as the one kind of event it leads to. A cause
is named only where it is known; an event without one just happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.domain.call import Call
from bridge.domain.conversation import E
from bridge.domain.journal import Fact

LEADS_TO: Mapping[E, frozenset[str]] = {
    E.THREE_WAY: frozenset({"handoff.joined", "handoff.ended"}),
    E.TRANSFER: frozenset({"call.transferred", "handoff.ended"}),
    E.CONSULT: frozenset({"handoff.joined", "handoff.ended"}),
    E.CANCEL: frozenset({"handoff.ended"}),
    E.HOLD: frozenset({"call.held"}),
    E.RETRIEVE: frozenset({"call.retrieved"}),
    E.RECONNECT: frozenset({"call.retrieved"}),
    E.ALTERNATE: frozenset({"call.held", "call.retrieved"}),
    E.CONFERENCE: frozenset({"call.conferenced"}),
    E.LEAVE: frozenset({"call.connectionCleared"}),
    E.CLEAR_PARTY: frozenset({"call.connectionCleared"}),
    E.JOIN: frozenset({"call.established"}),
    E.INTRUDE: frozenset({"call.established"}),
    E.MUTE: frozenset({"leg.muted"}),
    E.CLEAR_CALL: frozenset({"call.cleared"}),
}
"""The event by which a client sees that what it asked for has come about (`?wait=`)."""

_BY_NAME = {service.value: service for service in E}


@dataclass(frozen=True, slots=True)
class Cause:
    """The key of a command and the CSTA service it asked for."""

    command: str
    code: str


@dataclass(slots=True)
class _OfCall:
    """What is known of one call's commands."""

    now: tuple[str, datetime] | None = None
    latest: Cause | None = None
    awaited: frozenset[str] = frozenset()
    made: dict[str, Cause] = field(default_factory=dict)


class Causes:
    """Remembers commands of live calls; `forget` a call when it is over."""

    def __init__(self) -> None:
        self._calls: dict[str, _OfCall] = {}

    def of(self, call: Call, fact: Fact, event: str) -> Cause | None:
        """The cause of an event named `event`, made from `fact`, or None where none is known."""
        known = self._calls.get(call.id)
        if fact.kind == "call.service":
            self._calls[call.id] = _begin(call, fact, known)
            return None
        if known is None or known.latest is None:
            return None
        if known.now == (fact.actor, fact.at):
            if fact.kind in ("handoff.requested", "call.originated", "handoff.cancelled"):
                known.made[fact.subject or ""] = known.latest
            return known.latest
        if fact.subject in known.made:
            return known.made[fact.subject or ""]
        if event in known.awaited:
            known.awaited -= {event}
            return known.latest
        return None

    def forget(self, call: str) -> None:
        """The call is over."""
        self._calls.pop(call, None)


def _begin(call: Call, fact: Fact, known: _OfCall | None) -> _OfCall:
    out = known or _OfCall()
    service = _BY_NAME.get(str(fact.data.get("service")))
    out.now = (fact.actor, fact.at)
    out.latest = Cause(str(fact.data.get("key")), str(fact.data.get("service")).partition(" ")[0])
    out.awaited = LEADS_TO.get(service, frozenset()) if service else frozenset()
    if service is E.CLEAR_PARTY:
        out.made[str(fact.data.get("leg"))] = out.latest
    if service is E.LEAVE:
        own = call.seat_leg(fact.subject)
        out.made[own.id if own else ""] = out.latest
        out.awaited = frozenset()
    if service is E.CLEAR_CALL:
        out.made.update({leg.id: out.latest for leg in call.legs.values() if leg.live})
    return out
