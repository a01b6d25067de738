"""Faxes on the simulated loop: the port process and the far machine, which outlive the daemon.

Of the daemon the wire, the fax desk and the post are the real ones. What the far machine holds is
the world's knowledge: it judges what the journal says.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.channels.fax import FaxChannel, FaxPolicy
from bridge.channels.ports_client import PortsAway
from bridge.channels.radio import GatewayPost
from bridge.domain.delivery import OrderSheet
from bridge.domain.journal import Entry
from bridge.domain.paper import Paper, PaperKind
from tests.simulation.chance import Chance
from tests.simulation.daemon import SimClock
from tests.simulation.loop import SimLoop, in_life

ENDINGS = (
    *("delivered", "delivered", "delivered", "voice-answered", "voice-answered", "voice-answered"),
    *("busy", "cut", "device-gone", "not-confirmed"),
)
CRASHES = 0.1
"""Share of calls in whose middle the port process dies."""
REPEAT = b"may be a repeat"


@dataclass
class Fax:
    """One call to a far machine, at a wall time. `held`: its page is there."""

    attempt: str
    number: str
    repeat: bool
    at: float
    held: bool = False
    confirmed: bool = False


@dataclass
class SimPorts:
    """`bridge.channels.radio.Ports`, and the port process behind it."""

    chance: Chance
    loop: SimLoop
    jobs: dict[str, str] = field(default_factory=dict)
    """Stage of every job that was ever taken."""
    calls: list[Fax] = field(default_factory=list)
    waiting: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Things that the daemon has not stored yet."""
    last: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, body: dict[str, Any]) -> None:
        draw = self.chance.random
        await asyncio.sleep(self.chance.delay(1e-3, 0.05))
        if not self.chance.quiet and draw.random() < 0.05:
            raise PortsAway("not sent", begun=False)
        key = str(body["key"])
        if key not in self.jobs:
            self.jobs[key] = "queued"
            self.loop.create_task(self._carry(key, body), context=in_life(0))
        if not self.chance.quiet and draw.random() < 0.05:
            raise PortsAway("no answer", begun=True)

    async def ask(self, kind: str, **values: Any) -> dict[str, Any]:
        await asyncio.sleep(self.chance.delay(1e-3, 0.05))
        key = str(values.get("key", ""))
        if kind == "withdraw":
            taken = self.jobs.get(key) == "queued"
            if taken:
                self._tell(key, "failed", "withdrawn")
            return {"ok": taken}
        told = next((one for one in reversed(self.waiting.values()) if one["key"] == key), None)
        over = self.jobs.get(key) == "failed"
        return {"stage": "done" if over else self.jobs.get(key), "told": told}

    async def _carry(self, key: str, body: Mapping[str, Any]) -> None:
        """What becomes of one job is drawn here."""
        draw = self.chance.random
        await asyncio.sleep(draw.random() * 20)
        if self.jobs[key] != "queued":
            return
        repeat = base64.b64decode(body["text"]) == REPEAT
        now = SimClock(self.loop).now().timestamp()
        fax = Fax(key, str(body["address"]), repeat, now)
        self.calls.append(fax)
        self._tell(key, "sending")
        await asyncio.sleep(5 + draw.random() * 60)
        ending = draw.choice(ENDINGS)
        fax.confirmed = ending == "delivered"
        fax.held = fax.confirmed or (ending == "not-confirmed" and draw.random() < 0.5)
        if draw.random() < CRASHES:  # whether the confirmation was durable by then
            fax.confirmed = fax.confirmed and draw.random() < 0.5
            await asyncio.sleep(2.0)
            self._tell(key, "delivered" if fax.confirmed else "unknown", number=fax.number)
        elif ending in ("delivered", "not-confirmed"):
            stage = "delivered" if fax.confirmed else "unknown"
            self._tell(key, stage, number=fax.number)
        else:
            self._tell(key, "failed", ending, number=fax.number)

    def _tell(self, key: str, stage: str, why: str | None = None, **data: str) -> None:
        self.jobs[key] = stage
        self.last += 1
        at = SimClock(self.loop).now().isoformat()
        words = {"kind": "progress", "key": key, "stage": stage, "why": why, "data": data}
        self.waiting[self.last] = words | {"at": at, "gateway": "", "channel": ""}
        self.news.set()

    async def serve(self, post: GatewayPost) -> None:
        """The connection of one life: everything in order, again until it is stored."""
        while True:
            self.news.clear()
            for seq, body in list(self.waiting.items()):
                await asyncio.sleep(self.chance.delay(1e-4, 0.05))
                await post.take(body, seq)
                self.waiting.pop(seq, None)
            await self.news.wait()

    def judge(self, journal: list[Entry]) -> str:
        """What the journal says, against what the far machines hold; empty words: all is well."""
        if self.waiting:
            return f"{len(self.waiting)} things were never stored"
        confirmed = {fax.attempt for fax in self.calls if fax.confirmed}
        facts = [entry.fact for entry in journal]
        said = {f.subject for f in facts if f.kind == "attempt.delivered" and f.subject}
        if false := sorted(said & self.jobs.keys() - confirmed):
            return f"{false} were called delivered, and nobody confirmed them"
        before: dict[tuple[str, str, int], list[Fax]] = {}
        rounds = _rounds(journal)
        for fax in self.calls:
            order = fax.attempt.rpartition(".")[0]
            earlier = before.setdefault((order, fax.number, rounds.get(fax.attempt, 0)), [])
            if not fax.repeat and any(one.held for one in earlier):
                return f"{fax.attempt}: the sheet is there already, and this one has no mark"
            earlier.append(fax)
        return self._blocked(journal)

    def _blocked(self, journal: list[Entry]) -> str:
        """No number is called when it is known to be a person's; a job may be on its way."""
        for entry in journal:
            fact = entry.fact
            if fact.kind != "fax.blocked":
                continue
            late = [
                fax.attempt
                for fax in self.calls
                if fax.number == fact.subject and fax.at > fact.at.timestamp() + 25.0
            ]
            if late:
                return f"{late} went to {fact.subject}, which was closed"
        return ""


def _rounds(journal: list[Entry]) -> dict[str, int]:
    """Which walk down the ladder each attempt belongs to: a reminder is not the same sheet."""
    reminders: Counter[str] = Counter()
    rounds: dict[str, int] = {}
    for entry in journal:
        subject = entry.fact.subject or ""
        if entry.fact.kind == "order.reminded":
            reminders[subject] += 1
        elif entry.fact.kind == "attempt.queued":
            rounds[subject] = reminders[subject.rpartition(".")[0]]
    return rounds


class SimFax(FaxChannel):
    """Without files."""

    async def _keep_copy(self, attempt: str, tiff: bytes) -> None:
        return


async def paper(sheet: OrderSheet) -> Paper:
    """A sheet that shows nothing but its mark."""
    words = REPEAT if sheet.repeat else b"once"
    return Paper(
        kind=PaperKind.ORDER, name="", title="", pages=1, tiff=words, pdf=b"", html="", text=""
    )


def policy(rules: Any) -> FaxPolicy:
    """At any hour."""
    return FaxPolicy(rules, lambda _: "", "UTC", Path("/nowhere"))
