"""Facts and the chain that proves them.

A *fact* is something that happened to a case, a call, a seat or the daemon's own links. Facts are
only ever appended. Each stored entry carries the hash of the one before it, so that an edit
anywhere and a cut tail are found (`bridge110 db verify`; guard rules 27 and 30).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode

GENESIS = "0" * 64
"""Hash before the first entry of a site's journal."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened.

    `kind` is a dotted name (`call.established`, `handoff.requested`); `at` is when it happened
    (UTC, from Asterisk's clock where it saw it); `learnt_at` is set when the daemon was not
    watching and learnt it afterwards. `subject` is the leg, handoff or seat concerned.
    """

    kind: str
    at: datetime
    case: str | None = None
    call: str | None = None
    subject: str | None = None
    actor: str = "switch"
    data: Mapping[str, Json] = field(default_factory=dict)
    learnt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact in its place in the journal of one site: `(site, seq)` is its key everywhere."""

    site: str
    seq: int
    fact: Fact
    prev: str
    hash: str


def iso(moment: datetime) -> str:
    """UTC text with microseconds, the only form in which times are stored. Refuses naive times."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored; pass an aware datetime")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")


def parse_iso(text: str) -> datetime:
    """Inverse of `iso`. Raises ValueError on anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    return moment.astimezone(UTC)


def body(fact: Fact) -> str:
    """The canonical text of a fact: what is stored, and what is hashed."""
    return _CANONICAL(
        {
            "kind": fact.kind,
            "at": iso(fact.at),
            "case": fact.case,
            "call": fact.call,
            "subject": fact.subject,
            "actor": fact.actor,
            "data": dict(fact.data),
            "learnt_at": iso(fact.learnt_at) if fact.learnt_at else None,
        }
    )


def parse_body(text: str) -> Fact:
    """Inverse of `body`. Raises ValueError or KeyError when the text is not a fact."""
    raw = json.loads(text)
    return Fact(
        kind=raw["kind"],
        at=parse_iso(raw["at"]),
        case=raw["case"],
        call=raw["call"],
        subject=raw["subject"],
        actor=raw["actor"],
        data=raw["data"],
        learnt_at=parse_iso(raw["learnt_at"]) if raw["learnt_at"] else None,
    )


def link(prev: str, site: str, seq: int, text: str) -> str:
    """Hash of an entry: SHA-256 over the previous hash, site, sequence and canonical text."""
    material = f"{prev}\n{site}\n{seq}\n{text}"
    return hashlib.sha256(material.encode("utf-8", "surrogatepass")).hexdigest()
