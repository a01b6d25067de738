"""A TETRA terminal on its PEI (EN 300 392-5): texts, status, groups, calls, health.

Thin: lines are read in pei_receive, messages go out in pei_sender, what is proven of one stands in
outstanding, quirks are dialects. This file keeps the terminal alive and joins them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from hardware.at import (
    AtDialect,
    Broken,
    Command,
    Dead,
    Echo,
    End,
    Noise,
    Output,
    TwoLines,
    Unsolicited,
)
from hardware.at_session import AtSession
from hardware.port import Port, PortSettings, open_port
from hardware.radio import sds
from hardware.radio.dialect import PeiDialect
from hardware.radio.events import Emit, Health, RadioRefused, RawIn, Why
from hardware.radio.outstanding import Known, Outstanding
from hardware.radio.pei_calls import PeiCalls
from hardware.radio.pei_lines import (
    LineError,
    Registration,
    is_ssi,
    parse_registration,
    parse_signal,
)
from hardware.radio.pei_receive import PeiReceiver, Reply
from hardware.radio.pei_sender import (
    BUSY,
    STATUS_SERVICE,
    TEXT_SERVICE,
    TRIES,
    Lost,
    PeiJob,
    PeiSender,
    why_of,
    words_of,
)
from hardware.radio.texts import TextRefused
from hardware.serial_link import SerialLink
from hardware.trace import Trace

PATIENCE_S: Final = 20.0
"""Seconds that a message waits for a terminal that is being initialised."""
REGISTERED_ALREADY: Final = 38
SIGNAL_EVERY: Final = 6
"""Probes between two questions for the field strength."""
_USABLE: Final = (Registration.HOME, Registration.VISITED)

UNSOLICITED: Final = {
    "+CTSDSR:": TwoLines(),
    **dict.fromkeys(
        (
            "+CMGS:",
            "+CTICN:",
            "+CTOCP:",
            "+CTCC:",
            "+CTXG:",
            "+CDTXC:",
            "+CTXI:",
            "+CTXW:",
            "+CTCR:",
            "+CTGS:",
            "+CTTCT:",
            "+CTBCT:",
            "+CTDGR:",
            "+CREG:",
            "+CTOM:",
            "+CSQ:",
        )
    ),
}


class TetraPei:
    """One terminal. `run` owns it; `emit` hears everything."""

    def __init__(
        self,
        settings: PortSettings,
        dialect: PeiDialect,
        *,
        emit: Emit,
        rng: random.Random,
        trace: Trace | None = None,
        opener: Callable[[PortSettings], Awaitable[Port]] = open_port,
    ) -> None:
        self._dialect = dialect
        self._emit = emit
        self._rng = rng
        self._session = AtSession(
            AtDialect(
                unsolicited=UNSOLICITED | dict.fromkeys(dialect.boot),
                end=dialect.end.encode(),
                gap_s=dialect.gap_s,
            ),
            self._heard,
        )
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
        self.calls = PeiCalls()
        self._receiver = PeiReceiver(dialect, self.book, self.calls)
        self._sender = PeiSender(
            self._session, dialect, self.book, emit=emit, rng=rng, usable=self._wait_usable
        )
        self._registration = Registration.UNKNOWN
        self._dbm: int | None = None
        self._fresh = asyncio.Event()
        self._ready = asyncio.Event()
        self.health = Health(False, "尚未打开 / not opened yet")

    async def run(self, stop: asyncio.Event) -> None:
        """Own the terminal until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run(stop))
            helpers = [tasks.create_task(self._keep()), tasks.create_task(self._sender.run())]
            await stop.wait()
            for task in helpers:
                task.cancel()

    # what the owner asks

    def send_text(
        self,
        key: str,
        address: str,
        text: str,
        *,
        urgent: bool = False,
        want: sds.Want = sds.Want.BOTH,
        validity: int = 0,
    ) -> None:
        """Take a text over; what becomes of it is told as Delivery. Raises RadioRefused."""
        self._check(key, address)
        try:
            pieces = sds.pieces(text, self._dialect.max_bits)
        except TextRefused as error:
            raise RadioRefused(
                Why.TOO_LONG if "过长" in str(error) else Why.REFUSED, str(error)
            ) from error
        references = self.book.open(key, address, len(pieces), _now())
        transfers = sds.transfers(
            pieces,
            references,
            want=want,
            immediate=urgent,
            standard=self._dialect.standard_reports,
            validity=validity,
        )
        job = PeiJob(key, address, TEXT_SERVICE, tuple(map(sds.encode, transfers)))
        self._sender.put(1 if urgent else 2, job)

    def send_status(self, key: str, address: str, value: int, *, urgent: bool = False) -> None:
        """Take a status over. Raises RadioRefused."""
        self._check(key, address)
        if not 0 <= value <= 0xFFFF:
            raise RadioRefused(Why.REFUSED, f"status {value}")
        self.book.open(key, address, 1, _now(), reports=False)
        job = PeiJob(key, address, STATUS_SERVICE, (value.to_bytes(2, "big"),))
        self._sender.put(1 if urgent else 2, job)

    def withdraw(self, key: str) -> bool:
        """Take a message back that has not begun to go out; its end is told as Delivery."""
        return self._sender.withdraw(key)

    def acknowledge(self, token: str, *, consumed: bool = False) -> None:
        """A received text is stored (or was opened by a person): the report goes out."""
        replies = self._receiver.consumed(token) if consumed else self._receiver.acknowledge(token)
        self._owe(replies)

    def known(self, key: str) -> Known | None:
        """What is known of a message."""
        return self.book.known(key)

    async def select_group(self, group: str) -> None:
        """Select a talk group. Raises RadioRefused."""
        self._check("", group)
        await self._command(f"AT+CTGS=1,{group}")

    async def call(self, address: str, *, group: bool) -> None:
        """Begin a voice call; what follows is told as CallChange. Raises RadioRefused."""
        self._check("", address)
        parameters = self._dialect.call_parameters if group else self._dialect.private_parameters
        await self._command(f"AT+CTSDC={parameters}")
        await self._command(f"ATD{address}", timeout_s=15)

    async def answer(self) -> None:
        """Accept the call that rings."""
        await self._command("ATA")

    async def press(self, instance: int, priority: int = 1) -> None:
        """Demand the air (PTT); `talking` is told when it was granted. Priority 3: emergency."""
        await self._command(f"AT+CTXD={instance},{priority}")

    async def release(self, instance: int) -> None:
        """Give the air back."""
        await self._command(f"AT+CUTXC={instance}")

    async def hang_up(self) -> None:
        """End the call."""
        await self._command("ATH")

    async def _command(self, text: str, timeout_s: float | None = None) -> None:
        command = Command(text=text, timeout_s=timeout_s or self._dialect.answer_s)
        for attempt in range(TRIES):
            answer = await self._session.send(command)
            if answer.code not in BUSY or answer.end is not End.ERROR:
                break
            await asyncio.sleep(self._sender.busy_wait(attempt))
        if answer.end is not End.OK:
            raise RadioRefused(why_of(answer), f"{text.split('=')[0]}: {words_of(answer)}")

    def _check(self, key: str, address: str) -> None:
        if not is_ssi(address):
            raise RadioRefused(Why.BAD_ADDRESS, f"{address!r}: 不是 SSI / is no SSI")
        self._sender.check(key)

    def _owe(self, replies: list[Reply]) -> None:
        for reply in replies:
            self._sender.owe(reply.target, reply.pdu)

    # what the terminal says

    def _heard(self, output: Output) -> None:
        if isinstance(output, Unsolicited):
            if output.line.startswith("+CREG:"):
                self._registered(output.line)
            elif self._dialect.boot and output.line.startswith(self._dialect.boot):
                self._restarted()
            else:
                heard = self._receiver.line(output, _now())
                for event in heard.events:
                    self._emit(event)
                self._owe(heard.replies)
                self._sender.heard()
        elif isinstance(output, Echo):
            if self._ready.is_set() and not self._dialect.echo_stays:
                self._restarted()
        elif isinstance(output, Broken):
            self._emit(RawIn("", output.line.encode(), "second line missing"))
        elif isinstance(output, Noise):
            self._emit(RawIn("", output.data, "noise"))
        elif isinstance(output, Dead):
            self._tell(Health(False, "终端无应答 / the terminal does not answer"))

    def _registered(self, line: str) -> None:
        try:
            self._registration = parse_registration(line)
        except LineError:
            return
        if self._ready.is_set():
            self._tell_registration()

    def _tell_registration(self) -> None:
        if self._registration in _USABLE:
            self._tell(Health(True, "已登记 / registered", self._dbm))
        else:
            name = self._registration.name.lower().replace("_", " ")
            self._tell(Health(False, f"未登记 / not registered ({name})", self._dbm))

    def _tell(self, health: Health) -> None:
        if health != self.health:
            self.health = health
            self._emit(health)

    def _opened(self) -> None:
        self._fresh.set()

    def _lost(self, reason: str) -> None:
        self._session.down(reason)
        self._restarted()
        self._fresh.clear()
        self._tell(Health(False, reason))

    def _restarted(self) -> None:
        """Registrations of services are lost with a power cycle (section 3, 11)."""
        self._ready.clear()
        self._sender.service = ""
        for change in self.calls.lost():
            self._emit(change)
        self._fresh.set()

    # keeping it alive

    async def _keep(self) -> None:
        """Initialise after each opening and restart, then probe."""
        while True:
            await self._link.wait_up()
            await self._fresh.wait()
            self._fresh.clear()
            if await self._initialise():
                await self._probe()
                self._ready.set()
                self._tell_registration()
                await self._watch()
            else:
                self._fresh.set()
                await asyncio.sleep(1 + self._rng.random())

    async def _watch(self) -> None:
        """Ask for the registration while the terminal answers; return when it does not."""
        count = 0
        while True:
            try:
                async with asyncio.timeout(self._dialect.probe_s):
                    await self._fresh.wait()
                return
            except TimeoutError:
                pass
            count += 1
            if not await self._probe() or (count % SIGNAL_EVERY == 0 and not await self._signal()):
                self._tell(Health(False, "终端无应答 / the terminal does not answer"))
                self._ready.clear()
                self._fresh.set()
                return

    async def _initialise(self) -> bool:
        for text in self._dialect.init:
            answer = await self._session.send(Command(text=text, timeout_s=self._dialect.answer_s))
            done = answer.end is End.OK or answer.code == REGISTERED_ALREADY
            if not done and (answer.end is not End.ERROR or text not in self._dialect.optional):
                self._tell(
                    Health(False, f"初始化失败 / initialisation failed: {text} {words_of(answer)}")
                )
                return False
            if text.startswith("AT+CTSDS="):
                self._sender.service = text.removeprefix("AT+CTSDS=")
        await self._signal()
        return True

    async def _probe(self) -> bool:
        command = Command(
            text="AT+CREG?", direct=(r"\+CREG: ?\d+(,.*)?",), timeout_s=self._dialect.answer_s
        )
        answer = await self._session.send(command)
        for line in answer.lines:
            self._registered(line)
        return answer.end in (End.OK, End.ERROR)

    async def _signal(self) -> bool:
        command = Command(
            text="AT+CSQ?", direct=(r"\+CSQ: ?\d+(,.*)?",), timeout_s=self._dialect.answer_s
        )
        answer = await self._session.send(command)
        for line in answer.lines:
            try:
                self._dbm = parse_signal(line)
            except LineError:
                self._dbm = None
        return answer.end in (End.OK, End.ERROR)

    async def _wait_usable(self) -> Lost | None:
        """Until a message may go out; else why it may not."""
        if not self._ready.is_set():
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._ready.wait()
            except TimeoutError:
                return self._lost_why()
        return None if self._registration in _USABLE else self._lost_why()

    def _lost_why(self) -> Lost:
        why = Why.NOT_REGISTERED if self._link.up else Why.DEVICE_GONE
        return why, self.health.words


def _now() -> float:
    return asyncio.get_running_loop().time()
