"""Several fax lines as one desk: gives the jobs of a `Plan` to the lines that are free."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from hardware.fax.board import Call, Modem, modem_name, row
from hardware.fax.line import FaxLine, LineBusy, LineState, not_called
from hardware.fax.plan import FaxJob, FaxRefused, Habit, Plan
from hardware.fax.t30 import Cause, Outcome, Report
from hardware.fax.t30_settings import SenderSettings
from hardware.fax.watch import FrameSeen

LOOK_SECONDS: Final = 0.2
"""How often lines are looked at that may have become free by themselves."""

OnBegin = Callable[[FaxJob, Habit], Awaitable[None]]
"""Awaited before anything is dialled: what was told there is durable by then."""
OnCall = Callable[[Call, Report], None]
OnEnd = Callable[[FaxJob, Outcome], None]


@dataclass(slots=True)
class _Sending:
    line: FaxLine
    job: FaxJob
    call: Call


class FaxPool:
    """`run` owns the lines. Callbacks come on its loop and must not block."""

    def __init__(
        self,
        lines: Sequence[FaxLine],
        identity: str,
        *,
        now: Callable[[], datetime],
        on_begin: OnBegin,
        on_call: OnCall,
        on_end: OnEnd,
    ) -> None:
        self._lines = lines
        self._identity = identity
        self._now = now
        self._on_begin = on_begin
        self._on_call = on_call
        self._on_end = on_end
        self.plan = Plan(len(lines))
        self.paused: dict[str, str] = {}
        """Why a person has paused each modem; it is named as on the board."""
        self._busy: dict[str, _Sending] = {}
        self._received: dict[str, Call] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, job: FaxJob) -> None:
        """Take a job. Raises FaxRefused: too many wait, or no line is there."""
        if self._all_lost():
            why = "; ".join(f"{line.port.name}: {line.state[1]}" for line in self._lines)
            raise FaxRefused(f"没有可用的传真线路 / no fax line: {why or 'none configured'}")
        self.plan.add(job)
        self._wake.set()

    def _all_lost(self) -> bool:
        return all(line.state[0].lost for line in self._lines)

    def withdraw(self, key: str) -> bool:
        """Whether the job had not begun. A page on the line is finished, not torn."""
        return self.plan.withdraw(key)

    def sending(self, key: str) -> bool:
        """Whether the job is on a line now."""
        return key in self._busy

    def pause(self, paused: dict[str, str]) -> None:
        """What a person has paused, and why: modems by name, all sending by the empty name. A page
        on the line is finished."""
        self.plan.paused = paused.get("")
        self.paused = {name: why for name, why in paused.items() if name}
        self._wake.set()

    def board(self) -> list[Modem]:
        """The lines, for the modem board."""
        calls = {id(one.line): one.call for one in self._busy.values()}
        return [
            row(
                line.port.name,
                line.state,
                calls.get(id(line), self._received.get(line.port.name)),
                self.paused.get(modem_name(line.port.name)),
            )
            for line in self._lines
        ]

    def receiving(self, port: str, item: Report | FrameSeen | None) -> None:
        """A call that came in tells; from the line's thread. None: it is over."""
        if isinstance(item, FrameSeen):
            return

        def follow() -> None:
            if item is None:
                self._received.pop(port, None)
            else:
                self._received[port] = self._received.get(port, Call()).after(item)
                self._on_call(self._received[port], item)

        self._soon(follow)

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
            for task in self._starting:
                task.cancel()
            await asyncio.gather(*(asyncio.to_thread(line.stop) for line in self._lines))

    def _give(self) -> None:
        """Begin what may begin."""
        now = self._now()
        while True:
            used = {id(one.line) for one in self._busy.values()}
            free = [
                line
                for line in self._lines
                if line.state[0] is LineState.READY
                and id(line) not in used
                and modem_name(line.port.name) not in self.paused
            ]
            job = self.plan.next(len(free), now)
            if job is None:
                break
            self._begin(free[0], job)
        if self._lines and self._all_lost():
            for job in self.plan.all_waiting():
                self._on_end(job, not_called(Cause.MODEM))

    def _begin(self, line: FaxLine, job: FaxJob) -> None:
        done, habit = self.plan.begin(job)
        of, document = len(job.pages), job.document
        call = Call(job.key, job.number, of, done, done, done, document=document)
        self._busy[job.key] = _Sending(line, job, call)
        task = asyncio.ensure_future(self._start(line, job, done, habit))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, line: FaxLine, job: FaxJob, done: int, habit: Habit) -> None:
        """What is about to happen is durable before the number is dialled."""
        await self._on_begin(job, habit)
        settings = SenderSettings(identity=self._identity, ecm=habit.ecm, max_bps=habit.max_bps)

        def watch(item: Report | FrameSeen) -> None:
            if not isinstance(item, FrameSeen):
                self._soon(lambda: self._follow(job.key, item))

        try:
            sent = line.send(job.number, job.pages[done:], settings, watch)
        except LineBusy:
            del self._busy[job.key]
            self.plan.add(job)
            return
        sent.add_done_callback(lambda done: self._soon(lambda: self._ended(job, done)))

    def _follow(self, key: str, report: Report) -> None:
        sending = self._busy.get(key)
        if sending is not None:
            sending.call = sending.call.after(report)
            self._on_call(sending.call, report)

    def _ended(self, job: FaxJob, done: Future[Outcome]) -> None:
        self._busy.pop(job.key, None)
        failed = done.cancelled() or done.exception() is not None
        outcome = not_called(Cause.MODEM) if failed else done.result()
        confirmed = self.plan.ended(job, outcome)
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


__all__ = ["FaxJob", "FaxPool", "FaxRefused", "Habit", "Plan"]
