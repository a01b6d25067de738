"""`halfopen.found_s`: the link to Asterisk swallows both ways, and the desk's event stream says so.

The road between daemon and Asterisk goes dead as a pulled cable does: both ends stay connected and
nothing comes through. Taken is the time until the desk's program has the event.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Final

from bridge.domain.conversation import S
from bridge.lab.rootbuild import ensure_root
from tests.bench.call_room import Record, record
from tests.faults.stage import stage
from tests.faults.states import bring
from tests.faults.stream import stream

ROUNDS: Final = 12
BOUND_S: Final = 3.0
LIMIT_S: Final = 15.0
APART_S: Final = 2.0
"""At most so long after the link is up again; at random, so that no phase is preferred."""


async def _measure() -> list[float]:
    """Calls stand meanwhile: their events flow, as in a room that works."""
    times = []
    chance = random.Random(1)
    async with stage(ensure_root()) as there, stream(there.world) as desk:
        await bring(there, [S.QUEUED, S.TALKING, S.CONFERENCED])
        for _ in range(ROUNDS):
            await asyncio.sleep(chance.uniform(0.5, APART_S))
            await there.ami.be("dead")
            began = time.monotonic()
            told = await desk.until("link.asterisk", LIMIT_S)
            while told["data"]["state"] == "up":
                told = await desk.until("link.asterisk", LIMIT_S)
            times.append(time.monotonic() - began)
            await there.ami.be("open")
            await desk.until("link.asterisk", LIMIT_S, state="up")
    return times


def found_s() -> Record:
    """The worst of ROUNDS."""
    times = asyncio.run(_measure())
    return record(
        "halfopen.found_s",
        max(times),
        "s",
        worst=round(max(times), 3),
        best=round(min(times), 3),
        n=len(times),
        bound=BOUND_S,
        cores=os.cpu_count(),
    )


BENCHES: Final[dict[str, Callable[[], Record]]] = {"halfopen.found_s": found_s}
