"""A full, failing or slow disk: what is told is true, and the store comes back by itself."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from bridge.domain.journal import Entry
from bridge.flows.ports import StoreError, StoreFull, StoreUnknown
from bridge.store.connection import load_checksums
from bridge.store.verify import verify
from tests.store.store_kit import SMALL, busy_writer, decision, opened, until

# The disk that fails, by a VFS on top of the real one.


class FailingDisk(apsw.VFS):
    """Passes everything on, but for the operations that are set to fail."""

    def __init__(self) -> None:
        load_checksums()
        self.failing: dict[str, int] = {}
        super().__init__("failing", "cksmvfs", makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:
        return FailingFile(self, name, flags)

    def may(self, what: str, file: str) -> None:
        """Raise when `what` on a file whose name ends like this is to fail; a count runs out."""
        left = self.failing.get(f"{what} {file[-4:]}", 0)
        if left == 0:
            return
        self.failing[f"{what} {file[-4:]}"] = left - 1
        error = apsw.FullError("no space") if what == "full" else apsw.IOError("the disk failed")
        if what == "sync":
            vars(error)["extendedresult"] = apsw.SQLITE_IOERR_FSYNC
        raise error


class FailingFile(apsw.VFSFile):
    """A file on such a disk."""

    def __init__(self, disk: FailingDisk, name: object, flags: list[int]) -> None:
        self.disk = disk
        self.name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("cksmvfs", name, flags)  # type: ignore[arg-type]

    def xWrite(self, data: bytes, offset: int) -> None:
        self.disk.may("full", self.name)
        self.disk.may("write", self.name)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)  # what is written arrives; that it did is what nobody learns
        self.disk.may("sync", self.name)


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    """Every database opened meanwhile lies on the failing disk."""
    failing = FailingDisk()
    yield failing
    failing.failing.clear()
    failing.unregister()


FOREVER = 1_000_000


async def test_a_failed_sync_is_looked_into_and_the_truth_is_told(
    tmp_path: Path, disk: FailingDisk
) -> None:
    published: list[Entry] = []
    async with opened(tmp_path, published.extend) as store:
        await store.commit(decision(1))
        disk.failing["sync -wal"] = 1
        (told,) = await asyncio.gather(store.commit(decision(2)), return_exceptions=True)
        assert not isinstance(told, StoreUnknown)  # the file could be read again
        if isinstance(told, BaseException):
            assert "has not happened" in str(told)
        stored = list(await store.reader.entries_after(0))
        assert published == stored
        assert len(stored) == (1 if isinstance(told, BaseException) else 2)
        assert (await store.commit(decision(3)))[0].seq == len(stored) + 1
    assert verify(store.path, at_rest=True).fault is None


async def test_a_sync_that_keeps_failing_is_unknown_then_away_then_comes_back_with_the_truth(
    tmp_path: Path, disk: FailingDisk
) -> None:
    published: list[Entry] = []
    async with opened(tmp_path, published.extend) as store:
        await store.commit(decision(1))
        disk.failing.update({"sync -wal": FOREVER, "sync e.db": FOREVER})
        with pytest.raises(StoreUnknown, match="may have happened") as unknown:
            await store.commit(decision(2))
        assert [entry.seq for entry in unknown.value.entries] == [2]
        with pytest.raises(StoreError, match="the store is away"):
            await store.happened(unknown.value.entries)
        with pytest.raises(StoreError, match="the store is away") as away:
            await store.commit(decision(3))
        assert not isinstance(away.value, StoreUnknown)
        assert store.health().warnings[0] == "store-away"
        before = store.health().finished_at
        await until(lambda: store.health().finished_at > before)  # failing is not hanging
        assert len(published) == 1
        disk.failing.clear()
        await until(lambda: not store.health().away)
        await store.commit(decision(4))
        stored = list(await store.reader.entries_after(0))
        assert published == stored
        numbers = [entry.fact.data["n"] for entry in stored]
        assert numbers in ([1, 2, 4], [1, 4])
        assert await store.happened(unknown.value.entries) is (2 in numbers)
    assert verify(store.path, at_rest=True).fault is None


async def test_after_a_failed_sync_nothing_is_built_on_what_was_not_written_again(
    tmp_path: Path, disk: FailingDisk
) -> None:
    attempts: list[Path] = []

    def cannot_rewrite(path: Path) -> None:
        attempts.append(path)
        if len(attempts) > 1:
            raise OSError(5, "the disk failed")

    options = replace(SMALL, rewrite=cannot_rewrite)
    async with opened(tmp_path, options=options) as store:
        await store.commit(decision(1))
        before = store.path.read_bytes()
        disk.failing["sync -wal"] = 1
        with pytest.raises(StoreUnknown):
            await store.commit(decision(2))
        await until(lambda: len(attempts) > 3)
        assert store.path.read_bytes() == before
        assert "the disk failed" in store.health().away


async def test_a_write_that_fails_before_the_commit_has_certainly_not_happened(
    tmp_path: Path, disk: FailingDisk
) -> None:
    async with opened(tmp_path) as store:
        await store.commit(decision(1))
        disk.failing["write -wal"] = 1
        with pytest.raises(StoreError):
            await store.commit(decision(2))
        assert (await store.commit(decision(3)))[0].seq == 2
        assert [entry.fact.data["n"] for entry in await store.reader.entries_after(0)] == [1, 3]


# Full disks.


@contextmanager
def file_size_limit(path: Path, more: int) -> Iterator[None]:
    """No file may grow beyond what the WAL has now and `more` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_file_that_may_not_grow_is_full_and_goes_on_when_it_may(tmp_path: Path) -> None:
    async with opened(tmp_path, options=replace(SMALL, ballast_bytes=0)) as store:
        await store.commit(decision(1))
        with file_size_limit(store.path, 100):
            for n in (2, 3):
                with pytest.raises(StoreFull):
                    await store.commit(decision(n))
            assert len(await store.reader.entries_after(0)) == 1
        assert (await store.commit(decision(4)))[0].seq == 2
    assert verify(store.path, at_rest=True).fault is None


