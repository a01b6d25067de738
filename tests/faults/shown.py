"""The daemon killed at any moment, again and again, while calls come, are handed over and go."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.faults.programme import CITIZENS, programme
from tests.faults.random_runs import Run
from tests.faults.stage import SEATS, Stage
from tests.faults.witness import NAMED, watch

AT_ONCE: Final = 4
"""Programmes that make calls meanwhile."""
SOON_S, LATE_S = 0.1, 1.6
"""After a start the daemon is killed at a moment between these."""


@dataclass
class Kept:
    """The sum over kills."""

    kills: int = 0
    shown: int = 0
    missing: list[str] = field(default_factory=list)

    def line(self) -> dict[str, Any]:
        """One line of output."""
        return {
            "cell": "shown",
            "state": "random",
            "fault": "daemon killed at any moment",
            "kills": self.kills,
            "shown": self.shown,
            "lost": len(self.missing),
            "detail": "; ".join(self.missing[:NAMED]),
        }


async def kill_and_ask(stage: Stage, seed: int, kills: int) -> Kept:
    """Kill the daemon at so many moments while calls come, are handed over and go."""
    chance = random.Random(seed)
    kept = Kept()
    await asyncio.gather(*(stage.ready(seat) for seat in SEATS))
    traffic = [
        asyncio.ensure_future(_traffic(stage, chance.getrandbits(32), slot))
        for slot in range(AT_ONCE)
    ]
    try:
        for _ in range(kills):
            async with watch(stage) as witness:
                await asyncio.sleep(chance.uniform(SOON_S, LATE_S))
                stage.world.daemon.kill()
            await stage.world.daemon.start()
            kept.kills += 1
            kept.shown += witness.shown
            kept.missing += await witness.missing()
    finally:
        for task in traffic:
            task.cancel()
        await asyncio.gather(*traffic, return_exceptions=True)
        await stage.clear()
    return kept


async def _traffic(stage: Stage, seed: int, slot: int) -> None:
    """One programme after the other, without what is done to the world, for ever."""
    chance = random.Random(seed)
    while True:
        drawn = programme(chance.getrandbits(32))
        steps = tuple(step for step in drawn if step.do not in ("world", "die"))
        run = Run(stage, seed, tuple(replace(s, pause=s.pause / 2) for s in steps), CITIZENS * slot)
        try:
            await run.run()
        finally:
            await _gone(run)


async def _gone(run: Run) -> None:
    """Its citizens hang up and throw their telephones away."""
    for talk in run.talks.values():
        with contextlib.suppress(TimeoutError, RuntimeError):
            async with asyncio.timeout(3.0):
                await talk.phone.stop()
        run.stage.phones.pop(talk.number, None)
        if talk in run.stage.talks:
            run.stage.talks.remove(talk)
