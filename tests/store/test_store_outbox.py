"""A message belongs to one worker for a limited time, and is done once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bridge.store.outbox import LEASE
from tests.store.store_kit import at, decision, opened


async def test_messages_are_claimed_oldest_first_by_one_worker_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for n in (3, 1, 2):
            await store.commit(decision(n))
        assert await store.outbox.claim("other", at(10)) == []
        mine = await store.outbox.claim("platform", at(10), most=2)
        others = await store.outbox.claim("platform", at(10))
        assert [message.key for message in mine] == ["key-1", "key-2"]
        assert [message.key for message in others] == ["key-3"]
        assert mine[0].body == {"n": 1}


async def test_a_message_not_yet_due_is_left(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(decision(5))
        assert await store.outbox.claim("platform", at(4)) == []
        assert len(await store.outbox.claim("platform", at(5))) == 1


async def test_a_crashed_worker_gives_its_message_back_and_is_refused_if_it_returns(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        await store.commit(decision(1))
        (stale,) = await store.outbox.claim("platform", at(1))
    async with opened(tmp_path) as store:
        just_before = at(1) + LEASE - timedelta(microseconds=1)
        assert await store.outbox.claim("platform", just_before) == []
        (again,) = await store.outbox.claim("platform", at(1) + LEASE)
        assert (again.key, again.lease) == (stale.key, stale.lease + 1)
        assert not await store.outbox.done(stale, at(40))
        assert not await store.outbox.failed(stale, "late", at(41))
        assert await store.outbox.done(again, at(40))
        assert not await store.outbox.done(again, at(41))
        assert await store.outbox.claim("platform", at(4000)) == []


async def test_a_failed_attempt_comes_again_when_it_is_due(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(decision(1))
        (first,) = await store.outbox.claim("platform", at(1))
        assert await store.outbox.failed(first, "refused\ud800", at(60))
        assert await store.reader.messages_waiting("platform") == (1, at(60))
        assert await store.outbox.claim("platform", at(59)) == []
        (second,) = await store.outbox.claim("platform", at(60))
        assert second.lease == 2
