"""Orders by telephone: rings the duty phone, has the order spoken, and knows who is a person.

Only the key is a person's proof. What the switch saw becomes the attempt's true cause; what was
pressed is told first and confirmed to the caller only once it is durable. Keys that were pressed
while the daemon was away come from Asterisk's own log and count the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog

from bridge.channels.spoken import MAX_WORDS, Speech, spoken_text
from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress, Received, Says
from bridge.domain.unit import number_of
from bridge.flows.calls import Spawn
from bridge.flows.mailbox import Mailbox
from bridge.flows.ports import ActRefused, ActUnknown, FromChannel, OrderCall, Phones, PhoneSeen

_log = structlog.get_logger(__name__)

RING_S = 35
LINE_SECONDS = 900.0
"""A line is free again after that, even if the end of its call was never seen."""
CALLS_KEPT = 2_000
"""Calls remembered, so that the same attempt is never begun twice; the oldest go."""

KEYS = {"1": Says.SIGN, "3": Says.DISPUTE, "5": Says.IN_HAND}
"""Keys that a person signs with; 2 says the order again, 4 connects to the seat."""
TO_SEAT = "4"

_CAUSES: dict[int, Cause] = {
    17: Cause.BUSY,
    18: Cause.NO_ANSWER,
    19: Cause.NO_ANSWER,
    21: Cause.REJECTED,
    1: Cause.BAD_ADDRESS,
    22: Cause.BAD_ADDRESS,
    28: Cause.BAD_ADDRESS,
    20: Cause.NOT_REGISTERED,
    34: Cause.CONGESTION,
    38: Cause.CONGESTION,
    41: Cause.CONGESTION,
    42: Cause.CONGESTION,
    44: Cause.CONGESTION,
}


def cause_of(cause: int, *, rang: bool) -> Cause:
    """Why a call that nobody answered ended, from its Q.850 cause."""
    if cause in (0, 16, 26, 127):
        return Cause.NO_ANSWER if rang else Cause.CONGESTION
    return _CAUSES.get(cause, Cause.ERROR)


@dataclass(slots=True)
class _Call:
    """What is known of one attempt's call."""

    number: str = ""
    rang: bool = False
    answered: bool = False
    pressed: str = ""
    with_seat: bool = False
    withdrawn: bool = False
    begun: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    box: Mailbox = field(default_factory=Mailbox)


