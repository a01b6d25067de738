"""A whole laboratory: Asterisk, the daemon as a process of its own, accounts and tokens."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from argon2 import PasswordHasher

from bridge.lab.desk_client import DeskClient
from bridge.lab.faxnet import FaxNetwork
from bridge.lab.ports import HOST, LabPorts
from bridge.lab.process import DaemonProcess, PortsProcess, StandbyProcess
from bridge.lab.settings_file import (
    AMI_FILE,
    CALL_IN,
    GATEWAYS_FILE,
    NO_GATEWAYS,
    NO_WIRES,
    PORTS_SOCKET,
    TOKENS_FILE,
    UNITS_FILE,
    Gateways,
    Wires,
    gateways_toml,
    lab_toml,
    lab_units,
)
from bridge.lab.switch import Switch
from bridge.tokens import TokenRecord, add_token, digest, new_token

LEADER: Final = "8099"
LAB_PIN: Final = "4321"
"""Every unit's PIN on the report line."""


@dataclass
class World:
    """Asterisk and daemon with everything that is needed to reach them."""

    switch: Switch
    daemon: DaemonProcess
    standby: StandbyProcess
    tokens: Mapping[str, str]
    gateways: PortsProcess | None = None
    """Owner of radios and modems, where the laboratory has any."""
    faxes: FaxNetwork | None = None
    """Where the laboratory has modems: the exchange behind them."""
    devices: dict[str, Any] = field(default_factory=dict)
    """For `info`: what stands in for hardware."""

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
            **self.devices,
        }


def make_world(
    switch: Switch,
    *,
    accept: str = "press",
    wrap_up_s: int = 1,
    units: str | None = None,
    gateways: Gateways = NO_GATEWAYS,
    wires: Wires = NO_WIRES,
) -> World:
    """Settings, secrets and tokens beside a prepared switch. Starts nothing.

    `units`: the text of another directory of units. `gateways` are for a port process; `wires` are
    further ways to units of the ordinary directory.
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
        units = lab_units(switch.site.units, PasswordHasher().hash(LAB_PIN), wires)
    (run / UNITS_FILE).write_text(units, encoding="utf-8")
    config = run / "bridge.toml"
    seats = [s for s in switch.site.seats if s != LEADER]
    text = lab_toml(
        ports,
        run,
        seats=seats,
        leaders=[LEADER],
        accept=accept,
        wrap_up_s=wrap_up_s,
        gateways=bool(gateways),
        fax="fax" in gateways,
    )
    config.write_text(text, encoding="utf-8")
    daemon = DaemonProcess(config, ports, tokens[LEADER], log=run / "daemon.log")
    standby = StandbyProcess(config, log=run / "standby.log")
    if not gateways:
        return World(switch, daemon, standby, tokens)
    (run / GATEWAYS_FILE).write_text(gateways_toml(gateways), encoding="utf-8")
    owner = PortsProcess(
        run / GATEWAYS_FILE, run / "ports", run / PORTS_SOCKET, log=run / "ports.log"
    )
    return World(switch, daemon, standby, tokens, owner)


def random_secret() -> str:
    """A laboratory's secret: letters and digits."""
    return secrets.token_hex(12)


def write_info(world: World, path: Path) -> None:
    """Leave the addresses for other commands, readable by the owner alone."""
    text = json.dumps(world.info(), ensure_ascii=False, indent=2)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
