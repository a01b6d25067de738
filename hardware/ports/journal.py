"""The small journal of the port process: jobs taken, and things its owner has not stored yet.

Append-only lines, synced before anybody is told; rewritten without what is over at each start and
when it grows. A torn last line (power cut) is what was never told, and is cut off. One thread
writes, and takes all that waits with one sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes after which the journal is rewritten."""
MAX_DONE: Final = 4096
"""Keys of finished jobs that are remembered, so that the same one is not carried out again."""
MAX_THINGS: Final = 20_000
"""Things that wait for their owner; above, new jobs are refused and nothing is thrown away."""


MAX_LEARNT: Final = 1000
MAX_SPOOLED: Final = 1000
"""A page's file goes right after its line is written: a crash in between leaves a few."""


class JournalError(Exception):
    """The journal cannot be read or written; the text names the file."""


@dataclass
class State:
    """What the lines add up to."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Jobs that were taken and have no final outcome, with what is known of them."""
    done: dict[str, None] = field(default_factory=dict)
    things: dict[int, dict[str, Any]] = field(default_factory=dict)
    last: int = 0
    paused: dict[str, str] = field(default_factory=dict)
    """What a person has paused of the fax desk, and why."""
    spooled: dict[str, None] = field(default_factory=dict)
    """Files of received pages that are in this journal."""
    learnt: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What fax numbers could do; the newest last."""

    def apply(self, entry: dict[str, Any]) -> None:
        """One line more."""
        kind = entry["e"]
        if kind == "job":
            self.jobs[entry["key"]] = entry["body"]
        elif kind == "refs" and entry["key"] in self.jobs:
            self.jobs[entry["key"]]["references"] = entry["references"]
        elif kind == "stage" and entry["key"] in self.jobs:
            self.jobs[entry["key"]]["stage"] = entry["stage"]
        elif kind == "done":
            self.jobs.pop(entry["key"], None)
            self.done[entry["key"]] = None
            if len(self.done) > MAX_DONE:
                del self.done[next(iter(self.done))]
        elif kind == "thing":
            self.things[entry["seq"]] = entry["body"]
            self.last = max(self.last, entry["seq"])
            if entry["body"].get("spool"):
                self._in_spool(entry["body"]["spool"])
        elif kind == "spooled":
            self._in_spool(entry["name"])
        elif kind == "ack":
            self.things.pop(entry["seq"], None)
        elif kind == "last":
            self.last = max(self.last, entry["seq"])
        elif kind == "pages" and entry["key"] in self.jobs:
            self.jobs[entry["key"]] |= {"pages": entry["pages"], "of": entry["of"]}
            if entry.get("document"):
                self._partly(entry["number"], entry["document"], entry["pages"], entry["of"])
        elif kind == "paused":
            self.paused = entry["body"]
        elif kind == "learnt":
            self._learn(entry["number"], entry["body"])

    def _partly(self, number: str, document: str, pages: int, of: int) -> None:
        """A call that ends tells what it has learnt; one that dies with the process has this."""
        body = self.learnt.get(number, {})
        partly = {name: done for name, done in body.get("partly", {}).items() if name != document}
        if pages < of:
            partly[document] = pages
        self._learn(number, body | {"partly": partly})

    def _learn(self, number: str, body: dict[str, Any]) -> None:
        self.learnt.pop(number, None)
        self.learnt[number] = body
        if len(self.learnt) > MAX_LEARNT:
            del self.learnt[next(iter(self.learnt))]

    def _in_spool(self, name: str) -> None:
        self.spooled[name] = None
        if len(self.spooled) > MAX_SPOOLED:
            del self.spooled[next(iter(self.spooled))]

    def entries(self) -> list[dict[str, Any]]:
        """The shortest lines that add up to this."""
        out: list[dict[str, Any]] = [{"e": "last", "seq": self.last}]
        if self.paused:
            out.append({"e": "paused", "body": self.paused})
        out += [{"e": "spooled", "name": name} for name in self.spooled]
        for number, body in self.learnt.items():
            out.append({"e": "learnt", "number": number, "body": body})
        out += [{"e": "done", "key": key} for key in self.done]
        for key, body in self.jobs.items():
            out.append({"e": "job", "key": key, "body": body})
        out += [{"e": "thing", "seq": seq, "body": body} for seq, body in self.things.items()]
        return out


class Journal:
    """Opened once by one process (a lock on the file). `append` returns after the sync."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.state = State()
        self._fd = -1
        self._size = 0
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._grown = False

    async def open(self) -> None:
        """Read what is there and rewrite it short. Raises JournalError."""
        try:
            await asyncio.to_thread(self._open)
        except OSError as error:
            raise JournalError(f"{self._path}: {error}") from error

    def _open(self) -> None:
        if self._path.exists():
            for number, line in enumerate(self._path.read_bytes().split(b"\n")[:-1], 1):
                try:
                    self.state.apply(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise JournalError(f"{self._path}:{number}: {error}") from error
        self._rewrite(self._alive())

    def _alive(self) -> bytes:
        return b"".join(_line(entry) for entry in self.state.entries())

    def _rewrite(self, data: bytes) -> None:
        """All that is alive into a new file, synced, in place of the old one; where that cannot be
        written, the old one stays."""
        fresh = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
            fresh.replace(self._path)
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size = descriptor, len(data)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _shorten(self, data: bytes) -> None:
        before = self._fd
        try:
            self._rewrite(data)
        except OSError:
            if self._fd != before:  # renamed, and perhaps not for long
                raise

    def append(self, entries: Sequence[dict[str, Any]]) -> asyncio.Future[None]:
        """Apply now; the future is done when it is synced. After a failed write everything fails:
        what is on the disk is unknown until the next start (guard rule 2)."""
        for entry in entries:
            self.state.apply(entry)
        synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((b"".join(map(_line, entries)), synced))
        self._wake.set()
        return synced

    async def run(self, stop: asyncio.Event) -> None:
        """Write and sync, until `stop` and nothing waits. Raises JournalError when it fails."""
        while not (stop.is_set() and not self._waiting):
            waking = asyncio.ensure_future(self._wake.wait())
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((waking, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in (waking, stopping):
                task.cancel()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            short = self._alive() if self._grown else None
            self._grown = False
            data = b"".join(part for part, _ in batch)
            try:
                if data:
                    await asyncio.to_thread(self._write, data)
                if short is not None:
                    await asyncio.to_thread(self._shorten, short)
            except OSError as error:
                for _, synced in batch:
                    if not synced.done():
                        synced.set_exception(JournalError(f"{self._path}: {error}"))
                        synced.exception()
                raise JournalError(f"{self._path}: {error}") from error
            for _, synced in batch:
                if not synced.done():
                    synced.set_result(None)

    def _write(self, data: bytes) -> None:
        _write_all(self._fd, data)
        os.fdatasync(self._fd)
        self._size += len(data)

    def shrink(self) -> None:
        """Have `run` rewrite it after its next write, when it has grown. Without space for that it
        stays as it is."""
        if self._size > MAX_FILE:
            self._grown = True
            self._wake.set()

    def close(self) -> None:
        """Give the file back."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"
