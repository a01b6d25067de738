"""Two desks over an hour without each other, on lossy lines, killed at any moment: in the end both
have the same document, and nothing that anybody was told is stored has been lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bridge.domain.errors import Refused
from bridge.domain.peer import accepted_by_peer
from bridge.domain.shared_case import CaseStatus, digest
from bridge.flows.peer_words import Asking, Described
from bridge.flows.ports import StoreError
from bridge.flows.rows import replay
from tests.simulation.chance import Chance
from tests.simulation.desks import Line, SimDesk
from tests.simulation.loop import SimLoop
from tests.simulation.store import Disk

SEEDS = range(12)


class Pair:
    """Both desks and their line."""

    def __init__(self, seed: int) -> None:
        chance = Chance(seed)
        chance.quiet = True
        self.loop = SimLoop(random.Random(seed))
        self.random = random.Random(seed)
        self.line = Line(self.random)
        self.lives = 2
        self.told: set[str] = set()
        """Words of feedback that their writer was told are stored."""
        self.desk = {
            name: SimDesk(self.loop, chance, self.line, Disk(chance), name, life, skew)
            for name, life, skew in (("a", 1, 0.0), ("b", 2, self.random.uniform(-60, 60)))
        }

    def run(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            for desk in self.desk.values():
                await desk.start()
            await story()

        asyncio.set_event_loop(None)
        try:
            self.loop.run_until_complete(whole())
        finally:
            self.loop.bury()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.call_later(1.0, self.loop.stop)
            self.loop.run_forever()
            self.loop.close()

    async def kill(self, name: str) -> None:
        self.lives += 1
        self.desk[name] = self.desk[name].again(self.lives)
        await self.desk[name].start()

    async def quiet(self) -> None:
        """Until every message has arrived, for at most a simulated day."""
        for _ in range(8_640):
            if not any(desk.waiting() for desk in self.desk.values()):
                return
            await asyncio.sleep(10)
        raise AssertionError("messages never arrived")

    async def say(self, name: str, ident: str, number: int) -> None:
        """Somebody at a desk writes feedback; remembered only once it was confirmed."""
        words = f"{name}-{number}"
        ask = Asking("8001", f"key-{words}-{self.random.random()}")
        try:
            await self.desk[name].peers.feed_back(ask, ident, "progress", words, None)
        except (Refused, StoreError):
            return
        self.told.add(words)

    def same(self, *idents: str) -> None:
        for ident in idents:
            here, there = self.desk["a"].case(ident), self.desk["b"].case(ident)
            assert digest(here) == digest(there), (here, there)
        words = {line.words for ident in idents for line in self.desk["a"].case(ident).feedback}
        assert self.told <= words
        for desk in self.desk.values():
            rows = desk.disk.now.rows
            again = {row.id: row for row in replay(e.fact for e in desk.disk.now.journal)}
            for (table, ident), row in rows.items():
                if table == "peer_case":
                    assert again[ident] == row


@pytest.mark.req("LY-10")
def test_an_hour_without_the_peer_costs_nothing() -> None:
    pair = Pair(1)

    async def story() -> None:
        a = pair.desk["a"]
        pair.line.down = True
        for number in range(40):
            ask = Asking("8001", f"key-{number}")
            await a.peers.open(ask, f"C-{number}", "b", Described(place=f"第 {number} 号"))
            await asyncio.sleep(90)
        assert a.links[-1] != ""
        assert a.peers.status()[0]["state"] == "down"
        assert pair.line.posts < 40 * 90  # it knocks, it does not hammer
        assert len(pair.desk["b"].peers.book.cases) == 0
        pair.line.down = False
        await pair.quiet()
        assert a.peers.status()[0]["state"] == "up"
        assert a.peers.status()[0]["sent"] == 40
        pair.same(*(f"a/C-{number}" for number in range(40)))
        worst = a.peers.status()[0]["out_worst_ms"]
        assert isinstance(worst, int)
        assert worst > 3_000_000  # said honestly

    pair.run(story)


@pytest.mark.req("LY-16")
def test_handed_over_taken_answered_and_given_back() -> None:
    pair = Pair(2)

    async def story() -> None:
        a, b = pair.desk["a"].peers, pair.desk["b"].peers
        await a.open(Asking("8001", "key-1"), "C-1", "b", Described("GENERAL", words="路灯不亮"))
        await pair.quiet()
        assert accepted_by_peer(a.book, "C-1") is None
        await b.take_over(Asking("7001", "key-2"), "a/C-1", "李", "12345-77")
        await pair.quiet()
        assert accepted_by_peer(a.book, "C-1") == "b"
        assert a.book.cases["a/C-1"].case.ticket == "12345-77"
        with pytest.raises(Refused):
            await b.take_over(Asking("7001", "key-3"), "a/C-1", "李", "")
        await b.feed_back(Asking("7001", "k"), "a/C-1", "progress", "已派单", CaseStatus.HANDLING)
        await b.hand_back(Asking("7001", "key-4"), "a/C-1", "属公安职责")
        await pair.quiet()
        assert accepted_by_peer(a.book, "C-1") is None
        case = a.book.cases["a/C-1"].case
        assert case.status is CaseStatus.RETURNED
        assert [line.words for line in case.feedback] == ["已派单", "属公安职责"]
        pair.same("a/C-1")

    pair.run(story)


@pytest.mark.parametrize("seed", SEEDS)
def test_kills_losses_and_both_writing_at_once_end_in_one_document(seed: int) -> None:
    pair = Pair(seed)
    draw = pair.random

    async def story() -> None:
        idents = ["a/C-1", "b/C-2"]
        await pair.desk["a"].peers.open(Asking("1", "key-a"), "C-1", "b", Described())
        await pair.desk["b"].peers.open(Asking("2", "key-b"), "C-2", "a", Described())
        await pair.quiet()
        pair.line.lossy = 0.3
        writing: list[asyncio.Task[None]] = []
        for number in range(40):
            name = draw.choice("ab")
            match draw.randrange(6):
                case 0:
                    await pair.kill(name)
                case 1:
                    pair.line.down = not pair.line.down
                case _:
                    work = pair.say(name, draw.choice(idents), number)
                    writing.append(pair.loop.create_task(work))
            await asyncio.sleep(draw.choice((0.0, 0.005, 0.5, 20.0)))
        pair.line.down, pair.line.lossy = False, 0.0
        await asyncio.sleep(60)
        await pair.quiet()
        pair.same(*idents)

    pair.run(story)
