"""Orders by fax over the site's own lines: Asterisk makes the call, sends the pages, receives.

The third fax driver beside the two kinds of modem, with the same outcomes. Documents go to Asterisk
as files in a spool, under the attempt's own name. What happened while the daemon or the link was
away comes from Asterisk's own log; a call of which nothing is known any more is *unknown*.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from bridge.channels.fax import FaxPolicy, MakePaper, dialled, sent_name
from bridge.channels.fax_files import keep
from bridge.channels.fax_lines import LineBoard
from bridge.channels.fax_queue import FaxQueue, Waiting
from bridge.channels.phone import cause_of
from bridge.channels.ports_client import PortsRefused
from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress
from bridge.domain.fax import SUCCESS, FaxSent, outcome_of
from bridge.domain.paper import PaperError
from bridge.domain.unit import number_of
from bridge.flows.calls import Spawn
from bridge.flows.fax_ports import PREFIX, FaxCall, FaxLines, FaxSeen
from bridge.flows.mailbox import Mailbox
from bridge.flows.ports import ActRefused, ActUnknown, Clock, FromChannel
from hardware.fax.number import Hours, same_number

_log = structlog.get_logger(__name__)

RING_S: Final = 60
"""T0: from the end of dialling to the answer (T.30)."""
LINE_SECONDS: Final = 1300.0
"""A line is free again after that, even if the end of its call was never seen; the plan ends a call
after 1200 s."""
CALLS_KEPT: Final = 2_000
HOURS_TICK_S: Final = 20.0
"""How often faxes that wait for their hours are looked at."""
_NUMBER: Final = re.compile(r"\+?[0-9]{3,20}")


Measured = dict[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Lines:
    """The way out: `lines` calls at a time over `endpoint`; documents lie in `out` meanwhile."""

    switch: FaxLines
    endpoint: str
    lines: int
    out: Path


@dataclass(slots=True)
class _Call:
    """What is known of one attempt's call. `turn`: its place among those of equal rank."""

    turn: int = 0
    number: str = ""
    begun: bool = False
    rang: bool = False
    answered: bool = False
    withdrawn: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    box: Mailbox = field(default_factory=Mailbox)


