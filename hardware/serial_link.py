"""One port with one owner: opened, read, written in order, opened again when it was lost.

Decides when to try again and what a write's end means; opening itself is in hardware.port. Bytes
go to `on_data` as they come. A write that had begun when the port was lost has an unknown end
(guard rule 2): `LinkDown.begun` tells it apart from one that never started.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from hardware.port import ModemLines, NoModemLines, Port, PortError, PortSettings, open_port
from hardware.trace import Trace

__all__ = ["LinkBusy", "LinkDown", "LinkError", "ModemLines", "NoModemLines", "PortSettings"]
__all__ += ["SerialLink"]

FIRST_RETRY: Final = 0.25
"""Seconds before a lost port is opened again; doubles up to LAST_RETRY, each with jitter."""
LAST_RETRY: Final = 15.0
STEADY_S: Final = 10.0
"""Seconds a port must have held, else its next opening waits longer: each may key a radio."""
MAX_WRITES: Final = 64
"""Writes that wait for the port; more are refused."""
WRITE_GRACE: Final = 5.0
"""Seconds beyond the time on the line before a write is given up (flow control holds it)."""
LINES_DEADLINE: Final = 5.0
"""Seconds for modem lines to be moved or read."""
BITS_A_BYTE: Final = 10


class LinkError(Exception):
    """The link could not do it; the text names place and mend."""


class LinkDown(LinkError):
    """The port is away. `begun`: some of the bytes may have left."""

    def __init__(self, words: str, *, begun: bool = False) -> None:
        super().__init__(words)
        self.begun = begun


class LinkBusy(LinkError):
    """Too many writes wait; nothing of this one was sent."""


@dataclass(slots=True)
class _Write:
    data: bytes
    done: asyncio.Future[None] = field(default_factory=asyncio.Future)


class SerialLink:
    """A port and its owner task `run`. Callbacks run on the loop and must not block.

    `on_up` comes after each opening (a device may have restarted: initialise it again), `on_down`
    with the reason, once for each loss and once for the first of a row of failed openings,
    `on_lines` when a port tells by itself that an input may have moved.
    """

    def __init__(
        self,
        settings: PortSettings,
        *,
        on_data: Callable[[bytes], None],
        rng: random.Random,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[str], None] = lambda _: None,
        on_lines: Callable[[], None] | None = None,
        trace: Trace | None = None,
        opener: Callable[[PortSettings], Awaitable[Port]] = open_port,
    ) -> None:
        self.settings = settings
        self.opens = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.why_down = "尚未打开 / not opened yet"
        self._on_data = on_data
        self._on_up = on_up
        self._on_down = on_down
        self._on_lines = on_lines
        self._rng = rng
        self._trace = trace
        self._opener = opener
        self._port: Port | None = None
        self._up = asyncio.Event()
        self._writes: asyncio.Queue[_Write] = asyncio.Queue(MAX_WRITES)

    @property
    def up(self) -> bool:
        """The port is open."""
        return self._port is not None

    async def wait_up(self) -> None:
        """Returns when the port is open."""
        await self._up.wait()

    async def run(self, stop: asyncio.Event) -> None:
        """Own the port until `stop`; at the end its lines are down and it is given back."""
        failures = 0
        while not stop.is_set():
            try:
                port = await self._opener(self.settings)
            except PortError as error:
                if failures == 0:
                    self._tell_down(str(error))
                failures += 1
                await _wait(stop, self._retry(failures))
                continue
            began = asyncio.get_running_loop().time()
            lost = await self._serve(port, stop)
            if lost:
                held = asyncio.get_running_loop().time() - began >= STEADY_S
                failures = 1 if held else failures + 1
                self._tell_down(lost)
                await _wait(stop, self._retry(failures))

    def _retry(self, failures: int) -> float:
        whole = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(failures, 10))
        return whole * (0.5 + self._rng.random() / 2)

    async def _serve(self, port: Port, stop: asyncio.Event) -> str:
        """Read and write until the port is lost (the reason) or `stop` (no words)."""
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def gone(reason: str) -> None:
            if not lost.done():
                lost.set_result(reason)

        self._port = port
        self.opens += 1
        self._note("open " + self.settings.name)
        writer = asyncio.ensure_future(self._write_all(port))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            if self._on_lines is not None:
                port.watch_lines(self._on_lines)
            port.start(self._data, gone)
            self._up.set()
            self._on_up()
            await asyncio.wait((lost, writer, stopped), return_when=asyncio.FIRST_COMPLETED)
            if writer.done() and not writer.cancelled():
                return writer.result()
            return lost.result() if lost.done() else ""
        finally:
            self._port = None
            self._up.clear()
            for task in (writer, stopped):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            self._fail_waiting()
            lost.cancel()
            self._note("close")
            await asyncio.shield(port.close())

    def _data(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if self._trace is not None:
            self._trace.note("<", data)
        self._on_data(data)

    async def _write_all(self, port: Port) -> str:
        """Write one after another; ends with the reason when a write shows the port as lost."""
        while True:
            write = await self._writes.get()
            if write.done.done():  # nobody waits for it any more and nothing of it was sent
                continue
            seconds = len(write.data) * BITS_A_BYTE / self.settings.rate + WRITE_GRACE
            reason = ""
            try:
                async with asyncio.timeout(seconds):
                    await port.write(write.data)
            except PortError as error:
                reason = str(error)
            except TimeoutError:
                reason = f"{self.settings.name}: 写入被阻塞 / not taken in {seconds:.0f} s"
            except asyncio.CancelledError:
                _fail(write, LinkDown(f"{self.settings.name}: 连接中断 / lost", begun=True))
                raise
            if reason:
                _fail(write, LinkDown(reason, begun=True))
                return reason
            self.bytes_out += len(write.data)
            if self._trace is not None:
                self._trace.note(">", write.data)
            if not write.done.done():
                write.done.set_result(None)

    async def write(self, data: bytes) -> None:
        """Returns when the system has taken the bytes, after those of earlier calls.

        Raises LinkDown, or LinkBusy when too many wait.
        """
        if self._port is None:
            raise LinkDown(f"{self.settings.name}: {self.why_down}")
        write = _Write(data)
        try:
            self._writes.put_nowait(write)
        except asyncio.QueueFull:
            raise LinkBusy(f"{self.settings.name}: {MAX_WRITES} writes wait") from None
        await write.done

    async def set_lines(self, *, rts: bool | None = None, dtr: bool | None = None) -> None:
        """Move the outputs, past the writes that wait. Raises LinkDown or NoModemLines."""
        self._note(f"lines rts={rts} dtr={dtr}")
        await self._on_port(lambda port: port.set_lines(rts=rts, dtr=dtr))

    async def lines(self) -> ModemLines:
        """The inputs as they are now. Raises LinkDown or NoModemLines."""
        found: list[ModemLines] = []

        async def look(port: Port) -> None:
            found.append(await port.lines())

        await self._on_port(look)
        return found[0]

    async def _on_port(self, work: Callable[[Port], Awaitable[None]]) -> None:
        port = self._port
        if port is None:
            raise LinkDown(f"{self.settings.name}: {self.why_down}")
        try:
            async with asyncio.timeout(LINES_DEADLINE):
                await work(port)
        except NoModemLines:
            raise
        except (PortError, TimeoutError) as error:
            raise LinkDown(f"{self.settings.name}: {error}", begun=True) from error

    def _tell_down(self, reason: str) -> None:
        self.why_down = reason
        self._note("down " + reason)
        self._on_down(reason)

    def _fail_waiting(self) -> None:
        while not self._writes.empty():
            _fail(self._writes.get_nowait(), LinkDown(f"{self.settings.name}: 连接中断 / lost"))

    def _note(self, words: str) -> None:
        if self._trace is not None:
            self._trace.note("#", words.encode())


def _fail(write: _Write, error: LinkError) -> None:
    if not write.done.done():
        write.done.set_exception(error)
        write.done.exception()  # the caller may be gone: nobody need fetch it


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
