"""The daemon's end of the socket to the port process, which owns radios and fax modems.

What the port process tells is handed on in order and acknowledged only once it is durable here.
A job whose answer was lost with the connection is asked again under the same key, which is
harmless: the port process carries out each key once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from hardware.ports.wire import VERSION, Decoder, PortsProtocolError, encode

_log = structlog.get_logger(__name__)

ANSWER_S: Final = 8.0
"""Seconds for an answer, a reconnection among them."""
RETRY_S: Final = (0.1, 2.0)
"""First and longest pause before the socket is tried again."""
AWAY_S: Final = 3.0
"""Seconds without the port process until a person is told; its restart is shorter."""
MAX_THINGS: Final = 1000
"""Things read ahead of what is durable; then reading waits."""

Body = dict[str, Any]
OnThing = Callable[[Mapping[str, Any], int], Awaitable[None]]


class PortsAway(OSError):
    """The port process does not answer. `begun`: it may have taken the job."""

    def __init__(self, words: str, *, begun: bool) -> None:
        super().__init__(words)
        self.begun = begun


class PortsRefused(Exception):
    """The port process did not take the job; nothing was done. `why` is a cause's word."""

    def __init__(self, why: str, words: str) -> None:
        super().__init__(words)
        self.why = why


class PortsClient:
    """One connection, made again whenever it is lost. `run` owns it."""

    def __init__(
        self,
        path: Path,
        on_thing: OnThing,
        on_passing: Callable[[Mapping[str, Any]], None] = lambda _: None,
        on_away: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_passing` hears what is not kept, and `lost` when the connection is lost; `on_away`
        is told in words that the port process is away; empty words: it is back."""
        self._path = path
        self._on_thing = on_thing
        self._on_passing = on_passing
        self._on_away = on_away
        self.on_up: Callable[[], None] = lambda: None
        """Called whenever the port process has greeted us."""
        self._away_since: float | None = None
        self._away_told = False
        self._writer: asyncio.StreamWriter | None = None
        self._up = asyncio.Event()
        self._jobs: dict[str, tuple[Body, asyncio.Future[None]]] = {}
        self._asked: dict[int, asyncio.Future[Body]] = {}
        self._ids = itertools.count(1)
        self._things: asyncio.Queue[Body] = asyncio.Queue(MAX_THINGS)
        self._seen: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._not_stored = False

    @property
    def up(self) -> bool:
        """The port process is there."""
        return self._writer is not None

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._connect(), name="ports connection")
            tasks.create_task(self._take_things(), name="ports things")

    async def _connect(self) -> None:
        pause, told = RETRY_S[0], False
        clock = asyncio.get_running_loop().time
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError as error:
                if not told:
                    _log.warning("ports.away", path=str(self._path), reason=str(error))
                    told = True
            else:
                began = clock()
                try:
                    await self._serve(reader, writer)
                except (OSError, PortsProtocolError) as error:
                    _log.warning("ports.lost", reason=str(error))
                finally:
                    self._ended(writer)
                if clock() - began > RETRY_S[1]:
                    pause, told = RETRY_S[0], False
            self._away(clock())
            await asyncio.sleep(pause)
            pause = min(RETRY_S[1], pause * 2)

    def _away(self, moment: float) -> None:
        if self._away_since is None:
            self._away_since = moment
        elif moment - self._away_since >= AWAY_S and not self._away_told:
            self._away_told = True
            self._on_away(f"{self._path}: 端口进程无应答 / the port process does not answer")

    def _back(self) -> None:
        self._away_since = None
        if self._away_told:
            self._away_told = False
            self._on_away("")

    def _ended(self, writer: asyncio.StreamWriter) -> None:
        """What was asked is not known; what is not durable is said again."""
        self._writer = None
        self._up.clear()
        writer.close()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(PortsAway("connection lost", begun=True))
        self._asked.clear()
        self._on_passing({"type": "lost"})
        while not self._things.empty():
            self._things.get_nowait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode({"type": "hello", "version": VERSION, "role": "owner"}))
        for body, _ in self._jobs.values():
            writer.write(encode(body))
        self._writer = writer
        self._up.set()
        self._not_stored = False
        decoder = Decoder()
        while data := await reader.read(65536):
            for body in decoder.feed(data):
                await self._take(body)

    async def _take(self, body: Body) -> None:
        kind = body["type"]
        if kind == "thing":
            await self._things.put(body)
        elif kind in ("taken", "refused"):
            job = self._jobs.pop(str(body.get("key")), None)
            if job is None or job[1].done():
                return
            if kind == "taken":
                job[1].set_result(None)
            else:
                refused = PortsRefused(str(body.get("why")), str(body.get("words")))
                job[1].set_exception(refused)
        elif kind == "answer":
            future = self._asked.pop(body.get("id", 0), None)
            if future is not None and not future.done():
                future.set_result(body)
        elif kind == "hello":
            self._back()
            self.on_up()
        elif kind == "error":
            _log.error("ports.error", words=str(body.get("words"))[:200], about=body.get("seq"))
        else:
            self._on_passing(body)

    async def _take_things(self) -> None:
        """In order, one at a time; acknowledged when durable. The same one again is not told."""
        while True:
            thing = await self._things.get()
            if self._not_stored:  # the rest of a connection that was given up
                continue
            seq = int(thing["seq"])
            mark = (seq, str(thing["body"].get("at")))
            if mark not in self._seen:
                try:
                    await self._on_thing(thing["body"], seq)
                except OSError as error:  # a file that cannot be kept: said again on a new one
                    _log.error("ports.not_stored", seq=seq, reason=str(error))
                    self._not_stored = True
                    if self._writer is not None:
                        self._writer.transport.abort()
                    continue
                self._seen[mark] = None
                while len(self._seen) > MAX_THINGS:
                    self._seen.popitem(last=False)
            if self._writer is not None:
                self._writer.write(encode({"type": "ack", "seq": seq}))

    async def submit(self, body: Body) -> None:
        """Hand a job over (`key`, `channel`, `address`, …); durable there when this returns.

        Raises PortsRefused, or PortsAway after ANSWER_S."""
        key = str(body["key"])
        job = {"type": "job"} | body
        try:
            octets = encode(job)
        except PortsProtocolError as error:
            raise PortsRefused("too-long", str(error)) from error
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs[key] = (job, done)
        begun = self._writer is not None
        if self._writer is not None:
            self._writer.write(octets)
        try:
            async with asyncio.timeout(ANSWER_S):
                await done
        except TimeoutError:
            begun = begun or self._up.is_set()
            raise PortsAway(f"{self._path}: 无应答 / no answer", begun=begun) from None
        finally:
            self._jobs.pop(key, None)

    def press(self, ident: str, gateway: str, group: str = "", *, override: bool = False) -> bool:
        """Hold a voice gateway's key down until `release`; what becomes of it is passed on as
        `keying`. False: the port process is away, nothing is keyed."""
        if self._writer is None:
            return False
        body = {"id": ident, "gateway": gateway, "group": group, "override": override}
        self._writer.write(encode({"type": "press"} | body))
        return True

    def release(self, ident: str) -> None:
        """Let go of the key; with a lost connection it has been let go."""
        if self._writer is not None:
            self._writer.write(encode({"type": "release", "id": ident}))

    async def ask(self, kind: str, **values: Any) -> Body:
        """A question (`withdraw`, `look`, `test`, `list`, `pause`). Raises PortsAway."""
        ident = next(self._ids)
        answer: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._up.wait()
                if self._writer is None:
                    raise PortsAway(f"{self._path}: 连接中断 / lost", begun=False)
                self._asked[ident] = answer
                self._writer.write(encode({"type": kind, "id": ident} | values))
                return await answer
        except TimeoutError:
            raise PortsAway(f"{self._path}: 无应答 / no answer", begun=True) from None
        finally:
            self._asked.pop(ident, None)
            with contextlib.suppress(asyncio.CancelledError):
                answer.cancel()