class SwitchFax:
    """The wire `fax`, over the lines of the switch. Of more than one, one is kept for urgent orders
    and for faxes that come in."""

    kind = ChannelKind.FAX

    def __init__(
        self,
        lines: Lines,
        paper: MakePaper,
        tell: FromChannel,
        clock: Clock,
        policy: FaxPolicy,
        spawn: Spawn,
        board: LineBoard,
    ) -> None:
        self._way = lines
        self._switch = lines.switch
        self._paper = paper
        self._tell = tell
        self._clock = clock
        self._policy = policy
        self._spawn = spawn
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._board = board
        self._queue = FaxQueue(lines.lines)
        self._turn = itertools.count()
        self._busy = 0
        self._looking = False
        self._unseen: tuple[str, ...] = ()
        """Calls under way when the link was lost."""

    # ports.Channel

    async def send(self, job: Job) -> None:
        """Draw the sheet, then call when a line is free. The same attempt again does nothing."""
        if job.attempt in self._calls:
            return
        self._call(job.attempt).turn = next(self._turn)
        self._spawn(self._prepare(job), f"fax {job.attempt}")

    async def withdraw(self, attempt: str) -> None:
        """Take back what has not been answered. A page on the line is finished, not torn."""
        call = self._call(attempt)
        if call.answered or call.over.is_set():
            return
        call.withdrawn = True
        if call.begun:
            try:
                await self._switch.hang_up(attempt)
            except (ActRefused, ActUnknown) as error:
                _log.warning("fax.not_withdrawn", attempt=attempt, reason=str(error))
        else:
            await self._over(attempt, call, A.WITHDRAWN)
            self._next()

    async def look(self, attempt: str) -> Progress | None:
        """Whether its call is up; what the switch's log knows of it has been told by then."""
        try:
            up = await self._switch.up()
        except (ActRefused, ActUnknown) as error:
            _log.warning("fax.not_seen", attempt=attempt, reason=str(error))
            return None
        call = self._call(attempt)
        await call.box.in_turn(_nothing)
        if PREFIX + attempt not in up or call.over.is_set():
            return None
        call.begun = True
        return Progress(attempt=attempt, state=A.SENT, at=self._clock.now(), detail="通话中")

    async def test(self, addresses: Sequence[str]) -> str:
        """A fax machine is not rung for a test: what is shown is that the switch can be asked and
        that the spool takes files."""
        if bad := [one for one in addresses if _NUMBER.fullmatch(one) is None]:
            return f"{bad[0]!r} 不能拨 / cannot be dialled"
        if not await asyncio.to_thread(self._way.out.is_dir):
            return f"目录 {self._way.out} 不存在 / there is no directory"
        try:
            await self._switch.up()
        except (ActRefused, ActUnknown) as error:
            return f"交换机不可用 / the switch: {error}"
        return ""

    # What the switch saw

    def see(self, seen: FaxSeen) -> None:
        """Take in what happened on a call, in its order. Never blocks."""
        call = self._call(seen.attempt)
        self._spawn(call.box.in_turn(lambda: self._seen(call, seen)), f"fax {seen.attempt}")

    async def _seen(self, call: _Call, seen: FaxSeen) -> None:
        call.begun = True
        if call.over.is_set():
            return
        match seen.what:
            case "rang":
                call.rang = True
                await self._progress(seen.attempt, A.SENT, seen.at, detail="振铃 / rings")
            case "answered":
                call.answered = True
                self._board.answered(seen.attempt)
                await self._progress(seen.attempt, A.SENT, seen.at, detail="已应答 / answered")
            case "sent" if seen.sent is not None:
                state, cause = outcome_of(seen.sent)
                measured = measured_of(seen.sent)
                await self._over(
                    seen.attempt, call, state, cause, detail_of(seen.sent), seen.at, measured
                )
            case "ended":
                await self._ended(call, seen)

    async def _ended(self, call: _Call, seen: FaxSeen) -> None:
        """The channel is gone and the plan said nothing: nobody answered, or the plan was cut."""
        detail = f"Q.850 {seen.cause}"
        if call.answered:
            await self._over(seen.attempt, call, A.UNKNOWN, None, detail, seen.at)
        elif call.withdrawn:
            await self._over(seen.attempt, call, A.WITHDRAWN, None, detail, seen.at)
        else:
            cause = cause_of(seen.cause, rang=call.rang)
            await self._over(seen.attempt, call, A.FAILED, cause, detail, seen.at)

    # The link

    def unsettled(self) -> None:
        """The link is lost: what is under way now may end unseen."""
        self._unseen = tuple(
            attempt
            for attempt, call in self._calls.items()
            if call.begun and not call.over.is_set()
        )

    def settled(self) -> None:
        """The link is back, and its log has been read."""
        self._spawn(self._reconcile(self._unseen), "fax calls")
        self._unseen = ()

    async def _reconcile(self, unseen: Sequence[str]) -> None:
        """What was under way, is not there any more and left no word is unknown; documents that
        nobody needs go."""
        try:
            up = await self._switch.up()
        except (ActRefused, ActUnknown) as error:
            _log.warning("fax.not_reconciled", reason=str(error))
            return
        for attempt in unseen:
            call = self._call(attempt)
            await call.box.in_turn(_nothing)
            if PREFIX + attempt not in up and not call.over.is_set():
                words = "交换机上已无此通话 / the switch has no such call any more"
                await self._over(attempt, call, A.UNKNOWN, None, words)
        needed = {attempt for attempt, call in self._calls.items() if not call.over.is_set()}
        needed |= {unique.removeprefix(PREFIX) for unique in up}
        await asyncio.to_thread(_tidy, self._way.out, frozenset(needed))

    # Lines

    async def pause(self, paused: Mapping[str, str]) -> None:
        """All sending rests, or goes on: the empty name stands for all lines."""
        self._queue.paused = paused.get("")
        self._next()

    async def _prepare(self, job: Job) -> None:
        call = self._call(job.attempt)
        try:
            number = call.number = dialled(job, self._policy.rules())
            if _NUMBER.fullmatch(number) is None:
                words = f"{number!r} 不能拨 / cannot be dialled"
                raise PortsRefused(Cause.BAD_ADDRESS.value, words)
            span = self._policy.hours(job)
            hours = Hours.parse(span, self._policy.zone) if span else None
            paper = await self._paper(job.sheet)
            await asyncio.to_thread(keep, self._file(job.attempt), paper.tiff)
        except PortsRefused as refused:
            await self._over(job.attempt, call, A.FAILED, Cause(refused.why), str(refused))
            return
        except (PaperError, ValueError, OSError) as error:
            await self._over(job.attempt, call, A.FAILED, Cause.ERROR, str(error))
            return
        await self._keep_copy(job.attempt, paper.tiff)
        rank = 0 if job.urgent or job.sheet.green else 1
        self._queue.add(Waiting(rank, call.turn, job, number, paper.pages, hours))
        self._next()

    async def _keep_copy(self, attempt: str, tiff: bytes) -> None:
        """For the confirmation; an order goes out without it too."""
        try:
            await asyncio.to_thread(keep, self._policy.sent / sent_name(attempt), tiff)
        except OSError as error:
            _log.error("fax.copy_not_kept", attempt=attempt, reason=str(error))

    def _next(self) -> None:
        """Begin waiting calls as far as lines are free."""
        now = self._clock.now()
        calls = self._calls
        self._queue.keep(lambda one: one in calls and not calls[one].over.is_set())
        while (ready := self._queue.take(now, self._busy)) is not None:
            self._busy += 1
            self._spawn(self._line(ready), f"fax {ready.job.attempt}")
        if not self._looking and self._queue.held(now):
            self._looking = True
            self._spawn(self._look_later(), "fax hours")
        self._board.waits(self._queue.rows(), self._queue.paused)

    async def _look_later(self) -> None:
        await asyncio.sleep(HOURS_TICK_S)
        self._looking = False
        self._next()

    async def _line(self, one: Waiting) -> None:
        try:
            await self._ring(one)
        finally:
            self._busy -= 1
            self._board.over(one.job.attempt)
            self._next()

    async def _ring(self, one: Waiting) -> None:
        """One call from its beginning to its end."""
        attempt, call = one.job.attempt, self._call(one.job.attempt)
        await self._progress(attempt, A.SENDING, detail=f"拨号 / dialling {one.number}")
        if call.over.is_set():  # withdrawn meanwhile
            return
        call.begun = True
        self._board.began(attempt, one.number, one.pages)
        order = FaxCall(
            attempt=attempt,
            dial=f"PJSIP/{one.number}@{self._way.endpoint}",
            caller=number_of(one.job.sheet.centre_number),
            pages=one.pages,
            ring_s=RING_S,
        )
        try:
            await self._switch.call(order)
        except ActRefused as error:
            await self._over(attempt, call, A.FAILED, Cause.CONGESTION, str(error))
        except ActUnknown as error:
            await self._progress(attempt, A.UNKNOWN, detail=str(error))
        else:
            try:
                async with asyncio.timeout(LINE_SECONDS):
                    await call.over.wait()
            except TimeoutError:
                _log.error("fax.end_not_seen", attempt=attempt)

    def _file(self, attempt: str) -> Path:
        return self._way.out / f"{attempt}.tif"

    # Telling

    async def _over(
        self,
        attempt: str,
        call: _Call,
        state: A,
        cause: Cause | None = None,
        detail: str = "",
        at: datetime | None = None,
        data: Measured | None = None,
    ) -> None:
        """Told once; the document is not needed any more."""
        call.over.set()
        self._board.over(attempt)
        number: Measured = {"number": call.number} if call.number else {}
        await self._progress(attempt, state, at, cause, detail, number | (data or {}))
        await asyncio.to_thread(self._file(attempt).unlink, missing_ok=True)

    async def _progress(
        self,
        attempt: str,
        state: A,
        at: datetime | None = None,
        cause: Cause | None = None,
        detail: str = "",
        data: Measured | None = None,
    ) -> None:
        at = at or self._clock.now()
        told = Progress(
            attempt=attempt, state=state, at=at, cause=cause, detail=detail, data=data or {}
        )
        await self._tell.progress(told)

    def _call(self, attempt: str) -> _Call:
        call = self._calls.setdefault(attempt, _Call())
        while len(self._calls) > CALLS_KEPT:
            del self._calls[next(iter(self._calls))]
        return call


