"""baresip, a telephone that nobody here wrote: started, told what to do, and listened through.

    async with start_baresip(root, server, "8001", secret, tone=700) as seat:
        await seat.wait_registered(5)
        await seat.wait_event("CALL_INCOMING", 10)
        await seat.accept()
        await seat.wait_event("CALL_CLOSED", 60)
    # what it heard: seat.heard_files(), one WAV file a call, 16 bits

Its control protocol and the settings that work: softphone-cti.md, section 13.3.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from bridge.lab.baresipfiles import Account, Answer, configuration
from bridge.lab.child import end, free_port, launch
from bridge.lab.netstring import NetstringDecoder, NetstringError, encode
from bridge.lab.ports import HOST
from bridge.lab.root import AsteriskRoot

BOOT_S: Final = 5.0
ANSWER_S: Final = 3.0
"""Deadline of one command; baresip answers in a millisecond."""
END_S: Final = 2.0
"""How long it may take to end when told to (it takes its registration off), before it is killed."""
ASK_AGAIN_S: Final = 0.05
MAX_EVENTS: Final = 1000
"""Events kept; the oldest go first."""


class BaresipError(Exception):
    """baresip did not start, refused a command, or an event did not come in time."""


class Baresip:
    """One running telephone. Every method raises BaresipError when it is gone."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recordings: Path
    ) -> None:
        self.events: list[dict[str, Any]] = []
        """What it said by itself, in order: `type`, and for calls `id`, `peeruri`, `param`."""
        self.forgotten = 0
        """How many older events the bound has cost."""
        self._recordings = recordings
        self._reader = reader
        self._writer = writer
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._number = 0
        self._gone = ""

    async def dial(self, uri: str) -> None:
        """Call `uri`, such as `sip:110@127.0.0.1:5160`."""
        await self.command("dial", uri)

    async def accept(self) -> None:
        """Answer the call that rings."""
        await self.command("accept")

    async def hang_up(self) -> None:
        await self.command("hangup")

    async def hold(self) -> None:
        """re-INVITE with `sendonly`."""
        await self.command("hold")

    async def resume(self) -> None:
        await self.command("resume")

    async def press(self, digits: str) -> None:
        """Keys during a call, as RFC 4733 events, one after the other."""
        for digit in digits:
            await self.command("sndcode", digit)

    async def command(self, name: str, parameters: str = "") -> str:
        """One command; what baresip printed. Raises BaresipError when it refuses or is silent."""
        if self._gone:
            raise BaresipError(f"{name}: {self._gone}")
        self._number += 1
        token = f"t{self._number}"
        answer = asyncio.get_running_loop().create_future()
        self._answers[token] = answer
        message = {"command": name, "params": parameters, "token": token}
        try:
            async with asyncio.timeout(ANSWER_S):
                self._writer.write(encode(message))
                await self._writer.drain()
                said: dict[str, Any] = await answer
        except (TimeoutError, OSError) as silent:
            raise BaresipError(f"{name}: no answer ({type(silent).__name__})") from silent
        finally:
            del self._answers[token]
        if said.get("ok") is not True:
            raise BaresipError(f"{name} {parameters}: {said.get('data')}")
        return str(said.get("data", ""))

    async def wait_registered(self, timeout: float) -> None:
        """Until the server has accepted it, maybe before we could listen to its events.

        Raises BaresipError when that does not come in `timeout` s.
        """
        said = ""
        try:
            async with asyncio.timeout(timeout):
                while "OK" not in (said := await self.command("reginfo")):  # noqa: ASYNC110
                    await asyncio.sleep(ASK_AGAIN_S)
        except TimeoutError:
            raise BaresipError(f"not registered within {timeout} s: {said}") from None

    async def wait_event(self, kind: str, timeout: float, since: int = 0) -> dict[str, Any]:
        """The first event of that type from number `since` on, now or within `timeout` s.

        Take `since` from `said` before the act whose echo you wait for.

        Raises BaresipError, with the types that came, when there is none.
        """

        def later() -> list[dict[str, Any]]:
            return self.events[max(0, since - self.forgotten) :]

        def found() -> dict[str, Any] | None:
            return next((e for e in later() if e.get("type") == kind), None)

        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: found() is not None or self._gone)
        except TimeoutError:
            pass
        if (event := found()) is not None:
            return event
        came = [str(e.get("type")) for e in later()]
        raise BaresipError(f"no {kind} within {timeout} s, but {came} {self._gone}")

    @property
    def said(self) -> int:
        """How many events came so far."""
        return self.forgotten + len(self.events)

    def heard_files(self) -> list[Path]:
        """What it heard, one WAV file a call, oldest first; whole once the call is closed."""
        return sorted(self._recordings.glob("*-dec.wav"), key=lambda file: file.stat().st_mtime)

    async def listen(self) -> None:
        """Takes what baresip says until it goes away."""
        decoder = NetstringDecoder()
        try:
            while data := await self._reader.read(65536):
                for message in decoder.feed(data):
                    await self._take(message)
            await self._lost("it has gone away")
        except (OSError, NetstringError) as broken:
            await self._lost(f"control connection: {broken}")

    async def _take(self, message: dict[str, Any]) -> None:
        if message.get("event") is True:
            async with self._changed:
                self.events.append(message)
                surplus = max(0, len(self.events) - MAX_EVENTS)
                del self.events[:surplus]
                self.forgotten += surplus
                self._changed.notify_all()
        elif (waiting := self._answers.get(str(message.get("token")))) and not waiting.done():
            waiting.set_result(message)

    async def _lost(self, why: str) -> None:
        async with self._changed:
            self._gone = why
            self._changed.notify_all()
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError(why))


@contextlib.asynccontextmanager
async def start_baresip(
    root: AsteriskRoot,
    server: tuple[str, int],
    user: str,
    secret: str,
    *,
    tone: int,
    answer: Answer = "manual",
    registers: bool = True,
) -> AsyncIterator[Baresip]:
    """A telephone that says `tone` Hz; `registers=False` for a citizen.

    It is ended, and its files are gone, when the block is left.

    Raises BaresipError, with what it printed, when it does not start; FileNotFoundError when it
    is not there.
    """
    directory = Path(tempfile.mkdtemp(prefix="bridge110-baresip-"))
    try:
        recordings = directory / "heard"
        recordings.mkdir()
        control = free_port()
        text = configuration(root.baresip_modules, recordings, free_port(), control, tone)
        (directory / "config").write_text(text, encoding="utf-8")
        account = Account(server, user, secret, answer, registers)
        (directory / "accounts").write_text(account.line(), encoding="utf-8")
        (directory / "contacts").write_text("", encoding="utf-8")
        process = await launch(root.command("baresip", "-f", str(directory)), directory)
        try:
            reader, writer = await _connect(process, control, directory / "output")
            async with _control(Baresip(reader, writer, recordings), writer) as phone:
                yield phone
        finally:
            await end(process, END_S)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.asynccontextmanager
async def _control(phone: Baresip, writer: asyncio.StreamWriter) -> AsyncIterator[Baresip]:
    listening = asyncio.create_task(phone.listen())
    try:
        yield phone
    finally:
        with contextlib.suppress(BaresipError):
            await phone.command("quit")
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _connect(
    process: asyncio.subprocess.Process, port: int, output: Path
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(BOOT_S):
            while process.returncode is None:
                try:
                    return await asyncio.open_connection(HOST, port)
                except OSError:
                    await asyncio.sleep(0.02)
    except TimeoutError:
        pass
    raise BaresipError(f"baresip did not start:\n{_last_words(output)}")


def _last_words(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")[-2000:]
