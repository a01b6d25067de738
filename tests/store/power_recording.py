"""Runs the daemon's own store on a VFS that writes down every operation, and what it told others.

A child process: the recording VFS must lie beneath SQLite's page checksums, which are put on the
default VFS once a process. `power_cuts.py` cuts what is recorded here.

    python -m tests.store.power_recording MUTANT SEED FILE
"""

from __future__ import annotations

import asyncio
import pickle
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import apsw

from bridge.domain.journal import Entry, Fact
from bridge.flows.ports import Message, Row, StoreError, StoreUnknown, Transaction
from bridge.store.committer import Committer, Failure, Job, Result
from bridge.store.connection import PRAGMAS, rewrite_wal
from bridge.store.open import Options, open_checked
from bridge.store.prepare import prepare
from bridge.store.session import Session, write
from bridge.store.space import Space
from bridge.store.sql import query
from bridge.store.writer import Writer

ROOT = Path(__file__).parents[2]
MUTANTS = ("none", "synchronous-normal", "ack-before-commit", "publish-from-waiter")
SITE = "site-1"
START = datetime(2026, 3, 1, 8, tzinfo=UTC)

Op = tuple[str, str, int, bytes]
"""(what, file or hash or key, offset or size or seq, data): write, truncate, sync, failed-sync,
delete; shown, published, denied."""

TOLD = ("shown", "published", "denied")


