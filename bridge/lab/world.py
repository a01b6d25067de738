"""A whole laboratory: Asterisk, the daemon as a process of its own, accounts and tokens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from argon2 import PasswordHasher

from bridge.lab.desk_client import DeskClient
from bridge.lab.ports import HOST, LabPorts
from bridge.lab.progress import SetupError
from bridge.lab.settings_file import AMI_FILE, CALL_IN, TOKENS_FILE, UNITS_FILE, lab_toml, lab_units
from bridge.lab.switch import Switch
from bridge.tokens import TokenRecord, add_token, digest, new_token

START_S: Final = 15.0
STOP_S: Final = 10.0
LEADER: Final = "8099"
LAB_PIN: Final = "4321"
"""Every unit's PIN on the report line."""


@dataclass
class DaemonProcess:
    """The daemon, as systemd would run it: it can be killed at any moment and started again."""

    config: Path
    ports: LabPorts
    token: str
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    module: str = "bridge"
    """What is run: the product, or a test's program around it."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def start(self, *, wait_up: bool = True) -> None:
        """Start it, and wait until its desk answers and its link is up. Raises SetupError."""
        self.process = self._launch()
        if wait_up:
            await self.wait_up()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", self.module, "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    async def wait_up(self) -> None:
        """Until the desk answers and the link to Asterisk is up. Raises SetupError."""
        desk = DeskClient(HOST, self.ports.http, self.token)

        async def look() -> bool:
            if not self.running:
                raise SetupError(
                    f"守护进程已退出 / the daemon ended; see {self.log}:\n{self._tail()}"
                )
            try:
                health = await desk.must("GET", "health")
            except (OSError, RuntimeError):
                return False
            return bool(health["links"].get("asterisk", {}).get("state") == "up")

        try:
            await desk.wait_for(look, START_S, "daemon up")
        except TimeoutError as error:
            raise SetupError(f"{error}; see {self.log}:\n{self._tail()}") from error

    def kill(self) -> None:
        """Without a word (SIGKILL)."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def stop(self) -> int:
        """Ask it to stop; its exit status."""
        if self.process is None:
            return 0
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-2000:]
        return ""


@dataclass
class World:
    """Asterisk and daemon with everything that is needed to reach them."""

    switch: Switch
    daemon: DaemonProcess
    tokens: Mapping[str, str]

    @property
    def ports(self) -> LabPorts:
        return self.switch.site.ports

    def desk(self, seat: str) -> DeskClient:
        """The program of a call-taker (or of the leader, seat 8099)."""
        return DeskClient(HOST, self.ports.http, self.tokens[seat], seat)

    @property
    def leader(self) -> DeskClient:
        return self.desk(LEADER)

    def info(self) -> dict[str, Any]:
        """Every address, port, account and lab secret (`bridge110 lab info --json`)."""
        site, ports = self.switch.site, self.ports
        return {
            "sip": f"sip:{HOST}:{ports.sip}",
            "citizens_dial": f"sip:110@{HOST}:{ports.sip}",
            "ami": {
                "host": HOST,
                "port": ports.ami,
                "username": "bridge110",
                "secret": site.ami_secret,
            },
            "fastagi": f"agi://{HOST}:{ports.fastagi}",
            "http": f"http://{HOST}:{ports.http}/",
            "trunk_robot": f"{HOST}:{ports.trunk}",
            "rtp": [ports.rtp.start, ports.rtp.stop - 1],
            "sip_secret": site.sip_secret,
            "seats": list(site.seats),
            "hotline": {"account": "hotline", "dialled": "12345"},
            "units": list(site.units),
            "report_line": {"dialled": CALL_IN, "pin": LAB_PIN},
            "tokens": dict(self.tokens),
            "config": str(self.daemon.config),
            "run_dir": str(self.switch.run.path),
            "recordings": str(self.switch.run.recordings),
            "cel_file": str(self.switch.run.cel_file),
            "daemon_log": str(self.daemon.log),
        }


def make_world(
    switch: Switch, *, accept: str = "press", wrap_up_s: int = 1, units: str | None = None
) -> World:
    """Settings, secrets and tokens beside a prepared switch. Starts nothing.

    `units`: the text of another directory of units.
    """
    run, ports = switch.run.path, switch.site.ports
    secret = run / AMI_FILE
    secret.write_text(switch.site.ami_secret + "\n")
    secret.chmod(0o600)
    tokens: dict[str, str] = {}
    for seat in switch.site.seats:
        tokens[seat] = new_token()
        record = TokenRecord(
            name=f"lab-{seat}",
            role="L" if seat == LEADER else "T",
            seat=seat,
            sha256=digest(tokens[seat]),
        )
        add_token(run / TOKENS_FILE, record)
    for unit in switch.site.units:
        name = f"unit-{unit}"
        tokens[name] = new_token()
        add_token(run / TOKENS_FILE, TokenRecord(name=name, role="U", sha256=digest(tokens[name])))
    if units is None:
        units = lab_units(switch.site.units, pin=PasswordHasher().hash(LAB_PIN))
    (run / UNITS_FILE).write_text(units, encoding="utf-8")
    config = run / "bridge.toml"
    seats = [s for s in switch.site.seats if s != LEADER]
    config.write_text(
        lab_toml(ports, run, seats=seats, leaders=[LEADER], accept=accept, wrap_up_s=wrap_up_s),
        encoding="utf-8",
    )
    daemon = DaemonProcess(config, ports, tokens[LEADER], run / "daemon.log")
    return World(switch, daemon, tokens)


def random_secret() -> str:
    """A laboratory's secret: letters and digits."""
    return secrets.token_hex(12)


def write_info(world: World, path: Path) -> None:
    """Leave the addresses for other commands, readable by the owner alone."""
    text = json.dumps(world.info(), ensure_ascii=False, indent=2)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
