"""`call.citizen_gap_ms`: the longest pause in what a citizen receives while others come and go.

Telephones of the laboratory talk in a few calls at once; arrival times are the kernel's. A round of
a call is two joins and two leaves: 12345 comes, the seat leaves, the seat comes back, 12345 leaves.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from bridge.lab.call import Call
from bridge.lab.desk_client import DeskClient, leg_of
from bridge.lab.media import MEDIA
from bridge.lab.phone import Phone
from bridge.lab.tones import CITIZEN, HOTLINE, SEAT
from tests.bench.call_room import BenchRoom, Record, open_room, quantile, record

CALLS: Final = 3
ROUNDS: Final = 18
BEFORE_S, AFTER_S = 0.1, 0.4
"""What is looked at besides the time from request to event."""


@dataclass
class Gaps:
    """Milliseconds, one a join or leave."""

    merges: list[float] = field(default_factory=list)
    leaves: list[float] = field(default_factory=list)


@dataclass
class Talk:
    """A citizen with a seat, driven by the seat's desk."""

    citizen: Call
    desk: DeskClient
    id: str
    gaps: Gaps

    async def _watched(self, into: list[float], act: Awaitable[object]) -> None:
        began = time.monotonic() - BEFORE_S
        await act
        ended = time.monotonic() + AFTER_S
        await asyncio.sleep(AFTER_S)
        into.append(1000 * self.citizen.longest_gap(began, ended))

    async def _post(self, service: str, **body: Any) -> None:
        await self.desk.must("POST", f"calls/{self.id}/{service}?wait=8", body)

    async def _clear(self, name: str) -> None:
        leg = leg_of(await self.desk.call(self.id), name)
        await self.desk.must("DELETE", f"legs/{leg['id']}?confirm=true&wait=8")

    async def round(self) -> None:
        """Everybody comes and goes once."""
        seat = f"seat-{self.desk.seat}"
        await self._watched(self.gaps.merges, self._post("three-way", to="12345"))
        await self._watched(self.gaps.leaves, self._clear(seat))
        await self._watched(self.gaps.merges, self._post("join", seat=self.desk.seat))
        await self._watched(self.gaps.leaves, self._clear("hotline"))


async def _talks(room: BenchRoom, gaps: Gaps) -> tuple[list[Talk], list[Phone]]:
    secret = room.world.switch.site.sip_secret
    phones = [Phone("hotline", secret, room.server, tone=HOTLINE)]
    await phones[0].start()
    talks: list[Talk] = []
    for number in range(1, CALLS + 1):
        seat = Phone(str(8000 + number), secret, room.server, tone=SEAT)
        citizen = Phone(str(13_900_000_000 + number), "", room.server, tone=CITIZEN)
        await seat.start()
        await citizen.start()
        phones += [seat, citizen]
        await room.log_on([seat.user])
        call = await citizen.dial("110")
        desk = room.world.desk(seat.user)
        shown: Mapping[str, Any] = await desk.wait_call(citizen.user, "established", 15)
        talks.append(Talk(call, desk, str(shown["id"]), gaps))
    return talks, phones


async def _measure() -> Gaps:
    gaps = Gaps()

    async def rounds(talk: Talk) -> None:
        for _ in range(ROUNDS):
            await talk.round()

    async with open_room(CALLS) as room:
        talks, phones = await _talks(room, gaps)
        await asyncio.gather(*(rounds(talk) for talk in talks))
        for phone in phones:
            await phone.stop()
    return gaps


@cache
def measured() -> Gaps:
    """One run."""
    return asyncio.run(_measure())


def citizen_gap_ms() -> Record:
    """The 99th of a hundred, over joins and leaves together."""
    gaps = measured()
    both = gaps.merges + gaps.leaves
    return record(
        "call.citizen_gap_ms",
        quantile(both, 0.99),
        "ms",
        baseline=20.0,
        worst=round(max(both), 3),
        n=len(both),
        load=f"{CALLS} calls at once; {len(gaps.merges)} merges, median "
        f"{statistics.median(gaps.merges):.1f}, p99 {quantile(gaps.merges, 0.99):.1f} ms; "
        f"{len(gaps.leaves)} leaves, median {statistics.median(gaps.leaves):.1f}, p99 "
        f"{quantile(gaps.leaves, 0.99):.1f} ms; our own packets at most "
        f"{1000 * MEDIA.worst_late_s:.1f} ms late",
    )


BENCHES = {"call.citizen_gap_ms": citizen_gap_ms}
