"""Messages on their way to a TETRA terminal: when a command goes out, and what its end means
(PEI sheet, sections 7 and 13)."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hardware.at import Answer, Command, End
from hardware.at_session import AtSession
from hardware.radio.dialect import PeiDialect
from hardware.radio.events import Delivery, Emit, RadioRefused, Why
from hardware.radio.outstanding import Outstanding
from hardware.radio.pei_lines import cme_words

MAX_QUEUE: Final = 256
"""Messages that wait for the terminal; more are refused as queue full."""
SPARE: Final = 16
"""Of these, places for reports that we owe."""
TRIES: Final = 5
"""Times a command is repeated while the terminal says that it is busy."""
BUSY: Final = (42, 2, 3)
RADIO_DOWN: Final = (0, 30, 31, 41)
STACK_FULL: Final = 20
LINE_TROUBLE: Final = (36, 37)
PERHAPS_SENT: Final = 35

TEXT_SERVICE: Final = "12,0,0,0,1"
STATUS_SERVICE: Final = "13,0"
"""What AT+CTSDS chooses before a message."""

Lost = tuple[Why, str]
"""Why nothing can be sent now, and in words."""


@dataclass(frozen=True, slots=True)
class PeiJob:
    """One message: parts with their octets, to one address. No key: a report that we owe."""

    key: str
    address: str
    service: str
    parts: tuple[bytes, ...]


class PeiSender:
    """What waits for one terminal. `usable` waits until the terminal may be used, or says why not;
    `service` is the one that was chosen last."""

    def __init__(
        self,
        session: AtSession,
        dialect: PeiDialect,
        book: Outstanding,
        *,
        emit: Emit,
        rng: random.Random,
        usable: Callable[[], Awaitable[Lost | None]],
    ) -> None:
        self._session = session
        self._dialect = dialect
        self._book = book
        self._emit = emit
        self._rng = rng
        self._usable = usable
        self._queue: asyncio.PriorityQueue[tuple[int, int, PeiJob]] = asyncio.PriorityQueue(
            MAX_QUEUE
        )
        self._numbers = itertools.count()
        self._withdrawn: set[str] = set()
        self._waiting: set[str] = set()
        self._moved = asyncio.Event()
        self.service = ""

    def check(self, key: str) -> None:
        """Whether there is room for a new message. Raises RadioRefused."""
        if key and (key in self._waiting or self._book.known(key)):
            raise RadioRefused(Why.REFUSED, f"{key}: 已受理 / taken over before")
        if self._queue.qsize() >= MAX_QUEUE - SPARE:
            raise RadioRefused(Why.QUEUE_FULL, f"{MAX_QUEUE} messages wait")

    def put(self, priority: int, job: PeiJob) -> None:
        """Take a message over; smaller priorities go first."""
        if job.key:
            self._waiting.add(job.key)
        self._queue.put_nowait((priority, next(self._numbers), job))

    def owe(self, target: str, pdu: bytes) -> None:
        """A report that goes before everything else; without room it is owed no longer."""
        if not self._queue.full():
            self.put(0, PeiJob("", target, TEXT_SERVICE, (pdu,)))

    def withdraw(self, key: str) -> bool:
        """Take a message back that has not begun to go out."""
        if key not in self._waiting:
            return False
        self._withdrawn.add(key)
        return True

    def heard(self) -> None:
        """The terminal said something: perhaps the network's word that is waited for."""
        self._moved.set()

    async def run(self) -> None:
        """Send what waits, one part after another, until cancelled."""
        while True:
            _, _, job = await self._queue.get()
            self._waiting.discard(job.key)
            if job.key in self._withdrawn:
                self._withdrawn.discard(job.key)
                self._tell_all(self._book.failed(job.key, 0, Why.WITHDRAWN, "before it began"))
                continue
            await self._send(job)

    async def _send(self, job: PeiJob) -> None:
        """All parts in order; ends at the first that did not go out for certain."""
        for number, pdu in enumerate(job.parts):
            lost = await self._usable()
            if lost is not None:
                self._tell_all(self._book.failed(job.key, number, *lost))
                return
            self._tell_all(self._book.writing(job.key, number))
            if not await self._send_part(job, number, pdu):
                return

    async def _send_part(self, job: PeiJob, number: int, pdu: bytes) -> bool:
        line_trouble = False
        for attempt in range(TRIES):
            if not await self._choose_service(job.service):
                continue
            answer = await self._session.send(
                Command(
                    text=f"AT+CMGS={job.address},{len(pdu) * 8}",
                    payload=pdu.hex().upper(),
                    direct=(r"\+CMGS: ?\d+",),
                    timeout_s=self._dialect.answer_s + 2,
                ),
                lambda answer: self._accepted(job, number, answer),
            )
            if answer.end is End.OK:
                await self._wait_sent(job, number)
                return True
            if answer.end in (End.TIMEOUT, End.LOST) or answer.code == PERHAPS_SENT:
                if answer.sent_payload:
                    self._tell_all(self._book.unclear(job.key, number, words_of(answer)))
                    return False
                continue
            if answer.code in LINE_TROUBLE and not line_trouble:
                line_trouble = True
                self._session.find_back()
                continue
            if answer.code not in BUSY:
                self._tell_all(self._book.failed(job.key, number, why_of(answer), words_of(answer)))
                return False
            await asyncio.sleep(self.busy_wait(attempt))
        self._tell_all(self._book.failed(job.key, number, Why.BUSY, f"{TRIES} tries"))
        return False

    async def _choose_service(self, service: str) -> bool:
        """AT+CTSDS stays in force until changed (7.3)."""
        if not self._dialect.set_service or self.service == service:
            return True
        command = Command(text=f"AT+CTSDS={service}", timeout_s=self._dialect.answer_s)
        answer = await self._session.send(command)
        if answer.end is End.OK:
            self.service = service
        elif answer.end is End.ERROR and answer.code in BUSY:
            await asyncio.sleep(self.busy_wait(0))
        return answer.end is End.OK

    def _accepted(self, job: PeiJob, number: int, answer: Answer) -> None:
        """The terminal took it; the network's word may stand in the next line."""
        if job.key and answer.end is End.OK:
            instance = int(answer.lines[0].partition(":")[2]) if answer.lines else 0
            self._book.accepted(job.key, number, instance)

    async def _wait_sent(self, job: PeiJob, number: int) -> None:
        """Wait a little for the network's word before the next part."""
        if not job.key:
            return
        try:
            async with asyncio.timeout(self._dialect.sent_wait_s):
                while self._book.waits_for_network(job.key, number):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            pass

    def busy_wait(self, attempt: int) -> float:
        return min(2.0, 0.5 * 2.0**attempt) * (0.75 + self._rng.random() / 4)

    def _tell_all(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._emit(delivery)


def why_of(answer: Answer) -> Why:
    """Why a command was not carried out."""
    if answer.end is not End.ERROR:
        return Why.DEVICE_GONE
    if answer.code in RADIO_DOWN:
        return Why.NOT_REGISTERED
    if answer.code == STACK_FULL:
        return Why.QUEUE_FULL
    if answer.code in BUSY:
        return Why.BUSY
    return Why.ERROR


def words_of(answer: Answer) -> str:
    """How a command ended, in words."""
    if answer.end is End.ERROR:
        return " ".join(filter(None, (answer.final, cme_words(answer.code))))
    return str(answer.end)
