"""Order to the store: what was seen is never lost or held up, what was asked for is told truly."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from bridge.domain.journal import Entry, Fact
from bridge.flows.ports import StoreError, StoreFull, StoreInvalid, StoreUnknown, Transaction
from bridge.flows.recorder import MERGE, Recorder

AT = datetime(2026, 11, 24, tzinfo=UTC)


class Disk:
    """A store port that keeps facts in a list and can be told to fail."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.rounds = 0
        self.error: Exception | None = None
        self.full = False
        self.away = False

    async def commit(self, work: Transaction) -> Sequence[Entry]:
        self.rounds += 1
        if self.error is not None:
            raise self.error
        if self.full and not work.urgent:
            raise StoreFull("disk full")
        self.kept += [fact.kind for fact in work.facts]
        return []

    async def happened(self, entries: Sequence[Entry]) -> bool:
        if self.away:
            raise StoreError("the disk is away")
        return any(entry.fact.kind in self.kept for entry in entries)


def entry(kind: str) -> Entry:
    return Entry("site", 1, Fact(kind, AT), "", "")


def work(kind: str, urgent: bool = False, call: str | None = None) -> Transaction:
    return Transaction([Fact(kind, AT, call=call)], urgent=urgent)


@contextlib.asynccontextmanager
async def running(disk: Disk) -> AsyncIterator[tuple[Recorder, list[str]]]:
    told: list[str] = []
    recorder = Recorder(disk, told.append)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder, told
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_order_is_kept_between_what_was_seen_and_asked_for() -> None:
    disk = Disk()
    async with running(disk) as (recorder, _):
        recorder.record(work("a"))
        recorder.record(work("b"))
        await recorder.commit(work("c"))
        recorder.record(work("d"))
        await recorder.drain(1)
    assert disk.kept == ["a", "b", "c", "d"]


async def test_many_seen_things_go_in_few_rounds() -> None:
    disk = Disk()
    async with running(disk) as (recorder, _):
        for number in range(MERGE * 2):
            recorder.record(work(str(number)))
        await recorder.drain(2)
    assert disk.kept == [str(number) for number in range(MERGE * 2)]
    assert disk.rounds <= 3


async def test_a_full_disk_loses_nothing_and_is_told_once() -> None:
    disk = Disk()
    async with running(disk) as (recorder, told):
        disk.error = StoreFull("disk full")
        recorder.record(work("a"))
        recorder.record(work("b"))
        async with asyncio.timeout(2):
            while not told:
                await asyncio.sleep(0.01)
        assert recorder.waiting
        with pytest.raises(Exception, match="disk full"):
            await recorder.commit(work("asked"))
        disk.error = None
        await recorder.drain(2)
    assert disk.kept == ["a", "b"]
    assert told == ["disk full", ""]


async def test_an_unknown_commit_is_never_called_failed_or_done() -> None:
    disk = Disk()
    async with running(disk) as (recorder, _):
        disk.error = StoreUnknown("EIO")
        with pytest.raises(StoreUnknown):
            await recorder.commit(work("asked"))


@pytest.mark.parametrize("there", [True, False])
async def test_what_became_of_an_open_commit_is_found_out_before_anything_else_is_written(
    there: bool,
) -> None:
    disk = Disk()
    async with running(disk) as (recorder, told):
        disk.error, disk.away = StoreUnknown("EIO", [entry("asked")]), True
        waiting = recorder.submit(work("asked"))
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0.01)
            recorder.record(work("seen"))
            if there:
                disk.kept.append("asked")
            disk.error, disk.away = None, False
            if there:
                await waiting
            else:
                with pytest.raises(StoreError, match="has not happened"):
                    await waiting
            await recorder.drain(5)
    assert disk.kept == (["asked", "seen"] if there else ["seen"])


async def test_what_was_seen_and_is_not_there_after_an_open_commit_is_written_again() -> None:
    disk = Disk()
    async with running(disk) as (recorder, _):
        disk.error = StoreUnknown("EIO", [entry("a")])
        recorder.record(work("a"))
        async with asyncio.timeout(5):
            while not disk.rounds:
                await asyncio.sleep(0.01)
        disk.error = None
        recorder.record(work("b"))
        await recorder.drain(5)
    assert disk.kept == ["a", "b"]


async def test_on_a_full_disk_a_hang_up_takes_along_what_was_seen_of_its_call_before() -> None:
    disk = Disk()
    async with running(disk) as (recorder, told):
        disk.full = True
        recorder.record(work("seen", call="1"))
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0.01)
        recorder.record(work("of another call", call="2"))
        with pytest.raises(StoreError):
            await recorder.commit(work("three-way", call="1"))
        await recorder.commit(work("hang up", urgent=True, call="1"))
        assert disk.kept == ["seen", "hang up"]
        disk.full = False
        await recorder.drain(5)
    assert disk.kept == ["seen", "hang up", "of another call"]


async def test_what_can_never_be_stored_does_not_stop_the_rest() -> None:
    disk = Disk()
    async with running(disk) as (recorder, _):
        disk.error = StoreInvalid("no such case")
        recorder.record(work("bad"))
        async with asyncio.timeout(2):
            while not recorder.lost:
                await asyncio.sleep(0.01)
        disk.error = None
        recorder.record(work("good"))
        await recorder.drain(1)
    assert disk.kept == ["good"]


async def test_a_waiter_that_goes_away_does_not_take_its_commit_along() -> None:
    disk = Disk()
    async with running(disk) as (recorder, _):
        waiter = asyncio.create_task(recorder.commit(work("asked")))
        await asyncio.sleep(0)
        waiter.cancel()
        await recorder.drain(1)
    assert disk.kept == ["asked"]
