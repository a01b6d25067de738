"""Facts about cases as CTI events: what was described, who commands."""

from __future__ import annotations

from bridge.domain.journal import Fact, Json

CASE_EVENTS = ("case.described", "case.command", "case.attached")


def case_data(fact: Fact) -> dict[str, Json] | None:
    """The event's data, or None for a fact that is about no case's file."""
    return {"by": fact.actor, **fact.data} if fact.kind in CASE_EVENTS else None
