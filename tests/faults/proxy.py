"""A TCP road between the daemon and Asterisk that can be cut, go dead, become slow, or lie."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Final, Literal

from bridge.lab.ports import HOST

CHUNK: Final = 65536
_SECRET: Final = re.compile(rb"(?m)^(Secret: ).*?(\r?)$")

Mode = Literal["open", "refuse", "dead", "late", "wrong-secret"]
"""`refuse`: connections are cut and no new one is taken. `dead`: taken, and not a byte goes
through, as on a cable that was pulled; when it heals what was sent comes after all. `late`: every
byte comes, `delay` seconds later. `wrong-secret`: the login that passes has another secret."""


class Road:
    """Listens on a port of its own and leads to `port`."""

    def __init__(self, port: int, delay: float = 1.2) -> None:
        self._target = port
        self._delay = delay
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._healthy = asyncio.Event()
        self._healthy.set()
        self.mode: Mode = "open"
        self.port = 0

    async def start(self) -> None:
        """Listen. The port stays the same for the life of this object."""
        self._server = await asyncio.start_server(self._take, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut everything and listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def be(self, mode: Mode) -> None:
        """From now on. What stood under the mode before is cut, or flows again after `dead`."""
        before, self.mode = self.mode, mode
        (self._healthy.clear if mode == "dead" else self._healthy.set)()
        if mode in ("refuse", "wrong-secret"):
            await self.stop()
        if mode != "refuse" and (before == "refuse" or mode == "wrong-secret"):
            await self.start()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with contextlib.AsyncExitStack() as ends:
            await ends.enter_async_context(_closed(writer))
            try:
                await self._healthy.wait()
                there, back = await asyncio.open_connection(HOST, self._target)
            except OSError:
                return
            await ends.enter_async_context(_closed(back))
            ways = [
                asyncio.ensure_future(self._way(reader, back, up=True)),
                asyncio.ensure_future(self._way(there, writer, up=False)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _way(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(10_000)

        async def give() -> None:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._healthy.wait()
                if not data:
                    return
                writer.write(data)
                await writer.drain()

        giving = asyncio.ensure_future(give())
        try:
            while data := await reader.read(CHUNK):
                if up and self.mode == "wrong-secret":
                    data = _SECRET.sub(rb"\1wrong\2", data)
                late = self._delay if self.mode == "late" and not up else 0.0
                await waiting.put((loop.time() + late, data))
            await waiting.put((0.0, b""))
            await giving
        except OSError:
            pass
        finally:
            giving.cancel()


@contextlib.asynccontextmanager
async def _closed(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.transport.abort()
