"""Platforms and what is said about a shared case, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from bridge.domain.journal import Json
from bridge.domain.shared_case import MAX_ATTACHMENTS, Attachment, Caller, SharedCase


@dataclass(frozen=True, slots=True)
class Alias:
    """A number that is the peer's from `since` on (LY-13)."""

    number: str
    since: date
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """Another platform (LY-02). Its id is the number of its desk."""

    id: str
    title: str
    url: str
    aliases: Sequence[Alias] = ()
    dial: str = ""
    """The voice route: what is dialled for it."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for a service, and the key that makes a repeat harmless."""

    actor: str
    key: str


@dataclass(frozen=True, slots=True)
class Described:
    """What a desk writes about a case; None leaves it as it is."""

    klass: str | None = None
    category: str | None = None
    area: str | None = None
    place: str | None = None
    words: str | None = None
    number: str | None = None
    name: str | None = None
    attachments: tuple[Attachment, ...] = ()
    """Files of the case; they are added to those the document names."""
    at: datetime | None = None
    """When it was written."""

    def on(self, case: SharedCase) -> SharedCase:
        """The case with it."""
        given = {
            name: getattr(self, name)
            for name in ("klass", "category", "area", "place", "words")
            if getattr(self, name) is not None
        }
        caller = Caller(
            case.caller.number if self.number is None else self.number,
            case.caller.name if self.name is None else self.name,
        )
        if not {*self.attachments} <= {*case.attachments}:
            files = sorted({*case.attachments, *self.attachments})
            given["attachments"] = tuple(files)[-MAX_ATTACHMENTS:]
        return replace(case, caller=caller, **given)


def as_described(written: Mapping[str, Any], at: datetime | None = None) -> Described:
    """Members of a case's file, as far as the shared document has them."""
    members: dict[str, Any] = {
        name: written.get(name) for name in ("klass", "category", "area", "place", "words")
    }
    return Described(**members, name=written.get("caller_name"), at=at)


def answer_of(case: SharedCase) -> dict[str, Json]:
    """What a service of a shared case is answered."""
    return {"case": case.id, "revision": case.revision, "status": case.status.value}
