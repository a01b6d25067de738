"""Facts about cases as CTI events: what was described, who commands, what was printed."""

from __future__ import annotations

from bridge.domain.journal import Fact, Json

CASE_EVENTS = ("case.described", "case.command", "case.attached", "paper.printed")


def case_data(fact: Fact) -> dict[str, Json] | None:
    """The event's data, or None for a fact that is about no case's file."""
    if fact.kind not in CASE_EVENTS:
        return None
    if fact.kind == "paper.printed":
        names = ("kind", "title", "pages")
        data: dict[str, Json] = {name: fact.data[name] for name in names}
        return {"by": fact.actor, "paper": fact.subject, **data}
    return {"by": fact.actor, **fact.data}
