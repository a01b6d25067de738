"""A trunked MPT 1327 radio on its MAP27 port: status, data messages, calls, health.

Thin: frames, link and messages are pure files beside this one. One message is open at a time; its
acknowledgement means that the called unit's radio has it, not that anybody read it (sheet, 4.5).
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hardware.port import Port, PortSettings, open_port
from hardware.radio import map27_net as net
from hardware.radio.dialect import Map27Dialect
from hardware.radio.events import (
    Delivery,
    EmergencyIn,
    Emit,
    Health,
    RadioRefused,
    RawIn,
    StatusIn,
    TextIn,
    UnreadableIn,
    Why,
)
from hardware.radio.map27_calls import Done, Ended, Map27Calls, N, Step, Waiting
from hardware.radio.map27_frame import FrameDecoder
from hardware.radio.map27_link import Acked, Down, LinkRefused, Map27Link, Output, Packet, Put, Up
from hardware.radio.map27_net import Address, Condition, Data, Disconnect, Map27Error, Status
from hardware.radio.map27_text import messages, text_of
from hardware.radio.outstanding import Known, Outstanding
from hardware.radio.texts import TextRefused, clean_incoming
from hardware.serial_link import LinkError, SerialLink
from hardware.trace import Trace

MAX_QUEUE: Final = 256
ASK_CONDITION: Final = net.encode(net.Interrogation(3))
"""The first message on every link. A radio never sends it: what comes back so is our own echo, and
a line that echoes would make our orders look like the unit's answers."""
ECHO_AGAIN_S: Final = 10.0
"""Seconds until a line that echoed is tried again."""
PATIENCE_S: Final = 20.0
"""Seconds that a message waits for the link or for a call to end."""
_SETUP_CONNECTED: Final = 0xC4


@dataclass(frozen=True, slots=True)
class _Job:
    key: str
    messages: tuple[net.Message, ...]
    text: str = ""
    address: Address | None = None


