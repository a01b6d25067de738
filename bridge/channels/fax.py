"""Orders by fax: over the site's own fax modems, confirmed page by page by the far machine.

*Delivered* is what the far machine has confirmed; it is a machine's word. A page that was sent
and not confirmed is *unknown*: the far end may have printed it. A returned sheet says what its
ticked box says; anything else that comes in goes to a person.
"""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from PIL import Image

from bridge.channels.fax_files import keep
from bridge.domain.delivery import A, Cause, ChannelKind, Job, OrderSheet, Progress, Received, Says
from bridge.domain.paper import Paper, PaperError
from bridge.flows.ports import Clock, FromChannel
from hardware.fax import t30
from hardware.fax.line import FaxLine
from hardware.fax.modem import Received as FaxReceived
from hardware.fax.modem_at import NUMBER
from hardware.fax.page import Page, PageError, read_tiff, write_tiff
from hardware.fax.pool import FaxJob, FaxPool, FaxRefused, Habit
from hardware.fax.received import ReceivedPage
from hardware.fax.t30 import Outcome, Result

_log = structlog.get_logger(__name__)

REMEMBERED: Final = 10_000
"""Attempts that this process knows; the same again does nothing."""
SAME_DIGITS: Final = 7
"""A far identity that ends as the number dialled, in so many digits, is the unit's own."""

_CAUSES: Final = {
    t30.Cause.BUSY: Cause.BUSY,
    t30.Cause.GLARE: Cause.BUSY,
    t30.Cause.NO_ANSWER: Cause.NO_ANSWER,
    t30.Cause.NO_FAX: Cause.VOICE_ANSWERED,
    t30.Cause.NO_DIALTONE: Cause.DEVICE_GONE,
    t30.Cause.MODEM: Cause.DEVICE_GONE,
    t30.Cause.NUMBER_BLOCKED: Cause.REFUSED,
    t30.Cause.CANNOT_RECEIVE: Cause.REJECTED,
    t30.Cause.POLLED: Cause.REJECTED,
    t30.Cause.NOT_TRAINED: Cause.TRAINING_FAILED,
    t30.Cause.NO_RESPONSE: Cause.TRAINING_FAILED,
    t30.Cause.REJECTED: Cause.TRAINING_FAILED,
    t30.Cause.NO_PAGE_RESPONSE: Cause.NOT_CONFIRMED,
    t30.Cause.FAR_DISCONNECTED: Cause.CUT,
    t30.Cause.LINE_CUT: Cause.CUT,
    t30.Cause.TOO_LONG: Cause.CUT,
    t30.Cause.TOO_LARGE: Cause.TOO_LONG,
}

MakePaper = Callable[[OrderSheet], Awaitable[Paper]]
Spawn = Callable[[Coroutine[Any, Any, object], str], None]


class Reading(Protocol):
    """What was read on a page that came back."""

    @property
    def order(self) -> str | None: ...
    @property
    def code(self) -> str | None: ...
    @property
    def says(self) -> Says: ...
    @property
    def trouble(self) -> str: ...


ReadPage = Callable[[Image.Image], Reading]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxSite:
    """What the site's fax lines share."""

    identity: str
    inbox: Path
    """Where received documents are kept."""


