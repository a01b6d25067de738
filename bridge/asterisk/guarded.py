"""panoramisk 1.4 as a base: its `Manager` and `AMIProtocol` with every defect of
libraries.md section 1 closed off. Nothing of theirs parses, sends, matches, retries or logs here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from bridge.wire.ami import AmiProtocolError, Decoder, Message

WRITE_HIGH_WATER: Final = 64 * 1024
"""Bytes in our own write buffer at which actions wait for the peer to read (P18)."""

USER_TIMEOUT_MS: Final = 3000
"""TCP_USER_TIMEOUT: unacknowledged data end the connection; keepalive alone would not (rule 11)."""


class GuardedProtocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """One connection. Tells its owner of messages, once of its end; `ended` holds the reason."""

    transport: asyncio.Transport

    def __init__(self, on_messages: Callable[[list[Message]], None]) -> None:
        self._on_messages = on_messages
        self._decoder = Decoder()
        self._writable = asyncio.Event()
        self._writable.set()
        self.reason = ""
        """Why the connection was given up or ended; empty while it stands."""
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def ami_version(self) -> str | None:
        """Protocol version of the banner, None before it came."""
        return self._decoder.version

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._socket = connection

    def data_received(self, data: bytes) -> None:
        if self.reason:
            return
        # Asterisk leaves Nagle's algorithm on: without an acknowledgement at once its next small
        # write waits 40 ms. The option holds for one acknowledgement only.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        try:
            messages = self._decoder.feed(data)
        except AmiProtocolError as error:
            self.drop(str(error))
        else:
            if messages:
                self._on_messages(messages)

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport. Only after `wait_writable`."""
        self.transport.write(data)

    async def wait_writable(self, seconds: float) -> bool:
        """Wait until the peer reads what we wrote; False when it does not in time."""
        if self._writable.is_set():
            return not self.reason
        try:
            async with asyncio.timeout(seconds):
                await self._writable.wait()
        except TimeoutError:
            return False
        return not self.reason

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def drop(self, reason: str) -> None:
        """End the connection at once, without waiting for a peer that may be dead."""
        if not self.reason:
            self.reason = reason
            self.closed = True
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.reason:
            self.reason = f"connection lost: {exc}" if exc else "closed by Asterisk"
        self._writable.set()  # who waits looks at the reason
        if not self.ended.done():
            self.ended.set_result(self.reason)

    def close(self) -> None:
        self.drop("closed by us")

    def send(self, data: Any, as_list: Any = None) -> Any:
        raise RuntimeError("AMIProtocol.send replays and leaks: use AmiLink.call")

    def handle_message(self, message: Any) -> None:
        raise RuntimeError("AMIProtocol.handle_message loses answers: messages go to the link")


class GuardedManager(Manager):  # type: ignore[misc]  # panoramisk has no types
    """`Manager` whose dangerous doors are shut. Credentials never enter its `config` (P22)."""

    def __init__(
        self, host: str, port: int, protocol_factory: Callable[[], GuardedProtocol]
    ) -> None:
        super().__init__(host=host, port=port, encoding="utf-8", protocol_factory=protocol_factory)

    async def open_connection(self, **options: Any) -> GuardedProtocol:
        """Connect through the configured `protocol_factory`; never by `connect()` (P11, P12).

        Raises OSError, ssl.SSLError.
        """
        protocol: GuardedProtocol
        _, protocol = await asyncio.get_running_loop().create_connection(
            self.config["protocol_factory"], self.config["host"], self.config["port"], **options
        )
        self.protocol = protocol
        return protocol

    def _shut(self, *_: Any, **__: Any) -> Any:
        """These retry, replay, match texts or lose events (P4-P12, P15, P16, P23)."""
        raise RuntimeError("panoramisk's own way is shut: use AmiLink.run, call, collect, register")

    connect = connection_made = connection_lost = login = ping = dispatch = _shut
    send_action = send_command = send_agi_command = _shut

    async def send_awaiting_actions(self, *_: Any) -> None:
        """Nothing is ever sent again (P6, P7)."""

    def register_event(self, pattern: str, callback: Any = None) -> Any:
        if callback != self.send_awaiting_actions:  # the base class registers that one itself
            self._shut()
        return callback