@dataclass
class Recording:
    """What one run of the store did to the disk and what it told others.

    `journal` is what the run added to what was there when it began.
    """

    ops: list[Op] = field(default_factory=list)
    journal: list[tuple[int, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    shown: dict[int, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    failing_syncs: bool = False


class RecordedFile(apsw.VFSFile):
    """Passes everything on to the real file and writes it down; some syncs may fail."""

    share_failing = 0.0
    failing = random.Random(0)

    def __init__(self, base: str, name: object, flags: list[int], ops: list[Op]) -> None:
        self.ops = ops
        self.name = Path(name.filename() if isinstance(name, apsw.URIFilename) else str(name)).name
        super().__init__(base, name, flags)  # type: ignore[arg-type]

    def xWrite(self, data: bytes, offset: int) -> None:
        self.ops.append(("write", self.name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self.ops.append(("truncate", self.name, size, b""))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        if self.failing.random() < self.share_failing:
            self.ops.append(("failed-sync", self.name, 0, b""))
            error = apsw.IOError("the disk could not sync")
            raise _extended(error, apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)
        self.ops.append(("sync", self.name, 0, b""))


def _extended(error: apsw.Error, code: int) -> apsw.Error:
    vars(error)["extendedresult"] = code
    return error


class RecordedDisk(apsw.VFS):
    """The default VFS of the child process; page checksums are put on top of it."""

    def __init__(self, ops: list[Op]) -> None:
        self.ops = ops
        super().__init__("recorded", "unix", makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:
        return RecordedFile("unix", name, flags, self.ops)

    def xDelete(self, name: str, sync: bool) -> None:
        super().xDelete(name, sync)
        self.ops.append(("delete", Path(name).name, 0, b""))


class AckBeforeCommit(Committer):
    """Mutant: tells the waiters what was written before it is synced."""

    tell: Callable[[Sequence[Entry]], None]

    def _commit_group(self, jobs: Sequence[Job], result: Result) -> list[object | Failure]:
        assert self._connection is not None
        session = Session(self._connection, self.head, self._now())
        session.run("begin")
        outcomes = [self._part(session, job) for job in jobs]
        self.tell(session.entries)
        session.run("commit")
        self.head = session.head
        result.entries += session.entries
        return outcomes


def work(case: int, n: int) -> Transaction:
    """One decision: a fact, the state that follows from it, a message."""
    name = f"case-{case}"
    at = START + timedelta(milliseconds=n)
    return Transaction(
        facts=[Fact("handoff.requested", at, case=name, data={"n": n, "note": "移交" * (n % 90)})],
        rows=[Row("case", name, name, "open", {"n": n})],
        messages=[Message("platform", f"key-{n}", {"n": n}, at)],
    )


def _rewrite(ops: list[Op], path: Path) -> None:
    """The store's own rewriting of its WAL, recorded: it does not go through SQLite."""
    rewrite_wal(path)
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        ops.append(("write", wal.name, 0, wal.read_bytes()))
        ops.append(("sync", wal.name, 0, b""))


async def _session(
    directory: Path, recording: Recording, mutant: str, chance: random.Random, first: int
) -> int:
    """Open the store, let several tasks commit, some give up waiting; close it."""
    ops = recording.ops

    def shown(entries: Sequence[Entry]) -> None:
        ops.extend(("shown", entry.hash, entry.seq, b"") for entry in entries)

    def published(entries: Sequence[Entry]) -> None:
        shown(entries)
        ops.extend(("published", entry.hash, entry.seq, b"") for entry in entries)

    normal = mutant == "synchronous-normal"
    pragmas = {**PRAGMAS, "wal_autocheckpoint": 40, "synchronous": 1 if normal else 2}
    rewrite = partial(_rewrite, ops)
    options = Options(pragmas=pragmas, ballast_bytes=0, rewrite=rewrite)
    path = directory / "site.db"
    kind = AckBeforeCommit if mutant == "ack-before-commit" else Committer
    committer = kind(
        lambda: open_checked(path, SITE, options),
        path,
        Space(path, 0),
        lambda: START,
    )
    RecordedFile.share_failing = 0.05 if recording.failing_syncs else 0.0
    if isinstance(committer, AckBeforeCommit):
        committer.tell = shown
    from_waiter = mutant == "publish-from-waiter"
    writer = Writer(
        committer, (lambda _: None) if from_waiter else published, time.monotonic, options
    )
    numbers = iter(range(first, first + 10_000))

    async def commit(task: int) -> None:
        n = next(numbers)
        prepared = prepare(work(task % 4, n))
        try:
            entries = await writer.submit(
                lambda session: write(session, prepared), size=prepared.size
            )
        except StoreUnknown:
            return
        except StoreError:
            ops.append(("denied", f"key-{n}", n, b""))
            return
        (published if from_waiter else shown)(entries)

    async def keep_committing(task: int) -> None:
        for _ in range(8):
            one = asyncio.create_task(commit(task))
            if chance.random() < 0.2:
                await asyncio.sleep(0)
                one.cancel()
            await asyncio.wait([one])

    await asyncio.gather(*(keep_committing(task) for task in range(chance.randint(2, 8))))
    await writer.close()
    RecordedFile.share_failing = 0.0
    return next(numbers)


def record(seed: int, mutant: str, target: Path) -> None:
    """Two lives of a store on the files in `target`, if any; written to `target` again."""
    recording: Recording = pickle.loads(target.read_bytes())
    RecordedFile.failing = random.Random(seed)
    disk = RecordedDisk(recording.ops)  # registered for as long as it lives
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file, content in recording.files.items():
            (directory / file).write_bytes(content)
        first = 1 + 10_000 * (len(recording.shown) + len(recording.denied))
        following = asyncio.run(_session(directory, recording, mutant, chance, first))
        asyncio.run(_session(directory, recording, mutant, chance, following))
        told = [op[2] for op in recording.ops if op[0] == "shown"]
        connection = apsw.Connection(str(directory / "site.db"), vfs="unix")
        recording.journal = [
            (int(seq), str(digest))
            for _, seq, _, _, digest in connection.execute(
                query("entries_after"), {"seq": min(told, default=1) - 1, "most": 100_000}
            )
        ]
        connection.close()
    disk.unregister()
    target.write_bytes(pickle.dumps(recording))


def recorded(seed: int, mutant: str, begin: Recording) -> Recording:
    """Run `record` in a child: the recording VFS must lie beneath the page checksums."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name, "ops")
        target.write_bytes(pickle.dumps(begin))
        subprocess.run(
            [sys.executable, "-m", "tests.store.power_recording", mutant, str(seed), str(target)],
            check=True,
            timeout=60,
            cwd=ROOT,
        )
        made: Recording = pickle.loads(target.read_bytes())
        return made


if __name__ == "__main__":
    record(int(sys.argv[2]), sys.argv[1], Path(sys.argv[3]))