class FaxChannel:
    """`flows.ports.Channel` on a pool of fax lines. `run` owns the lines."""

    kind = ChannelKind.FAX

    def __init__(
        self,
        lines: Sequence[FaxLine],
        site: FaxSite,
        paper: MakePaper,
        tell: FromChannel,
        clock: Clock,
        spawn: Spawn,
    ) -> None:
        self._paper = paper
        self._tell = tell
        self._clock = clock
        self._spawn = spawn
        self._known: OrderedDict[str, bool] = OrderedDict()
        """Attempt to whether it was withdrawn before it had begun."""
        self.pool = FaxPool(
            lines,
            site.identity,
            on_begin=self._begun,
            on_report=lambda _key, _report: None,
            on_end=self._ended,
        )

    async def run(self) -> None:
        """Until cancelled: the lines are looked after, jobs given to them."""
        stop = asyncio.Event()
        try:
            await self.pool.run(stop)
        finally:
            stop.set()

    async def send(self, job: Job) -> None:
        """Draw the sheet, then wait for a line. The same attempt again does nothing."""
        if job.attempt in self._known:
            return
        self._known[job.attempt] = False
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        self._spawn(self._prepare(job), f"fax {job.attempt}")

    async def _prepare(self, job: Job) -> None:
        number = job.addresses[(job.number - 1) % len(job.addresses)]
        if not NUMBER.fullmatch(number):
            await self._failed(job.attempt, Cause.BAD_ADDRESS, f"{number!r} 不能拨 / no number")
            return
        try:
            paper = await self._paper(job.sheet)
            pages = await asyncio.to_thread(read_tiff, io.BytesIO(paper.tiff))
            if self._known.get(job.attempt):
                return
            urgent = job.urgent or job.sheet.green
            self.pool.submit(FaxJob(job.attempt, number, pages, urgent))
        except (PaperError, PageError) as error:
            await self._failed(job.attempt, Cause.ERROR, str(error))
        except FaxRefused as refused:
            await self._failed(job.attempt, Cause.DEVICE_GONE, str(refused))

    async def withdraw(self, attempt: str) -> None:
        """Take back what has not begun; a page on the line is finished, not torn."""
        if attempt not in self._known or self.pool.sending(attempt):
            return
        waiting = self.pool.withdraw(attempt)
        if waiting or not self._known[attempt]:
            self._known[attempt] = True
            await self._told(attempt, A.WITHDRAWN)

    async def look(self, attempt: str) -> Progress | None:
        """Whether it is on a line; earlier lives of this process are not known."""
        if not self.pool.sending(attempt):
            return None
        return Progress(attempt=attempt, state=A.SENDING, at=self._clock.now())

    async def test(self, addresses: Sequence[str]) -> str:
        """Whether a line is ready; the unit's machine is not called for a test."""
        bad = [number for number in addresses if not NUMBER.fullmatch(number)]
        if bad:
            return f"{bad[0]!r} 不能拨 / no number"
        board = self.pool.board()
        if any(line["state"] != "away" for line in board):
            return ""
        return "; ".join(f"{line['port']}: {line['why']}" for line in board) or "没有线路 / no line"

    def _begun(self, job: FaxJob, habit: Habit) -> None:
        slower = "" if habit.ecm and habit.max_bps == 14400 else f", {habit.max_bps} bit/s"
        detail = f"拨号 / dialling{slower}"
        self._spawn(self._told(job.key, A.SENDING, detail=detail), f"fax {job.key}")

    def _ended(self, job: FaxJob, outcome: Outcome) -> None:
        self._spawn(self._tell.progress(self.progress_of(job, outcome)), f"fax {job.key}")

    def progress_of(self, job: FaxJob, outcome: Outcome) -> Progress:
        """How a call ended, as the attempt's true state."""
        state, cause = _state_of(outcome)
        chosen = outcome.chosen
        total = len(job.pages)
        words = [f"{outcome.pages}/{total} 页已确认 / pages confirmed: {outcome.cause}"]
        if outcome.may_have_copies:
            words.append("对方可能已打印未确认的页 / the far end may hold unconfirmed pages")
        matches = same_number(outcome.far_id, job.number)
        if outcome.far_id and not matches:
            words.append(f"对方标识与号码不符 / far identity {outcome.far_id} is not {job.number}")
        return Progress(
            attempt=job.key,
            state=state,
            at=self._clock.now(),
            cause=cause,
            detail="; ".join(words),
            data={
                "pages": outcome.pages,
                "of": total,
                "far_id": outcome.far_id,
                "far_id_matches": matches,
                "bps": chosen.rate.bps if chosen is not None else None,
                "ecm": chosen.ecm if chosen is not None else None,
                "coding": str(chosen.coding) if chosen is not None else None,
            },
        )

    async def _failed(self, attempt: str, cause: Cause, detail: str) -> None:
        await self._told(attempt, A.FAILED, cause, detail)

    async def _told(
        self, attempt: str, state: A, cause: Cause | None = None, detail: str = ""
    ) -> None:
        await self._tell.progress(
            Progress(attempt=attempt, state=state, at=self._clock.now(), cause=cause, detail=detail)
        )


