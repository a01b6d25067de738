"""`restart.truth_s`: the daemon is killed with thirty live cases, things happen while it is away,
and it comes back: from its AMI login until every case is right on the desk.

What is right is asked of Asterisk's own console, never of the daemon: who is in a bridge with whom.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.bench.call_room import BenchRoom, Record, busy_seats, hotline, open_room, record
from tests.faults.truth import POLL_S

CASES: Final = 30
CONFERENCED: Final = 10
ENDED_AWAY: Final = 4
"""Citizens who hang up while the daemon is away."""
LEFT_AWAY: Final = 4
"""Thirds who leave a conference meanwhile."""
ROUNDS: Final = 5
AWAY_S: Final = 1.0
LIMIT_S: Final = 10.0
LOOK_S: Final = 0.02
BOUND_S: Final = 2.0

Parties = Mapping[str, frozenset[str]]
"""By citizen's channel id: the ids of all channels in the same bridge."""


async def on_the_switch(room: BenchRoom) -> Parties:
    """Who is with whom, by Asterisk's console: every citizen's bridge and its channels."""
    text = await room.world.switch.console("core show channels concise")
    bridges: dict[str, set[str]] = defaultdict(set)
    citizens: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split("!")
        if len(fields) < 14:
            continue
        name, bridge, unique = fields[0], fields[12], fields[13]
        if bridge:
            bridges[bridge].add(unique)
        if name.startswith("PJSIP/trunk-"):
            citizens[unique] = bridge
    return {unique: frozenset(bridges[bridge]) for unique, bridge in citizens.items()}


def on_the_desk(snapshot: Mapping[str, Any]) -> Parties:
    """The same by the desk: live cases and the legs that are in the citizen's bridge."""
    found = {}
    for call in snapshot["calls"]:
        citizen = next(leg for leg in call["legs"] if leg["id"] == call["id"])
        there = {leg["id"] for leg in call["legs"] if leg["bridge"] == citizen["bridge"]}
        fits = {2: "established", 3: "conferenced"}.get(len(there))
        found[call["id"]] = frozenset(there if call["state"] == fits else ())
    return found


def logged_in_at(log: Path, after: float) -> float | None:
    """When the daemon last told that it was signed in (POSIX seconds), after that moment."""
    for line in reversed(log.read_text(errors="replace").splitlines()):
        if '"ami.up"' in line:
            stamp = json.loads(line)["timestamp"]
            at = datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()
            return at if at > after else None
    return None


async def _once(room: BenchRoom) -> float:
    """One kill and return, in seconds from the login to the truth. Raises TimeoutError."""
    world = room.world
    world.daemon.kill()
    before = await on_the_switch(room)
    conferences = [unique for unique, parties in before.items() if len(parties) == 3]
    pairs = [unique for unique, parties in before.items() if len(parties) == 2]
    legs = await _channel_names(room)
    for unique in pairs[:ENDED_AWAY]:
        await _hang_up(room, legs[unique])
    for unique in conferences[:LEFT_AWAY]:
        third = next(u for u in before[unique] if legs[u].startswith("PJSIP/hotline-"))
        await _hang_up(room, legs[third])
    await asyncio.sleep(AWAY_S)
    began = time.time()
    await world.daemon.start(wait_up=False)
    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends:
        try:
            snapshot = await world.leader.snapshot()
        except (OSError, RuntimeError, ValueError):
            await asyncio.sleep(LOOK_S)
            continue
        at = time.time()
        login = logged_in_at(world.daemon.log, began)
        if login is not None and on_the_desk(snapshot) == await on_the_switch(room):
            return at - login
        await asyncio.sleep(LOOK_S)
    raise TimeoutError(f"the desk was not right {LIMIT_S:g} s after the start")


async def _channel_names(room: BenchRoom) -> dict[str, str]:
    text = await room.world.switch.console("core show channels concise")
    rows = [line.split("!") for line in text.splitlines()]
    return {row[13]: row[0] for row in rows if len(row) >= 14}


async def _hang_up(room: BenchRoom, channel: str) -> None:
    await room.world.switch.console(f"channel request hangup {channel}")


async def _fill(room: BenchRoom, seats: Mapping[str, str]) -> None:
    """A third joins the first of the pairs, until there are as many conferences as meant."""
    parties = await on_the_switch(room)
    missing = CONFERENCED - sum(1 for one in parties.values() if len(one) == 3)
    pairs = [unique for unique, one in parties.items() if len(one) == 2][:missing]
    for unique in pairs:
        desk = room.world.desk(seats[unique])
        await desk.must("POST", f"calls/{unique}/three-way?wait=8", {"to": "12345"})
    await room.calls("conferenced", CONFERENCED, 20)


async def _measure() -> list[float]:
    times = []
    async with (
        open_room(CASES + ROUNDS * ENDED_AWAY) as room,
        hotline(room),
        busy_seats(room, CASES + (ROUNDS - 1) * ENDED_AWAY) as calls,
    ):
        seats = {str(call["id"]): str(call["seat"]) for call in calls}
        for _ in range(ROUNDS):
            await _fill(room, seats)
            times.append(await _once(room))
            await asyncio.sleep(POLL_S)
    return times


def truth_s() -> Record:
    """The worst of ROUNDS kills; each with at least thirty live cases."""
    times = asyncio.run(_measure())
    return record(
        "restart.truth_s",
        max(times),
        "s",
        worst=round(max(times), 3),
        best=round(min(times), 3),
        n=len(times),
        bound=BOUND_S,
        cases=CASES,
        cores=os.cpu_count(),
    )


BENCHES: Final[dict[str, Callable[[], Record]]] = {"restart.truth_s": truth_s}

if __name__ == "__main__":
    print(json.dumps(truth_s(), ensure_ascii=False))