def measured_of(sent: FaxSent) -> Measured:
    """What the switch measured of a call."""
    data: Measured = {"number": sent.number, "far_id": sent.far, "mode": sent.mode}
    data |= {"pages": sent.confirmed, "of": sent.pages, "bps": sent.rate}
    if sent.far and not same_number(sent.far, sent.number):
        data["other_station"] = True
    return data


def detail_of(sent: FaxSent) -> str:
    """The outcome for people."""
    words = [f"{sent.confirmed}/{sent.pages} 页已确认 / pages confirmed"]
    if sent.status != SUCCESS:
        words.append(sent.words or "对方挂断 / hung up")
    if sent.rate:
        words.append(f"{sent.rate} bit/s {sent.mode}".strip())
    if outcome_of(sent)[0] is A.UNKNOWN:
        words.append("对方可能已打印未确认的页 / the far end may hold unconfirmed pages")
    if sent.far and not same_number(sent.far, sent.number):
        words.append(f"对方标识与号码不符 / far identity {sent.far} is not {sent.number}")
    return "; ".join(words)


def _tidy(out: Path, needed: frozenset[str]) -> None:
    for file in out.glob("*.tif"):
        if file.stem not in needed:
            file.unlink(missing_ok=True)


async def _nothing() -> None:
    """Waits its turn, and that is all."""
