"""Every byte of a port with its time, both ways: written in rotation, read back for replay.

One event a line: `2026-11-25T22:18:04.123456+00:00 > 41 54 0D`. `>` went to the device, `<` came
from it, `#` is a remark (port opened, lost, lines moved). Radio problems are solved from traces.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of one file before it is rotated."""
KEPT: Final = 4
"""Rotated files that are kept beside the present one."""
MAX_WAITING: Final = 20_000
"""Lines that wait for the disk; more are dropped and counted in the trace itself."""
FLUSH_S: Final = 0.5

Way = Literal[">", "<", "#"]


@dataclass(frozen=True, slots=True)
class Traced:
    """One event of a port; for `#` the data are words in UTF-8."""

    at: datetime
    way: Way
    data: bytes


class TraceError(ValueError):
    """A line that no trace contains; the text names it."""


def format_line(event: Traced) -> str:
    """The line of an event, with its end."""
    text = (
        event.data.decode("utf-8", "replace") if event.way == "#" else event.data.hex(" ").upper()
    )
    safe = "".join(c if c.isprintable() else "?" for c in text)
    return f"{event.at.isoformat(timespec='microseconds')} {event.way} {safe}\n"


def read_trace(path: Path) -> Iterator[Traced]:
    """The events of one file in order. A torn last line (power cut) is left out; raises TraceError
    for any other line that is none."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            yield parse_line(line, f"{path}:{number}")


def parse_line(line: str, place: str = "") -> Traced:
    """The event of a line. Raises TraceError."""
    try:
        stamp, way, text = line.rstrip("\n").split(" ", 2)
        at = datetime.fromisoformat(stamp).astimezone(UTC)
        if way == "#":
            return Traced(at, "#", text.encode())
        if way == ">":
            return Traced(at, ">", bytes.fromhex(text))
        if way == "<":
            return Traced(at, "<", bytes.fromhex(text))
    except ValueError as error:
        raise TraceError(f"{place}: {error}") from error
    raise TraceError(f"{place}: {way!r} is neither > nor < nor #")


class Trace:
    """Writes the trace of one port. `note` never waits; the disk is written in a thread."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], datetime],
        *,
        max_file: int = MAX_FILE,
        kept: int = KEPT,
    ) -> None:
        self._path = path
        self._now = now
        self._max_file = max_file
        self._kept = kept
        self._waiting: list[Traced] = []
        self._dropped = 0

    def note(self, way: Way, data: bytes) -> None:
        """Remember one event."""
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            return
        self._waiting.append(Traced(self._now(), way, data))

    async def run(self, stop: asyncio.Event) -> None:
        """Write what was noted, twice a second, and the rest at the end."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(FLUSH_S):
                    await stop.wait()
            except TimeoutError:
                await self.flush()
        await self.flush()

    async def flush(self) -> None:
        """Write what waits. Raises OSError where the disk refuses."""
        waiting, self._waiting = self._waiting, []
        if self._dropped:
            waiting.append(Traced(self._now(), "#", f"{self._dropped} events dropped".encode()))
            self._dropped = 0
        if waiting:
            await asyncio.to_thread(self._write, waiting)

    def _write(self, events: list[Traced]) -> None:
        text = "".join(map(format_line, events))
        if self._path.exists() and self._path.stat().st_size + len(text) > self._max_file:
            self._rotate()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(text)

    def _rotate(self) -> None:
        for number in range(self._kept, 0, -1):
            older = self._numbered(number)
            newer = self._numbered(number - 1) if number > 1 else self._path
            if newer.exists():
                newer.replace(older)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
