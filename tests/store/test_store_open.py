"""The store refuses to start on anything that could lose or change what it is told."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from bridge.flows.ports import StoreError
from bridge.store import Options, Reader, StoreRefused
from bridge.store.connection import PRAGMAS, check_library
from bridge.store.open import open_checked
from bridge.store.sql import migrations, parse_queries
from tests.store.store_kit import SITE, SMALL, decision, opened


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 51, 2)])
def test_a_library_with_the_wal_reset_fault_is_refused(version: tuple[int, ...]) -> None:
    with pytest.raises(StoreRefused, match="can damage the store"):
        check_library(version)


async def test_a_second_process_may_not_write_the_same_store(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(StoreRefused, match="is writing this store"):
            async with opened(tmp_path):
                pass


async def test_another_sites_file_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(decision(1))
    with pytest.raises(StoreRefused, match="belongs to site site-1, the configuration says north"):
        open_checked(tmp_path / "site.db", "north", SMALL)


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    connection = apsw.Connection(str(tmp_path / "site.db"))
    connection.pragma("user_version", len(migrations()) + 1)
    connection.close()
    with pytest.raises(StoreRefused, match="newer than this program knows"):
        open_checked(tmp_path / "site.db", SITE, SMALL)


def test_a_setting_that_does_not_hold_is_refused(tmp_path: Path) -> None:
    options = replace(SMALL, pragmas={**PRAGMAS, "synchronous": "full"})
    with pytest.raises(StoreRefused, match="synchronous is 2 where 'full' is needed"):
        open_checked(tmp_path / "site.db", SITE, options)


def test_a_file_made_without_page_checksums_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "site.db"))
    connection.execute("CREATE TABLE other (a)")
    connection.close()
    with pytest.raises(StoreRefused, match="checksum_verification"):
        open_checked(tmp_path / "site.db", SITE, SMALL)


async def test_a_journal_edited_at_its_end_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for n in range(5):
            await store.commit(decision(n))
    connection = apsw.Connection(str(tmp_path / "site.db"))
    connection.execute("DROP TRIGGER journal_is_never_edited")
    connection.execute("UPDATE journal SET body = replace(body, '3', '4') WHERE seq = 4")
    connection.close()
    with pytest.raises(StoreRefused, match="broken at entry 4"):
        open_checked(tmp_path / "site.db", SITE, SMALL)


@pytest.mark.parametrize(
    "change", ["UPDATE journal SET kind = 'x'", "DELETE FROM journal WHERE seq = 1"]
)
async def test_the_database_itself_refuses_to_change_the_journal(
    tmp_path: Path, change: str
) -> None:
    async with opened(tmp_path) as store:
        await store.commit(decision(1))
    connection = apsw.Connection(str(tmp_path / "site.db"))
    with pytest.raises(apsw.ConstraintError, match="append-only"):
        connection.execute(change)
    connection.close()


async def test_a_reader_cannot_write_and_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        await Reader(tmp_path / "site.db").entries_after(0)
    assert not (tmp_path / "site.db").exists()


def test_migrations_follow_on_and_query_names_are_single() -> None:
    assert [step.number for step in migrations()] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="one is there twice"):
        parse_queries("-- one: a\nSELECT 1;\n-- one: b\nSELECT 2;\n")


WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from tests.store.store_kit import decision, opened
async def main(directory, first):
    async with opened(directory) as store:
        numbers = itertools.count(first)
        async def keep_committing():
            for n in numbers:
                (entry,) = await store.commit(decision(n))
                print(entry.seq, entry.hash, flush=True)
        await asyncio.gather(*(keep_committing() for _ in range(4)))
asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


async def test_what_a_killed_writer_had_told_is_there_and_its_lock_is_free(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    chance = random.Random(7)
    for life in range(20):
        wanted, first = chance.randint(1, 120), 10_000 * life
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(first)],
            stdout=subprocess.PIPE,
            cwd=root,
            text=True,
        )
        assert child.stdout is not None
        told = [child.stdout.readline().split() for _ in range(wanted)]
        child.kill()
        told += [line.split() for line in child.stdout.read().splitlines(keepends=False)]
        child.wait(10)
        child.stdout.close()
        async with opened(tmp_path) as store:
            entries = await store.reader.entries_after(0, 100_000)
            there = {(entry.seq, entry.hash) for entry in entries}
            whole = [line for line in told if len(line) == 2 and len(line[1]) == 64]
            keys = {(int(seq), digest) for seq, digest in whole}
            assert len(keys) >= wanted
            assert keys <= there
            assert store.head().seq == len(entries)


async def test_a_big_wal_of_a_killed_writer_is_synced_before_the_start_returns(
    tmp_path: Path,
) -> None:
    options = Options(ballast_bytes=0, pragmas={**PRAGMAS, "wal_autocheckpoint": 100_000})
    connection, _ = open_checked(tmp_path / "site.db", SITE, options)
    connection.execute("INSERT INTO cursor VALUES ('cel', '7')")
    wal = tmp_path / "site.db-wal"
    assert wal.stat().st_size > 0
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("site.db", "site.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    connection.close()
    connection, _ = open_checked(copy / "site.db", SITE, SMALL)
    immutable = f"file:{copy}/site.db?mode=ro&immutable=1"  # what is in the database file alone
    alone = apsw.Connection(immutable, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    assert list(alone.execute("SELECT value FROM cursor")) == [("7",)]
    alone.close()
    connection.close()
