"""What a desk knows of cases shared with other platforms: a fold of the journal's `peer.` facts.

`peer.case` says what a document is now and to whom it has to go; `peer.delivered` that a platform
has it; `peer.away` and `peer.back` how the way there is. Answers to what was received are kept a
day, so that a repeat is answered as the first time (orders sheet, section 5).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from bridge.domain.journal import Fact, Json, iso, parse_iso
from bridge.domain.shared_case import CaseStatus, SharedCase, as_doc, digest, from_doc

GROUP: Final = "peer"
ANSWERED_FOR: Final = timedelta(hours=24)
ANSWERS_KEPT: Final = 50_000
"""Answers remembered; above it the oldest go. 35 documents a minute for a day."""
ANSWERS_OF_CASE: Final = 200
"""Of one case; the journal has all."""
OVER: Final = frozenset({CaseStatus.CLOSED, CaseStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class Answered:
    """What a platform was answered, and to which octets."""

    peer: str
    key: str
    at: datetime
    body_hash: str
    body: Mapping[str, Json]


@dataclass(slots=True)
class PeerCase:
    """One shared case. `number`: of our own case, where there is one; `queued` and `delivered`:
    digest of the document last meant for, and last taken by, each platform."""

    case: SharedCase
    number: str | None = None
    queued: dict[str, str] = field(default_factory=dict)
    delivered: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Answered] = field(default_factory=dict)
    touched_at: datetime | None = None


@dataclass(slots=True)
class PeerLine:
    """The link to one platform as its facts tell: counters and delays in each direction (LY-10)."""

    sent: int = 0
    received: int = 0
    away: str = ""
    since: datetime | None = None
    out_ms: int | None = None
    out_worst_ms: int = 0
    in_ms: int | None = None
    in_worst_ms: int = 0


class PeerBook:
    """Every shared case at hand, and every link."""

    def __init__(self) -> None:
        self.cases: dict[str, PeerCase] = {}
        self.lines: dict[str, PeerLine] = {}
        self.by_handoff: dict[str, str] = {}
        self.by_number: dict[str, str] = {}
        """Documents of our own cases, by the number of the case."""
        self._answers: OrderedDict[tuple[str, str], Answered] = OrderedDict()

    def answered(self, peer: str, key: str, now: datetime) -> Answered | None:
        """What that post was answered within a day."""
        found = self._answers.get((peer, key))
        return found if found is not None and now - found.at < ANSWERED_FOR else None

    def line(self, peer: str) -> PeerLine:
        return self.lines.setdefault(peer, PeerLine())

    def apply(self, fact: Fact) -> None:
        """Let one fact take effect."""
        data: Mapping[str, Any] = fact.data
        name = fact.kind.partition(".")[2]
        if name == "case":
            self._case(fact, data)
        elif name == "delivered":
            record = self.cases.get(fact.subject or "")
            if record is not None:
                record.delivered[data["peer"]] = data["digest"]
            line = self.line(data["peer"])
            line.sent += 1
            line.out_ms = data["delay_ms"]
            line.out_worst_ms = max(line.out_worst_ms, data["delay_ms"])
        elif name in ("away", "back"):
            line = self.line(fact.subject or "")
            line.away, line.since = data.get("words", ""), fact.at

    def _case(self, fact: Fact, data: Mapping[str, Any]) -> None:
        case = from_doc(data["doc"])
        record = self.cases.setdefault(case.id, PeerCase(case))
        record.case, record.touched_at = case, fact.at
        record.number = fact.case or record.number
        if record.number:
            self.by_number[record.number] = case.id
        if case.handoff.id:
            self.by_handoff[case.handoff.id] = case.id
        for peer in data["to"]:
            record.queued[peer] = digest(case)
        peer = data.get("from")
        if peer is None:
            return
        if data["same"]:  # the platform has what we have now
            record.queued[peer] = record.delivered[peer] = digest(case)
        record.queued.setdefault(peer, digest(case))
        answer = Answered(peer, data["key"], fact.at, data["body_hash"], data["answer"])
        record.answers[answer.key] = answer
        while len(record.answers) > ANSWERS_OF_CASE:
            record.answers.pop(next(iter(record.answers)))
        self._remember(answer)
        line = self.line(peer)
        line.received += 1
        line.in_ms = data["delay_ms"]
        line.in_worst_ms = max(line.in_worst_ms, data["delay_ms"])

    def _remember(self, answer: Answered) -> None:
        self._answers[answer.peer, answer.key] = answer
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)

    def restore(self, ident: str, number: str | None, doc: Mapping[str, Any]) -> None:
        """A record from its row."""
        record = PeerCase(
            from_doc(doc["case"]),
            number,
            dict(doc["queued"]),
            dict(doc["delivered"]),
            touched_at=parse_iso(doc["touched_at"]),
        )
        for one in doc["answers"]:
            answer = Answered(
                one["peer"], one["key"], parse_iso(one["at"]), one["body_hash"], one["body"]
            )
            record.answers[answer.key] = answer
            self._remember(answer)
        self.cases[ident] = record
        if number:
            self.by_number[number] = ident
        if record.case.handoff.id:
            self.by_handoff[record.case.handoff.id] = ident

    def forget_old(self, before: datetime) -> None:
        """Let go of cases that are over and untouched since then; the store has them."""
        for ident, record in list(self.cases.items()):
            old = record.touched_at is not None and record.touched_at < before
            if old and record.case.status in OVER and record.queued == record.delivered:
                self.by_handoff.pop(record.case.handoff.id, None)
                self.by_number.pop(record.number or "", None)
                del self.cases[ident]


def record_doc(record: PeerCase) -> dict[str, Json]:
    """A record as its row keeps it; `PeerBook.restore` reads it."""
    queued: dict[str, Json] = dict(record.queued)
    delivered: dict[str, Json] = dict(record.delivered)
    answers: list[Json] = [
        {
            "peer": one.peer,
            "key": one.key,
            "at": iso(one.at),
            "body_hash": one.body_hash,
            "body": dict(one.body),
        }
        for one in record.answers.values()
    ]
    touched = iso(record.touched_at) if record.touched_at else None
    return {
        "case": as_doc(record.case),
        "queued": queued,
        "delivered": delivered,
        "answers": answers,
        "touched_at": touched,
    }


def accepted_by_peer(book: PeerBook, number: str) -> str | None:
    """The platform that has taken over our case of that number, or None (LY-16)."""
    record = book.cases.get(book.by_number.get(number, ""))
    if record is None or record.case.status not in _TAKEN:
        return None
    return next(iter(record.queued), None)


_TAKEN: Final = frozenset({CaseStatus.ACCEPTED, CaseStatus.HANDLING, CaseStatus.RESOLVED})
