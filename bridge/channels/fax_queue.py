"""Faxes that are drawn and wait for a line: which goes next. Pure."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.domain.delivery import Job
from bridge.domain.journal import Json
from hardware.fax.number import Hours


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A document that is ready. `rank` 0 is urgent: it goes first, and at any hour. Of equal rank
    the lower `turn` goes first."""

    rank: int
    turn: int
    job: Job = field(compare=False)
    number: str = field(compare=False)
    pages: int = field(compare=False)
    hours: Hours | None = field(compare=False)

    def may_go(self, at: datetime) -> bool:
        """Whether its hours, if it has any, allow it at that time (aware)."""
        return self.rank == 0 or self.hours is None or self.hours.hold(at)


class FaxQueue:
    """What waits for one of so many lines. Of more than one, one is kept for what is urgent and for
    what comes in. `paused`: why nothing is sent, None while it is."""

    def __init__(self, lines: int) -> None:
        self.paused: str | None = None
        self._lines = lines
        self._waiting: list[Waiting] = []

    def add(self, one: Waiting) -> None:
        """It waits from now on."""
        insort(self._waiting, one)

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """What is not wanted any more (by attempt) goes."""
        self._waiting = [one for one in self._waiting if wanted(one.job.attempt)]

    def take(self, now: datetime, busy: int) -> Waiting | None:
        """The next to go while so many lines are busy; None when none may."""
        one = next((one for one in self._waiting if one.may_go(now)), None)
        if one is None or self.paused is not None or busy >= self._most(one):
            return None
        self._waiting.remove(one)
        return one

    def held(self, now: datetime) -> bool:
        """Whether something waits for its hours."""
        return any(not one.may_go(now) for one in self._waiting)

    def rows(self) -> list[Mapping[str, Json]]:
        """What waits, in its order, for the board."""
        return [
            {
                "key": one.job.attempt,
                "number": one.number,
                "urgent": one.rank == 0,
                "pages": one.pages,
            }
            for one in self._waiting
        ]

    def _most(self, one: Waiting) -> int:
        """Calls at a time among which this one may begin."""
        return self._lines if one.rank == 0 or self._lines == 1 else self._lines - 1
