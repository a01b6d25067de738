"""Facts about cases as CTI events: what was described, who commands."""

from __future__ import annotations

from bridge.domain.journal import Fact, Json

CASE_EVENTS = ("case.described", "case.command")


def case_data(fact: Fact) -> dict[str, Json] | None:
    """The event's data, or None for a fact that is about no case's file."""
    if fact.kind == "case.described":
        return {"by": fact.actor, **fact.data}
    if fact.kind == "case.command":
        return {"by": fact.actor, **fact.data}
    return None
