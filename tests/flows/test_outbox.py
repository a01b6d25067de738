"""A message goes out until it has arrived, always under its own key."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

from bridge.flows.outbox import Courier, NotDelivered
from bridge.flows.ports import Claimed
from bridge.store import SqliteStore
from tests.store.store_kit import START, decision, opened, until


class Clock:
    """Wall time that the test moves."""

    def __init__(self) -> None:
        self.at = START + timedelta(hours=1)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Receiver:
    """Keeps what it was sent; refuses while told to."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.tries = 0
        self.refuses = False

    async def send(self, message: Claimed) -> None:
        self.tries += 1
        if self.refuses:
            raise NotDelivered("503")
        self.got.append(message.key)


@contextlib.asynccontextmanager
async def running(store: SqliteStore, receiver: Receiver, clock: Clock) -> AsyncIterator[Courier]:
    courier = Courier(store.outbox, "platform", receiver.send, clock)
    task = asyncio.create_task(courier.run())
    try:
        yield courier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_messages_go_out_in_order_and_once_while_all_is_well(tmp_path: Path) -> None:
    receiver, clock = Receiver(), Clock()
    async with opened(tmp_path) as store, running(store, receiver, clock) as courier:
        for n in range(6):
            await store.commit(decision(n))
        courier.look()
        await until(lambda: len(receiver.got) == 6)
        assert receiver.got == [f"key-{n}" for n in range(6)]
        clock.at += timedelta(hours=1)
        courier.look()
        assert await store.outbox.claim("platform", clock.now()) == []


async def test_what_the_receiver_refuses_is_sent_again_later_under_the_same_key(
    tmp_path: Path,
) -> None:
    receiver, clock = Receiver(), Clock()
    receiver.refuses = True
    async with opened(tmp_path) as store, running(store, receiver, clock) as courier:
        await store.commit(decision(1))
        courier.look()
        await until(lambda: receiver.tries == 1)
        receiver.refuses = False

        def later() -> bool:
            clock.at += timedelta(seconds=0.5)
            courier.look()
            return bool(receiver.got)

        await until(later)
        assert receiver.got == ["key-1"]
        assert receiver.tries == 2


async def test_what_was_taken_by_a_life_that_died_is_sent_by_the_next(tmp_path: Path) -> None:
    receiver, clock = Receiver(), Clock()
    async with opened(tmp_path) as store:
        await store.commit(decision(1))
        taken = await store.outbox.claim("platform", clock.now())
        assert [message.key for message in taken] == ["key-1"]
    async with opened(tmp_path) as store, running(store, receiver, clock):

        def later() -> bool:
            clock.at += timedelta(seconds=1)
            return bool(receiver.got)

        await until(later, 20)
        assert clock.at >= START + timedelta(hours=1, seconds=29)


async def test_a_refused_message_is_kept_and_the_others_go_on(tmp_path: Path) -> None:
    clock, got = Clock(), list[str]()

    async def send(message: Claimed) -> None:
        if message.key == "key-1" and clock.at < START + timedelta(hours=2):
            raise NotDelivered("422", refused=True)
        got.append(message.key)

    async with opened(tmp_path) as store:
        courier = Courier(store.outbox, "platform", send, clock)
        for n in range(3):
            await store.commit(decision(n))
        task = asyncio.create_task(courier.run())
        await until(lambda: got == ["key-0", "key-2"])
        await until_waiting(store, 1)
        clock.at += timedelta(hours=1)
        courier.look()
        await until(lambda: got == ["key-0", "key-2", "key-1"])
        task.cancel()


async def until_waiting(store: SqliteStore, count: int) -> None:
    async with asyncio.timeout(30):
        while (await store.reader.messages_waiting("platform"))[0] != count:
            await asyncio.sleep(0.01)


async def test_a_receiver_that_is_away_is_asked_by_one_message_for_all(tmp_path: Path) -> None:
    clock, tries, told = Clock(), list[str](), list[str]()
    there = False

    async def send(message: Claimed) -> None:
        tries.append(message.key)
        if not there:
            raise NotDelivered("connection refused")

    async def tell(words: str) -> None:
        told.append(words)

    async with opened(tmp_path) as store:
        courier = Courier(store.outbox, "platform", send, clock, tell)
        for n in range(4):
            await store.commit(decision(n))
        task = asyncio.create_task(courier.run())
        await until(lambda: told == ["connection refused"])
        assert tries == ["key-0"]
        there = True
        clock.at += timedelta(hours=1)
        await until(lambda: tries == ["key-0", "key-0", "key-1", "key-2", "key-3"], 30)
        await until(lambda: told[-1] == "", 30)
        task.cancel()
