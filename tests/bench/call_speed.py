"""`call.added_ms`, `call.added_p99_ms`: what the daemon adds between click and third's INVITE.

Thirty seats talk. In turns, a desk asks by REST for the three-way, and a bare script makes the same
three AMI actions for another call by a session of its own; both end when the INVITE is at 12345's
own socket, which answers at once. What is left after the script's time and one fdatasync of the
store's disk is ours: HTTP, idempotency, decision, the commit beside its sync, the way out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from bridge.lab.phone import Phone
from bridge.lab.ports import HOST
from bridge.lab.tones import HOTLINE
from tests.bench.call_room import BenchRoom, Record, Rest, busy_seats, open_room, quantile, record

SEATS: Final = 30
TURNS: Final = 160
WARM_UP: Final = 10
PAUSE_S: Final = 0.06
"""Between two turns, so that nothing of the last one is still at work."""
SYNC_BYTES: Final = 4_120
"""One WAL frame with its header: what the store appends before its sync."""


class BareScript:
    """A few lines around a socket: the three AMI actions, without intent, key, or record."""

    def __init__(self, room: BenchRoom) -> None:
        self._room = room
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> BareScript:
        ports, site = self._room.world.ports, self._room.world.switch.site
        self._reader, self._writer = await asyncio.open_connection(HOST, ports.ami)
        await self._reader.readline()
        secret = {"Username": "bridge110", "Secret": site.ami_secret, "Events": "off"}
        self._send("Login", secret)
        await self._answers(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def three_way(self, call: Mapping[str, Any]) -> float:
        """Lock, look for a key, originate. Gives when it began (monotonic second)."""
        citizen = str(call["channel"])
        began = time.monotonic()
        until = str(int(time.time()) + 22)
        shared = {"Channel": citizen, "Variable": "SHARED(JOINING)", "Value": until}
        self._send("Setvar", shared)
        self._send("Getvar", {"Channel": citizen, "Variable": "SHARED(KEYED)"})
        await self._answers(2)
        leg = {
            "Channel": "PJSIP/12345@hotline",
            "ChannelId": f"bench-{secrets.token_hex(8)}",
            "Context": "leg-answers",
            "Exten": "s",
            "Priority": "1",
            "Timeout": "20000",
            "CallerID": f"{call['number']} <{call['number']}>",
            "Async": "true",
        }
        variables = (
            f"__CASE={call['id']}",
            f"__CITIZEN={citizen}",
            "LEG=hotline",
            "HANDOFF=bench",
            f"PJSIP_HEADER(add,X-Case-Id)={call['id']}",
        )
        self._send("Originate", leg, variables)
        await self._answers(1)
        return began

    def _send(self, action: str, headers: Mapping[str, str], variables: Sequence[str] = ()) -> None:
        lines = [f"Action: {action}", *(f"{name}: {value}" for name, value in headers.items())]
        lines += [f"Variable: {variable}" for variable in variables]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())

    async def _answers(self, count: int) -> None:
        async with asyncio.timeout(5):
            while count:
                block = await self._reader.readuntil(b"\r\n\r\n")
                if block.startswith(b"Response: Error"):
                    raise RuntimeError(block.decode(errors="replace"))
                count -= block.startswith(b"Response:")


@dataclass
class Found:
    """Milliseconds of each turn."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    syncs: list[float] = field(default_factory=list)


def one_sync(file: int) -> float:
    """Milliseconds of an append and its fdatasync."""
    began = time.perf_counter()
    os.write(file, bytes(SYNC_BYTES))
    os.fdatasync(file)
    return 1000 * (time.perf_counter() - began)


async def _third(phone: Phone, began: float) -> float:
    """Milliseconds from `began` to the INVITE. The leg has talked and is gone afterwards."""
    call = await phone.wait_call(5)
    await call.wait_answered(5)
    await asyncio.sleep(PAUSE_S)
    await call.hangup()
    await asyncio.sleep(PAUSE_S)
    return 1000 * (call.invite_at - began)


async def _measure() -> Found:
    found = Found()
    async with open_room(SEATS) as room, busy_seats(room, SEATS) as calls:
        site = room.world.switch.site
        phone = Phone("hotline", site.sip_secret, room.server, tone=HOTLINE)
        await phone.start()
        with (Path(room.world.switch.run.path) / "bare-disk").open("ab", buffering=0) as disk:
            async with BareScript(room) as script, contextlib.AsyncExitStack() as open_desks:
                desks = [
                    await open_desks.enter_async_context(Rest(room, str(call["seat"])))
                    for call in calls
                ]
                for turn in range(WARM_UP + TURNS):
                    mine, theirs = 2 * turn % SEATS, (2 * turn + 1) % SEATS
                    path = f"calls/{calls[mine]['id']}/three-way"
                    began, status = await desks[mine].post(path, {"to": "12345"})
                    if status != 202:
                        raise RuntimeError(f"the daemon answered {status}")
                    found.ours.append(await _third(phone, began))
                    began = await script.three_way(calls[theirs])
                    found.bare.append(await _third(phone, began))
                    found.syncs.append(await asyncio.to_thread(one_sync, disk.fileno()))
        await phone.stop()
    for values in (found.ours, found.bare, found.syncs):
        del values[:WARM_UP]
    return found


@cache
def measured() -> Found:
    """One run for both figures."""
    return asyncio.run(_measure())


def _line(name: str, share_below: float) -> Record:
    found = measured()

    def figure(values: list[float]) -> float:
        if share_below == 0.5:
            return statistics.median(values)
        return quantile(values, share_below)

    bare, sync = figure(found.bare), figure(found.syncs)
    return record(
        name,
        figure(found.ours) - bare - sync,
        "ms",
        baseline=round(bare, 3),
        worst=round(max(found.ours) - statistics.median(found.bare), 3),
        n=len(found.ours),
        load=f"{SEATS} seats talking; ours {figure(found.ours):.2f} ms, bare script {bare:.2f} ms, "
        f"one fdatasync {sync:.2f} ms",
    )


def added_ms() -> Record:
    """Median."""
    return _line("call.added_ms", 0.5)


def added_p99_ms() -> Record:
    """The 99th of a hundred, of ours, of the script's and of the disk's."""
    return _line("call.added_p99_ms", 0.99)


BENCHES = {"call.added_ms": added_ms, "call.added_p99_ms": added_p99_ms}
