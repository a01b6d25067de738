"""Which faults strike an order on its way, and at which steps the daemon is killed. Pure.

A *scene* is an attempt in one state on one wire; the wires of a stage each have some (`Wire`). A
fault strikes one order in each scene at the same time; a named step strikes one order of a story.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

GOES_ON_S: Final = 40.0
"""After a fault, until a person has signed: a step of the ladder and the ringing of the next."""


class OrderFault(Enum):
    """What happens while orders are on their way."""

    KILLED = "daemon killed"
    CUT = "AMI cut"
    HALF_OPEN = "AMI half-open"
    ASTERISK = "Asterisk killed"
    FULL = "store full"
    FAILS = "store fails"
    SMTP_DEAD = "SMTP peer dead"
    SMTP_HALF = "SMTP peer half-open"
    PORTS = "port process killed"
    CABLE = "radio's cable pulled"
    MODEMS = "fax modems' cables pulled"


@dataclass(frozen=True, slots=True)
class Story:
    """An order from its dispatch to the end that is meant, and the steps of the daemon in it."""

    wire: str
    name: str
    facts: tuple[str, ...]
    """Facts whose commit is struck before and after."""
    doors: tuple[tuple[str, str], ...] = ()
    """Other places, and what is done there."""

    @property
    def title(self) -> str:
        return f"{self.wire} {self.name}"


STORIES: Final = (
    Story(
        "phone",
        "signs",
        ("order.dispatched", "attempt.sending", "attempt.sent", "order.acknowledged"),
        (
            ("before-send", "phone"),
            ("after-send", "phone"),
            ("before-action", "Originate"),
            ("after-action", "Originate"),
        ),
    ),
    Story("phone", "busy", ("attempt.failed",)),
    Story(
        "phone",
        "withdrawn",
        ("attempt.stopping", "attempt.withdrawn"),
        (
            ("before-withdraw", "phone"),
            ("after-withdraw", "phone"),
            ("before-action", "Hangup"),
            ("after-action", "Hangup"),
        ),
    ),
    Story(
        "mail",
        "sent",
        ("attempt.sending", "attempt.sent", "order.acknowledged"),
        (("before-send", "mail"), ("after-send", "mail")),
    ),
    Story("mail", "deferred", ("attempt.failed",)),
    Story(
        "radio",
        "shown",
        ("attempt.sending", "attempt.sent", "attempt.read", "order.acknowledged"),
        (("before-send", "radio"), ("after-send", "radio")),
    ),
    Story(
        "fax",
        "returned",
        ("attempt.sending", "attempt.delivered", "order.acknowledged"),
        (("before-send", "fax"), ("after-send", "fax")),
    ),
)


@dataclass(frozen=True, slots=True)
class OrderKill:
    """The daemon dies at a named step of a story."""

    story: Story
    place: str
    what: str

    @property
    def name(self) -> str:
        return f"daemon killed at {self.place} {self.what}"


def order_kills(stories: Sequence[Story] = STORIES) -> Iterator[OrderKill]:
    """One at every named step."""
    for story in stories:
        for fact in story.facts:
            for place in ("before-commit", "committed", "published"):
                yield OrderKill(story, place, fact)
        for place, what in story.doors:
            yield OrderKill(story, place, what)


@dataclass(frozen=True, slots=True)
class OrderLine:
    """What became of one order. `on_s`: from the end of the fault until a person had signed; None
    when nobody could."""

    scene: str
    fault: str
    on_s: float | None
    acks_lost: int = 0
    """A key that the switch has on record, or a link that was answered, and no signature."""
    unmarked: int = 0
    """Carried again after an outcome that nobody saw, without the mark 可能重复; or one attempt
    carried twice."""
    detail: str = ""

    def json(self) -> dict[str, Any]:
        """A line of output."""
        found: dict[str, Any] = {
            "cell": f"order {self.scene} × {self.fault}",
            "order": self.scene,
            "fault": self.fault,
            "on_s": self.on_s,
            "acks_lost": self.acks_lost,
            "unmarked": self.unmarked,
        }
        return {**found, "detail": self.detail} if self.detail else found

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that were not kept, in words."""
        found = []
        if self.on_s is None:
            found.append("the order did not go on")
        elif self.on_s > GOES_ON_S:
            found.append(f"signed after {self.on_s:.1f} s > {GOES_ON_S:g}")
        if self.acks_lost:
            found.append(f"{self.acks_lost} signatures lost")
        if self.unmarked:
            found.append(f"{self.unmarked} repeated without the mark")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Carried:
    """The far side saw an attempt come. `marked`: it said that it may be a repeat."""

    attempt: str
    marked: bool


CONFIRMED: Final = ("delivered", "read", "acknowledged")
"""Attempts of which the far side itself has said that they came."""


def unmarked(carried: Sequence[Carried], attempts: Sequence[dict[str, Any]]) -> list[str]:
    """What came again without the mark, or is said to have come and did not, in words. `attempts`
    as the desk shows them, in order."""
    found = []
    seen: dict[str, int] = {}
    for one in carried:
        seen[one.attempt] = seen.get(one.attempt, 0) + 1
    marked = {one.attempt for one in carried if one.marked}
    found += [f"{ident} came {count} times" for ident, count in seen.items() if count > 1]
    for before, after in _chains(attempts):
        if before["state"] == "unknown" and after["id"] in seen and after["id"] not in marked:
            found.append(f"{after['id']} came unmarked after {before['id']}")
    found += [
        f"{attempt['id']} is {attempt['state']} and never came"
        for attempt in attempts
        if attempt["state"] in CONFIRMED and attempt["id"] not in seen
    ]
    known = {attempt["id"] for attempt in attempts}
    return found + [f"{ident} is no attempt of ours" for ident in seen if ident not in known]


def _chains(attempts: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Attempts of one wire to the same addresses, each with the one before."""
    last: dict[tuple[str, ...], dict[str, Any]] = {}
    for attempt in attempts:
        key = (attempt["channel"], *attempt["addresses"])
        if key in last:
            yield last[key], attempt
        last[key] = attempt
