"""Several fax lines as one desk: which job goes next, on which line, and what is remembered.

Urgent jobs go first, and with more than one line the last free one is kept for them and for calls
that come in. What a number could not do in an earlier call is remembered, so that its next call
begins there. Deciding is in `Plan`, pure; `FaxPool` gives jobs to lines.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, TypeVar

from hardware.fax.line import FaxLine, LineBusy, LineState
from hardware.fax.page import Page
from hardware.fax.t30 import Cause, Outcome, Report, Result
from hardware.fax.t30_sender import SenderSettings
from hardware.fax.watch import FrameSeen

_K = TypeVar("_K")
_V = TypeVar("_V")

MAX_JOBS: Final = 1_000
MAX_NUMBERS: Final = 1_000
"""Numbers and documents remembered; the oldest go."""
SLOWEST: Final = 2400
STEP: Final = 4800
"""A number that could not be trained is next called this much slower, bit/s."""
LOOK_SECONDS: Final = 0.2
"""How often lines are looked at that may have become free by themselves."""


class FaxRefused(Exception):
    """The job is not taken; nothing was dialled."""


@dataclass(frozen=True, slots=True)
class FaxJob:
    """One document to one number. `key` is its idempotency key."""

    key: str
    number: str
    pages: tuple[Page, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Habit:
    """What is known of a number from its earlier calls."""

    max_bps: int = 14400
    ecm: bool = True
    far_id: str = ""


@dataclass(slots=True)
class Plan:
    """Jobs that wait, and what is remembered. Pure."""

    lines: int
    _waiting: list[tuple[bool, int, FaxJob]] = field(default_factory=list)
    _turn: itertools.count[int] = field(default_factory=itertools.count)
    _habits: OrderedDict[str, Habit] = field(default_factory=OrderedDict)
    _confirmed: OrderedDict[tuple[str, bytes], int] = field(default_factory=OrderedDict)

    def add(self, job: FaxJob) -> None:
        """A job more. Raises FaxRefused when too many wait."""
        if len(self._waiting) >= MAX_JOBS:
            raise FaxRefused(f"{MAX_JOBS} 份传真在等待 / faxes wait")
        heapq.heappush(self._waiting, (not job.urgent, next(self._turn), job))

    def withdraw(self, key: str) -> bool:
        """Whether the job was still waiting, and is not any more."""
        kept = [entry for entry in self._waiting if entry[2].key != key]
        found = len(kept) < len(self._waiting)
        self._waiting = kept
        heapq.heapify(self._waiting)
        return found

    def next(self, free: int) -> FaxJob | None:
        """The job to begin with so many free lines; None where there is none that may."""
        if not self._waiting or free < 1:
            return None
        last_of_several = free == 1 and self.lines > 1
        if last_of_several and not self._waiting[0][2].urgent:
            return None
        return heapq.heappop(self._waiting)[2]

    def all_waiting(self) -> list[FaxJob]:
        """Takes every waiting job out: no line is there."""
        jobs = [job for _, _, job in sorted(self._waiting, key=lambda entry: entry[:2])]
        self._waiting.clear()
        return jobs

    def begin(self, job: FaxJob) -> tuple[tuple[Page, ...], Habit]:
        """Pages that are still to be sent, and how."""
        done = self._confirmed.get(_document(job), 0)
        pages = job.pages[done:] if done < len(job.pages) else job.pages
        return pages, self._habits.get(job.number, Habit())

    def ended(self, job: FaxJob, outcome: Outcome) -> int:
        """Remember how it went; pages of the document that are confirmed in all."""
        before = self._confirmed.pop(_document(job), 0)
        before = before if before < len(job.pages) else 0
        confirmed = before + outcome.pages
        if outcome.result is not Result.DELIVERED and 0 < confirmed < len(job.pages):
            self._keep(self._confirmed, _document(job), confirmed)
        habit = self._habits.get(job.number, Habit())
        if outcome.far_id:
            habit = replace(habit, far_id=outcome.far_id)
        if outcome.cause in (Cause.NOT_TRAINED, Cause.REJECTED):
            slower = habit.max_bps - STEP
            habit = (
                replace(habit, max_bps=slower)
                if slower >= SLOWEST
                else replace(habit, max_bps=SLOWEST, ecm=False)
            )
        elif outcome.result is Result.DELIVERED:
            habit = Habit(far_id=habit.far_id)
        self._keep(self._habits, job.number, habit)
        return confirmed

    @staticmethod
    def _keep(memory: OrderedDict[_K, _V], key: _K, value: _V) -> None:
        memory[key] = value
        memory.move_to_end(key)
        while len(memory) > MAX_NUMBERS:
            memory.popitem(last=False)


def _document(job: FaxJob) -> tuple[str, bytes]:
    """What makes a later job the same document to the same number."""
    digest = sha256()
    for page in job.pages:
        digest.update(page.rows)
    return job.number, digest.digest()


OnReport = Callable[[str, Report], None]
OnEnd = Callable[[FaxJob, Outcome], None]


class FaxPool:
    """`run` owns the lines. Callbacks come on its loop and must not block."""

    def __init__(
        self,
        lines: Sequence[FaxLine],
        identity: str,
        *,
        on_begin: Callable[[FaxJob, Habit], None],
        on_report: OnReport,
        on_end: OnEnd,
    ) -> None:
        self._lines = lines
        self._identity = identity
        self._on_begin = on_begin
        self._on_report = on_report
        self._on_end = on_end
        self._plan = Plan(len(lines))
        self._busy: dict[str, tuple[FaxLine, FaxJob]] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, job: FaxJob) -> None:
        """Take a job. Raises FaxRefused: too many wait, or no line is there."""
        if all(line.state[0] is LineState.AWAY for line in self._lines):
            why = "; ".join(f"{line.port.name}: {line.state[1]}" for line in self._lines)
            raise FaxRefused(f"没有可用的传真线路 / no fax line: {why or 'none configured'}")
        self._plan.add(job)
        self._wake.set()

    def withdraw(self, key: str) -> bool:
        """Whether the job had not begun. A page on the line is finished, not torn."""
        return self._plan.withdraw(key)

    def sending(self, key: str) -> bool:
        """Whether the job is on a line now."""
        return key in self._busy

    def board(self) -> list[dict[str, str]]:
        """The lines, for the modem board."""
        return [
            {"port": line.port.name, "state": str(line.state[0]), "why": line.state[1]}
            for line in self._lines
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Own the lines until `stop`; calls under way are ended then."""
        self._loop = asyncio.get_running_loop()
        for line in self._lines:
            line.start()
        try:
            while not stop.is_set():
                self._give()
                self._wake.clear()
                await _first(stop, self._wake)
        finally:
            await asyncio.gather(*(asyncio.to_thread(line.stop) for line in self._lines))

    def _give(self) -> None:
        """Begin what may begin."""
        while True:
            used = {id(line) for line, _ in self._busy.values()}
            free = [
                line
                for line in self._lines
                if line.state[0] is LineState.READY and id(line) not in used
            ]
            job = self._plan.next(len(free))
            if job is None:
                break
            self._begin(free[0], job)
        if self._lines and all(line.state[0] is LineState.AWAY for line in self._lines):
            for job in self._plan.all_waiting():
                self._on_end(job, Outcome(Result.NOT_DELIVERED, Cause.MODEM, 0))

    def _begin(self, line: FaxLine, job: FaxJob) -> None:
        pages, habit = self._plan.begin(job)
        settings = SenderSettings(identity=self._identity, ecm=habit.ecm, max_bps=habit.max_bps)

        def watch(item: Report | FrameSeen) -> None:
            if not isinstance(item, FrameSeen):
                self._soon(lambda: self._on_report(job.key, item))

        try:
            sent = line.send(job.number, pages, settings, watch)
        except LineBusy:
            self._plan.add(job)
            return
        self._busy[job.key] = (line, job)
        self._on_begin(job, habit)
        sent.add_done_callback(lambda done: self._soon(lambda: self._ended(job, done)))

    def _ended(self, job: FaxJob, done: Future[Outcome]) -> None:
        self._busy.pop(job.key, None)
        if done.cancelled() or done.exception() is not None:
            outcome = Outcome(Result.NOT_DELIVERED, Cause.MODEM, 0)
        else:
            outcome = done.result()
        confirmed = self._plan.ended(job, outcome)
        self._on_end(job, replace(outcome, pages=confirmed))
        self._wake.set()

    def _soon(self, do: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(do)


async def _first(*events: asyncio.Event) -> None:
    """Until one of them is set, or for LOOK_SECONDS."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for one in waits:
        one.cancel()
