"""A fax line: one modem, kept initialised in a thread and an event loop of its own.

Nothing of the daemon runs in that loop, so nothing of it can break the 110 ms deadline of a
reception. A modem that was lost is looked for again, without limit; meanwhile jobs for it end at
once with Cause.MODEM, and orders go another way.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from hardware.fax.model import Model
from hardware.fax.modem import FaxModem, Probe, Received, make_modem, probe
from hardware.fax.modem_at import ModemFault
from hardware.fax.page import Page
from hardware.fax.port_wire import PortWire
from hardware.fax.received import Keep, keep_nothing
from hardware.fax.t30 import Cause, Outcome, Result
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.uucp_lock import DIRECTORY, DeviceLock
from hardware.fax.watch import Watch, unwatched
from hardware.fax.wire import WireGone, WireHeld
from hardware.port import PortSettings
from hardware.trace import Trace

IDLE_SLICE: Final = 0.1
"""Seconds between two looks for a job while the line is idle."""
RING_SECONDS: Final = 7.0
"""A ring within so long before dialling means that a call is coming in (rings are 5 s apart)."""
FIRST_RETRY: Final = 0.5
LAST_RETRY: Final = 15.0
"""Seconds between two tries to open a lost modem; doubles from the first to the last."""
MAX_JOBS: Final = 100
STOP_SECONDS: Final = 10.0


class LineState(StrEnum):
    """What a line does."""

    AWAY = "away"
    """The device is there and does not answer as a fax modem."""
    HELD = "held"
    """Another program holds the device."""
    UNPLUGGED = "unplugged"
    READY = "ready"
    SENDING = "sending"
    RECEIVING = "receiving"

    @property
    def lost(self) -> bool:
        """Nothing can be sent or received."""
        return self in (LineState.AWAY, LineState.HELD, LineState.UNPLUGGED)


class LineBusy(Exception):
    """Too many jobs wait for the line."""


@dataclass(slots=True)
class _Job:
    number: str
    pages: Sequence[Page]
    settings: SenderSettings
    watch: Watch
    future: Future[Outcome] = field(default_factory=Future)


def not_called(cause: Cause) -> Outcome:
    """The outcome of a job for which nothing was dialled."""
    return Outcome(Result.NOT_DELIVERED, cause, 0)


class FaxLine:
    """All methods may be called from any thread; callbacks come in the line's own."""

    def __init__(
        self,
        port: PortSettings,
        *,
        model: Model | None = None,
        answers: ReceiverSettings | None = None,
        on_received: Callable[[Received], None] = lambda _: None,
        keep: Keep = keep_nothing,
        on_state: Callable[[LineState, str], None] = lambda _state, _why: None,
        watch: Watch = unwatched,
        trace: Path | None = None,
        locks: Path = DIRECTORY,
    ) -> None:
        self.port = port
        self._locks = locks
        self.known: Probe | None = None
        """What the modem said of itself."""
        self._model = model
        self._answers = answers
        self._on_received = on_received
        self._keep = keep
        self._on_state = on_state
        self._watch = watch
        self._trace = trace
        self._lock = threading.Lock()
        self._jobs: list[_Job] = []
        self._state, self._why = LineState.AWAY, "尚未打开 / not opened yet"
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._modem: FaxModem | None = None
        self._thread = threading.Thread(target=self._run, name=f"fax {port.name}", daemon=True)

    @property
    def state(self) -> tuple[LineState, str]:
        """What the line does, and why it is away."""
        with self._lock:
            return self._state, self._why

    def start(self) -> None:
        """Begin to look for the modem."""
        self._thread.start()

    def stop(self) -> None:
        """End a call under way, hang up, give the port back. Waits for it."""
        self._stop.set()
        self.cancel()
        self._thread.join(STOP_SECONDS)

    def send(
        self,
        number: str,
        pages: Sequence[Page],
        settings: SenderSettings,
        watch: Watch = unwatched,
    ) -> Future[Outcome]:
        """Queue a document; `watch` is called in the line's thread. Raises LineBusy."""
        job = _Job(number, pages, settings, watch)
        with self._lock:
            if self._state.lost or self._stop.is_set():
                job.future.set_result(not_called(Cause.MODEM))
            elif len(self._jobs) >= MAX_JOBS:
                raise LineBusy(f"{self.port.name}: {MAX_JOBS} jobs wait")
            else:
                self._jobs.append(job)
        return job.future

    def cancel(self) -> None:
        """End the call under way; its outcome still tells what became of it."""
        loop, modem = self._loop, self._modem
        if loop is not None and modem is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(modem.cancel)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        trace = None
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            if self._trace is not None:
                trace = Trace(self._trace, lambda: datetime.now(UTC))
                tasks.create_task(trace.run(ended))
            retry = FIRST_RETRY
            while not self._stop.is_set():
                try:
                    with DeviceLock(self.port.name, self._locks):
                        async with PortWire(self.port, trace) as wire:
                            await self._use(wire)
                    retry = FIRST_RETRY
                except (WireGone, ModemFault) as lost:
                    if not self.state[0].lost:
                        retry = FIRST_RETRY
                    self._away(str(lost), self._how_lost(lost))
                    await self._rest(retry)
                    retry = min(2 * retry, LAST_RETRY)
            self._away("已停止 / stopped")
            ended.set()
        self._loop = None

    async def _rest(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._stop.is_set() and loop.time() < until:  # noqa: ASYNC110 - another thread
            await asyncio.sleep(IDLE_SLICE)

    async def _use(self, wire: PortWire) -> None:
        """While the modem is there. Raises WireGone, ModemFault when it is not any more."""
        self.known = await probe(wire, self._model)
        watches = [self._watch]
        modem = make_modem(wire, self.known, lambda seen: watches[-1](seen))
        await modem.initialise()
        self._modem = modem
        self._tell(LineState.READY)
        rang_at = -RING_SECONDS
        while not self._stop.is_set():
            if await modem.wait_ring(IDLE_SLICE):
                rang_at = wire.now()
                if self._answers is not None:
                    await self._receive(modem, self._answers)
                    rang_at = -RING_SECONDS
            elif (job := self._next_job()) is not None:
                watches.append(job.watch)
                if wire.now() - rang_at < RING_SECONDS:
                    self._finish(job, not_called(Cause.GLARE))
                else:
                    await self._send(modem, job)
                watches.pop()

    async def _send(self, modem: FaxModem, job: _Job) -> None:
        self._tell(LineState.SENDING)
        try:
            outcome = await modem.send(job.number, job.pages, job.settings)
        except ValueError as wrong:  # the number, or the pages
            job.future.set_exception(wrong)
        else:
            self._finish(job, outcome)
            await self._after(modem, outcome)
        self._tell(LineState.READY)

    async def _receive(self, modem: FaxModem, settings: ReceiverSettings) -> None:
        self._tell(LineState.RECEIVING)
        outcome, pages = await modem.receive(settings, self._keep)
        self._on_received((outcome, pages))
        await self._after(modem, outcome)
        self._tell(LineState.READY)

    async def _after(self, modem: FaxModem, outcome: Outcome) -> None:
        """A modem that failed is made ready again, or is away. Raises WireGone, ModemFault."""
        if outcome.cause is Cause.MODEM:
            await modem.initialise()

    def _next_job(self) -> _Job | None:
        with self._lock:
            return self._jobs.pop(0) if self._jobs else None

    @staticmethod
    def _finish(job: _Job, outcome: Outcome) -> None:
        if not job.future.cancelled():
            job.future.set_result(outcome)

    def _tell(self, state: LineState, why: str = "") -> None:
        with self._lock:
            self._state, self._why = state, why
        self._on_state(state, why)

    def _how_lost(self, lost: Exception) -> LineState:
        if isinstance(lost, WireHeld):
            return LineState.HELD
        local = self.port.name.startswith("/")
        there = not local or Path(self.port.name).exists()
        return LineState.AWAY if there else LineState.UNPLUGGED

    def _away(self, why: str, how: LineState = LineState.AWAY) -> None:
        self._modem = None
        with self._lock:
            waiting, self._jobs = self._jobs, []
        for job in waiting:
            self._finish(job, not_called(Cause.MODEM))
        if self.state != (how, why):
            self._tell(how, why)
