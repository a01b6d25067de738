"""Fax lines as a gateway of the port process: documents come as base64 TIFF, outcomes go back in
the ladder's words, received pages one by one, and the board of the modems whenever it changes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import itertools
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from hardware.fax.board import Call
from hardware.fax.line import FaxLine
from hardware.fax.modem import Received
from hardware.fax.modem_at import NUMBER
from hardware.fax.number import Hours, same_number
from hardware.fax.page import Page, PageError, read_tiff, write_tiff
from hardware.fax.plan import FaxJob, FaxRefused, Habit
from hardware.fax.pool import FaxPool
from hardware.fax.received import ReceivedPage
from hardware.fax.spool import Spool
from hardware.fax.t30 import Cause, Outcome, PageConfirmed, Report, Result
from hardware.fax.t30_settings import ReceiverSettings
from hardware.fax.watch import FrameSeen
from hardware.port_interface import PortSettings
from hardware.radio.events import (
    Delivery,
    Emit,
    FaxBoard,
    FaxPageIn,
    Health,
    Learnt,
    PagesConfirmed,
    RadioRefused,
    Stage,
    Why,
)
from hardware.radio.outstanding import Known, Outstanding

MAX_DOCUMENT: Final = 7_000_000
"""Characters of a document: a message of the socket is at most eight mebibytes."""
MAX_PAGE_TIFF: Final = 5 << 20
"""Octets of a received page that go through the socket; what the line may bring is less."""

_WHY: Final = {
    Cause.BUSY: Why.BUSY,
    Cause.GLARE: Why.BUSY,
    Cause.NO_ANSWER: Why.NO_ANSWER,
    Cause.NO_FAX: Why.VOICE_ANSWERED,
    Cause.NO_DIALTONE: Why.DEVICE_GONE,
    Cause.MODEM: Why.DEVICE_GONE,
    Cause.NUMBER_BLOCKED: Why.REFUSED,
    Cause.CANNOT_RECEIVE: Why.REJECTED,
    Cause.POLLED: Why.REJECTED,
    Cause.NOT_TRAINED: Why.TRAINING_FAILED,
    Cause.NO_RESPONSE: Why.TRAINING_FAILED,
    Cause.REJECTED: Why.TRAINING_FAILED,
    Cause.NO_PAGE_RESPONSE: Why.NOT_CONFIRMED,
    Cause.FAR_DISCONNECTED: Why.CUT,
    Cause.LINE_CUT: Why.CUT,
    Cause.TOO_LONG: Why.CUT,
    Cause.TOO_LARGE: Why.TOO_LONG,
    Cause.CANCELLED: Why.WITHDRAWN,
}


async def nothing_kept() -> None:
    """Where nothing is kept."""


class FaxGateway:
    """All fax lines of a site. `emit` is called on the loop of `run`."""

    def __init__(
        self,
        ports: Sequence[PortSettings],
        identity: str,
        *,
        answers: bool,
        emit: Emit,
        rng: random.Random,
        synced: Callable[[], Awaitable[None]] = nothing_kept,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        spool: Path | None = None,
        make_line: Callable[..., FaxLine] = FaxLine,
    ) -> None:
        """`synced` returns when everything that was emitted is durable."""
        self.health = Health(usable=False, words="尚未打开 / not opened yet")
        self.book = Outstanding(rng)
        self._emit = emit
        self._synced = synced
        self._spool = Spool(spool) if spool is not None else None
        self.up = asyncio.Event()
        """Set while at least one modem may be used."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._working: set[asyncio.Task[None]] = set()
        self._preparing: dict[str, bool] = {}
        """Jobs whose document is being read, and whether they were taken back meanwhile."""
        settings = ReceiverSettings(identity=identity) if answers else None
        lines = [self._line(make_line, port, settings) for port in ports]
        self.pool = FaxPool(
            lines,
            identity,
            now=now,
            on_begin=self._began,
            on_call=self._moved,
            on_end=self._ended,
        )

    def _line(
        self,
        make_line: Callable[..., FaxLine],
        port: PortSettings,
        answers: ReceiverSettings | None,
    ) -> FaxLine:
        def watch(item: Report | FrameSeen) -> None:
            self.pool.receiving(port.name, item)

        kept = _KeptOfLine(self._spool)

        def took(received: Received) -> None:
            self.pool.receiving(port.name, None)
            self._took(received, kept.over())

        return make_line(
            port,
            answers=answers,
            on_received=took,
            keep=kept.keep,
            on_state=lambda _state, _why: self._soon(self._look),
            watch=watch,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Own the lines until `stop`; a page on the line is ended then, with its true outcome."""
        self._loop = asyncio.get_running_loop()
        await self.pool.run(stop)
        if self._working:
            await asyncio.wait(self._working)

    def send_text(self, key: str, address: str, text: str, *, urgent: bool = False) -> None:
        """A document, base64 of a TIFF, to a number. Raises RadioRefused."""
        self.send_document(key, address, text, urgent=urgent)

    def send_document(
        self,
        key: str,
        address: str,
        text: str,
        *,
        urgent: bool,
        hours: Hours | None = None,
    ) -> None:
        """The same, dialled only in these hours where it is not urgent. Raises RadioRefused."""
        if not NUMBER.fullmatch(address):
            raise RadioRefused(Why.BAD_ADDRESS, f"{address!r} 不能拨 / cannot be dialled")
        if len(text) > MAX_DOCUMENT:
            raise RadioRefused(Why.TOO_LONG, f"{len(text)} > {MAX_DOCUMENT}")
        self._preparing[key] = False
        self._work(
            self._prepare(key, text, lambda pages: FaxJob(key, address, pages, urgent, hours))
        )

    async def _prepare(
        self, key: str, text: str, job: Callable[[tuple[Page, ...]], FaxJob]
    ) -> None:
        try:
            tiff = base64.b64decode(text, validate=True)
            pages = await asyncio.to_thread(read_tiff, io.BytesIO(tiff))
            if not pages:
                raise PageError("没有页面 / no pages")
            if not self._preparing.pop(key):
                self.pool.submit(job(pages))
                self._look()
        except (binascii.Error, PageError) as error:
            self._emit(Delivery(key, Stage.FAILED, Why.ERROR, str(error)))
        except FaxRefused as refused:
            self._emit(Delivery(key, Stage.FAILED, Why.DEVICE_GONE, str(refused)))
        finally:
            self._preparing.pop(key, None)

    def withdraw(self, key: str) -> bool:
        """Take back what has not begun. A page on the line is finished, not torn."""
        waiting = self.pool.withdraw(key)
        if key in self._preparing:
            self._preparing[key] = waiting = True
        if waiting:
            self._emit(Delivery(key, Stage.FAILED, Why.WITHDRAWN))
            self._look()
        return waiting

    def pause(self, paused: Mapping[str, str]) -> None:
        """What a person has paused, and why: a modem by its name, all sending by the empty name."""
        self.pool.pause(dict(paused))
        self._look()

    def learn(self, number: str, known: Mapping[str, Any]) -> None:
        """What an earlier life knew of a number, and how far its documents have come."""
        habit = dict(known)
        self.pool.plan.resume(number, habit.pop("partly", {}))
        self.pool.plan.learn(number, Habit(**habit))

    def acknowledge(self, token: str, *, consumed: bool = False) -> None:
        """A far machine had its confirmation when the page was here: nothing is left to say."""

    def known(self, key: str) -> Known | None:
        """Nothing comes late: a call says all."""
        return None

    async def _began(self, job: FaxJob, habit: Habit) -> None:
        slower = "" if habit.ecm and habit.max_bps == 14400 else f", {habit.max_bps} bit/s"
        self._emit(Delivery(job.key, Stage.SENDING, detail=f"拨号 / dialling{slower}"))
        await self._synced()

    def _moved(self, call: Call, report: Report) -> None:
        """A call has come further; a page that was confirmed is written down at once."""
        if call.key and isinstance(report, PageConfirmed):
            counts = (call.confirmed, call.of)
            self._emit(PagesConfirmed(call.key, *counts, call.number, call.document))
        self._tell_board()

    def _ended(self, job: FaxJob, outcome: Outcome) -> None:
        self._emit(delivery_of(job, outcome))
        plan = self.pool.plan
        known = asdict(plan.habit(job.number)) | {"partly": plan.partly(job.number)}
        self._emit(Learnt(job.number, known))
        self._look()

    def _look(self) -> None:
        """The lines have changed."""
        board = self.pool.board()
        usable = any(not modem.state.lost for modem in board)
        (self.up.set if usable else self.up.clear)()
        words = "; ".join(f"{modem.modem}: {modem.state} {modem.why}".strip() for modem in board)
        paused = self.pool.plan.paused
        if paused is not None:
            words = f"暂停发送 / paused: {paused}; {words}"
        health = Health(usable=usable and paused is None, words=words)
        if health != self.health:
            self.health = health
            self._emit(health)
        self._tell_board()

    def _tell_board(self) -> None:
        self._emit(self.board())

    def board(self) -> FaxBoard:
        """The modems, and what waits for them."""
        plan = self.pool.plan
        waiting = [
            {"key": job.key, "number": job.number, "urgent": job.urgent, "pages": len(job.pages)}
            for job in plan.waiting()
        ]
        return FaxBoard([modem.document() for modem in self.pool.board()], waiting, plan.paused)

    def _took(self, received: Received, kept: Sequence[str]) -> None:
        """A call that came in has ended; from the line's thread."""
        outcome, pages = received
        if pages:
            self._soon(lambda: self._work(self._hand_on(outcome, pages, kept)))

    async def _hand_on(
        self, outcome: Outcome, pages: Sequence[ReceivedPage], kept: Sequence[str]
    ) -> None:
        """Each page as it came; all of one document have its name. Their files go when they are
        in the journal."""
        files = await asyncio.to_thread(lambda: [_tiff(page) for page in pages])
        whole = outcome.result is Result.DELIVERED
        spooled = [*kept, *[""] * len(files)]
        self._tell_pages(outcome.far_id, files, spooled, whole=whole)
        await self._let_go(kept)

    def _tell_pages(
        self, source: str, files: Sequence[bytes], spooled: Sequence[str], *, whole: bool
    ) -> None:
        name = sha256(b"".join(files)).hexdigest()[:16]
        for number, (file, spool) in enumerate(zip(files, spooled, strict=False), 1):
            there = whole and bool(file)
            page = FaxPageIn(source, name, number, len(files), there, file, spool)
            self._emit(page)

    async def _let_go(self, names: Sequence[str]) -> None:
        if self._spool is not None and names:
            await self._synced()
            await asyncio.to_thread(self._spool.let_go, names)

    async def take_up(self, known: Collection[str]) -> None:
        """Pages that an earlier life had confirmed and not told of; `known` are in the journal.
        Whether their call came to its end nobody knows: a person looks."""
        if self._spool is None:
            return
        for _, group in itertools.groupby(
            await asyncio.to_thread(self._spool.left, known), lambda page: page.call
        ):
            pages = list(group)
            names = [page.name for page in pages]
            files = [page.tiff for page in pages]
            self._tell_pages(pages[0].source, files, names, whole=False)
            await self._let_go(names)

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _soon(self, do: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(do)


class _KeptOfLine:
    """The pages of the call that comes in on one line; from the line's thread alone."""

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        self._call = uuid4().hex
        self._names: list[str] = []

    def keep(self, page: ReceivedPage, source: str) -> None:
        """Raises OSError."""
        if self._spool is not None:
            number = len(self._names) + 1
            self._names.append(self._spool.keep(page, self._call, number, source))

    def over(self) -> list[str]:
        """The call has ended: its files."""
        names, self._names, self._call = self._names, [], uuid4().hex
        return names


def _tiff(page: ReceivedPage) -> bytes:
    """One page as a file; empty when nothing of it can be read, or when it is no page of text."""
    picture = page.page()
    file = write_tiff([picture]) if picture.height else b""
    return file if len(file) <= MAX_PAGE_TIFF else b""


def delivery_of(job: FaxJob, outcome: Outcome) -> Delivery:
    """How a call ended, in the ladder's words. *Delivered* is only what was confirmed."""
    chosen = outcome.chosen
    words = [f"{outcome.pages}/{len(job.pages)} 页已确认 / pages confirmed: {outcome.cause}"]
    data: dict[str, str | int | bool] = {"pages": outcome.pages, "of": len(job.pages)}
    data |= {"number": job.number, "far_id": outcome.far_id}
    if chosen is not None:
        ecm = " ECM" if chosen.ecm else ""
        words.append(f"{chosen.rate.bps} bit/s {chosen.coding}{ecm}")
        data |= {"bps": chosen.rate.bps, "coding": str(chosen.coding), "ecm": chosen.ecm}
    if outcome.may_have_copies:
        words.append("对方可能已打印未确认的页 / the far end may hold unconfirmed pages")
    if outcome.far_id and not same_number(outcome.far_id, job.number):
        words.append(f"对方标识与号码不符 / far identity {outcome.far_id} is not {job.number}")
        data["other_station"] = True
    detail = "; ".join(words)
    if outcome.result is Result.DELIVERED:
        return Delivery(job.key, Stage.DELIVERED, detail=detail, data=data)
    if outcome.result is Result.UNCONFIRMED:
        return Delivery(job.key, Stage.UNKNOWN, Why.NOT_CONFIRMED, detail, data=data)
    return Delivery(job.key, Stage.FAILED, _WHY.get(outcome.cause, Why.ERROR), detail, data=data)
