"""A case as two desks share it: one document, the same at both ends, whoever changed it.

Each desk changes its own copy and sends the whole document. Two copies are put together by
`merge`, which gives the same whatever came first, so that after an exchange both desks have the
same document (LY-10). Members that are empty never take anything away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from bridge.domain.journal import Json, iso

MAX_FEEDBACK: Final = 200
"""Lines of feedback of one case; beyond, the oldest go. A case of years has some dozens."""
FEEDBACK_ROOM: Final = 10_000
"""Characters of all feedback together, so that a document fits into one post."""
MAX_ATTACHMENTS: Final = 10
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class CaseStatus(StrEnum):
    """Where the matter stands between the desks."""

    REQUESTED = "requested"  # asked to take it over
    ACCEPTED = "accepted"  # a person over there has taken it
    HANDLING = "handling"
    RESOLVED = "resolved"  # result is there
    RETURNED = "returned"  # handed back, with a reason
    CANCELLED = "cancelled"  # the one who asked no longer does
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Caller:
    number: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class HandoffPart:
    """Who asked whom, and who took it."""

    id: str = ""
    requested_at: datetime | None = None
    accepted_at: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Feedback:
    """What a desk says about the matter: progress, result, reason."""

    at: datetime
    kind: str
    words: str
    by: str


@dataclass(frozen=True, slots=True, order=True)
class Attachment:
    sha256: str
    type: str
    url: str


@dataclass(frozen=True, slots=True)
class SharedCase:
    """One document. `origin` and `case` name it for ever; the rest may change.

    `revision` counts changes; `changed_by` is the desk that made the last one, at `changed_at` by
    its own clock. `call` is the id that the ring carries in `X-Case-Id`. A `revision` of None:
    written by a peer that does not count.
    """

    case: str
    origin: str
    klass: str = ""
    category: str = ""
    area: str = ""
    place: str = ""
    words: str = ""
    caller: Caller = Caller()
    occurred_at: datetime | None = None
    received_by: str = ""
    call: str = ""
    handoff: HandoffPart = HandoffPart()
    status: CaseStatus = CaseStatus.REQUESTED
    feedback: Sequence[Feedback] = ()
    ticket: str = ""
    attachments: Sequence[Attachment] = ()
    revision: int | None = 1
    changed_at: datetime = _NEVER
    changed_by: str = ""

    @property
    def id(self) -> str:
        """Names the document at every desk."""
        return f"{self.origin}/{self.case}"


def merge(one: SharedCase, other: SharedCase) -> SharedCase:
    """Both copies as one. The later copy's members count; what it leaves empty comes from the
    other; feedback and attachments are put together. Raises ValueError for two different cases.
    """
    if one.id != other.id:
        raise ValueError(f"{one.id} and {other.id} are two cases")
    if _rank(one) == _rank(other):
        high = low = _joined(one, other)
    else:
        low, high = sorted((one, other), key=_rank)
    members = {name: getattr(high, name) or getattr(low, name) for name in _PLAIN}
    return replace(
        high,
        **members,
        caller=_filled(high.caller, low.caller),
        handoff=_same_handoff(high.handoff, low.handoff),
        feedback=_newest({*one.feedback, *other.feedback}),
        attachments=tuple(sorted({*one.attachments, *other.attachments}))[-MAX_ATTACHMENTS:],
    )


def _joined(one: SharedCase, other: SharedCase) -> SharedCase:
    """Two copies of which neither is later: member by member the one that sorts last."""
    members: dict[str, Any] = {
        name: max(getattr(one, name), getattr(other, name), key=lambda said: str(said or ""))
        for name in _PLAIN
    }
    names = max(one.caller.name, other.caller.name)
    caller = Caller(max(one.caller.number, other.caller.number), names)
    handoff = max(one.handoff, other.handoff, key=lambda part: str(asdict(part)))
    status = max(one.status, other.status)
    return replace(one, **members, caller=caller, handoff=handoff, status=status)


_PLAIN: Final = (
    "klass",
    "category",
    "area",
    "place",
    "words",
    "occurred_at",
    "received_by",
    "call",
    "ticket",
)


def _rank(case: SharedCase) -> tuple[int, datetime, str]:
    """Later copies rank higher."""
    return case.revision or 0, case.changed_at, case.changed_by


def _filled(high: Any, low: Any) -> Any:
    """The members of `high`, the empty ones from `low`."""
    empty = {
        one.name: getattr(low, one.name) for one in fields(high) if not getattr(high, one.name)
    }
    return replace(high, **empty)


def _same_handoff(high: HandoffPart, low: HandoffPart) -> HandoffPart:
    """A new handing-over begins anew; nobody has accepted it by having accepted an older one."""
    same = high.id == low.id or not high.id or not low.id
    found: HandoffPart = _filled(high, low) if same else high
    return found


def changed(case: SharedCase, *, at: datetime, by: str, **members: Any) -> SharedCase:
    """The next revision, with these members."""
    return replace(case, **members, revision=(case.revision or 0) + 1, changed_at=at, changed_by=by)


def said(case: SharedCase, feedback: Feedback) -> Sequence[Feedback]:
    """The feedback with one more line."""
    return _newest({*case.feedback, feedback})


def _newest(lines: set[Feedback]) -> tuple[Feedback, ...]:
    """As many as a document holds, in order; the oldest go."""
    kept: list[Feedback] = []
    room = FEEDBACK_ROOM
    for line in sorted(lines, reverse=True)[:MAX_FEEDBACK]:
        room -= len(line.words) + len(line.kind) + len(line.by) + 40
        if room < 0:
            break
        kept.append(line)
    return tuple(reversed(kept))


def counted(case: SharedCase, local: SharedCase | None, at: datetime, by: str) -> SharedCase:
    """A document of a peer that does not count: the next after what is known here."""
    if case.revision is not None:
        return case
    known = local.revision or 0 if local is not None else 0
    return replace(case, revision=known + 1, changed_at=at, changed_by=by)


def as_doc(case: SharedCase) -> dict[str, Json]:
    """Plain JSON values; `from_doc` reads them back."""
    made: Mapping[str, Any] = asdict(case)
    return {name: _json(value) for name, value in made.items()}


def from_doc(doc: Mapping[str, Any]) -> SharedCase:
    """Inverse of `as_doc`."""
    values = dict(doc)
    values["caller"] = Caller(**doc["caller"])
    handoff = dict(doc["handoff"])
    for name in ("requested_at", "accepted_at"):
        handoff[name] = _time(handoff[name])
    values["handoff"] = HandoffPart(**handoff)
    values["status"] = CaseStatus(doc["status"])
    values["feedback"] = tuple(
        Feedback(datetime.fromisoformat(one["at"]), one["kind"], one["words"], one["by"])
        for one in doc["feedback"]
    )
    values["attachments"] = tuple(Attachment(**one) for one in doc["attachments"])
    values["occurred_at"] = _time(doc["occurred_at"])
    values["changed_at"] = datetime.fromisoformat(doc["changed_at"])
    return SharedCase(**values)


def digest(case: SharedCase) -> str:
    """The same at both ends exactly when the documents are the same."""
    text = json.dumps(as_doc(case), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _json(value: Any) -> Json:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Mapping):
        return {str(name): _json(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_json(one) for one in value]
    if isinstance(value, StrEnum):
        return value.value
    plain: Json = value
    return plain
