"""A laboratory that stands: one run directory a base, its info file, and who may be stopped.

The state file names every process of the laboratory by id and start time, so nothing is ever
ended that only happens to have an id of before.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.lab.faxes import Faxes
from bridge.lab.ports import LabPorts, claimed
from bridge.lab.process import Process
from bridge.lab.progress import SetupError, say
from bridge.lab.radios import WIRES, Radios
from bridge.lab.root import cache_dir
from bridge.lab.rootbuild import ensure_root
from bridge.lab.rundir import RunDir
from bridge.lab.site import LabSite
from bridge.lab.sounds import make_sounds
from bridge.lab.switch import Switch
from bridge.lab.world import World, make_world, random_secret, write_info
from bridge.share import share

END_S: Final = 30.0
"""How long a laboratory may take to end when asked."""
KILL_S: Final = 5.0
POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class LabPlace:
    """Where the laboratory of one base keeps everything; it begins anew at each `up`."""

    ports: LabPorts

    @property
    def run(self) -> Path:
        return cache_dir() / f"lab-{self.ports.base}"

    @property
    def info_file(self) -> Path:
        return self.run / "info.json"

    @property
    def state_file(self) -> Path:
        return self.run / "processes.json"

    @property
    def socket(self) -> Path:
        """Where a standing laboratory takes the wish for another call."""
        return self.run / "lab.sock"

    def info(self) -> Mapping[str, Any]:
        """What the info file says. Raises SetupError when no laboratory stands here."""
        if not any(_lives(*one) for one in self.processes()):
            raise SetupError(
                f"基址 {self.ports.base} 没有实验室在运行,请先执行 bridge110 lab up / "
                f"no laboratory runs on base {self.ports.base}: bridge110 lab up"
            )
        try:
            found: Mapping[str, Any] = json.loads(self.info_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SetupError(
                f"{self.info_file}: 实验室尚未就绪,请稍候 / not ready yet, wait a moment ({error})"
            ) from error
        return found

    def processes(self) -> list[tuple[int, int]]:
        """Id and start time of each process, the laboratory's own first; empty if none was."""
        try:
            found = json.loads(self.state_file.read_text(encoding="ascii"))
            return [(int(pid), int(start)) for pid, start in found]
        except (OSError, ValueError, TypeError):
            return []

    def note_processes(self, *pids: int) -> None:
        """Write down ourselves and our children."""
        known = [(pid, _start_time(pid)) for pid in (os.getpid(), *pids)]
        self.state_file.write_text(json.dumps(known), encoding="ascii")

    def down(self) -> bool:
        """End the laboratory's processes, politely first; False when none ran. Blocks."""
        ours = [one for one in self.processes() if _lives(*one) and one[0] != os.getpid()]
        for each, patience in ((ours[:1], END_S), (ours, KILL_S)):
            _signal(each, signal.SIGTERM, patience)
        _signal(ours, signal.SIGKILL, KILL_S)
        return bool(ours)


def _signal(processes: list[tuple[int, int]], number: signal.Signals, patience: float) -> None:
    """To those that still live; waits until they have ended, `patience` seconds at most."""
    for pid, start in processes:
        if _lives(pid, start):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    until = time.monotonic() + patience
    while any(_lives(*one) for one in processes) and time.monotonic() < until:
        time.sleep(POLL_S)


def _start_time(pid: int) -> int:
    """Clock ticks after boot (proc_pid_stat(5), field 22); -1 when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return -1
    after_name = fields.rpartition(")")[2].split()
    return -1 if after_name[0] in ("Z", "X") else int(after_name[19])


def _lives(pid: int, start: int) -> bool:
    return start >= 0 and _start_time(pid) == start


@asynccontextmanager
async def standing(place: LabPlace) -> AsyncIterator[World]:
    """Asterisk, emulated radios, port process and daemon, started; all have ended afterwards.

    Raises SetupError.
    """
    _end_orphans(place)
    with claimed(place.ports):
        shutil.rmtree(place.run, ignore_errors=True)
        place.run.mkdir(parents=True, mode=0o700)
        place.note_processes()
        say("检查 Asterisk", "looking for Asterisk")
        root = ensure_root()
        site = LabSite(place.ports, random_secret(), random_secret())
        switch = Switch(root, site, RunDir(place.run))
        switch.prepare()
        make_sounds(
            share("dialplans") / "prompts.toml", switch.run.sounds, cache=cache_dir() / "sounds"
        )
        radios = Radios(place.run, place.ports.box)
        faxes = Faxes(root, place.run)
        gateways = {**radios.gateways, **faxes.gateways}
        world = make_world(switch, gateways=gateways, wires={**WIRES, **faxes.wires})
        world.devices |= radios.info() | faxes.info()
        world.faxes = faxes.network if faxes.there else None
        try:
            await radios.open()
            await faxes.open()
            await _start(place, world, root.version)
            yield world
        finally:
            say("停止", "stopping")
            await world.daemon.stop()
            await world.standby.stop()
            if world.gateways is not None:
                await world.gateways.stop()
            await radios.close()
            await faxes.close()
            await switch.stop()
            place.state_file.unlink(missing_ok=True)
            place.info_file.unlink(missing_ok=True)


async def _start(place: LabPlace, world: World, version: str) -> None:
    """Every process, each noted as soon as it runs; then until they do their work."""
    processes: list[Process] = []
    if world.gateways is not None:
        say("启动端口进程", "starting the port process")
        await world.gateways.start(wait_up=False)
        processes.append(world.gateways)
        place.note_processes(world.gateways.pid)
    say(f"启动 Asterisk {version}", f"starting Asterisk {version}")
    await world.switch.start()
    place.note_processes(world.switch.pid, *(one.pid for one in processes))
    say("启动守护进程与备援进程", "starting the daemon and its stand-by")
    await world.daemon.start(wait_up=False)
    await world.standby.start(wait_up=False)
    processes += [world.daemon, world.standby]
    place.note_processes(world.switch.pid, *(one.pid for one in processes))
    for one in processes:
        await one.wait_up()
    write_info(world, place.info_file)


def _end_orphans(place: LabPlace) -> None:
    """Children of a laboratory that was killed; never of one that stands."""
    known = place.processes()
    if known and not _lives(*known[0]) and place.down():
        say("已清理上次遗留的进程", "ended what a killed laboratory left behind")