def _state_of(outcome: Outcome) -> tuple[A, Cause | None]:
    if outcome.result is Result.DELIVERED:
        return A.DELIVERED, None
    if outcome.result is Result.UNCONFIRMED:
        return A.UNKNOWN, None
    if outcome.cause is t30.Cause.CANCELLED:
        return A.WITHDRAWN, None
    return A.FAILED, _CAUSES.get(outcome.cause, Cause.ERROR)


def same_number(identity: str, number: str) -> bool:
    """Whether a far identity may be that of the number: their last digits are the same."""
    ours = "".join(c for c in number if c.isdigit())[-SAME_DIGITS:]
    theirs = "".join(c for c in identity if c.isdigit())[-SAME_DIGITS:]
    shorter = min(len(ours), len(theirs))
    return shorter > 0 and ours[-shorter:] == theirs[-shorter:]


class FaxInbox:
    """Documents that came in: kept, read, and told of. `take` may be called from any thread."""

    def __init__(
        self, site: FaxSite, read: ReadPage, tell: FromChannel, clock: Clock, spawn: Spawn
    ) -> None:
        self._site = site
        self._read = read
        self._tell = tell
        self._clock = clock
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()

    def take(self, received: FaxReceived) -> None:
        """A call has ended; what it brought."""
        outcome, pages = received
        if pages:
            self._loop.call_soon_threadsafe(
                self._spawn, self.store(outcome, pages, self._clock.now()), "fax received"
            )

    async def store(self, outcome: Outcome, received: Sequence[ReceivedPage], at: datetime) -> None:
        """Keep the document, then tell what each page says. Durable when it returns."""
        try:
            name, found = await asyncio.to_thread(self._work, received, at)
        except (OSError, ValueError) as error:
            _log.error("fax.not_kept", reason=str(error))
            return
        whole = "" if outcome.result is Result.DELIVERED else "传真不完整 / not complete"
        known = [reading for reading in found if reading.order is not None]
        if not known:
            trouble = found[0].trouble if found else "没有页面 / no page"
            await self._tell.received(self._said(outcome, name, at, 0, None, whole or trouble))
        for number, reading in enumerate(known, 1):
            words = whole or reading.trouble
            await self._tell.received(self._said(outcome, name, at, number, reading, words))

    def _work(self, received: Sequence[ReceivedPage], at: datetime) -> tuple[str, list[Reading]]:
        pages: list[Page] = [page for page in (one.page() for one in received) if page.height]
        if not pages:
            raise ValueError("no line of it could be read")
        tiff = write_tiff(pages)
        stamp = at.strftime("%Y%m%dT%H%M%S")
        name = f"fax-{stamp}-{sha256(tiff).hexdigest()[:12]}.tif"
        keep(self._site.inbox / name, tiff)
        return name, [self._read(page.image()) for page in pages]

    def _said(
        self,
        outcome: Outcome,
        name: str,
        at: datetime,
        number: int,
        reading: Reading | None,
        words: str,
    ) -> Received:
        return Received(
            channel=ChannelKind.FAX,
            source=outcome.far_id,
            at=at,
            key=f"{name}:{number}",
            says=reading.says if reading is not None else Says.NOTHING,
            order=reading.order if reading is not None else None,
            code=reading.code if reading is not None else None,
            words=words,
            attachments=(name,),
        )
