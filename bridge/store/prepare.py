"""Turns a transaction into what is written, before the writer sees it.

Whatever is wrong with a transaction is found here, in the task that asked for it: the writer
thread then only binds ready text, and a bad transaction costs its neighbours nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bridge.domain.journal import Fact, Json, body, iso
from bridge.flows.ports import Answer, Message, Row, StoreInvalid, Table, Transaction

MAX_BYTES = 8 * 1024 * 1024
"""Largest transaction, as text. A case with 200 facts is about 150 kB; 256 merged decisions of
what was seen, each with the longest name, about 4 MB; more is a mistake."""

ITEM_BYTES = 256
"""What a fact, row or message costs beside its text."""

PUT_QUERIES: Mapping[Table, str] = {
    "case": "put_case",
    "case_file": "put_case_file",
    "call": "put_call",
    "leg": "put_leg",
    "handoff": "put_handoff",
    "seat": "put_seat",
    "order": "put_order",
    "attempt": "put_attempt",
    "peer_case": "put_peer_case",
}
"""Query for each table, in the order in which rows refer to each other: cases first."""
_PUT_ORDER = {query: place for place, query in enumerate(PUT_QUERIES.values())}

_ENCODE = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode

Bindings: TypeAlias = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """A state row as text. `place` is the fact it is dated by, counted in its transaction."""

    query: str
    place: int
    bindings: Bindings


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transaction as text, known to be well formed. `size` is in bytes, roughly."""

    facts: tuple[tuple[Fact, str], ...]
    rows: tuple[PreparedRow, ...]
    messages: tuple[Bindings, ...]
    answer: Bindings | None
    cursors: tuple[Bindings, ...]
    urgent: bool
    size: int


def prepare(work: Transaction) -> Prepared:
    """Write everything in `work` as text. Raises StoreInvalid naming what cannot be stored."""
    if work.rows and not work.facts:
        raise StoreInvalid(
            f"{work.rows[0].table} {work.rows[0].id}: a state without a fact cannot be rebuilt "
            "from the journal; put the fact that led to it into the same transaction"
        )
    facts = tuple((fact, _fact(fact)) for fact in work.facts)
    rows = sorted(
        (_row(row, work.facts) for row in work.rows),
        key=lambda row: _PUT_ORDER[row.query],
    )
    messages = tuple(_message(message) for message in work.messages)
    answer = _answer(work.answer) if work.answer else None
    cursors = tuple(_cursor(name, value) for name, value in work.cursors.items())
    texts = [text for _, text in facts]
    for bindings in (*(row.bindings for row in rows), *messages, *([answer] if answer else [])):
        texts += [value for value in bindings.values() if isinstance(value, str)]
    size = sum(map(len, texts)) + ITEM_BYTES * (len(facts) + len(rows) + len(messages) + 1)
    if size > MAX_BYTES:
        raise StoreInvalid(
            f"a transaction of {size} bytes is over the limit of {MAX_BYTES}; split it"
        )
    return Prepared(facts, tuple(rows), messages, answer, cursors, work.urgent, size)


def _fact(fact: Fact) -> str:
    return _text(f"fact {fact.kind}", lambda: body(fact))


def _row(row: Row, facts: Sequence[Fact]) -> PreparedRow:
    cases = [fact.case for fact in facts]
    place = cases.index(row.case) if row.case in cases else 0
    what = f"{row.table} {row.id}"
    return PreparedRow(
        query=PUT_QUERIES[row.table],
        place=place,
        bindings={
            "id": _plain(what, row.id),
            "case_no": _plain(what, row.case) if row.case is not None else None,
            "state": _plain(what, row.state),
            "doc": _json(what, row.doc),
        },
    )


def _message(message: Message) -> Bindings:
    what = f"message {message.key}"
    return {
        "key": _plain(what, message.key),
        "channel": _plain(what, message.channel),
        "body": _json(what, message.body),
        "due_at": _text(what, lambda: iso(message.due_at)),
    }


def _answer(answer: Answer) -> Bindings:
    what = f"answer {answer.key}"
    if not 100 <= answer.status <= 599:
        raise StoreInvalid(f"{what}: {answer.status} is no HTTP status")
    return {
        "key": _plain(what, answer.key),
        "status": answer.status,
        "body": _json(what, answer.body),
    }


def _cursor(name: str, value: str) -> Bindings:
    return {"name": _plain("cursor", name), "value": _plain(f"cursor {name}", value)}


def _plain(what: str, value: str) -> str:
    return _text(what, lambda: value)


def _json(what: str, value: Mapping[str, Json]) -> str:
    return _text(what, lambda: _ENCODE(dict(value)))


def _text(what: str, write: Callable[[], str]) -> str:
    """Run `write` and make sure SQLite can keep the result. Raises StoreInvalid naming `what`."""
    try:
        text = write()
        text.encode("utf-8")
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise StoreInvalid(f"{what}: cannot be stored: {error}") from error
    return text
