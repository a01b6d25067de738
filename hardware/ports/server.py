"""The socket of the port process: one owner, the daemon, and tools that only look."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any, Final

from hardware.ports.process import PortProcess
from hardware.ports.wire import (
    MAX_MESSAGE,
    MAX_QUESTION,
    VERSION,
    Body,
    Decoder,
    PortsProtocolError,
    encode,
)

MAX_CLIENTS: Final = 8
MAX_BEHIND: Final = 2 * MAX_MESSAGE
"""Octets that may wait for a client; one that does not read is dropped, and finds all again."""


class _Client:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.decoder = Decoder(MAX_QUESTION)
        self.owner = False
        self.behind = False
        """It is still being told what came before; things follow there, in order."""

    def send(self, body: Body) -> None:
        if self.writer.is_closing():
            return
        if self.writer.transport.get_write_buffer_size() > MAX_BEHIND:
            self.writer.transport.abort()
            return
        try:
            octets = encode(body)
        except PortsProtocolError as error:  # it stays in the journal; the others follow it
            about = {name: body[name] for name in ("seq", "id", "key") if name in body}
            octets = encode({"type": "error", "words": f"过长 / too long: {error}"} | about)
        self.writer.write(octets)


class PortServer:
    """`run` listens until `stop`."""

    def __init__(self, process: PortProcess, path: Path) -> None:
        self._process = process
        self._path = path
        self._clients: set[_Client] = set()
        self._tasks: asyncio.TaskGroup | None = None
        process.say = self._say

    async def run(self, stop: asyncio.Event) -> None:
        """Listen on the socket; it is removed at the end."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        server = await asyncio.start_unix_server(self._serve, self._path)
        os.chmod(self._path, 0o660)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                try:
                    await stop.wait()
                finally:
                    self._tasks = None
                    server.close()
                    for client in list(self._clients):
                        client.writer.transport.abort()
        finally:
            await server.wait_closed()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def _say(self, body: Body) -> None:
        for client in list(self._clients):
            if body["type"] != "thing" or (client.owner and not client.behind):
                client.send(body)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            writer.close()
            return
        client = _Client(writer)
        self._clients.add(client)
        try:
            while data := await reader.read(65536):
                for body in client.decoder.feed(data):
                    await self._answer(client, body)
        except PortsProtocolError as error:
            client.send({"type": "error", "words": f"不合协议 / not understood: {error}"})
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(client)
            if client.owner:
                self._process.owner_lost()
            writer.close()

    async def _answer(self, client: _Client, body: Body) -> None:
        kind = body["type"]
        process = self._process
        if kind == "hello":
            client.send({"type": "hello", "version": VERSION})
            if body.get("role") == "owner":
                self._take_over(client)
        elif kind == "job" and client.owner:
            refusal = await process.take(body)
            key = body.get("key")
            if refusal is None:
                client.send({"type": "taken", "key": key})
            else:
                words = {"why": refusal.why, "words": refusal.words}
                client.send({"type": "refused", "key": key} | words)
        elif kind == "look":
            found = await process.look(str(body.get("key", "")))
            client.send({"type": "answer", "id": body.get("id")} | found)
        elif kind == "pause" and client.owner:
            paused = body.get("paused")
            pairs = paused.items() if isinstance(paused, dict) else ()
            await process.pause({str(name): str(why) for name, why in pairs})
            client.send({"type": "answer", "id": body.get("id"), "ok": True})
        elif kind == "ack" and client.owner and isinstance(body.get("seq"), int):
            process.acknowledge(body["seq"])
        elif kind == "press" and client.owner:
            ident, gateway, group = (str(body.get(k, "")) for k in ("id", "gateway", "group"))
            process.press(ident, gateway, group, override=bool(body.get("override", False)))
        elif kind == "release" and client.owner:
            process.release(str(body.get("id", "")))
        else:
            client.send({"type": "answer", "id": body.get("id")} | self._look(client, body))

    def _look(self, client: _Client, body: Body) -> Body:
        process, kind = self._process, body["type"]
        key = str(body.get("key", ""))
        if kind == "withdraw" and client.owner:
            return {"ok": process.withdraw(key)}
        if kind == "test":
            words = process.test(str(body.get("channel", "")), str(body.get("address", "")))
            return {"words": words}
        if kind == "list":
            found: list[Any] = process.rows()
            waiting = len(process.things())
            return {"gateways": found, "things": waiting, "turned_away": process.turned_away}
        return {"error": f"{kind}: 未知或不允许 / unknown, or not yours to ask"}

    def _take_over(self, client: _Client) -> None:
        """The newest owner counts; everything it has not stored is said again."""
        for other in self._clients:
            if other.owner:
                other.owner = False
                self._process.owner_lost()
                other.writer.transport.abort()
        if client.writer.is_closing() or self._tasks is None:
            return
        client.owner = client.behind = True
        client.decoder.limit = MAX_MESSAGE
        for health in self._process.healths():
            client.send(health)
        self._tasks.create_task(self._tell_all(client), name="things not stored")

    async def _tell_all(self, client: _Client) -> None:
        """As fast as they are read; those that come meanwhile follow."""
        last = 0
        while rest := [thing for thing in self._process.things() if thing["seq"] > last]:
            for thing in rest:
                last = thing["seq"]
                client.send(thing)
                try:
                    await client.writer.drain()
                except ConnectionError:
                    return
                if not client.owner or client.writer.is_closing():
                    return
        client.behind = False
