"""A backup made while the store is written is whole, and brings the same journal back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from pathlib import Path

import pytest

from bridge.domain.journal import Fact
from bridge.flows.ports import StoreError, Transaction
from bridge.store.backup import backup, restore
from bridge.store.verify import verify
from tests.store.store_kit import at, decision, opened


def large(n: int) -> Transaction:
    """A fact of 8 kB: a few hundred are more than SQLite keeps in memory while it copies."""
    return Transaction(facts=[Fact("report.received", at(n), data={"n": n, "text": "文" * 2_700})])


async def fill(directory: Path) -> Path:
    """A store of 400 entries, closed."""
    async with opened(directory) as store:
        await asyncio.gather(*(store.commit(decision(n)) for n in range(400)))
    return directory / "site.db"


async def test_a_backup_under_load_is_whole_and_restores_to_the_same_head(tmp_path: Path) -> None:
    published: list[int] = []
    copied: list[tuple[int, int]] = []

    async with opened(tmp_path, lambda new: published.extend(one.seq for one in new)) as store:

        async def keep_committing() -> None:
            for n in itertools.count(1):
                await store.commit(large(n))

        load = asyncio.create_task(keep_committing())
        while len(published) < 600:
            await asyncio.sleep(0.01)
        made = await asyncio.to_thread(
            backup, store.path, tmp_path / "copy.db", lambda *told: copied.append(told)
        )
        count = len(published)
        await asyncio.sleep(0)
        load.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await load
        assert 600 <= made.head.seq <= count
        entries = await store.reader.entries_after(made.head.seq - 1, limit=1)
        assert entries[0].hash == made.head.hash
    assert copied[-1][0] == copied[-1][1] == made.size

    machine = tmp_path / "empty"
    machine.mkdir()
    assert restore(made.path, machine / "site.db").head == made.head
    assert sorted(file.name for file in machine.iterdir()) == ["site.db"]
    async with opened(machine) as store:
        assert store.head() == made.head
        assert (await store.commit(decision(99_999)))[0].prev == made.head.hash
    assert verify(machine / "site.db").fault is None


async def test_a_backup_leaves_no_half_file_and_takes_no_used_name(tmp_path: Path) -> None:
    source = await fill(tmp_path)
    target = tmp_path / "copy.db"
    target.write_bytes(b"something else")
    with pytest.raises(StoreError, match="is there already"):
        backup(source, target)
    assert target.read_bytes() == b"something else"
    damaged = bytearray(source.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    source.write_bytes(damaged)
    with pytest.raises(StoreError):
        backup(source, tmp_path / "second.db")
    assert [name for name in os.listdir(tmp_path) if name.startswith("second")] == []


async def test_only_an_empty_machine_is_restored_onto(tmp_path: Path) -> None:
    source = await fill(tmp_path)
    made = backup(source, tmp_path / "copy.db")
    with pytest.raises(StoreError, match="there is a store already"):
        restore(made.path, source)
    assert verify(source).head == made.head


async def test_a_damaged_or_exchanged_copy_is_not_restored(tmp_path: Path) -> None:
    source = await fill(tmp_path)
    made = backup(source, tmp_path / "copy.db")
    whole = made.path.read_bytes()
    made.path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StoreError, match="does not prove itself"):
        restore(made.path, tmp_path / "new.db")
    async with opened(tmp_path) as store:
        await store.commit(decision(1000))
    backup(source, tmp_path / "later.db")
    made.path.write_bytes((tmp_path / "later.db").read_bytes())
    with pytest.raises(StoreError, match="is not the copy that"):
        restore(made.path, tmp_path / "new.db")
    with pytest.raises(StoreError, match="there is no such backup"):
        restore(tmp_path / "none.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
    assert not (tmp_path / "new.db.part").exists()
