"""A fake Asterisk that speaks the real AMI over TCP, as 22.10.1 does it; it can also misbehave.

Kept honest by tests/live/test_ami_link.py, whose tests say the same of the real thing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Self

from bridge.wire.ami import Message

USERNAME = "bridge"
SECRET = "correct-horse"

Answer = Callable[["Connection", Message], None]


class Connection:
    """One client."""

    def __init__(
        self, peer: AmiPeer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.peer = peer
        self.reader = reader
        self.writer = writer
        self.logged_in = False

    def send(self, *lines: str) -> None:
        """One message, in pieces of `peer.piece` bytes."""
        self.send_raw("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    def send_raw(self, data: bytes) -> None:
        size = self.peer.piece or len(data) or 1
        for at in range(0, len(data), size):
            self.writer.write(data[at : at + size])

    def respond(self, action: Message, *lines: str, response: str = "Success") -> None:
        self.send(f"Response: {response}", f"ActionID: {action.get('ActionID')}", *lines)

    def cut(self) -> None:
        self.writer.transport.abort()

    def hold(self) -> None:
        """Read nothing any more."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]


class AmiPeer:
    """Listens on a loopback port of its own. `actions` is all that clients asked, in order."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.port = port
        self.version = "11.0.0"
        self.started = "2026-11-24 03:25:26"
        self.fully_booted = True
        self.canaries = True
        self.silent = False
        """Reads everything, answers nothing."""
        self.piece = 0
        self.actions: list[Message] = []
        self.connections: list[Connection] = []
        self.accepted = 0
        self.answers: dict[str, Answer] = {}
        """What to do instead of the ordinary answer, by action."""
        self._tls = tls
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls, limit=1 << 20
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """No more clients, and those there are cut off."""
        if self._server is not None:
            self._server.close()
            self.cut()
            self._server = None

    def cut(self) -> None:
        for connection in list(self.connections):
            connection.cut()

    def event(self, name: str, *lines: str) -> None:
        for connection in self.connections:
            connection.send(f"Event: {name}", *lines)

    def asked(self, action: str) -> list[Message]:
        return [message for message in self.actions if message.get("Action") == action]

    async def wait_asked(self, action: str, count: int = 1) -> list[Message]:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.asked(action)) >= count)
        return self.asked(action)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.accepted += 1
        self.connections.append(connection)
        try:
            connection.send_raw(f"Asterisk Call Manager/{self.version}\r\n".encode())
            while True:
                await self._act(connection, await _read_action(reader))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.remove(connection)
            writer.close()

    async def _act(self, connection: Connection, action: Message) -> None:
        async with self._changed:
            self.actions.append(action)
            self._changed.notify_all()
        if self.silent:
            return
        name = action.get("Action")
        special = self.answers.get(name)
        if special is not None:
            special(connection, action)
        elif name == "Login":
            await self._log_in(connection, action)
        elif not connection.logged_in:
            connection.respond(action, "Message: Permission denied", response="Error")
        else:
            self._ordinary(connection, action)

    async def _log_in(self, connection: Connection, action: Message) -> None:
        if (action.get("Username"), action.get("Secret")) != (USERNAME, SECRET):
            connection.respond(action, "Message: Authentication failed", response="Error")
            await connection.writer.drain()
            raise ConnectionAbortedError
        connection.logged_in = True
        connection.respond(action, "Message: Authentication accepted")
        if self.fully_booted:
            connection.send("Event: FullyBooted", "Privilege: system,all", "Status: Fully Booted")

    def _ordinary(self, connection: Connection, action: Message) -> None:
        name = action.get("Action")
        if name == "Ping":
            connection.respond(action, "Ping: Pong", "Timestamp: 1795490731.000001")
        elif name == "CoreStatus":
            day, _, time = self.started.partition(" ")
            connection.respond(action, f"CoreStartupDate: {day}", f"CoreStartupTime: {time}")
        elif name == "UserEvent":
            connection.respond(action, "Message: Event Sent")
            if self.canaries:
                skip = ("action", "userevent")
                body = [f"{k}: {v}" for k, v in action.items() if k.lower() not in skip]
                self.event("UserEvent", f"UserEvent: {action.get('UserEvent')}", *body)
        else:
            text = f"Invalid/unknown command: {name}. Use Action: ListCommands to show them."
            connection.respond(action, f"Message: {text}", response="Error")


async def _read_action(reader: asyncio.StreamReader) -> Message:
    """As manager.c: a bare LF ends a line too, an empty line ends the action."""
    lines: list[bytes] = []
    while True:
        line = (await reader.readuntil(b"\n")).rstrip(b"\r\n")
        if line:
            lines.append(line)
        elif lines:
            return Message(b"\r\n".join(lines))
