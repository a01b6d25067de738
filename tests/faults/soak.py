"""`make faults SOAK=minutes`: one call a second for so long, and nothing of the daemon may grow.

First many calls fill what is bounded (the events kept for clients that come back, the calls that
can still be asked for). Then the room is left in peace and memory, open files and tasks are taken;
then the soak; then they are taken again in the same peace. At the end the switch's log and the
journal must agree about every call that SIPp made.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bridge.flows.view import OVER_KEPT, RING
from bridge.lab.child import free_port
from bridge.lab.sipp import CITIZEN, TELEPHONE
from bridge.lab.tones import SEAT, UNIT
from bridge.settings.file import load
from tests.bench.call_load import resident_mb
from tests.bench.call_room import BenchRoom, open_room
from tests.faults.counted import EVERY_S, VARIABLE

SEATS: Final = 34
TALK_MS: Final = 2_500
RATE: Final = 1.0
FILL_RATE: Final = 6.0
FILL_S: Final = 600.0
PEACE_S: Final = 20.0
"""Longer than wrap-up, closing of recordings and every time-out of an idle connection."""
LOOK_S: Final = 10.0
GROWTH_MB: Final = 5.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the daemon holds."""

    rss_mb: float
    files: int
    tasks: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What it held before and after, and what became of the calls."""

    minutes: float
    before: Footprint
    after: Footprint
    made: int
    """Calls that SIPp made, those of the filling too."""
    sum_: dict[str, Any]
    """`bridge110 reconcile --json`."""

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that were not kept, in words."""
        found = []
        grown = self.after.rss_mb - self.before.rss_mb
        if grown > GROWTH_MB:
            found.append(f"memory + {grown:.1f} MB > {GROWTH_MB:g}")
        if self.after.files > self.before.files:
            found.append(f"open files {self.before.files} → {self.after.files}")
        if self.after.tasks > self.before.tasks:
            found.append(f"tasks {self.before.tasks} → {self.after.tasks}")
        if not self.sum_["exact"] or self.sum_["waiting"]:
            found.append(f"switch and journal differ: {self.sum_['differences']}")
        if self.sum_["came_in"] != self.made:
            found.append(f"{self.made} calls were made, {self.sum_['came_in']} came in")
        return tuple(found)

    def json(self) -> dict[str, Any]:
        """One line of output."""
        return {
            "cell": "soak",
            "minutes": round(self.minutes, 1),
            "calls": self.made,
            "delivered": self.sum_["delivered"],
            "rss_mb": [round(one.rss_mb, 1) for one in (self.before, self.after)],
            "files": [self.before.files, self.after.files],
            "tasks": [self.before.tasks, self.after.tasks],
            "exact": self.sum_["exact"],
        }


class _Soak:
    def __init__(self, room: BenchRoom, tasks: Path) -> None:
        self._room = room
        self._tasks = tasks
        self.made = 0

    def footprint(self) -> Footprint:
        process = self._room.world.daemon.process
        assert process is not None
        files = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        return Footprint(resident_mb(process.pid), files, int(self._tasks.read_text()))

    async def fill(self) -> None:
        """Until everything that is bounded is full."""
        kept: set[str] = set()
        async with self._room.sipp(
            CITIZEN, UNIT, calls=100_000, rate=FILL_RATE, talk_ms=TALK_MS
        ) as citizens:
            ends = time.monotonic() + FILL_S
            while time.monotonic() < ends:
                shown = await self._room.world.leader.snapshot()
                kept |= {call["id"] for call in shown["calls"]}
                if shown["seq"] > 1.1 * RING and len(kept) > 1.1 * OVER_KEPT:
                    break
                await asyncio.sleep(1.0)
            self.made += (await citizens.stop()).created

    async def hold(self, minutes: float) -> None:
        """One call a second."""
        async with self._room.sipp(
            CITIZEN, UNIT, calls=100_000, rate=RATE, talk_ms=TALK_MS
        ) as citizens:
            ends = time.monotonic() + 60 * minutes
            while time.monotonic() < ends:
                await asyncio.sleep(min(LOOK_S, max(0.1, ends - time.monotonic())))
                print(f"{(ends - time.monotonic()) / 60:5.1f} min: {self.footprint()}",
                      file=sys.stderr, flush=True)  # fmt: skip
            self.made += (await citizens.stop()).created

    async def in_peace(self) -> Footprint:
        await asyncio.sleep(PEACE_S)
        shown = await self._room.world.leader.snapshot()
        if shown["calls"]:
            raise RuntimeError(f"{len(shown['calls'])} calls are still there")
        await asyncio.sleep(2 * EVERY_S)  # our own connection is closed, the tasks are counted
        return self.footprint()


async def soak(minutes: float) -> Soaked:
    """All of it. Raises RuntimeError where the room does not come to rest."""
    begun = datetime.now(UTC)
    names = [str(8000 + number) for number in range(1, SEATS + 1)]
    port = free_port()
    async with open_room(SEATS, module="tests.faults.counted") as room:
        await room.telephones(names, port)
        async with room.sipp(TELEPHONE, SEAT, port):
            await room.log_on(names)
            work = _Soak(room, Path(room.world.daemon.environment[VARIABLE]))
            await work.fill()
            before = await work.in_peace()
            print(f"before: {before}", file=sys.stderr, flush=True)
            await work.hold(minutes)
            after = await work.in_peace()
            return Soaked(minutes, before, after, work.made, await _sum(room, begun))


async def _sum(room: BenchRoom, begun: datetime) -> dict[str, Any]:
    """`bridge110 reconcile` of every local day that the soak touched, added up."""
    zone = load(room.world.daemon.config).site.tz
    day, last = begun.astimezone(zone).date(), datetime.now(zone).date()
    found: dict[str, Any] = dict.fromkeys(("came_in", "delivered", "waiting"), 0)
    found |= {"exact": True, "differences": []}
    while day <= last:
        told = await _reconcile(room, day)
        for word in ("came_in", "delivered", "waiting"):
            found[word] += told[word]
        found["exact"] = found["exact"] and told["exact"]
        found["differences"] += told["differences"]
        day += timedelta(days=1)
    return found


async def _reconcile(room: BenchRoom, day: date) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "reconcile", "--json", "--day", day.isoformat()),
        *("--config", str(room.world.daemon.config)),
        stdout=asyncio.subprocess.PIPE,
    )
    text, _ = await process.communicate()
    told: dict[str, Any] = json.loads(text)
    return told
