"""A transaction is stored whole and synced, or not at all, and everybody learns which."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from bridge.domain.journal import GENESIS, Entry, Fact, body, link
from bridge.flows.ports import (
    Answer,
    Message,
    Row,
    StoreError,
    StoreInvalid,
    StoreRepeat,
    Transaction,
)
from bridge.store.prepare import MAX_BYTES
from tests.store.store_kit import SITE, SMALL, at, busy_writer, decision, opened, until


async def test_facts_states_messages_answer_and_cursors_are_stored_together(tmp_path: Path) -> None:
    work = replace(
        decision(1), answer=Answer("press-1", 201, {"ok": True}), cursors={"cel": "offset 7"}
    )
    async with opened(tmp_path) as store:
        (entry,) = await store.commit(work)
        assert (entry.site, entry.seq, entry.fact, entry.prev) == (SITE, 1, work.facts[0], GENESIS)
        assert entry.hash == link(GENESIS, SITE, 1, body(entry.fact))
        assert list(await store.reader.entries_after(0)) == [entry]
        assert list(await store.reader.rows("case")) == list(work.rows)
        assert await store.reader.cursor("cel") == "offset 7"
        assert await store.reader.answer("press-1", at(0)) == work.answer
        assert (await store.reader.messages_waiting("platform"))[0] == 1


async def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (first,) = await store.commit(decision(1))
    async with opened(tmp_path) as store:
        assert store.head().hash == first.hash
        (second,) = await store.commit(decision(2))
    assert (second.seq, second.prev) == (2, first.hash)


async def test_what_waits_together_is_committed_together_and_in_order(tmp_path: Path) -> None:
    groups: list[Sequence[Entry]] = []
    async with opened(tmp_path, groups.append) as store:
        async with busy_writer(store):
            waiting = [asyncio.create_task(store.commit(decision(n))) for n in range(100)]
            await until(lambda: store.health().waiting == 100)
        told = await asyncio.gather(*waiting)
    assert [len(group) for group in groups] == [64, 36]
    assert [entry.seq for group in groups for entry in group] == list(range(1, 101))
    assert [entries[0].fact.data["n"] for entries in told] == list(range(100))


async def test_a_refused_transaction_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    orphan = Transaction(
        facts=[Fact("leg.created", at(0), case="nobody")],
        rows=[Row("leg", "leg-1", "nobody", "ringing", {})],
    )
    async with opened(tmp_path) as store:
        async with busy_writer(store):
            works = [decision(1), orphan, decision(2)]
            waiting = [asyncio.create_task(store.commit(work)) for work in works]
            await until(lambda: store.health().waiting == 3)
        before, refused, after = await asyncio.gather(*waiting, return_exceptions=True)
        assert type(refused) is StoreInvalid
        assert "FOREIGN KEY" in str(refused)
        assert not isinstance(before, BaseException)
        assert not isinstance(after, BaseException)
        assert [before[0].seq, after[0].seq] == [1, 2]
        assert after[0].prev == before[0].hash
        assert [entry.fact.kind for entry in await store.reader.entries_after(0)] == [
            "handoff.requested"
        ] * 2


async def test_a_cancelled_waiter_does_not_cancel_the_commit_nor_its_publication(
    tmp_path: Path,
) -> None:
    published: list[Entry] = []
    async with opened(tmp_path, published.extend) as store:
        async with busy_writer(store):
            waiting = asyncio.create_task(store.commit(decision(1)))
            neighbour = asyncio.create_task(store.commit(decision(2)))
            await until(lambda: store.health().waiting == 2)
            waiting.cancel()
            await asyncio.wait([waiting])
        await until(lambda: len(published) == 2)
        assert waiting.cancelled()
        assert (await neighbour)[0].seq == 2
        assert list(await store.reader.entries_after(0)) == published


async def test_publication_comes_before_the_waiter_is_told(tmp_path: Path) -> None:
    order: list[str] = []
    async with opened(tmp_path, lambda entries: order.append(f"published {len(entries)}")) as store:
        await store.commit(decision(1))
        order.append("told")
    assert order == ["published 1", "told"]


async def test_closing_commits_what_still_waits(tmp_path: Path) -> None:
    published: list[Entry] = []
    async with opened(tmp_path, published.extend) as store:
        waiting = [asyncio.create_task(store.commit(decision(n))) for n in range(10)]
        await asyncio.sleep(0)
    assert len(published) == 10
    assert [len(await one) for one in waiting] == [1] * 10
    with pytest.raises(StoreError, match="closed"):
        await store.commit(decision(11))


async def test_a_full_queue_refuses_at_once_and_drops_nothing(tmp_path: Path) -> None:
    options = replace(SMALL, queue_limit=3)
    async with opened(tmp_path, options=options) as store:
        async with busy_writer(store):
            waiting = [asyncio.create_task(store.commit(decision(n))) for n in range(3)]
            await until(lambda: store.health().waiting == 3)
            with pytest.raises(StoreError, match="3 transactions wait"):
                await store.commit(decision(3))
        assert len(await asyncio.gather(*waiting)) == 3
        assert (await store.commit(decision(3)))[0].seq == 4


async def test_the_same_command_is_done_once(tmp_path: Path) -> None:
    clock = [at(0)]
    async with opened(tmp_path, now=lambda: clock[0]) as store:
        await store.commit(replace(decision(1), answer=Answer("press-1", 201, {"leg": "a"})))
        with pytest.raises(StoreRepeat, match="press-1"):
            await store.commit(replace(decision(2), answer=Answer("press-1", 201, {"leg": "b"})))
        assert len(await store.reader.entries_after(0)) == 1
        remembered = await store.reader.answer("press-1", clock[0])
        assert remembered is not None
        assert remembered.body == {"leg": "a"}
        clock[0] = at(601)
        assert await store.reader.answer("press-1", clock[0]) is None
        await store.commit(replace(decision(2), answer=Answer("press-1", 201, {"leg": "b"})))


async def test_the_same_message_is_kept_once_and_another_under_its_key_refused(
    tmp_path: Path,
) -> None:
    fact = [Fact("case.opened", at(0))]
    message = Message("platform", "case-1/open", {"n": 1}, at(0))
    async with opened(tmp_path) as store:
        await store.commit(Transaction(facts=fact, messages=[message]))
        await store.commit(Transaction(facts=fact, messages=[message]))
        other = replace(message, body={"n": 2})
        with pytest.raises(StoreError, match="another message"):
            await store.commit(Transaction(facts=fact, messages=[other]))
        assert (await store.reader.messages_waiting("platform"))[0] == 1
        assert store.head().seq == 2


NAIVE = datetime(2026, 3, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (Transaction(rows=[Row("seat", "8001", None, "ready", {})]), "without a fact"),
        (Transaction(facts=[Fact("x", NAIVE)]), "zone"),
        (Transaction(facts=[Fact("x", at(0), subject="\ud800")]), "cannot be stored"),
        (Transaction(facts=[Fact("x", at(0), data={"n": float("nan")})]), "schema refuses"),
        (Transaction(facts=[Fact("", at(0))]), "schema refuses"),
        (Transaction(facts=[Fact("x", at(0), data={"t": "移" * MAX_BYTES})]), "over the limit"),
        (Transaction(messages=[Message("p", "k", {"n": float("inf")}, at(0))]), "message k"),
        (Transaction(answer=Answer("k", 2**70, {})), "no HTTP status"),
    ],
)
async def test_what_cannot_be_stored_is_refused_by_name(
    tmp_path: Path, work: Transaction, why: str
) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(StoreInvalid, match=why):
            await store.commit(work)
        assert list(await store.reader.entries_after(0)) == []
        assert (await store.commit(decision(1)))[0].seq == 1


async def test_rows_may_come_in_any_order(tmp_path: Path) -> None:
    work = Transaction(
        facts=[Fact("case.opened", at(0), case="c")],
        rows=[Row("leg", "l", "c", "talking", {}), Row("case", "c", "c", "open", {})],
    )
    async with opened(tmp_path) as store:
        await store.commit(work)
        assert [row.table for row in await store.reader.rows_of_case("c")] == ["case", "leg"]


async def test_an_idle_store_still_shows_that_it_lives(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        before = store.health().finished_at
        await until(lambda: store.health().finished_at > before)
        health = store.health()
        assert (health.away, health.room.reserve) == ("", True)


async def test_a_hung_writer_stops_showing_that_it_lives(tmp_path: Path) -> None:
    async with opened(tmp_path) as store, busy_writer(store):
        before = store.health().finished_at
        with pytest.raises(TimeoutError):
            await until(lambda: store.health().finished_at > before, seconds=0.2)


async def test_a_failing_publication_ends_the_process_but_the_truth_is_told(tmp_path: Path) -> None:
    def publish(_: Sequence[Entry]) -> None:
        raise RuntimeError("a bug in a listener")

    async with opened(tmp_path, publish) as store:
        assert (await store.commit(decision(1)))[0].seq == 1
        with pytest.raises(RuntimeError, match="a bug in a listener"):
            await store.wait_ended()
