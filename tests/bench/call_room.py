"""A dispatch room for the benches of the call: a real Asterisk, the daemon as a process of its own,
and SIPp's telephones, which cost this process nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bridge.lab.child import free_port
from bridge.lab.phone import Phone
from bridge.lab.ports import HOST, spare_ports
from bridge.lab.root import cache_dir
from bridge.lab.rootbuild import ensure_root
from bridge.lab.rundir import RunDir
from bridge.lab.sipp import CITIZEN, TELEPHONE, SippRun, start_sipp
from bridge.lab.site import LabSite
from bridge.lab.sounds import make_sounds
from bridge.lab.switch import Switch
from bridge.lab.tones import CITIZEN as CITIZEN_TONE
from bridge.lab.tones import HOTLINE, SEAT
from bridge.lab.world import LEADER, World, make_world, random_secret
from bridge.share import share

Record = dict[str, Any]
STAYS_MS: Final = 600_000
"""A citizen who talks until the bench is over."""
STAYS_S: Final = 7_200
"""Nobody registers these telephones again."""
MANY: Final = 100_000
"""Calls that a telephone of SIPp takes before it ends by itself."""
REGISTERING: Final = 10
"""Telephones that register at the same time."""


@dataclass
class BenchRoom:
    """One world, and the seats that have logged on."""

    world: World
    seats: list[str] = field(default_factory=list)

    async def telephones(self, names: Sequence[str], port: int) -> None:
        """Register `names` for a telephone that answers on `port`, before that one is started."""
        site = self.world.switch.site
        for name in names:
            phone = Phone(name, site.sip_secret, self.server, tone=0, local_port=port)
            await phone.start()
            await phone.register(STAYS_S)
            phone.die()  # registered from the port that SIPp takes over
            await asyncio.sleep(0.01)  # asyncio closes the socket in the loop's next turn

    @property
    def server(self) -> tuple[str, int]:
        return HOST, self.world.ports.sip

    async def log_on(self, names: Sequence[str]) -> None:
        """Call-takers sit down and are ready."""

        async def one(name: str, turn: asyncio.Semaphore) -> None:
            async with turn:
                await self.world.desk(name).log_on(agent=f"agent-{name}")

        turn = asyncio.Semaphore(REGISTERING)
        await asyncio.gather(*(one(name, turn) for name in names))
        self.seats += names

    @contextlib.asynccontextmanager
    async def sipp(
        self,
        scenario: str,
        tone: int,
        port: int = 0,
        calls: int = MANY,
        rate: float = 1.0,
        **more: Any,
    ) -> AsyncIterator[SippRun]:
        """SIPp with one of the laboratory's scenarios."""
        root = self.world.switch.root
        async with start_sipp(
            root, scenario, self.server, values=more, tone=tone, port=port, calls=calls, rate=rate
        ) as run:
            yield run

    async def calls(self, state: str, count: int, within: float) -> list[Mapping[str, Any]]:
        """The live calls in `state`, once there are `count`."""

        async def look() -> Any:
            found = (await self.world.leader.snapshot())["calls"]
            there = [call for call in found if call["state"] == state]
            if len(there) >= count:
                return there
            await asyncio.sleep(0.2)
            return None

        found: list[Mapping[str, Any]] = await self.world.leader.wait_for(
            look, within, f"{count} calls {state}"
        )
        return found


@contextlib.asynccontextmanager
async def open_room(
    seats: int, *, accept: str = "answer", module: str = "bridge"
) -> AsyncIterator[BenchRoom]:
    """Asterisk and daemon with at least that many seats (8001 …) and nobody there yet. `module` is
    the program that is run as the daemon; FAULTS_TASKS_FILE names it a file."""
    names = (*(str(8000 + number) for number in range(1, max(seats, 30) + 1)), LEADER)
    run = RunDir(Path(tempfile.mkdtemp(prefix="bridge110-bench-")))
    try:
        with spare_ports() as ports:
            site = LabSite(ports, random_secret(), random_secret(), seats=names, qualify_s=0)
            switch = Switch(ensure_root(), site, run)
            switch.prepare()
            _let_stay(run.etc / "pjsip.conf")
            prompts = share("dialplans") / "prompts.toml"
            make_sounds(prompts, run.sounds, cache=cache_dir() / "sounds")
            await switch.start()
            world = make_world(switch, accept=accept)
            world.daemon.module = module
            world.daemon.environment = {"FAULTS_TASKS_FILE": str(run.path / "tasks")}
            await world.daemon.start()
            try:
                yield BenchRoom(world)
            finally:
                await world.daemon.stop()
                await switch.stop()
    finally:
        shutil.rmtree(run.path, ignore_errors=True)


def _let_stay(pjsip: Path) -> None:
    """Telephones of SIPp register once, for as long as a bench lasts."""
    text = pjsip.read_text(encoding="utf-8")
    lines, times = re.subn(
        r"(?m)^maximum_expiration = .*$", f"maximum_expiration = {STAYS_S}", text
    )
    if not times:
        raise RuntimeError(f"{pjsip}: no maximum_expiration")
    pjsip.write_text(lines, encoding="utf-8")


@contextlib.asynccontextmanager
async def busy_seats(
    room: BenchRoom, busy: int, spare: int = 0, rate: float = 5.0
) -> AsyncIterator[list[Mapping[str, Any]]]:
    """`busy` citizens talk with as many seats, `spare` seats more are ready. Gives the calls."""
    names = [str(8000 + number) for number in range(1, busy + spare + 1)]
    port = free_port()
    await room.telephones(names, port)
    async with room.sipp(TELEPHONE, SEAT, port):
        await room.log_on(names)
        async with room.sipp(CITIZEN, CITIZEN_TONE, calls=busy, rate=rate, talk_ms=STAYS_MS):
            yield await room.calls("established", busy, 30 + busy / rate)


@contextlib.asynccontextmanager
async def hotline(room: BenchRoom) -> AsyncIterator[None]:
    """12345, with as many desks as calls come."""
    port = free_port()
    await room.telephones(["hotline"], port)
    async with room.sipp(TELEPHONE, HOTLINE, port):
        yield


class Rest:
    """A desk program that keeps its connection, as browsers do, and knows when it sent."""

    def __init__(self, room: BenchRoom, seat: str) -> None:
        self._port, self._token = room.world.ports.http, room.world.tokens[seat]
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Rest:
        self._reader, self._writer = await asyncio.open_connection(HOST, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def post(self, path: str, body: Mapping[str, Any]) -> tuple[float, int]:
        """When the request was written (monotonic second), and the status of its answer."""
        data = json.dumps(body).encode()
        head = (
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: {HOST}:{self._port}\r\n"
            f"Authorization: Bearer {self._token}\r\nIdempotency-Key: {secrets.token_hex(12)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        sent = time.monotonic()
        self._writer.write(head.encode("ascii") + data)
        async with asyncio.timeout(10):
            answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                int(line.partition(":")[2])
                for line in answer.lower().split("\r\n")
                if line.startswith("content-length")
            )
            await self._reader.readexactly(length)
        return sent, int(answer.split()[1])


def quantile(values: Sequence[float], share_below: float) -> float:
    """The value below or at which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share_below * len(ordered)))]


def record(name: str, value: float, unit: str, **more: Any) -> Record:
    """One line of `make bench`."""
    line: Record = {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "baseline": None,
        "worst": None,
        "n": 1,
        "load": round(os.getloadavg()[0], 2),
        **more,
    }
    versions = {"python": platform.python_version(), "asterisk": ensure_root().version}
    return {**line, "versions": versions}
