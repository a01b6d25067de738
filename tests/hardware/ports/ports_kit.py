"""The port process on an emulated terminal, with the daemon's client on its socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.channels.ports_client import PortsClient
from hardware.gateways import read_gateways
from hardware.ports.journal import Journal
from hardware.ports.process import PortProcess
from hardware.ports.server import PortServer
from hardware.rig.air import Air
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from tests.hardware.pty_kit import until

OFFICER = "2269001"
MODEL = """words = "quick"
answer_s = 15.0
probe_s = 0.3
sent_wait_s = 5.0
init = ["ATZ", "ATE0", "AT+CTSP=1,3,130", "AT+CTSP=1,3,137", "AT+CTSP=1,3,138", "AT+CTSP=1,2,20"]
"""


@dataclass
class Terminal:
    """The radio at the far end of the pty; it outlives the port process."""

    radio: PeiTerminal
    pty: PtyEnd
    air: Air


@asynccontextmanager
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    air = Air()
    pty = PtyEnd(lambda data: radio.feed(data), random.Random(7))
    radio = PeiTerminal(pty.write, air, Behaviour())
    pty.link(tmp_path / "radio-1")
    (tmp_path / "quick.toml").write_text(MODEL)
    (tmp_path / "gateways.toml").write_text(
        f'[radio-1]\ndriver = "tetra-pei"\nmodel = "{tmp_path}/quick.toml"\n'
        f'port = "{tmp_path}/radio-1"\n'
    )
    try:
        yield Terminal(radio, pty, air)
    finally:
        radio.close()
        pty.close()


@dataclass
class Owner:
    """The daemon's side: everything it has stored, in order."""

    client: PortsClient
    things: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)

    def stages(self, key: str) -> list[str]:
        bodies = [body for _, body in self.things]
        return [str(b["stage"]) for b in bodies if b["kind"] == "progress" and b["key"] == key]

    async def wait_stage(self, key: str, stage: str) -> None:
        await until(lambda: stage in self.stages(key))


@asynccontextmanager
async def owner(socket: Path) -> AsyncIterator[Owner]:
    things: list[tuple[int, Mapping[str, Any]]] = []

    async def take(body: Mapping[str, Any], seq: int) -> None:
        things.append((seq, body))

    client = PortsClient(socket, take)
    running = asyncio.ensure_future(client.run())
    try:
        yield Owner(client, things)
    finally:
        running.cancel()
        await asyncio.wait((running,))


@asynccontextmanager
async def process(tmp_path: Path, journal: Path | None = None) -> AsyncIterator[PortProcess]:
    """One life of the port process on the journal there."""
    gateways = read_gateways(tmp_path / "gateways.toml")
    made = PortProcess(
        gateways,
        Journal(journal or tmp_path / "ports.journal"),
        rng=random.Random(3),
        now=lambda: datetime.now(UTC),
    )
    await made.open()
    server = PortServer(made, tmp_path / "ports.sock")
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.run(stop))
        tasks.create_task(server.run(stop))
        try:
            await until(lambda: made.drivers["radio-1"].health.usable)
            yield made
        finally:
            stop.set()


def job(key: str, text: str = "出警：中山路12号", address: str = OFFICER) -> dict[str, Any]:
    return {"key": key, "channel": "radio", "address": address, "text": text, "urgent": False}
