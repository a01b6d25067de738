"""One decision being made about one call: facts written as they are found, acts collected.

Facts take effect on the book at once, so that later parts of the same decision see them. Whoever
asked for the decision stores the facts and only then carries out the acts of a command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from bridge.domain.acts import Act, Release
from bridge.domain.call import Book, Call, Handoff, Leg
from bridge.domain.conversation import E, F, Go, S, step
from bridge.domain.handoff import (
    FAILURE,
    HE,
    RETRY_ON_FALLBACK,
    CallOutcome,
    H,
    Outcome,
    advance,
    outcome_of_cause,
)
from bridge.domain.journal import Fact, Json


@dataclass(slots=True)
class Work:
    """A decision in the making. `at`: when it happened; `learnt`: when it was only learnt."""

    book: Book
    call: Call
    at: datetime
    actor: str = "switch"
    learnt: datetime | None = None
    facts: list[Fact] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    wanted: list[F] = field(default_factory=list)
    new_id: Callable[[], str] = str

    def fact(self, kind: str, subject: str | None = None, /, **data: Json) -> None:
        """Write a fact and let it take effect."""
        made = Fact(
            kind=kind,
            at=self.at,
            case=self.call.case,
            call=self.call.id,
            subject=subject,
            actor=self.actor,
            data=data,
            learnt_at=self.learnt,
        )
        self.facts.append(made)
        self.book.apply(made)

    def event(self, event: E) -> None:
        """Let the conversation's table answer an event that was seen."""
        found = step(self.call.state, event)
        if not isinstance(found, Go):
            return
        if found.state is not None:
            self.move(found.state, event)
        self.wanted.extend(found.effects)

    def move(self, state: S, why: E) -> None:
        """Write the change of state, and what the end of a call means."""
        if state is self.call.state:
            return
        if state is S.CLEARED:
            self._cleared(why)
            return
        self.fact(
            "call.state", **{"from": self.call.state.value, "to": state.value, "why": why.name}
        )

    def _cleared(self, why: E) -> None:
        call = self.call
        lost = why is E.SWITCH_LOST
        by = call.ended_by
        outcome = (
            CallOutcome.LOST_WITH_ASTERISK
            if lost
            else CallOutcome(by)
            if by is not None
            else CallOutcome.CITIZEN_LEFT
        )
        end = HE.SWITCH_LOST if lost else HE.CITIZEN_GONE if by is None else HE.CALL_ENDED
        for handoff in call.handoffs.values():
            self.handoff(handoff, end)
        if lost:
            self.fact("call.callback", number=call.number, reason="lost_with_asterisk")
        cause = call.citizen.cause
        self.fact(
            "call.cleared",
            outcome=outcome.value,
            cause=cause,
            answered=call.citizen.joined_at is not None,
        )

    def handoff(self, handoff: Handoff, event: HE, cause: int = 0) -> None:
        """Let the handoff's table answer; frees the way for the next third when it has ended."""
        found = advance(handoff.state, event)
        if found is None:
            return
        state, outcome = found
        if state is not H.ENDED:
            self.fact(f"handoff.{state.value}", handoff.id)
            return
        ended = self._outcome(handoff, outcome, cause)
        if ended in RETRY_ON_FALLBACK and self._has_fallback(handoff) and self.call.live:
            self.fact("handoff.fallback", handoff.id, outcome=ended)
            return
        was_called = handoff.being_called
        self.fact("handoff.ended", handoff.id, outcome=ended, cause=cause)
        if was_called and self.call.live and self.call.citizen.live:
            by_key = handoff.kind == "key"
            self.acts.append(Release(self.call.id, self.call.channel, by_key))

    @staticmethod
    def _outcome(handoff: Handoff, outcome: str | None, cause: int) -> str:
        if handoff.cancelled and handoff.being_called:
            return Outcome.CANCELLED
        if outcome == FAILURE:
            rang = H.RINGING.value in handoff.times
            return outcome_of_cause(cause, rang=rang, cancelled=handoff.cancelled)
        if outcome == Outcome.PEER_LEFT and H.TAKEN.value in handoff.times:
            return Outcome.TAKEN_BACK
        return outcome or Outcome.UNKNOWN

    def _has_fallback(self, handoff: Handoff) -> bool:
        return (
            not handoff.fallback_tried
            and not handoff.cancelled
            and isinstance(self.call.intent, dict)
            and self.call.intent.get("fallback_for") == handoff.id
        )

    def responsibility(self) -> None:
        """After legs moved: who answers for the matter now?"""
        call = self.call
        if call.state is S.ENDING:
            return
        others = call.persons()
        with_citizen = {leg.id for leg in others}
        seat_there = any(leg.seat for leg in others)
        seat_living = seat_there or any(
            leg.seat and leg.live and leg.bridge for leg in call.legs.values()
        )
        for handoff in call.handoffs.values():
            there = handoff.leg in with_citizen
            if handoff.state is H.JOINED and there and not seat_living:
                self.handoff(handoff, HE.SEAT_LEFT)
            elif handoff.state is H.TAKEN and seat_there:
                self.handoff(handoff, HE.SEAT_BACK)


def leg_of(call: Call, ident: str | None) -> Leg | None:
    """The leg with that id, or None."""
    return call.legs.get(ident) if ident else None
