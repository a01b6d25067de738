"""The port process on the simulated loop: it owns the ways of radio and fax, dies and comes back.

Of the daemon the wires, the fax desk and the post are the real ones. What it has written down it
still knows after its death, what was on its way then is *unknown*, as `hardware/ports` has it; what
it tells is said again until it is stored. What really happens to a job is the way's own knowledge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from bridge.channels.ports_client import ANSWER_S, PortsAway, PortsRefused
from bridge.channels.radio import GatewayPost
from bridge.domain.journal import Entry
from tests.simulation.chance import Chance
from tests.simulation.daemon import SimClock
from tests.simulation.loop import SimLoop, in_life

LOST = 0.05
"""Share of jobs whose taking over goes wrong, in each of several manners."""


class Way(Protocol):
    """What carries jobs of one channel: lines and machines, or the air and people's sets."""

    async def carry(self, key: str, body: Mapping[str, Any]) -> None:
        """One job, from its beginning; ends where the port process dies."""
        ...

    def confirmed(self, key: str) -> bool:
        """Whether it is written down that all of it was confirmed."""
        ...

    def judge(self, journal: Sequence[Entry]) -> str:
        """What the journal says against what really happened; empty words: all is well."""
        ...


class SimPorts:
    """`bridge.channels.radio.Ports` of every life, and the port process behind it."""

    def __init__(self, chance: Chance, loop: SimLoop) -> None:
        self.chance = chance
        self.loop = loop
        self.ways: dict[str, Way] = {}
        self.deaths = 0
        self.failed: dict[str, float] = {}
        """Second since 1970 at which it said of a job that nothing of it had gone out."""
        self.up = asyncio.Event()
        self.up.set()
        self._jobs: dict[str, dict[str, Any]] = {}
        self._stages: dict[str, str] = {}
        """Stage of every job that was ever taken."""
        self._waiting: dict[int, dict[str, Any]] = {}
        """Things that the daemon has not stored yet."""
        self._last = 0
        self._news = asyncio.Event()
        self._carrying: dict[str, asyncio.Task[None]] = {}

    # What the daemon asks

    async def submit(self, body: dict[str, Any]) -> None:
        draw, begun = self.chance.random, self.up.is_set()
        await asyncio.sleep(self.chance.delay(1e-3, 0.05))
        await self._until_up(begun=begun)
        fate = 1.0 if self.chance.quiet else draw.random() / LOST
        if fate < 1:
            raise PortsAway("not sent", begun=False)
        if fate < 2:
            raise PortsAway("died before it was written down", begun=True)
        key = str(body["key"])
        if fate < 3 and key not in self._jobs:
            raise PortsRefused("queue-full", "too many")
        if key not in self._jobs:
            self._jobs[key] = body
            self._stages[key] = "queued"
            self._begin(key)
        if fate < 4:
            raise PortsAway("no answer", begun=True)

    async def ask(self, kind: str, **values: Any) -> dict[str, Any]:
        await asyncio.sleep(self.chance.delay(1e-3, 0.05))
        await self._until_up(begun=True)
        key = str(values.get("key", ""))
        if kind == "withdraw":
            taken = self._stages.get(key) == "queued"
            if taken:
                self.tell(key, "failed", "withdrawn")
            return {"ok": taken}
        told = next(
            (one for one in reversed(self._waiting.values()) if one.get("key") == key), None
        )
        over = self._stages.get(key) in ("failed", "read")
        return {"stage": "done" if over else self._stages.get(key), "told": told}

    async def _until_up(self, *, begun: bool) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self.up.wait()
        except TimeoutError:
            raise PortsAway("nobody answers", begun=begun) from None

    async def serve(self, post: GatewayPost) -> None:
        """The connection of one life: everything in order, again until it is stored."""
        while True:
            await self.up.wait()
            self._news.clear()
            for seq, body in list(self._waiting.items()):
                deaths = self.deaths
                await asyncio.sleep(self.chance.delay(1e-4, 0.05))
                await post.take(body, seq)
                if deaths != self.deaths:  # it never heard that this was stored
                    break
                self._waiting.pop(seq, None)
            else:
                await self._news.wait()

    # What ways tell

    def stage(self, key: str) -> str:
        """What the port process knows of a job."""
        return self._stages.get(key, "")

    def tell(self, key: str, stage: str, why: str | None = None, **data: object) -> None:
        """A step of a job, written down."""
        stored = bool(data.pop("stored", False))
        if stage == "failed":
            self.failed.setdefault(key, SimClock(self.loop).now().timestamp())
        if key in self._stages:
            self._stages[key] = stage
        words = {"kind": "progress", "key": key, "stage": stage, "why": why, "data": data}
        self.keep(**words, stored=stored, gateway="", channel="")

    def keep(self, **body: Any) -> str:
        """Something that came in, written down; the key by which the daemon will know it."""
        self._last += 1
        at = SimClock(self.loop).now().isoformat()
        self._waiting[self._last] = body | {"at": at}
        self._news.set()
        return f"{body['gateway']}.{self._last}.{at}"

    # Its lives

    def die(self) -> None:
        """SIGKILL; it comes back soon and takes up what it has written down."""
        if not self.up.is_set():
            return
        self.up.clear()
        self.deaths += 1
        self._news.set()
        for task in self._carrying.values():
            task.cancel()
        self._carrying.clear()
        self.loop.call_later(0.5 + self.chance.delay(0, 12.0), self._back, context=in_life(0))

    def _back(self) -> None:
        for key, body in self._jobs.items():
            stage = self._stages[key]
            if stage == "queued" and body["channel"] == "fax":
                self._begin(key)
            elif stage in ("queued", "sending"):
                done = self.ways[body["channel"]].confirmed(key)
                self.tell(key, "delivered" if done else "unknown", number=body["address"])
        self.up.set()

    def _begin(self, key: str) -> None:
        body = self._jobs[key]
        work: Coroutine[Any, Any, None] = self._carry(key, body)
        self._carrying[key] = self.loop.create_task(work, context=in_life(0))

    async def _carry(self, key: str, body: Mapping[str, Any]) -> None:
        await asyncio.sleep(self.chance.random.random() * 5)
        if self._stages[key] == "queued":
            await self.ways[body["channel"]].carry(key, body)
        self._carrying.pop(key, None)

    def judge(self, journal: Sequence[Entry]) -> str:
        """The first thing that is not as it really was; empty words: all is well."""
        if self._waiting:
            return f"{len(self._waiting)} things were never stored"
        return next((words for way in self.ways.values() if (words := way.judge(journal))), "")


def rounds(journal: Sequence[Entry]) -> dict[str, int]:
    """Which walk down the ladder each attempt belongs to: a reminder is not the same sheet."""
    reminders: dict[str, int] = {}
    found: dict[str, int] = {}
    for entry in journal:
        subject = entry.fact.subject or ""
        if entry.fact.kind == "order.reminded":
            reminders[subject] = reminders.get(subject, 0) + 1
        elif entry.fact.kind == "attempt.queued":
            found[subject] = reminders.get(subject.rpartition(".")[0], 0)
    return found
