"""One case, one order: a request in work and what is seen meanwhile."""

from __future__ import annotations

import asyncio

from bridge.flows.mailbox import MAX_PENDING, Mailbox


async def test_what_is_seen_waits_for_the_request_in_work_and_keeps_its_order() -> None:
    box, told, gate = Mailbox(), [], asyncio.Event()

    async def request() -> None:
        told.append("begun")
        await gate.wait()
        told.append("decided")

    asked = asyncio.create_task(box.ask(request))
    await asyncio.sleep(0)
    box.post(lambda: told.append("one"))
    box.post(lambda: told.append("two"))
    assert told == ["begun"]
    gate.set()
    await asked
    box.post(lambda: told.append("three"))
    assert told == ["begun", "decided", "one", "two", "three"]


async def test_acts_of_a_case_are_done_one_after_another_also_after_a_failure() -> None:
    box, told = Mailbox(), []

    async def slow() -> None:
        await asyncio.sleep(0.01)
        told.append("slow")
        raise OSError

    async def quick() -> None:
        told.append("quick")

    results = await asyncio.gather(box.in_turn(slow), box.in_turn(quick), return_exceptions=True)
    assert told == ["slow", "quick"]
    assert isinstance(results[0], OSError)


async def test_the_bound_is_told_instead_of_growing() -> None:
    box, gate = Mailbox(), asyncio.Event()
    asked = asyncio.create_task(box.ask(gate.wait))
    await asyncio.sleep(0)
    for _ in range(MAX_PENDING + 5):
        box.post(lambda: None)
    assert box.overflowed
    assert len(box.pending) == MAX_PENDING
    gate.set()
    await asked
