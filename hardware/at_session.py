"""An AT dialogue on a serial link: commands wait in line, unsolicited results go to a handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hardware.at import Answer, AtDialect, AtDialogue, Command, Dead, End, Output, Raw, Write
from hardware.serial_link import LinkError, SerialLink


class AtSession:
    """Give `data`, `up` and `down` to the SerialLink as its callbacks, then `attach` the link.

    `on_event` gets every output that is neither an answer nor a write: Unsolicited, Broken, Noise,
    Raw and Dead, on the loop, in order.
    """

    def __init__(self, dialect: AtDialect, on_event: Callable[[Output], None]) -> None:
        self._dialogue = AtDialogue(dialect)
        self._on_event = on_event
        self._link: SerialLink | None = None
        self._turn = asyncio.Lock()
        self._waiting: asyncio.Future[Answer] | None = None
        self._then: Callable[[Answer], None] = lambda _: None
        self._free = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    def attach(self, link: SerialLink) -> None:
        """The link that this session speaks over."""
        self._link = link

    @property
    def dialogue(self) -> AtDialogue:
        """The state, for views and tests."""
        return self._dialogue

    async def send(
        self, command: Command, then: Callable[[Answer], None] = lambda _: None
    ) -> Answer:
        """The answer to `command`, after those before it. An end LOST or TIMEOUT means unknown,
        unless `sent_payload` is false for a command with payload. `then` is called with it before
        `on_event` gets what the device said afterwards. Raises AtInjection."""
        async with self._turn:
            while not self._dialogue.ready:
                self._free.clear()
                await self._free.wait()
            loop = asyncio.get_running_loop()
            waiting: asyncio.Future[Answer] = loop.create_future()
            self._waiting, self._then = waiting, then
            try:
                self._carry_out(self._dialogue.start(command, loop.time()))
                return await waiting
            finally:
                if not waiting.done() or waiting.cancelled():
                    self._carry_out(self._dialogue.find_back(loop.time()))
                self._waiting = None

    async def write_raw(self, data: bytes) -> None:
        """Bytes into the stream of a `raw` command. Raises LinkError."""
        assert self._link is not None
        await self._link.write(data)

    def end_raw(self) -> None:
        """The stream is over."""
        self._dialogue.end_raw()
        self._free.set()

    def find_back(self) -> None:
        """Probe the device until it answers again."""
        self._carry_out(self._dialogue.find_back(asyncio.get_running_loop().time()))

    def data(self, data: bytes) -> None:
        """Bytes from the link."""
        self._carry_out(self._dialogue.feed(data, asyncio.get_running_loop().time()))

    def down(self, _: str = "") -> None:
        """The link was lost."""
        self._carry_out(self._dialogue.lost())

    def _tick(self) -> None:
        self._timer = None
        self._carry_out(self._dialogue.tick(asyncio.get_running_loop().time()))

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Write):
                self._put(output.data)
            elif isinstance(output, Answer):
                if self._waiting is not None and not self._waiting.done():
                    self._then(output)
                    self._waiting.set_result(output)
            else:
                self._on_event(output)
        if self._dialogue.ready:
            self._free.set()
        self._plan()

    def _plan(self) -> None:
        due = self._dialogue.deadline
        if self._timer is not None and (due is None or self._timer.when() != due):
            self._timer.cancel()
            self._timer = None
        if due is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(due, self._tick)

    def _put(self, data: bytes) -> None:
        task = asyncio.ensure_future(self._write(data))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, data: bytes) -> None:
        assert self._link is not None
        try:
            await self._link.write(data)
        except LinkError:
            self.down()


__all__ = ["Answer", "AtSession", "Command", "Dead", "End", "Raw"]
