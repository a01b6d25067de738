"""A radio gateway for live tests: a line box for key and squelch, the port process that drives it,
and a lab telephone for the gateway's sound line."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bridge.lab.phone import Phone
from bridge.lab.world import World
from hardware.rig.line_box import LineBox

GROUP = "7801"


@dataclass
class Gateway:
    """The radio's side: what is heard there, the squelch, and every movement of the key."""

    box: LineBox
    line: Phone
    process: subprocess.Popen[bytes]

    def moves(self) -> list[tuple[bool, float]]:
        return [(move.level, move.at) for move in self.box.moves if move.line == "rts"]

    @property
    def keyed(self) -> bool:
        return bool(self.box.lines.rts)

    async def wait_key(self, down: bool, within: float) -> float:
        """The moment (loop time) at which the key is so."""
        async with asyncio.timeout(within):
            while self.keyed is not down:
                await asyncio.sleep(0.005)
        return self.moves()[-1][1]


@contextlib.asynccontextmanager
async def gateway_of(
    world: World, line: Phone, *, time_out_s: float = 20
) -> AsyncIterator[Gateway]:
    run = world.switch.run.path
    box = LineBox(random.Random(1))
    await box.open()
    (run / "gateways.toml").write_text(
        f'[radio-1]\ndriver = "line-keyed"\nport = "{box.url}"\nptt = "RTS"\nsquelch = "CTS"\n'
        f"lead_in_s = 0.15\ntail_s = 0.05\ntime_out_s = {time_out_s}\n"
    )
    command = [sys.executable, "-m", "bridge", "ports", "--gateways", str(run / "gateways.toml")]
    command += ["--state", str(run / "ports"), "--socket", str(run / "ports.sock")]
    with (run / "ports.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield Gateway(box, line, process)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)
        await box.close()


def with_radio(world: World) -> None:
    """The daemon's settings with a radio group."""
    run, config = world.switch.run.path, world.daemon.config
    text = config.read_text(encoding="utf-8")
    config.write_text(text + radio_settings(run), encoding="utf-8")


def radio_settings(run: Path) -> str:
    """Settings of a radio group whose port process serves in that directory."""
    return (
        f'\n[ports]\nsocket = "{run}/ports.sock"\n'
        f'[radio_groups.{GROUP}]\ntitle = "城区电台组"\ndial = "PJSIP/radio1"\n'
        'gateway = "radio-1"\nhang_s = 0.4\n'
    )
