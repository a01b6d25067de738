"""One UDP socket that speaks SIP: transactions, repeats and their absorption (RFC 3261, 17)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from bridge.lab.sip import SipError, SipMessage, parse, request, serialise

T1_S: Final = 0.5
T2_S: Final = 4.0
"""First and longest time between repeats (RFC 3261, table 4)."""
LIMIT_S: Final = 64 * T1_S
"""After that a transaction is given up."""
MAX_REMEMBERED: Final = 4096
"""Answers kept for repeated requests; the oldest goes first."""

Key = TypeVar("Key")
Value = TypeVar("Value")
Address = tuple[str, int]
OnResponse = Callable[[SipMessage | None], None]
OnRequest = Callable[[SipMessage, Address], None]
OnAck = Callable[[SipMessage | None], None]


@dataclass(slots=True)
class _Client:
    """A request of ours that waits for its final response."""

    message: SipMessage
    data: bytes
    to: Address
    on_response: OnResponse
    gives_up: float
    timer: asyncio.TimerHandle | None = None
    wait: float = T1_S


@dataclass(slots=True)
class _Unacknowledged:
    """A final response to INVITE, sent until its ACK comes."""

    data: bytes
    to: Address
    on_ack: OnAck
    gives_up: float
    timer: asyncio.TimerHandle | None = None
    wait: float = T1_S


class SipNode(asyncio.DatagramProtocol):
    """Sends and takes messages. What arrives is handed to `on_request` once, repeats are not."""

    def __init__(self, on_request: OnRequest) -> None:
        self._on_request = on_request
        self._transport: asyncio.DatagramTransport | None = None
        self._loop = asyncio.get_running_loop()
        self._clients: dict[tuple[str, str], _Client] = {}
        self._acks: OrderedDict[str, tuple[bytes, Address]] = OrderedDict()
        self._answers: OrderedDict[tuple[str, str], tuple[bytes, Address] | None] = OrderedDict()
        self._unacknowledged: dict[tuple[str, int], _Unacknowledged] = {}
        self.address: Address = ("", 0)
        self.malformed = 0
        """Datagrams thrown away because they were no SIP."""
        self.repeats = 0
        """Requests that came again and were absorbed."""

    async def open(self, host: str, port: int) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._transport, _ = await self._loop.create_datagram_endpoint(
            lambda: self, local_addr=(host, port)
        )
        name = self._transport.get_extra_info("sockname")
        self.address = (name[0], name[1])

    def close(self) -> None:
        """Stop at once, without a word."""
        timers = [one.timer for one in self._clients.values()]
        timers += [one.timer for one in self._unacknowledged.values()]
        for timer in timers:
            if timer is not None:
                timer.cancel()
        self._clients.clear()
        self._unacknowledged.clear()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # --- requests of ours ---

    def request(
        self, message: SipMessage, to: Address, on_response: OnResponse, limit_s: float = LIMIT_S
    ) -> None:
        """Send, repeat until answered; `on_response` gets each provisional response and the final
        one, or None when none came in `limit_s`. A final refusal of INVITE is acknowledged."""
        client = _Client(message, serialise(message), to, on_response, self._loop.time() + limit_s)
        key = (message.branch, message.method)
        self._clients[key] = client
        self._write(client.data, to)
        self._repeat(key, client)

    async def ask(self, message: SipMessage, to: Address, limit_s: float) -> SipMessage:
        """Send and wait for the final response. Raises TimeoutError when there is none."""
        came: asyncio.Future[SipMessage | None] = self._loop.create_future()

        def take(answer: SipMessage | None) -> None:
            if not came.done() and (answer is None or answer.status >= 200):
                came.set_result(answer)

        self.request(message, to, take, limit_s)
        if (final := await came) is None:
            raise TimeoutError(f"{message.method} to {to[0]}:{to[1]}: no answer in {limit_s:g} s")
        return final

    def _repeat(self, key: tuple[str, str], client: _Client) -> None:
        client.timer = self._loop.call_later(client.wait, self._again, key)

    def _again(self, key: tuple[str, str]) -> None:
        client = self._clients[key]
        if self._loop.time() >= client.gives_up:
            del self._clients[key]
            client.on_response(None)
            return
        self._write(client.data, client.to)
        client.wait = client.wait * 2 if key[1] == "INVITE" else min(client.wait * 2, T2_S)
        client.wait = min(client.wait, max(client.gives_up - self._loop.time(), 0.01))
        self._repeat(key, client)

    def acknowledge(self, branch: str, ack: SipMessage, to: Address) -> None:
        """Send the ACK of a 2xx, and again each time that 2xx to our INVITE `branch` comes."""
        data = serialise(ack)
        self._acks[branch] = (data, to)
        _bound(self._acks)
        self._write(data, to)

    # --- requests of others ---

    def respond(self, to: SipMessage, answer: SipMessage, source: Address) -> None:
        """Answer a request; a repeat of it is answered alike. Not for a final one to INVITE."""
        data = serialise(answer)
        self._answers[to.branch, to.method] = (data, source)
        _bound(self._answers)
        self._write(data, source)

    def respond_until_ack(
        self, to: SipMessage, answer: SipMessage, source: Address, on_ack: OnAck
    ) -> None:
        """The final answer to an INVITE, repeated until its ACK; `on_ack` gets that, or None."""
        self.respond(to, answer, source)
        waiting = _Unacknowledged(serialise(answer), source, on_ack, self._loop.time() + LIMIT_S)
        key = (to.call_id, to.cseq[0])
        self._unacknowledged[key] = waiting
        waiting.timer = self._loop.call_later(waiting.wait, self._answer_again, key)

    def _answer_again(self, key: tuple[str, int]) -> None:
        waiting = self._unacknowledged[key]
        if self._loop.time() >= waiting.gives_up:
            del self._unacknowledged[key]
            waiting.on_ack(None)
            return
        self._write(waiting.data, waiting.to)
        waiting.wait = min(waiting.wait * 2, T2_S)
        waiting.timer = self._loop.call_later(waiting.wait, self._answer_again, key)

    # --- the socket ---

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data.strip()) == 0:
            return  # keep-alive (RFC 5626)
        try:
            message = parse(data)
            key = (message.branch, message.method)
        except (SipError, KeyError):
            self.malformed += 1
            return
        if message.status:
            self._take_response(key, message)
        elif message.method == "ACK":
            self._take_ack(message)
        elif key in self._answers:
            self.repeats += 1
            if (known := self._answers[key]) is not None:
                self._write(*known)
        else:
            self._answers[key] = None
            _bound(self._answers)
            self._on_request(message, addr)

    def _take_response(self, key: tuple[str, str], message: SipMessage) -> None:
        client = self._clients.get(key)
        if client is None:
            if key[1] == "INVITE" and key[0] in self._acks and message.status >= 200:
                self._write(*self._acks[key[0]])
            return
        if message.status < 200:
            if key[1] == "INVITE" and client.timer is not None:
                client.timer.cancel()
        else:
            if client.timer is not None:
                client.timer.cancel()
            del self._clients[key]
            if key[1] == "INVITE" and message.status >= 300:
                self.acknowledge(key[0], refusal_ack(client.message, message), client.to)
        client.on_response(message)

    def _take_ack(self, message: SipMessage) -> None:
        waiting = self._unacknowledged.pop((message.call_id, message.cseq[0]), None)
        if waiting is None:
            return
        if waiting.timer is not None:
            waiting.timer.cancel()
        waiting.on_ack(message)

    def _write(self, data: bytes, to: Address) -> None:
        if self._transport is not None:
            self._transport.sendto(data, to)


def refusal_ack(invite: SipMessage, refusal: SipMessage) -> SipMessage:
    """The ACK of a final refusal: the INVITE's own branch (RFC 3261, section 17.1.1.3)."""
    return request(
        "ACK",
        invite.uri,
        [
            ("Via", invite.headers["Via"]),
            ("From", invite.headers["From"]),
            ("To", refusal.headers["To"]),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{invite.cseq[0]} ACK"),
        ],
    )


def _bound(remembered: OrderedDict[Key, Value]) -> None:
    while len(remembered) > MAX_REMEMBERED:
        remembered.popitem(last=False)
