"""Which fax goes next, and what is remembered of the numbers that were called. Pure.

Urgent jobs go first, and with more than one line the last free one is kept for them and for calls
that come in. A job may have hours; urgent ones have none. What a number could not do in an earlier
call is remembered, so that its next call begins there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Final, TypeVar

from hardware.fax.number import Hours
from hardware.fax.page import Page
from hardware.fax.t30 import Cause, Outcome, Result

_K = TypeVar("_K")
_V = TypeVar("_V")

MAX_JOBS: Final = 1_000
MAX_NUMBERS: Final = 1_000
"""Numbers and documents remembered; the oldest go."""
SLOWEST: Final = 2400
STEP: Final = 4800
"""A number that could not be trained is next called this much slower, bit/s."""


class FaxRefused(Exception):
    """The job is not taken; nothing was dialled."""


@dataclass(frozen=True, slots=True)
class FaxJob:
    """One document to one number. `key` is its idempotency key."""

    key: str
    number: str
    pages: tuple[Page, ...]
    urgent: bool = False
    hours: Hours | None = None
    """None, and for an urgent job: at any hour."""

    @property
    def document(self) -> str:
        """Digest of its pages, hex: the same for a later job that sends the same."""
        digest = sha256()
        for page in self.pages:
            digest.update(page.rows)
        return digest.hexdigest()

    def may_go(self, at: datetime) -> bool:
        """Whether it may be dialled at that moment."""
        return self.urgent or self.hours is None or self.hours.hold(at)


@dataclass(frozen=True, slots=True)
class Habit:
    """What is known of a number from its earlier calls."""

    max_bps: int = 14400
    ecm: bool = True
    far_id: str = ""
    last: str = ""
    """The settings of its last call that came so far, for people."""


@dataclass(slots=True)
class Plan:
    """Jobs that wait, and what is remembered."""

    lines: int
    paused: str | None = None
    """Why nothing at all is sent; None: it is."""
    _waiting: list[FaxJob] = field(default_factory=list)
    """Urgent ones first, then as they came."""
    _habits: OrderedDict[str, Habit] = field(default_factory=OrderedDict)
    _confirmed: OrderedDict[tuple[str, bytes], int] = field(default_factory=OrderedDict)

    def add(self, job: FaxJob) -> None:
        """A job more. Raises FaxRefused when too many wait."""
        if len(self._waiting) >= MAX_JOBS:
            raise FaxRefused(f"{MAX_JOBS} 份传真在等待 / faxes wait")
        before = [one for one in self._waiting if one.urgent] if job.urgent else self._waiting
        self._waiting.insert(len(before), job)

    def withdraw(self, key: str) -> bool:
        """Whether the job was still waiting, and is not any more."""
        before = len(self._waiting)
        self._waiting = [job for job in self._waiting if job.key != key]
        return len(self._waiting) < before

    def next(self, free: int, at: datetime) -> FaxJob | None:
        """The job to begin now with so many free lines; None where there is none that may."""
        if free < 1 or self.paused is not None:
            return None
        last_of_several = free == 1 and self.lines > 1
        for number, job in enumerate(self._waiting):
            if last_of_several and not job.urgent:
                return None
            if job.may_go(at):
                return self._waiting.pop(number)
        return None

    def waiting(self) -> tuple[FaxJob, ...]:
        """In the order in which they go."""
        return tuple(self._waiting)

    def all_waiting(self) -> list[FaxJob]:
        """Takes every waiting job out: no line is there."""
        jobs, self._waiting = self._waiting, []
        return jobs

    def begin(self, job: FaxJob) -> tuple[int, Habit]:
        """How many pages of the document are confirmed already, and how the number is called."""
        done = self._confirmed.get(_document(job), 0)
        return done if done < len(job.pages) else 0, self.habit(job.number)

    def habit(self, number: str) -> Habit:
        """What is known of a number."""
        return self._habits.get(number, Habit())

    def learn(self, number: str, habit: Habit) -> None:
        """Remember this of a number."""
        _keep(self._habits, number, habit)

    def partly(self, number: str) -> dict[str, int]:
        """Documents to a number of which some pages are confirmed: digest (hex) and how many."""
        known = self._confirmed.items()
        return {digest.hex(): pages for (to, digest), pages in known if to == number}

    def resume(self, number: str, partly: Mapping[str, int]) -> None:
        """What `partly` said in an earlier life. Raises ValueError for what is no digest."""
        for digest, pages in partly.items():
            _keep(self._confirmed, (number, bytes.fromhex(digest)), pages)

    def ended(self, job: FaxJob, outcome: Outcome) -> int:
        """Remember how it went; pages of the document that are confirmed in all."""
        before = self._confirmed.pop(_document(job), 0)
        before = before if before < len(job.pages) else 0
        confirmed = before + outcome.pages
        if outcome.result is not Result.DELIVERED and 0 < confirmed < len(job.pages):
            _keep(self._confirmed, _document(job), confirmed)
        self.learn(job.number, learnt(self.habit(job.number), outcome))
        return confirmed


def learnt(before: Habit, outcome: Outcome) -> Habit:
    """What is known of a number after one call more."""
    habit = replace(before, far_id=outcome.far_id or before.far_id)
    chosen = outcome.chosen
    if chosen is not None:
        fine = "fine" if chosen.fine else "standard"
        ecm = " ECM" if chosen.ecm else ""
        words = f"{chosen.rate.bps} bit/s {chosen.coding}{ecm} {fine} {chosen.width}"
        habit = replace(habit, last=words)
    if outcome.cause in (Cause.NOT_TRAINED, Cause.REJECTED):
        slower = habit.max_bps - STEP
        if slower >= SLOWEST:
            return replace(habit, max_bps=slower)
        return replace(habit, max_bps=SLOWEST, ecm=False)
    if outcome.result is Result.DELIVERED:
        return Habit(far_id=habit.far_id, last=habit.last)
    return habit


def _keep(memory: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > MAX_NUMBERS:
        memory.popitem(last=False)


def _document(job: FaxJob) -> tuple[str, bytes]:
    """What makes a later job the same document to the same number."""
    return job.number, bytes.fromhex(job.document)