class Map27:
    """One radio. `run` owns it; `emit` hears everything."""

    def __init__(
        self,
        settings: PortSettings,
        dialect: Map27Dialect,
        *,
        emit: Emit,
        rng: random.Random,
        trace: Trace | None = None,
        opener: Callable[[PortSettings], Awaitable[Port]] = open_port,
    ) -> None:
        self._dialect = dialect
        self._emit = emit
        bad = frozenset((_SETUP_CONNECTED,)) if dialect.tolerate_bad_c4 else frozenset()
        self._decoder = FrameDecoder(bad)
        self._layer = Map27Link(dialect.rate, dialect.n1, dialect.k, dialect.latency_s)
        self._link = SerialLink(
            settings,
            on_data=self._data,
            on_up=self._opened,
            on_down=self._lost,
            rng=rng,
            trace=trace,
            opener=opener,
        )
        self.book = Outstanding(rng)
        self.calls = Map27Calls()
        self._extended = dialect.extended
        self._queue: asyncio.PriorityQueue[tuple[int, int, _Job]] = asyncio.PriorityQueue(MAX_QUEUE)
        self._numbers = itertools.count()
        self._waiting: set[str] = set()
        self._withdrawn: set[str] = set()
        self._open: asyncio.Future[Ended] | None = None
        self._heard_again = asyncio.Event()
        self._changed = asyncio.Event()
        self._ready = False
        self._echoes = False
        self._contact = True
        self._timer: asyncio.TimerHandle | None = None
        self._writes: set[asyncio.Task[None]] = set()
        self.health = Health(False, "尚未打开 / not opened yet")

    async def run(self, stop: asyncio.Event) -> None:
        """Own the radio until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run(stop))
            sender = tasks.create_task(self._send_all())
            await stop.wait()
            sender.cancel()
        if self._timer is not None:
            self._timer.cancel()

    # what the owner asks

    def send_text(self, key: str, address: str, text: str, *, urgent: bool = False) -> None:
        """Take a text over. Raises RadioRefused, also for Chinese where no coding was agreed."""
        to = self._check(key, address)
        self._put(urgent, _Job(key, tuple(self._messages(text, to)), text, to))

    def send_status(self, key: str, address: str, value: int, *, urgent: bool = False) -> None:
        """Take a status (0–31) over. Raises RadioRefused."""
        to = self._check(key, address)
        if not 0 <= value <= 31:
            raise RadioRefused(Why.REFUSED, f"status {value}: 0–31")
        self._put(urgent, _Job(key, (Status(to, value),)))

    def _messages(self, text: str, to: Address) -> Sequence[net.Message]:
        try:
            return messages(text, to, self._dialect.chinese, self._extended)
        except TextRefused as error:
            why = Why.TOO_LONG if "过长" in str(error) else Why.REFUSED
            raise RadioRefused(why, str(error)) from error

    def _check(self, key: str, address: str) -> Address:
        try:
            to = net.parse_address(address)
        except Map27Error as error:
            raise RadioRefused(Why.BAD_ADDRESS, str(error)) from error
        if key in self._waiting or self.book.known(key):
            raise RadioRefused(Why.REFUSED, f"{key}: 已受理 / taken over before")
        if self._queue.full():
            raise RadioRefused(Why.QUEUE_FULL, f"{MAX_QUEUE} messages wait")
        return to

    def _put(self, urgent: bool, job: _Job) -> None:
        self.book.open(job.key, str(job.address or ""), len(job.messages), _now(), reports=False)
        self._waiting.add(job.key)
        self._queue.put_nowait((0 if urgent else 1, next(self._numbers), job))

    def withdraw(self, key: str) -> bool:
        """Take a message back that has not begun to go out."""
        if key not in self._waiting:
            return False
        self._withdrawn.add(key)
        return True

    def acknowledge(self, token: str, *, consumed: bool = False) -> None:
        """Nothing is owed on this network."""

    def known(self, key: str) -> Known | None:
        """What is known of a message."""
        return self.book.known(key)

    def call(self, address: str, *, emergency: bool = False, group: bool = False) -> None:
        """Begin a voice call; what follows is told as CallChange. Raises RadioRefused."""
        to = self._check("", address)
        if not self._ready or not self.calls.start_call(address, emergency):
            raise RadioRefused(Why.BUSY, f"电台状态 / radio is in {self.calls.state}")
        details = (0 if emergency else net.NO_PRIORITY) | (net.GROUP if group else 0)
        self._say(net.Call(emergency, to, details))

    def answer(self) -> None:
        """Take the call that rings (off-hook)."""
        self._say(Condition(off_hook=True, transmitting=False))

    def key(self, down: bool) -> None:
        """Push to talk, only in a call. Raises RadioRefused."""
        if self.calls.state is not N.ACTIVE:
            raise RadioRefused(Why.REFUSED, "没有通话 / there is no call")
        self._say(Condition(off_hook=True, transmitting=down))

    def hang_up(self) -> None:
        """End the call."""
        if self.calls.state in (N.ACTIVE, N.OUTCALL_WAIT, N.INCALL_WAIT):
            kind, cause = (0x86, 7) if self.calls.state is N.ACTIVE else (0xA6, 8)
            peer = net.parse_address(self.calls.peer)
            self._say(Disconnect(kind, peer.prefix, peer.ident, cause))

    def _say(self, message: net.Message) -> None:
        try:
            self._carry_out(self._layer.send(net.encode(message), _now()))
        except LinkRefused as error:
            raise RadioRefused(Why.DEVICE_GONE, str(error)) from error

    # the line

    def _opened(self) -> None:
        self._echoes = False
        if not self._link.up:
            return
        self._carry_out(self._layer.start(_now()))

    def _lost(self, reason: str) -> None:
        self._down(reason)

    def _data(self, data: bytes) -> None:
        for body in self._decoder.feed(data):
            self._carry_out(self._layer.frame(body, _now()))

    def _tick(self) -> None:
        self._timer = None
        if self._link.up:
            self._carry_out(self._layer.tick(_now()))

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Put):
                task = asyncio.ensure_future(self._write(output.data))
                self._writes.add(task)
                task.add_done_callback(self._writes.discard)
            elif isinstance(output, Up):
                self._carry_out(self._layer.send(ASK_CONDITION, _now()))
            elif isinstance(output, Acked):
                if output.data == ASK_CONDITION and not self._echoes:
                    self._ready = True
                    self._tell()
            elif isinstance(output, Down):
                self._down(output.reason)
            elif isinstance(output, Packet):
                self._message(output.data)
        self._changed.set()
        due = self._layer.deadline
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if due is None else loop.call_at(due, self._tick)

    async def _write(self, data: bytes) -> None:
        try:
            await self._link.write(data)
        except LinkError:
            return  # the link tells its loss by itself, the layer sends again

    def _echoed(self) -> None:
        """Nothing that comes over this line can be believed until it is tried again."""
        self._echoes = True
        self._down("线路回送本机数据 / the line returns our own octets: another device, or a loop")
        asyncio.get_running_loop().call_later(ECHO_AGAIN_S, self._opened)

    def _down(self, reason: str) -> None:
        self._ready = False
        for step in self.calls.reset(reason):
            self._step(step)
        self._tell(reason)
        self._changed.set()

    def _tell(self, reason: str = "") -> None:
        if not self._ready:
            health = Health(False, reason or "链路未建立 / the link is not up")
        elif not self._contact:
            health = Health(False, "无网络联系 / no radio contact")
        else:
            health = Health(True, "可用 / usable")
        if health != self.health:
            self.health = health
            self._emit(health)

    # what the radio says

    def _message(self, data: bytes) -> None:
        if data == ASK_CONDITION:
            self._echoed()
        if self._echoes:
            return
        message = net.decode(data)
        for step in self.calls.message(message):
            self._step(step)
        if isinstance(message, Status):
            self._emit(StatusIn(str(message.address), "", message.status))
        elif isinstance(message, Data):
            self._text(message)
        elif isinstance(message, Condition):
            self._contact = message.contact
            self._tell()
        elif isinstance(message, net.Call) and message.emergency:
            self._emit(EmergencyIn(str(message.address), "call"))
        elif isinstance(message, net.Other):
            self._emit(RawIn("", message.data, "not a message of ours"))

    def _text(self, data: Data) -> None:
        text = text_of(data, self._dialect.chinese)
        clean = None if text is None else clean_incoming(text)
        if text is None:
            self._emit(RawIn(str(data.address), data.data, "not a text of ours"))
        elif clean is None:
            self._emit(UnreadableIn(str(data.address), data.data, "control characters"))
        else:
            self._emit(TextIn(str(data.address), "", clean))

    def _step(self, step: Step) -> None:
        if isinstance(step, Waiting):
            self._heard_again.set()
        elif isinstance(step, Ended):
            if self._open is not None and not self._open.done():
                self._open.set_result(step)
        else:
            self._emit(step)

    # sending

    async def _send_all(self) -> None:
        while True:
            _, _, job = await self._queue.get()
            self._waiting.discard(job.key)
            if job.key in self._withdrawn:
                self._withdrawn.discard(job.key)
                self._told(self.book.failed(job.key, 0, Why.WITHDRAWN, "before it began"))
                continue
            await self._send(job)

    async def _send(self, job: _Job) -> None:
        for number, message in enumerate(job.messages):
            if not await self._wait_idle():
                why = Why.DEVICE_GONE if not self._link.up else Why.NOT_REGISTERED
                self._told(self.book.failed(job.key, number, why, self.health.words))
                return
            self._told(self.book.writing(job.key, number))
            ended = await self._transact(message)
            if ended.done is Done.NO_MST and self._extended and job.address is not None:
                await self._as_short(job)
                return
            if not self._settle(job.key, number, ended):
                return

    async def _as_short(self, job: _Job) -> None:
        """The controller has no extended data: the same text in short messages from now on."""
        self._extended = False
        assert job.address is not None
        self.book.forget(job.key)
        try:
            short = self._messages(job.text, job.address)
        except RadioRefused as error:
            self.book.open(job.key, str(job.address), 1, _now(), reports=False)
            self._told(self.book.failed(job.key, 0, error.why, str(error)))
            return
        self.book.open(job.key, str(job.address), len(short), _now(), reports=False)
        await self._send(_Job(job.key, tuple(short), job.text, job.address))

    def _settle(self, key: str, number: int, ended: Ended) -> bool:
        if ended.done is Done.OK:
            self._told(self.book.delivered(key, number))
            return True
        if ended.done is Done.UNCLEAR:
            self._told(self.book.unclear(key, number, ended.words))
        else:
            self._told(self.book.failed(key, number, ended.why or Why.ERROR, ended.words))
        return False

    async def _wait_idle(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (self._ready and self._contact and self.calls.start_message()):
                    self._changed.clear()
                    if self._ready and not self._contact:
                        return False
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _transact(self, message: net.Message) -> Ended:
        """Send the message and wait for its end; the network may say "wait" any number of times."""
        self._open = asyncio.get_running_loop().create_future()
        try:
            self._carry_out(self._layer.send(net.encode(message), _now()))
        except LinkRefused as error:
            self.calls.give_up_message()
            return Ended(Done.FAILED, Why.DEVICE_GONE, str(error))
        waits = 0
        while True:
            self._heard_again.clear()
            again = asyncio.ensure_future(self._heard_again.wait())
            await asyncio.wait(
                (self._open, again),
                timeout=self._dialect.answer_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            heard = again.done()
            again.cancel()
            if self._open.done():
                return self._open.result()
            waits += 1
            if not heard or waits > 20:
                self.calls.give_up_message()
                self._cancel(message)
                return Ended(Done.UNCLEAR, None, f"no end in {self._dialect.answer_s:.0f} s")

    def _cancel(self, message: net.Message) -> None:
        """Rule 8: the watchdog cancels the message at the radio."""
        if self._ready and isinstance(message, Status | Data):
            to = message.address
            self._carry_out(
                self._layer.send(net.encode(Disconnect(0xA6, to.prefix, to.ident, 8)), _now())
            )

    def _told(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._emit(delivery)


def _now() -> float:
    return asyncio.get_running_loop().time()
