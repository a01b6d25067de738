"""Commands done once, without a door in front."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from bridge.desk.once import KEPT, LIFE_SECONDS, Once
from bridge.desk.problems import Problem
from bridge.domain.errors import Refused
from bridge.flows.ports import Answer, StoreError


class _Bench:
    """Once with a clock that is moved by hand and a store that knows what it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []
        self.stored: dict[str, Answer] = {}
        self.stopping = False
        self.broken = False
        self._tasks: set[asyncio.Task[object]] = set()
        self.once = Once(answers=self._answer, monotonic=lambda: self.now, spawn=self._spawn)

    async def _answer(self, key: str) -> Answer | None:
        if self.broken:
            raise StoreError("no answer within a second")
        return self.stored.get(key)

    def _spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        if self.stopping:
            work.close()
        else:
            task = asyncio.create_task(work, name=name)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def ask(self, key: str, refusal: str = "") -> Answer:
        """One command that writes down that it was done."""

        async def work() -> Answer:
            self.done.append(key)
            if refusal:
                raise Refused(refusal)
            return Answer(key, 202, {"call": key})

        return await self.once.do(key, "the same", work)


async def test_a_key_is_forgotten_after_ten_minutes_and_not_before() -> None:
    bench = _Bench()
    for at in (0.0, LIFE_SECONDS - 1.0, LIFE_SECONDS + 1.0):
        bench.now = at
        await bench.ask("k")
    assert bench.done == ["k", "k"]


async def test_at_the_bound_the_oldest_keys_go() -> None:
    bench = _Bench()
    for number in range(KEPT + 1):
        await bench.ask(f"k{number}")
    assert len(bench.once._known) == KEPT
    assert "k0" not in bench.once._known


async def test_a_stopping_daemon_starts_nothing_and_says_so() -> None:
    bench = _Bench()
    bench.stopping = True
    with pytest.raises(Problem, match="not-ready"):
        await bench.ask("k")
    bench.stopping = False
    assert (await bench.ask("k")).status == 202


async def test_what_the_store_remembers_is_answered_instead_of_a_refusal() -> None:
    bench = _Bench()
    bench.stored["k"] = Answer("k", 202, {"call": "of an earlier run"})
    assert (await bench.ask("k", "wrong-state")).body == {"call": "of an earlier run"}


@pytest.mark.parametrize("code", ["switch-refused", "switch-down", "outcome-unknown"])
async def test_a_refusal_after_the_commit_is_told_though_the_answer_is_stored(code: str) -> None:
    bench = _Bench()
    bench.stored["k"] = Answer("k", 202, {})
    with pytest.raises(Refused, match=code):
        await bench.ask("k", code)


async def test_a_store_that_cannot_be_read_leaves_the_refusal_as_it_is() -> None:
    bench = _Bench()
    bench.broken = True
    with pytest.raises(Refused, match="wrong-state"):
        await bench.ask("k", "wrong-state")


async def test_a_waiter_that_goes_away_leaves_the_command_running() -> None:
    bench, go = _Bench(), asyncio.Event()

    async def work() -> Answer:
        await go.wait()
        bench.done.append("k")
        return Answer("k", 202, {})

    waiting = asyncio.create_task(bench.once.do("k", "the same", work))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    go.set()
    assert (await bench.once.do("k", "the same", work)).status == 202
    assert bench.done == ["k"]


async def _left_half_way() -> Answer:
    raise StoreError("disk I/O error")


async def test_a_store_error_in_the_work_is_a_refusal_and_never_an_acknowledgement() -> None:
    bench = _Bench()
    with pytest.raises(Refused, match="store-cannot-write"):
        await bench.once.do("k", "the same", _left_half_way)
    bench.stored["done"] = Answer("done", 202, {"call": "stored before it failed"})
    answer = await bench.once.do("done", "the same", _left_half_way)
    assert answer.body == {"call": "stored before it failed"}
    bench.broken = True
    with pytest.raises(Refused, match="outcome-unknown"):
        await bench.once.do("nobody knows", "the same", _left_half_way)
