"""Texts and work orders to DMR and PDT sets of Hytera over their text port (UDP). Experimental.

Each message is repeated up to TRIES times until the gateway answers; the answer's result tells
whether the addressed radio acknowledged (00) or not (08): a proof of delivery, not of reading.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from hardware.radio import hytera
from hardware.radio.events import (
    Delivery,
    Emit,
    Health,
    RadioRefused,
    RawIn,
    TextIn,
    UnreadableIn,
    Why,
)
from hardware.radio.hytera import HyteraError, Text, TextMessage
from hardware.radio.outstanding import Known, Outstanding
from hardware.radio.texts import TextRefused, check_text, clean_incoming

TRIES: Final = 3
RETRY_S: Final = 1.0
REPEAT_S: Final = 30.0
"""The same text under the same number within so many seconds is one text."""
MAX_TEXT: Final = 200
"""Characters of one message: DMR short data carry some hundred octets."""
MAX_OUTSTANDING: Final = 64
_WHY: Final = {
    0x03: Why.REFUSED,
    0x04: Why.BUSY,
    0x08: Why.OFFLINE,
    0x0A: Why.NOT_REGISTERED,
    0x0B: Why.REFUSED,
}


@dataclass(slots=True)
class _Out:
    key: str
    data: bytes
    left: int = TRIES
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


@dataclass(slots=True)
class _In:
    """A text that came. `stored`: its owner has it, a repeat is only acknowledged again."""

    message: TextMessage
    at: float
    stored: bool = False

    def repeats(self, message: TextMessage, now: float) -> bool:
        return message == self.message and now - self.at < REPEAT_S


class HyteraGateway(asyncio.DatagramProtocol):
    """One gateway at (host, port); `own` is our radio number. `run` owns the socket."""

    def __init__(
        self,
        host: str,
        port: int,
        own: int,
        *,
        emit: Emit,
        rng: random.Random,
        retry_s: float = RETRY_S,
        work_orders: bool = False,
    ) -> None:
        self._peer = (host, port)
        self._own = own
        self._emit = emit
        self._retry_s = retry_s
        self._opcode = Text.WORK_ORDER if work_orders else Text.PRIVATE
        self.book = Outstanding(rng)
        self._next = rng.randrange(1, 1 << 31)
        self._out: dict[int, _Out] = {}
        self._texts: OrderedDict[str, _In] = OrderedDict()
        """Received texts, the newest last."""
        self._transport: asyncio.DatagramTransport | None = None
        self.health = Health(False, "尚未打开 / not opened yet")

    async def run(self, stop: asyncio.Event) -> None:
        """Own the socket until `stop`."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, remote_addr=self._peer
        )
        self.health = Health(True, "可用（试验） / usable (experimental)")
        self._emit(self.health)
        await stop.wait()
        for out in self._out.values():
            if out.timer is not None:
                out.timer.cancel()
        self._transport.close()

    def send_text(self, key: str, address: str, text: str, *, urgent: bool = False) -> None:
        """Take a text over. Raises RadioRefused."""
        if not (address.isascii() and address.isdecimal() and 0 < int(address) < 1 << 24):
            raise RadioRefused(Why.BAD_ADDRESS, f"{address!r}: 不是电台号 / is no radio number")
        try:
            check_text(text)
        except TextRefused as error:
            raise RadioRefused(Why.REFUSED, str(error)) from error
        if len(text) > MAX_TEXT:
            raise RadioRefused(Why.TOO_LONG, f"{len(text)} 字 / characters, at most {MAX_TEXT}")
        if self.book.known(key):
            raise RadioRefused(Why.REFUSED, f"{key}: 已受理 / taken over before")
        if self._transport is None:
            raise RadioRefused(Why.DEVICE_GONE, self.health.words)
        if len(self._out) >= MAX_OUTSTANDING:
            raise RadioRefused(Why.QUEUE_FULL, f"{MAX_OUTSTANDING} messages wait")
        request = self._next = self._next % 0xFFFFFFFF + 1
        message = TextMessage(self._opcode, request, int(address), self._own, text, confirmed=True)
        self.book.open(key, address, 1, _now(), reports=False)
        out = self._out[request] = _Out(key, hytera.encode_text(message))
        self._told(self.book.writing(key, 0))
        self._try(request, out)

    def withdraw(self, key: str) -> bool:
        """A message is on the air at once."""
        return False

    def acknowledge(self, token: str, *, consumed: bool = False) -> None:
        """A received text is stored: the set has its acknowledgement now."""
        heard = self._texts.get(token)
        if heard is not None:
            heard.stored = True
            self._confirm(heard.message)

    def known(self, key: str) -> Known | None:
        """What is known of a message."""
        return self.book.known(key)

    def _try(self, request: int, out: _Out) -> None:
        if out.left == 0:
            del self._out[request]
            self._told(self.book.unclear(out.key, 0, f"no answer to {TRIES} tries"))
            return
        out.left -= 1
        if self._transport is not None:
            self._transport.sendto(out.data)
        loop = asyncio.get_running_loop()
        out.timer = loop.call_later(self._retry_s, self._try, request, out)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        """Anything from the gateway; what is none of ours is kept and shown."""
        try:
            message = hytera.decode_text(hytera.decode_hdap(data[: hytera.MAX_MESSAGE]))
        except HyteraError as error:
            self._emit(RawIn("", data[: hytera.MAX_MESSAGE], str(error)))
            return
        if message.result is not None:
            self._answer(message.request, message.result)
        else:
            self._text(message)

    def _answer(self, request: int, result: int) -> None:
        out = self._out.pop(request, None)
        if out is None:
            return
        if out.timer is not None:
            out.timer.cancel()
        if result == 0:
            self._told(self.book.delivered(out.key, 0))
        else:
            words = hytera.RESULTS.get(result, f"result {result:02X}")
            self._told(self.book.failed(out.key, 0, _WHY.get(result, Why.ERROR), words))

    def _text(self, message: TextMessage) -> None:
        """A text; the set says it again until it has our acknowledgement."""
        source = str(message.source or "")
        token = f"{source}:{message.request}"
        before = self._texts.get(token)
        if before is not None and before.repeats(message, _now()):
            if before.stored:
                self._confirm(message)
            return
        self._texts.pop(token, None)
        self._texts[token] = _In(message, _now())
        while len(self._texts) > MAX_OUTSTANDING:
            self._texts.popitem(last=False)
        clean = clean_incoming(message.text)
        if clean is None:
            octets = message.text.encode("utf-8", "replace")
            self._emit(UnreadableIn(source, octets, "control characters", token))
        else:
            self._emit(TextIn(source, str(message.target), clean, token))

    def _confirm(self, message: TextMessage) -> None:
        if not message.confirmed or not message.source or self._transport is None:
            return
        ack = TextMessage(message.opcode + 1, message.request, message.source, self._own, result=0)
        self._transport.sendto(hytera.encode_text(ack))

    def _told(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self._emit(delivery)


def _now() -> float:
    return asyncio.get_running_loop().time()