class PhoneChannel:
    """The wire `phone`. `lines` calls at a time: the green channel first, then urgent, then turn.

    `seat_of(order)` is whom key 4 reaches. A reserved trunk for the green channel replaces the
    trunk of the dial string.
    """

    kind = ChannelKind.PHONE

    def __init__(
        self,
        phones: Phones,
        tell: FromChannel,
        speech: Speech,
        *,
        now: Callable[[], datetime],
        spawn: Spawn,
        seat_of: Callable[[str], str],
        lines: int,
        green_trunk: str | None = None,
    ) -> None:
        self._phones = phones
        self._tell = tell
        self._speech = speech
        self._now = now
        self._spawn = spawn
        self._seat_of = seat_of
        self._lines = lines
        self._green_trunk = green_trunk
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._waiting: list[tuple[int, int, Job, str]] = []
        self._turn = itertools.count()
        self._busy = 0
        self._doubtful: set[str] = set()
        """Calls that were up when the link was lost."""

    # ports.Channel

    async def send(self, job: Job) -> None:
        """Speak the order, then ring when a line is free. The same attempt again does nothing."""
        if job.attempt in self._calls:
            return
        self._call(job.attempt).number = number_of(job.addresses[0])
        self._spawn(self._prepare(job), f"speak {job.attempt}")

    async def withdraw(self, attempt: str) -> None:
        """Stop ringing or hang up; a call whose key was pressed, or in which the unit talks with
        the seat, ends by itself."""
        call = self._call(attempt)
        call.withdrawn = True
        if call.pressed or call.with_seat:
            return
        try:
            await self._phones.hang_up(attempt)
        except (ActRefused, ActUnknown) as error:
            _log.warning("phone.not_withdrawn", attempt=attempt, reason=str(error))
        if not call.begun:
            await self._progress(attempt, A.WITHDRAWN)

    async def look(self, attempt: str) -> Progress | None:
        """Whether its call is up; what was seen of it earlier has been told by then."""
        try:
            up = await self._phones.is_up(attempt)
        except (ActRefused, ActUnknown) as error:
            _log.warning("phone.not_seen", attempt=attempt, reason=str(error))
            return None
        call = self._call(attempt)
        await call.box.in_turn(_nothing)
        if not up:
            return None
        call.begun = True
        return Progress(attempt=attempt, state=A.SENT, at=self._now(), detail="通话中")

    async def test(self, addresses: Sequence[str]) -> str:
        """A duty phone is not rung for a test: what is shown is that the switch can be asked."""
        try:
            await self._phones.is_up("test.0")
        except (ActRefused, ActUnknown) as error:
            return f"交换机不可用 / the switch: {error}"
        return ""

    # What the switch saw

    def see(self, seen: PhoneSeen) -> None:
        """Take in what happened on a call, in its order. Never blocks."""
        call = self._call(seen.attempt)
        if seen.what == "key":
            call.number = call.number or seen.number
        self._spawn(call.box.in_turn(lambda: self._seen(call, seen)), f"phone {seen.attempt}")

    def lost(self) -> None:
        """The link to the switch is lost: calls that are up may end unseen."""
        self._doubtful |= {
            attempt
            for attempt, call in self._calls.items()
            if call.begun and not call.over.is_set()
        }

    async def found(self, up: Collection[str]) -> None:
        """The link is whole, and all that the switch's log tells of meanwhile has been seen. Calls
        that were up before and are neither there nor ended died with the switch."""
        doubtful, self._doubtful = self._doubtful, set()
        for attempt in sorted(doubtful.difference(up)):
            call = self._call(attempt)
            await call.box.in_turn(partial(self._died, attempt, call))

    async def _died(self, attempt: str, call: _Call) -> None:
        if call.over.is_set():
            return
        call.over.set()
        if not call.pressed:
            state = A.WITHDRAWN if call.withdrawn else A.UNKNOWN
            await self._progress(attempt, state, detail="交换机重启,通话结果不明")

    async def _seen(self, call: _Call, seen: PhoneSeen) -> None:
        call.begun = True
        match seen.what:
            case "rang":
                call.rang = True
                await self._progress(seen.attempt, A.SENT, seen.at, "振铃")
            case "answered":
                call.answered = True
                await self._progress(seen.attempt, A.SENT, seen.at, "已摘机")
            case "key":
                await self._pressed(call, seen)
            case "ended" if not call.over.is_set():
                call.over.set()
                await self._ended(call, seen)

    async def _pressed(self, call: _Call, seen: PhoneSeen) -> None:
        says = KEYS.get(seen.key)
        if says is None:
            call.with_seat = call.with_seat or seen.key == TO_SEAT
            return
        call.answered = True
        call.pressed = seen.key
        number = call.number or seen.number
        counted = await self._tell.received(
            Received(
                channel=ChannelKind.PHONE,
                source=number,
                at=seen.at,
                key=f"pressed:{seen.attempt}:{seen.key}",
                says=says,
                attempt=seen.attempt,
                person=f"值班电话 {number}",
            )
        )
        if not seen.learnt:
            try:
                await self._phones.stored(seen.attempt, counted is not False)
            except (ActRefused, ActUnknown) as error:
                _log.warning("phone.not_confirmed", attempt=seen.attempt, reason=str(error))

    async def _ended(self, call: _Call, seen: PhoneSeen) -> None:
        if call.pressed:
            return  # the person's word stands
        if call.withdrawn:
            await self._progress(seen.attempt, A.WITHDRAWN, seen.at)
        elif call.answered:
            await self._failed(seen.attempt, Cause.NOT_A_PERSON, seen.at, "摘机但无人按键签收")
        else:
            cause = cause_of(seen.cause, rang=call.rang)
            await self._failed(seen.attempt, cause, seen.at, f"Q.850 {seen.cause}")

    # Lines

    async def _prepare(self, job: Job) -> None:
        try:
            sound = await self._speech.say(spoken_text(job.sheet))
        except OSError as error:  # also SpeechError
            _log.error("phone.no_speech", attempt=job.attempt, reason=str(error))
            await self._failed(job.attempt, Cause.ERROR, self._now(), f"无法合成语音: {error}")
            return
        rank = 0 if job.sheet.green else 1 if job.urgent else 2
        heapq.heappush(self._waiting, (rank, next(self._turn), job, sound))
        self._next()

    def _next(self) -> None:
        """Begin waiting calls as far as lines are free."""
        while self._waiting and self._busy < self._lines:
            _, _, job, sound = heapq.heappop(self._waiting)
            if not self._call(job.attempt).withdrawn:
                self._busy += 1
                self._spawn(self._line(job, sound), f"call {job.attempt}")

    async def _line(self, job: Job, sound: str) -> None:
        try:
            await self._ring(job, sound)
        finally:
            self._busy -= 1
            self._next()

    async def _ring(self, job: Job, sound: str) -> None:
        """One call from its beginning to its end."""
        call = self._call(job.attempt)
        shortened = "语音已缩短" if len(job.sheet.words) > MAX_WORDS else ""
        await self._progress(job.attempt, A.SENDING, detail=shortened)
        if call.withdrawn:
            await self._progress(job.attempt, A.WITHDRAWN)
            return
        call.begun = True
        order = OrderCall(
            attempt=job.attempt,
            dial=self._dial(job),
            words=sound,
            seat=self._seat_of(job.sheet.order),
            number=job.sheet.centre_number,
            ring_s=RING_S,
        )
        try:
            await self._phones.call(order)
        except ActRefused as error:
            call.over.set()
            await self._failed(job.attempt, Cause.CONGESTION, self._now(), str(error))
        except ActUnknown as error:
            await self._progress(job.attempt, A.UNKNOWN, detail=str(error))
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINE_SECONDS):
                    await call.over.wait()

    def _dial(self, job: Job) -> str:
        dial = job.addresses[0]
        if job.sheet.green and self._green_trunk is not None and "@" in dial:
            return f"{dial.partition('@')[0]}@{self._green_trunk}"
        return dial

    # Telling

    async def _failed(self, attempt: str, cause: Cause, at: datetime, detail: str) -> None:
        told = Progress(attempt=attempt, state=A.FAILED, at=at, cause=cause, detail=detail)
        await self._tell.progress(told)

    async def _progress(
        self, attempt: str, state: A, at: datetime | None = None, detail: str = ""
    ) -> None:
        await self._tell.progress(
            Progress(attempt=attempt, state=state, at=at or self._now(), detail=detail)
        )

    def _call(self, attempt: str) -> _Call:
        call = self._calls.setdefault(attempt, _Call())
        while len(self._calls) > CALLS_KEPT:
            del self._calls[next(iter(self._calls))]
        return call


async def _nothing() -> None:
    """Waits its turn, and that is all."""