async def test_with_no_room_only_urgent_work_is_written_from_the_reserve(
    tmp_path: Path, disk: FailingDisk
) -> None:
    async with opened(tmp_path, options=replace(SMALL, idle_seconds=60)) as store:
        await store.commit(decision(1))
        disk.failing["full -wal"] = FOREVER
        with pytest.raises(StoreFull):
            await store.commit(decision(2))
        assert (tmp_path / "site.db.ballast").stat().st_size
        disk.failing["full -wal"] = 1  # room for one try more, once the reserve is dropped
        async with busy_writer(store):
            works = [decision(3), decision(4, urgent=True), decision(5)]
            waiting = [asyncio.create_task(store.commit(work)) for work in works]
            await until(lambda: store.health().waiting == 3)
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in told] == [StoreFull, list, StoreFull]
        entries = await store.reader.entries_after(0)
        assert [entry.fact.data["n"] for entry in entries] == [1, 4]


async def test_a_disk_that_cannot_even_empty_the_ballast_ends_nothing(
    tmp_path: Path, disk: FailingDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    async with opened(tmp_path, options=replace(SMALL, idle_seconds=60)) as store:
        monkeypatch.setattr(os, "truncate", refused)
        disk.failing["full -wal"] = FOREVER
        with pytest.raises(StoreFull):
            await store.commit(decision(1, urgent=True))
        disk.failing.clear()
        assert (await store.commit(decision(2)))[0].seq == 1


TINY = """
import asyncio, sys
from pathlib import Path
from dataclasses import replace
from bridge.flows.ports import StoreFull
from bridge.store.verify import verify
from tests.store.store_kit import SMALL, decision, opened

async def fill(store, urgent):
    n = 0
    while True:
        try:
            await store.commit(decision(n, urgent=urgent))
        except StoreFull:
            return n
        n += 1

async def main(directory):
    async with opened(directory, options=replace(SMALL, ballast_bytes=200_000)) as store:
        (directory / "other").write_bytes(bytes(300_000))
        ordinary = await fill(store, False)
        assert ordinary > 10, ordinary
        assert store.health().room.reserve
        urgent = (await store.commit(decision(9_000, urgent=True)))[0].seq
        assert not (directory / "site.db.ballast").stat().st_size
        try:
            await store.commit(decision(9_001))
            raise AssertionError("the reserve is for urgent work")
        except StoreFull as error:
            assert "only orders and hang-ups" in str(error)
        (directory / "other").unlink()
        while not store.health().room.reserve:
            await asyncio.sleep(0.01)
        assert (await store.commit(decision(9_002)))[0].seq == urgent + 1
    assert verify(directory / "site.db").fault is None
    print("held", ordinary)

asyncio.run(main(Path(sys.argv[1])))
"""


KILLED_FULL = """
import asyncio, os, sys
from pathlib import Path
from dataclasses import replace
from bridge.flows.ports import Transaction
from tests.store.store_kit import SMALL, decision, opened

async def main(directory):
    async with opened(directory, options=replace(SMALL, ballast_bytes=200_000)) as store:
        facts = [fact for n in range(200) for fact in decision(n).facts]
        await store.commit(Transaction(facts))
        try:
            with (directory / "other").open("wb", buffering=0) as other:
                while other.write(bytes(4096)):
                    pass
        except OSError:
            os._exit(0)

asyncio.run(main(Path(sys.argv[1])))
"""

STARTED_FULL = """
import asyncio, os, sys
from pathlib import Path
from dataclasses import replace
from bridge.store.verify import verify
from tests.store.store_kit import SMALL, decision, opened

async def main(directory):
    assert (directory / "site.db-wal").stat().st_size
    assert not os.statvfs(directory).f_bavail
    async with opened(directory, options=replace(SMALL, ballast_bytes=200_000)) as store:
        assert len(await store.reader.entries_after(0)) == 200
        assert not store.health().room.reserve
        assert (await store.commit(decision(201, urgent=True)))[0].seq == 201
    assert verify(directory / "site.db").fault is None
    print("held")

asyncio.run(main(Path(sys.argv[1])))
"""

STARTED_AGAIN = """
import asyncio, sys
from pathlib import Path
from dataclasses import replace
from bridge.flows.ports import StoreFull
from tests.store.store_kit import SMALL, decision, opened

async def main(directory):
    options = replace(SMALL, ballast_bytes=200_000)
    async with opened(directory, options=options) as store:
        try:
            await store.commit(decision(202))
            raise AssertionError("what is left is for urgent work, after a restart too")
        except StoreFull as error:
            assert "only orders and hang-ups" in str(error)
        assert (await store.commit(decision(203, urgent=True)))[0].seq == 202
    (directory / "other").unlink()
    async with opened(directory, options=options) as store:
        assert store.health().room.reserve
        assert (await store.commit(decision(204)))[0].seq == 203
    print("kept")

asyncio.run(main(Path(sys.argv[1])))
"""


def on_a_small_disk(directory: Path, *scripts: str) -> subprocess.CompletedProcess[str]:
    """Programs one after the other in a directory that is a disk of one megabyte."""
    mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && for s; do [ "$s" = "$1" ] || '
    mount += '"$PYTHON" -c "$s" "$1" || exit; done'
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", str(directory), *scripts],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_on_a_really_full_disk_the_reserve_serves_urgent_work_and_no_restart_is_needed(
    tmp_path: Path,
) -> None:
    done = on_a_small_disk(tmp_path, TINY)
    assert done.stdout.startswith("held "), done.stderr


def test_a_store_that_was_killed_on_a_full_disk_starts_there_from_the_reserve(
    tmp_path: Path,
) -> None:
    done = on_a_small_disk(tmp_path, KILLED_FULL, STARTED_FULL, STARTED_AGAIN)
    assert done.stdout == "held\nkept\n", done.stderr
