"""What people were told, and what of it is not told any more. Pure.

An event of the desk's stream must be a fact of the journal for ever. A call as a snapshot shows it
may grow and move on, but what is written once in it (a number, a time, an outcome) stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge.domain.journal import Entry
from bridge.flows.cti_events import CALL_EVENTS, EPHEMERAL, SEAT_EVENTS

Doc = Mapping[str, Any]
Mark = tuple[str, str, int]
"""A fact as both sides know it: kind, call (or seat), milliseconds since 1970."""

OF_CALL: Final = ("id", "case", "number", "entry", "offered_at", "cleared_at", "outcome")
OF_LEG: Final = ("id", "role", "initiated_at", "alerting_at", "answered_at", "joined_at",
                 "cleared_at", "cause")  # fmt: skip
OF_HANDOFF: Final = ("id", "kind", "target", "seat", "actor", "outcome")
TRUE_FOR_EVER: Final = ("callback", "leave", "cancelled", "fallback_tried")


def kinds() -> Mapping[str, Collection[str]]:
    """Kinds of facts by the type of the event that tells them."""
    found: dict[str, set[str]] = {name: {name} for name in SEAT_EVENTS}
    for kind, (name, _) in CALL_EVENTS.items():
        found.setdefault(name, set()).add(kind)
    for name in ("call.queued", "call.conferenced"):
        found[name] = {"call.state"}
    found["call.retrieved"] = {"call.established"}
    return found


_KINDS: Final = kinds()


def millis(at: datetime) -> int:
    """As events show times: cut to the millisecond."""
    return (at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def marks_of(entries: Sequence[Entry]) -> set[Mark]:
    """Every fact of a journal."""
    return {(e.fact.kind, e.fact.call or e.fact.subject or "", millis(e.fact.at)) for e in entries}


def is_durable(event: Doc) -> bool:
    """Whether an event tells of a fact about a call or a seat."""
    return event["type"] in _KINDS and event["type"] not in EPHEMERAL


def is_kept(event: Doc, marks: Collection[Mark]) -> bool:
    """Whether the journal has what this event told."""
    about = event["call"] or event["seat"]
    at = millis(datetime.fromisoformat(event["at"]))
    return any((kind, about, at) in marks for kind in _KINDS[event["type"]])


def members(doc: Doc) -> Iterator[tuple[str, Any]]:
    """What a call's record says once and for all: path and value."""
    yield from _once(doc["id"], doc, OF_CALL)
    for leg in doc["legs"]:
        yield from _once(f"{doc['id']} leg {leg['id']}", leg, OF_LEG)
    for handoff in doc["handoffs"]:
        path = f"{doc['id']} handoff {handoff['id']}"
        yield from _once(path, handoff, OF_HANDOFF)
        yield from ((f"{path} {name}", at) for name, at in handoff["times"].items())


def _once(path: str, doc: Doc, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    yield from ((f"{path} {name}", doc[name]) for name in names if doc[name] is not None)
    yield from ((f"{path} {name}", True) for name in TRUE_FOR_EVER if doc.get(name))


def lost(before: Doc, after: Doc | None) -> list[str]:
    """What a call's record said before and does not say any more."""
    kept = dict(members(after)) if after is not None else {}
    return [path for path, value in members(before) if kept.get(path) != value]
