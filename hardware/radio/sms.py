"""SMS over a GSM or LTE modem by AT commands, as written fallback (3GPP TS 27.005, PDU mode).

A status report 00 proves that the handset has the message, not that anybody read it. Received
messages stay in the modem until their owner has stored them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from hardware.at import (
    Answer,
    AtDialect,
    Command,
    Dead,
    End,
    Noise,
    Output,
    TwoLines,
    Unsolicited,
    fields,
)
from hardware.at_session import AtSession
from hardware.port import Port, PortSettings, open_port
from hardware.radio import sms_pdu
from hardware.radio.events import (
    Delivery,
    Emit,
    Health,
    RadioRefused,
    RawIn,
    Why,
)
from hardware.radio.outstanding import Known, Outstanding
from hardware.radio.sms_inbox import ANSWER_S, SmsInbox
from hardware.radio.sms_pdu import Submit
from hardware.radio.texts import TextRefused
from hardware.serial_link import SerialLink
from hardware.trace import Trace

MAX_QUEUE: Final = 256
PATIENCE_S: Final = 20.0
SEND_S: Final = 60.0
"""Seconds a network may take to accept a message; nothing is sent again before."""
PROBE_S: Final = 15.0
_UNSOLICITED: Final = {
    "+CMTI:": None,
    "+CDSI:": None,
    "+CDS:": TwoLines(),
    "+CMT:": TwoLines(),
    "+CREG:": None,
    "+CEREG:": None,
    "RING": None,
    "RDY": None,
    "+CFUN:": None,
    "^": None,
}
_BOOT: Final = ("RDY", "+CFUN:")
_INIT: Final = ("ATE0", "AT+CMEE=1", "AT+CMGF=0", "AT+CNMI=2,1,0,1,0")
_NO_NETWORK: Final = (30, 38, 331, 332)
_FULL: Final = (322, 314)
_REFUSED: Final = (21, 28, 50, 304, 305)


@dataclass(frozen=True, slots=True)
class _Job:
    key: str
    messages: tuple[Submit, ...]


class SmsModem:
    """One modem. `run` owns it; `emit` hears everything."""

    def __init__(
        self,
        settings: PortSettings,
        *,
        emit: Emit,
        rng: random.Random,
        probe_s: float = PROBE_S,
        trace: Trace | None = None,
        opener: Callable[[PortSettings], Awaitable[Port]] = open_port,
    ) -> None:
        self._emit = emit
        self._rng = rng
        self._probe_s = probe_s
        self._session = AtSession(AtDialect(unsolicited=_UNSOLICITED, prompt=True), self._heard)
        self._link = SerialLink(
            settings,
            on_data=self._session.data,
            on_up=self._opened,
            on_down=self._lost,
            rng=rng,
            trace=trace,
            opener=opener,
        )
        self._session.attach(self._link)
        self.book = Outstanding(rng)
        self._inbox = SmsInbox(self._session, self.book, emit)
        self._queue: asyncio.Queue[_Job] = asyncio.Queue(MAX_QUEUE)
        self._waiting: set[str] = set()
        self._withdrawn: set[str] = set()
        self._group = itertools.count(rng.randrange(256))
        self._fresh = asyncio.Event()
        self._ready = asyncio.Event()
        self._registered = False
        self.health = Health(False, "尚未打开 / not opened yet")

    async def run(self, stop: asyncio.Event) -> None:
        """Own the modem until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run(stop))
            helpers = [
                tasks.create_task(self._keep()),
                tasks.create_task(self._send_all()),
                tasks.create_task(self._inbox.run(self._ready)),
            ]
            await stop.wait()
            for task in helpers:
                task.cancel()

    def send_text(self, key: str, address: str, text: str, *, urgent: bool = False) -> None:
        """Take a text over. Raises RadioRefused."""
        if not sms_pdu.NUMBER.fullmatch(address):
            raise RadioRefused(Why.BAD_ADDRESS, f"{address!r}: 不是号码 / is no number")
        if key in self._waiting or self.book.known(key):
            raise RadioRefused(Why.REFUSED, f"{key}: 已受理 / taken over before")
        if self._queue.full():
            raise RadioRefused(Why.QUEUE_FULL, f"{MAX_QUEUE} messages wait")
        try:
            messages = sms_pdu.submits(address, text, next(self._group) % 256)
        except TextRefused as error:
            why = Why.TOO_LONG if "过长" in str(error) else Why.REFUSED
            raise RadioRefused(why, str(error)) from error
        self.book.open(key, address, len(messages), _now(), reports=False)
        self._waiting.add(key)
        self._queue.put_nowait(_Job(key, tuple(messages)))

    def withdraw(self, key: str) -> bool:
        """Take a message back that has not begun to go out."""
        if key not in self._waiting:
            return False
        self._withdrawn.add(key)
        return True

    def acknowledge(self, token: str, *, consumed: bool = False) -> None:
        """A received text is stored: the modem may delete it."""
        if not consumed:
            self._inbox.acknowledge(token)

    def known(self, key: str) -> Known | None:
        """What is known of a message."""
        return self.book.known(key)

    # what the modem says

    def _heard(self, output: Output) -> None:
        if isinstance(output, Unsolicited):
            line = output.line
            if line.startswith(("+CMTI:", "+CDSI:")):
                self._inbox.stored_at(fields(line))
            elif output.second is not None:
                self._inbox.message(output.second, None)
            elif line.startswith(("+CREG:", "+CEREG:")):
                self._network(line)
            elif line.startswith(_BOOT):
                self._restarted()
        elif isinstance(output, Noise):
            self._emit(RawIn("", output.data, "noise"))
        elif isinstance(output, Dead):
            self._tell(Health(False, "调制解调器无应答 / the modem does not answer"))

    def _network(self, line: str) -> None:
        values = fields(line)
        state = values[1] if len(values) in (2, 4, 5) and len(values[1]) == 1 else values[0]
        self._registered = state in ("1", "5")
        if self._ready.is_set():
            self._tell_network()

    def _tell_network(self) -> None:
        words = "已登记 / registered" if self._registered else "未登记 / not registered"
        self._tell(Health(self._registered, words))

    def _tell(self, health: Health) -> None:
        if health != self.health:
            self.health = health
            self._emit(health)

    def _tell_all(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._emit(delivery)

    # keeping it alive

    def _opened(self) -> None:
        self._fresh.set()

    def _lost(self, reason: str) -> None:
        self._session.down(reason)
        self._ready.clear()
        self._fresh.clear()
        self._tell(Health(False, reason))

    def _restarted(self) -> None:
        self._ready.clear()
        self._fresh.set()

    async def _keep(self) -> None:
        while True:
            await self._link.wait_up()
            await self._fresh.wait()
            self._fresh.clear()
            if await self._initialise():
                self._ready.set()
                self._tell_network()
                await self._inbox.list_stored()
                await self._watch()
            else:
                self._fresh.set()
                await asyncio.sleep(1 + self._rng.random())

    async def _initialise(self) -> bool:
        self._session.find_back()  # clears a message that was half entered
        for text in _INIT:
            answer = await self._session.send(Command(text=text, timeout_s=ANSWER_S))
            if answer.end is not End.OK:
                self._tell(
                    Health(False, f"初始化失败 / initialisation failed: {text} {answer.final}")
                )
                return False
        pin = await self._session.send(
            Command(text="AT+CPIN?", direct=(r"\+CPIN: ?.*",), timeout_s=ANSWER_S)
        )
        if not any("READY" in line for line in pin.lines):
            self._tell(Health(False, f"SIM 卡不可用 / SIM is not ready: {pin.lines or pin.final}"))
            return False
        return await self._probe()

    async def _probe(self) -> bool:
        answer = await self._session.send(
            Command(text="AT+CREG?", direct=(r"\+CREG: ?\d+(,.*)?",), timeout_s=ANSWER_S)
        )
        for line in answer.lines:
            self._network(line)
        return answer.end in (End.OK, End.ERROR)

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._probe_s):
                    await self._fresh.wait()
                return
            except TimeoutError:
                pass
            if not await self._probe():
                self._tell(Health(False, "调制解调器无应答 / the modem does not answer"))
                self._restarted()
                return

    # sending

    async def _send_all(self) -> None:
        while True:
            job = await self._queue.get()
            self._waiting.discard(job.key)
            if job.key in self._withdrawn:
                self._withdrawn.discard(job.key)
                self._tell_all(self.book.failed(job.key, 0, Why.WITHDRAWN, "before it began"))
                continue
            for number, message in enumerate(job.messages):
                if not await self._send(job.key, number, message):
                    break

    async def _send(self, key: str, number: int, message: Submit) -> bool:
        if not await self._wait_usable():
            why = Why.NOT_REGISTERED if self._link.up else Why.DEVICE_GONE
            self._tell_all(self.book.failed(key, number, why, self.health.words))
            return False
        self._tell_all(self.book.writing(key, number))
        digits, length = sms_pdu.encode_submit(message)
        answer = await self._session.send(
            Command(
                text=f"AT+CMGS={length}",
                payload=digits,
                direct=(r"\+CMGS: ?\d{1,3}",),
                timeout_s=SEND_S,
            ),
            lambda answer: self._accepted(key, number, answer),
        )
        if answer.end is End.OK:
            return True
        if answer.end is End.ERROR or not answer.sent_payload:
            self._tell_all(
                self.book.failed(key, number, _why(answer), answer.final or str(answer.end))
            )
        else:
            self._tell_all(self.book.unclear(key, number, str(answer.end)))
        return False

    def _accepted(self, key: str, number: int, answer: Answer) -> None:
        """The network took it; its report may stand in the next line."""
        if answer.end is End.OK:
            reference = int(answer.lines[0].partition(":")[2]) & 0xFF if answer.lines else 0
            self._tell_all(self.book.bind(key, number, reference))

    async def _wait_usable(self) -> bool:
        if not self._ready.is_set():
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._ready.wait()
            except TimeoutError:
                return False
        return self._registered


def _why(answer: Answer) -> Why:
    if answer.end is not End.ERROR:
        return Why.DEVICE_GONE
    if answer.code in _NO_NETWORK:
        return Why.NOT_REGISTERED
    if answer.code in _FULL:
        return Why.QUEUE_FULL
    return Why.REFUSED if answer.code in _REFUSED else Why.ERROR


def _now() -> float:
    return asyncio.get_running_loop().time()
