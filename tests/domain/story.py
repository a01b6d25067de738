"""A call told step by step to the pure domain: what was seen, what was asked, what followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.domain.acts import Act, Command, Target
from bridge.domain.call import Book, Call, Handoff, Role, fold
from bridge.domain.conversation import E, S
from bridge.domain.decide import decide
from bridge.domain.journal import Fact
from bridge.domain.observe import observe
from bridge.domain.seen import (
    Accepted,
    Answered,
    AnySeen,
    Arrived,
    Born,
    Entered,
    Exited,
    Gone,
    Noted,
    Rang,
    Seen,
)

CALL = "1764000000.1"
START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
HOTLINE = Target("12345", "热线", "PJSIP/12345@hotline", Role.HOTLINE, "hotline")
WITH_FALLBACK = Target(
    "6001", "供水", "PJSIP/6001@a", Role.UNIT, "unit-6001", fallback="PJSIP/6001@b"
)
TARGETS = {target.id: target for target in (HOTLINE, WITH_FALLBACK)}


@dataclass
class Story:
    book: Book = field(default_factory=Book)
    facts: list[Fact] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    now: datetime = START
    _ids: int = 0

    @property
    def call(self) -> Call:
        return self.book.calls[CALL]

    def state(self) -> S:
        """The conversation's state; a method, since each look may find another."""
        return self.call.state

    def handoff(self, ident: str) -> Handoff:
        return self.call.handoffs[ident]

    @property
    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]

    def new_id(self) -> str:
        self._ids += 1
        return f"new-{self._ids}"

    def see(self, seen: AnySeen) -> list[Act]:
        facts, acts = observe(
            self.book, seen, case="20261124-0001", targets=TARGETS.get, new_id=self.new_id
        )
        self.facts += facts
        self.acts += acts
        return acts

    def common(self) -> dict[str, Any]:
        self.now += timedelta(milliseconds=10)
        return {"call": CALL, "at": self.now}

    def ask(self, service: E, **rest: Any) -> list[Act]:
        rest.setdefault("seat", "8001")
        rest.setdefault("new_leg", f"leg-{service.name}")
        rest.setdefault("new_handoff", f"h-{service.name}")
        if service in (E.THREE_WAY, E.TRANSFER, E.CONSULT):
            rest.setdefault("target", HOTLINE)
        command = Command(service, CALL, f"seat:{rest['seat']}", "110", "key", **rest)
        facts, acts = decide(self.book, command, Seen(**self.common()))
        self.facts += facts
        self.acts += acts
        return acts

    def arrive(self) -> None:
        self.see(
            Arrived(**self.common(), channel="PJSIP/trunk-1", number="13800138000", entry="110")
        )

    def born(self, leg: str, name: str, role: Role, handoff: str | None = None) -> None:
        channel = f"PJSIP/{leg}-00000001"
        self.see(
            Born(**self.common(), leg=leg, channel=channel, role=role, name=name, handoff=handoff)
        )

    def rang(self, leg: str) -> None:
        self.see(Rang(**self.common(), leg=leg))

    def answered(self, leg: str) -> None:
        self.see(Answered(**self.common(), leg=leg))

    def accepted(self, leg: str) -> None:
        self.see(Accepted(**self.common(), leg=leg))

    def enter(self, bridge: str, *legs: str) -> list[Act]:
        acts: list[Act] = []
        for leg in legs:
            acts += self.see(Entered(**self.common(), leg=leg, bridge=bridge))
        return acts

    def exit(self, bridge: str, *legs: str) -> None:
        for leg in legs:
            self.see(Exited(**self.common(), leg=leg, bridge=bridge))

    def gone(self, leg: str, cause: int = 16) -> list[Act]:
        return self.see(Gone(**self.common(), leg=leg, cause=cause))

    def note(self, what: E, leg: str | None = None) -> list[Act]:
        return self.see(Noted(**self.common(), what=what, leg=leg))

    # chapters

    def talking(self) -> Story:
        """The citizen talks with seat 8001."""
        self.arrive()
        self.born("s1", "seat-8001", Role.SEAT)
        self.rang("s1")
        self.answered("s1")
        self.enter("b1", CALL, "s1")
        return self

    def three(self, service: E = E.THREE_WAY) -> Story:
        """And 12345 has joined them."""
        self.talking()
        self.ask(service)
        leg = f"leg-{service.name}"
        self.born(leg, "hotline", Role.HOTLINE, f"h-{service.name}")
        self.rang(leg)
        self.answered(leg)
        self.accepted(leg)
        self.enter("b1", leg)
        return self

    def check(self) -> None:
        """The record is the fold of its facts, and nothing else."""
        assert fold(self.facts).calls[CALL] == self.call
