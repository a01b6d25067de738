"""The case document between two platforms, `bridge110.case/1` (orders sheet, section 5). Pure.

A peer may speak any version of the same major: members that we do not know are left alone, members
that are missing are empty. Text from outside is data: control characters are refused, never
stripped (guard rule 18).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from bridge.domain.journal import Json
from bridge.domain.shared_case import (
    MAX_ATTACHMENTS,
    MAX_FEEDBACK,
    Attachment,
    Caller,
    CaseStatus,
    Feedback,
    HandoffPart,
    SharedCase,
    as_doc,
)

SCHEMA: Final = "bridge110.case/1"
MAX_BYTES: Final = 60_000
"""Of a document; the door takes bodies of 64 KiB."""
MAX_WORDS: Final = 4_000
MAX_LINE: Final = 200
CLASSES: Final = ("", "POLICE", "URGENT", "GENERAL")

_SCHEMA: Final = re.compile(r"bridge110\.case/1(?:\.[0-9]{1,4})?")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NUMBER: Final = re.compile(r"\+?[0-9]{0,20}")
_URL: Final = re.compile(
    r"https?://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?(?:/[!-~]{0,500})?"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

T = TypeVar("T")


class DocumentError(ValueError):
    """Not a case document that we can read. `place`: the member; the text says what is wrong."""

    def __init__(self, place: str, words: str) -> None:
        super().__init__(f"{place or '(document)'}: {words}")
        self.place = place


def encode(case: SharedCase) -> bytes:
    """The document as it goes over the line, the same octets for the same case."""
    return json.dumps(
        document(case), ensure_ascii=False, sort_keys=True, separators=(",", ":")
    ).encode()


def document(case: SharedCase) -> dict[str, Json]:
    """The members of the document."""
    made = as_doc(case)
    made["class"] = made.pop("klass")
    return {"schema": SCHEMA, **made}


def decode(data: bytes, *, peer: str) -> SharedCase:
    """The case in a document of the platform `peer`. Raises DocumentError."""
    if len(data) > MAX_BYTES:
        raise DocumentError("", f"{len(data)} bytes; at most {MAX_BYTES}")
    try:
        said = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DocumentError("", "no JSON") from error
    if not isinstance(said, dict):
        raise DocumentError("", "no JSON object")
    return read(said, peer=peer)


def read(said: Mapping[str, Any], *, peer: str) -> SharedCase:
    """The case that the members say. Raises DocumentError."""
    version = said.get("schema")
    if not isinstance(version, str) or _SCHEMA.fullmatch(version) is None:
        raise DocumentError("schema", f"{SCHEMA} is spoken here, any version of that major")
    status = _line(said, "status", default=CaseStatus.REQUESTED.value)
    revision = said.get("revision")
    if revision is not None and not _is_count(revision):
        raise DocumentError("revision", "a whole number from 1 to 1000000000")
    klass = _line(said, "class")
    if klass not in CLASSES:
        raise DocumentError("class", f"one of {', '.join(CLASSES[1:])}")
    return SharedCase(
        case=_form(said, "case", _NAME),
        origin=_form(said, "origin", _NAME, default=peer),
        klass=klass,
        category=_line(said, "category"),
        area=_line(said, "area"),
        place=_line(said, "place"),
        words=_words(said, "words"),
        caller=_part(said, "caller", _caller) or Caller(),
        occurred_at=_time(said, "occurred_at"),
        received_by=_line(said, "received_by"),
        call=_line(said, "call"),
        handoff=_part(said, "handoff", _handoff) or HandoffPart(),
        status=CaseStatus(status) if status in list(CaseStatus) else CaseStatus.HANDLING,
        feedback=_list(said, "feedback", _feedback, MAX_FEEDBACK),
        ticket=_line(said, "ticket"),
        attachments=_list(said, "attachments", _attachment, MAX_ATTACHMENTS),
        revision=revision,
        changed_at=_time(said, "changed_at") or datetime(1970, 1, 1, tzinfo=UTC),
        changed_by=_line(said, "changed_by"),
    )


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= 1_000_000_000


def _text(said: Mapping[str, Any], name: str, place: str, default: str | None = "") -> str:
    value = said.get(name)
    if value is None:
        if default is None:
            raise DocumentError(place, "is missing")
        return default
    if not isinstance(value, str):
        raise DocumentError(place, "must be text")
    return value


def _line(said: Mapping[str, Any], name: str, place: str = "", default: str = "") -> str:
    text = _text(said, name, place or name, default)
    if len(text) > MAX_LINE:
        raise DocumentError(place or name, f"longer than {MAX_LINE} characters")
    if _CONTROL.search(text):
        raise DocumentError(place or name, "holds a control character")
    return text


def _words(said: Mapping[str, Any], name: str, place: str = "") -> str:
    text = _text(said, name, place or name)
    if len(text) > MAX_WORDS:
        raise DocumentError(place or name, f"longer than {MAX_WORDS} characters")
    if _CONTROL_BUT_LINES.search(text):
        raise DocumentError(place or name, "holds a control character")
    return text


def _form(
    said: Mapping[str, Any],
    name: str,
    form: re.Pattern[str],
    place: str = "",
    default: str | None = None,
) -> str:
    text = _text(said, name, place or name, default)
    if form.fullmatch(text) is None:
        raise DocumentError(place or name, f"must have the form {form.pattern}")
    return text


def _time(said: Mapping[str, Any], name: str, place: str = "") -> datetime | None:
    text = _line(said, name, place)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DocumentError(place or name, "no time; ISO 8601 with zone is expected") from error
    if moment.tzinfo is None:
        raise DocumentError(place or name, "a time without zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise DocumentError(place or name, "no time of this age") from error


def _part(
    said: Mapping[str, Any], name: str, make: Callable[[Mapping[str, Any], str], T]
) -> T | None:
    value = said.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise DocumentError(name, "must be an object")
    return make(value, name)


def _list(
    said: Mapping[str, Any], name: str, make: Callable[[Mapping[str, Any], str], T], most: int
) -> Sequence[T]:
    value = said.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > most:
        raise DocumentError(name, f"must be a list of at most {most}")
    made: list[T] = []
    for number, one in enumerate(value):
        place = f"{name}.{number}"
        if not isinstance(one, dict):
            raise DocumentError(place, "must be an object")
        made.append(make(one, place))
    return tuple(made)


def _caller(said: Mapping[str, Any], place: str) -> Caller:
    number = _form(said, "number", _NUMBER, f"{place}.number", "")
    return Caller(number, _line(said, "name", f"{place}.name"))


def _handoff(said: Mapping[str, Any], place: str) -> HandoffPart:
    return HandoffPart(
        id=_line(said, "id", f"{place}.id"),
        requested_at=_time(said, "requested_at", f"{place}.requested_at"),
        accepted_at=_time(said, "accepted_at", f"{place}.accepted_at"),
        by=_line(said, "by", f"{place}.by"),
    )


def _feedback(said: Mapping[str, Any], place: str) -> Feedback:
    at = _time(said, "at", f"{place}.at")
    if at is None:
        raise DocumentError(f"{place}.at", "is missing")
    kind = _line(said, "kind", f"{place}.kind")
    words = _words(said, "words", f"{place}.words")
    return Feedback(at, kind, words, _line(said, "by", f"{place}.by"))


def _attachment(said: Mapping[str, Any], place: str) -> Attachment:
    return Attachment(
        sha256=_form(said, "sha256", re.compile(r"[0-9a-f]{64}"), f"{place}.sha256"),
        type=_line(said, "type", f"{place}.type"),
        url=_form(said, "url", _URL, f"{place}.url"),
    )
