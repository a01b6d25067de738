"""`call.daemon_cpu`, `call.rss_mb`: what the daemon costs under a busy room's load.

Forty recorded three-party calls are held while one call a second comes, is answered by a free
seat, talks for some seconds and goes. The telephones are SIPp's; the figures are the kernel's.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from bridge.lab.sipp import CITIZEN
from bridge.lab.tones import UNIT
from tests.bench.call_room import BenchRoom, Record, busy_seats, hotline, open_room, record

HELD: Final = 40
SPARE: Final = 8
"""Seats for the calls that come and go: each is taken for talk and wrap-up, four seconds."""
TALK_MS: Final = 2_500
SETTLE_S: Final = 5.0
WATCH_S: Final = 30.0
SLICE_S: Final = 5.0
AT_ONCE: Final = 5


@dataclass
class Cost:
    """Processor time over time and resident memory, of each slice; calls that came and went."""

    cpu: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    switch_cpu: list[float] = field(default_factory=list)
    calls: int = 0
    tracks: int = 0


def processor_s(pid: int) -> float:
    """User and system time of a process with its threads (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory, MiB (proc(5), VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no VmRSS")


async def _three_ways(room: BenchRoom, calls: list[str], seats: list[str]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(call: str, seat: str) -> None:
        async with turn:
            path = f"calls/{call}/three-way?wait=8"
            await room.world.desk(seat).must("POST", path, {"to": "12345"})

    await asyncio.gather(*(one(call, seat) for call, seat in zip(calls, seats, strict=True)))


async def _measure() -> Cost:
    cost = Cost()
    async with (
        open_room(HELD + SPARE) as room,
        hotline(room),
        busy_seats(room, HELD, SPARE) as calls,
    ):
        ids = [str(call["id"]) for call in calls]
        await _three_ways(room, ids, [str(call["seat"]) for call in calls])
        await room.calls("conferenced", HELD, 20)
        async with room.sipp(CITIZEN, UNIT, calls=1_000, rate=1.0, talk_ms=TALK_MS) as citizens:
            await asyncio.sleep(SETTLE_S)
            await _watch(room, cost)
            conferenced = await room.calls("conferenced", HELD, 5)
            if set(ids) - {str(call["id"]) for call in conferenced}:
                raise RuntimeError("a held call did not last")
            cost.calls = (await citizens.stop()).successful
        cost.tracks = len(list(room.world.switch.run.recordings.glob("*.wav")))
    return cost


async def _watch(room: BenchRoom, cost: Cost) -> None:
    process = room.world.daemon.process
    assert process is not None
    pids = (process.pid, room.world.switch.pid)
    for _ in range(round(WATCH_S / SLICE_S)):
        began, before = time.monotonic(), [processor_s(pid) for pid in pids]
        await asyncio.sleep(SLICE_S)
        lasted = time.monotonic() - began
        daemon, switch = (processor_s(pid) - b for pid, b in zip(pids, before, strict=True))
        cost.cpu.append(daemon / lasted)
        cost.switch_cpu.append(switch / lasted)
        cost.rss_mb.append(resident_mb(process.pid))


@cache
def measured() -> Cost:
    """One run for both figures."""
    return asyncio.run(_measure())


def _load(cost: Cost) -> str:
    switch = sum(cost.switch_cpu) / len(cost.switch_cpu)
    return (
        f"{HELD} three-party calls held, {cost.calls} calls came and went, {cost.tracks} tracks, "
        f"{WATCH_S:.0f} s; Asterisk itself {switch:.2f} of a core"
    )


def daemon_cpu() -> Record:
    """Mean over the whole time; worst slice of five seconds."""
    cost = measured()
    return record(
        "call.daemon_cpu",
        sum(cost.cpu) / len(cost.cpu),
        "ratio",
        worst=round(max(cost.cpu), 3),
        n=len(cost.cpu),
        load=_load(cost),
    )


def rss_mb() -> Record:
    """The largest that was seen."""
    cost = measured()
    return record(
        "call.rss_mb",
        max(cost.rss_mb),
        "MiB",
        worst=round(max(cost.rss_mb), 3),
        n=len(cost.rss_mb),
        load=_load(cost),
    )


BENCHES = {"call.daemon_cpu": daemon_cpu, "call.rss_mb": rss_mb}
