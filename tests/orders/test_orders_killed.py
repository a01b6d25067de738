"""The daemon killed after every single fact of a story: nothing acknowledged is lost, nothing is
sent twice without the mark, and the order goes on.

A kill is the end of one life between two durable facts: everything after the commit (the effect,
the answer to the channel) did not happen. The far side, which lives on, is played by the test.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress, Received, Says
from bridge.domain.order_state import O
from bridge.flows.order_desk import OrderAsk
from bridge.flows.ports import StoreError, StoreUnknown
from tests.orders.order_kit import CASE, SEAT, Kit, MovedClock, life

T, P, R, S, F, M = ChannelKind
WIRES = frozenset({T, P})


class Killed(Exception):
    """This life has ended here."""


class World:
    """The far side: a terminal that is off, a telephone that is busy once and then answers."""

    def __init__(self, sees: bool) -> None:
        self.calls: list[Job] = []
        self.signed = False
        self.sees = sees
        """Whether a look at the far side tells anything about an earlier attempt."""

    def known(self, clock: MovedClock, attempt: str) -> Progress | None:
        made = [job for job in self.calls if job.attempt == attempt]
        if not made or not self.sees:
            return None
        if self.calls.index(made[0]) == 0:
            return Progress(attempt=attempt, state=A.FAILED, at=clock.now(), cause=Cause.BUSY)
        return Progress(attempt=attempt, state=A.SENT, at=clock.now())


async def one_life(directory: Path, clock: MovedClock, world: World, budget: int) -> bool:
    """Live until `budget` more facts are durable, then be killed; True: lived to the end."""
    done = False
    try:
        async with life(
            directory, clock, WIRES, known=lambda attempt: world.known(clock, attempt)
        ) as kit:
            kill_after(kit, budget)
            await play(kit, world)
            done = True
    except* Killed:
        pass
    return done


def kill_after(kit: Kit, budget: int) -> None:
    """Let `budget` commits of orders through; then nothing of this life happens any more."""
    commit = kit.orders.keep
    left = [budget]

    async def keep(works: object, answer: object = None) -> None:
        if left[0] <= 0:
            raise Killed
        left[0] -= 1
        await commit(works, answer)  # type: ignore[arg-type]
        if left[0] <= 0:
            raise Killed

    kit.orders.keep = keep  # type: ignore[method-assign]


async def play(kit: Kit, world: World) -> None:
    """The story: terminal off, telephone busy, then answered, key 1."""
    found = await kit.store.reader.orders_of_case(CASE)
    if not found:
        await kit.desk.send(
            SEAT,
            OrderAsk(case=CASE, units=("water",), kind="site", klass="URGENT", words="水管爆裂"),
            "key-kill-1",
        )
    for _ in range(60):
        await kit.settled()
        for job in kit.wires[T].sent:
            await tell(kit, job.attempt, A.SENDING, A.FAILED, cause=Cause.OFFLINE)
        kit.wires[T].sent.clear()
        for job in kit.wires[P].sent:
            await tell(kit, job.attempt, A.SENDING)
            world.calls.append(job)
            if len(world.calls) == 1:
                await tell(kit, job.attempt, A.FAILED, cause=Cause.BUSY)
            else:
                await tell(kit, job.attempt, A.SENT)
        kit.wires[P].sent.clear()
        order = await kit.order(f"{CASE}-01")
        live = [a for a in order.attempts.values() if a.channel is P and a.state is A.SENT]
        if live and not world.signed:
            await kit.inbox.take(
                Received(
                    channel=P,
                    source="PJSIP/6001",
                    at=kit.clock.now(),
                    key="press-1",
                    says=Says.SIGN,
                    attempt=live[-1].id,
                )
            )
            world.signed = True
        if order.state is O.ACKNOWLEDGED:
            return
        await kit.later(10)
    raise AssertionError("the order did not go on")


async def tell(kit: Kit, attempt: str, *states: A, cause: Cause | None = None) -> None:
    for state in states:
        await kit.orders.progress(
            Progress(attempt=attempt, state=state, at=kit.clock.now(), cause=cause)
        )


@pytest.mark.parametrize("sees", [True, False])
async def test_killed_after_every_fact_the_order_goes_on(tmp_path: Path, sees: bool) -> None:
    killed_at = 0
    while True:
        directory = tmp_path / f"at-{killed_at}"
        directory.mkdir()
        clock, world = MovedClock(), World(sees)
        ended = await one_life(directory, clock, world, killed_at)
        if ended:
            break
        assert await one_life(directory, clock, world, 10_000), f"killed at {killed_at}"
        await judge(directory, clock, world)
        killed_at += 1
    assert killed_at > 8, "the story has that many durable steps"


async def judge(directory: Path, clock: MovedClock, world: World) -> None:
    async with life(directory, clock, WIRES) as kit:
        order = await kit.order(f"{CASE}-01")
        assert order.acknowledged is not None, "no acknowledgement is lost"
        assert len(await kit.store.reader.orders_of_case(CASE)) == 1
        acts = Counter(job.attempt for job in world.calls)
        assert max(acts.values()) == 1, "no attempt is carried out twice"
        for job in world.calls[1:]:
            earlier = order.attempts[world.calls[0].attempt]
            assert job.sheet.repeat or earlier.state is A.FAILED, "a repeat says so"


async def test_a_store_that_is_away_keeps_what_channels_tell_until_it_can_be_kept(
    tmp_path: Path,
) -> None:
    async with life(tmp_path) as kit:
        order = f"{CASE}-01"
        await kit.send()
        commit = kit.store.commit
        failures: list[Exception] = [StoreError("disk full"), StoreUnknown("sync failed")]

        async def faulty(work: object) -> object:
            if failures:
                raise failures.pop(0)
            return await commit(work)  # type: ignore[arg-type]

        kit.store.commit = faulty  # type: ignore[method-assign, assignment]
        async with asyncio.timeout(10):
            await kit.tell(f"{order}.1", A.SENDING)
        assert failures == []
        assert (await kit.order(order)).attempts[f"{order}.1"].state is A.SENDING
        assert len(await kit.facts("attempt.sending")) == 1
