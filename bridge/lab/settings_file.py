"""The `bridge.toml` of a laboratory: the shipped one's keys with this laboratory's values. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bridge.lab.ports import HOST, LabPorts
from bridge.lab.rundir import RunDir

AMI_FILE: Final = "ami-secret"
"""Holds the secret of the AMI account; mode 0600."""
TOKENS_FILE: Final = "tokens.jsonl"
STORE_FILE: Final = "bridge110.db"
UNITS_FILE: Final = "units.toml"
GATEWAYS_FILE: Final = "gateways.toml"
PORTS_SOCKET: Final = "ports.sock"
FAXES: Final = "faxes"
"""Pages received by fax, and copies of those sent."""
CALL_IN: Final = "7110"
"""Where units call to report."""
UNITS: Final = tuple(str(number) for number in range(6001, 6011))
"""The accounts that `LabSite` has."""

NON_POLICE: Final = "8010"
"""The one seat for requests that are no police matter (SB-37)."""

Value = bool | int | str | Sequence[str]
Gateways = Mapping[str, Mapping[str, Value]]
"""Name of a gateway to its keys in the file of gateways."""
Wires = Mapping[str, Mapping[str, Value]]
"""Unit to keys of its entry: `sms`, `fax`, `radio.ssi` …"""
NO_GATEWAYS: Final[Gateways] = {}
NO_WIRES: Final[Wires] = {}


def lab_toml(
    ports: LabPorts,
    run_dir: Path,
    *,
    seats: Sequence[str] = ("8001-8030",),
    leaders: Sequence[str] = (),
    units: Sequence[str] = UNITS,
    accept: str = "press",
    wrap_up_s: int = 5,
    ballast_mb: int = 0,
    zone: str = "Asia/Shanghai",
    gateways: bool = False,
    fax: bool = False,
) -> str:
    """Settings for a daemon beside the Asterisk of `run_dir` (a RunDir's path), and beside a port
    process where there are gateways.

    Below `run_dir` the laboratory puts the AMI secret (`ami-secret`, mode 0600), the tokens
    (`tokens.jsonl`) and the store (`bridge110.db`).
    """
    run = RunDir(run_dir)
    origins = [f"http://{HOST}:{ports.http}", f"http://localhost:{ports.http}"]
    parts: dict[str, Mapping[str, Value]] = {
        "site": {"name": "lab", "zone": zone, "numbers": ["110"]},
        "ami": {
            "host": HOST,
            "port": ports.ami,
            "username": "bridge110",
            "secret_file": str(run_dir / AMI_FILE),
            "tls": False,
        },
        "fastagi": {"host": HOST, "port": ports.fastagi},
        "http": {
            "host": HOST,
            "port": ports.http,
            "origins": origins,
            "hosts": [HOST, "localhost"],
            "tokens_file": str(run_dir / TOKENS_FILE),
        },
        "store": {"path": str(run_dir / STORE_FILE), "ballast_mb": ballast_mb},
        "asterisk": {
            "etc": str(run.etc),
            "recordings": str(run.recordings),
            "cel_file": str(run.cel_file),
            "sounds": str(run.sounds),
        },
        "seats": {"ids": list(seats), "leaders": list(leaders), "wrap_up_s": wrap_up_s},
        "seats.groups": {"nonpolice": [NON_POLICE]},
        "desks.12345": _party("12345 政务服务便民热线", "PJSIP/12345@hotline", accept, 20),
    }
    for unit in units:
        parts[f"units.{unit}"] = _party(f"联动单位 {unit}", f"PJSIP/{unit}", accept, 20)
    parts["orders"] = {
        "units_file": str(run_dir / UNITS_FILE),
        "centre": "社会应急联动指挥中心",
        "centre_number": CALL_IN,
        "spoken": str(run_dir / "spoken"),
        "phone_lines": 8,
        "check_hours": 24,
    }
    if gateways:
        parts["ports"] = {"socket": str(run_dir / PORTS_SOCKET)}
    if fax:
        parts["fax"] = {"inbox": str(run_dir / FAXES)}
    return "\n".join(_table(name, keys) for name, keys in parts.items())


def gateways_toml(gateways: Gateways) -> str:
    """The file of gateways for the port process."""
    return "\n".join(_table(name, keys) for name, keys in gateways.items())


def lab_units(units: Sequence[str] = UNITS, pin: str = "", wires: Wires = NO_WIRES) -> str:
    """The directory of units of a laboratory: one a duty phone; the second is above the first.

    `pin` is the hash of the PIN for reports by phone, the same for all.
    """
    made = []
    for number, unit in enumerate(units):
        keys: dict[str, Value] = {
            "name": f"联动单位 {unit}",
            "tier": 1 if number < len(units) - 1 else 3,
            "duty_phone": [f"PJSIP/{unit}"],
        }
        keys |= {"report_pin": pin} if pin else {}
        keys |= {"deputy": units[1]} if number == 0 and len(units) > 1 else {}
        keys |= wires.get(unit, {})
        made.append(_table(f"units.{unit}", keys))
        made.append(_table(f"units.{unit}.terminal", {"users": [f"unit-{unit}"]}))
    return "\n".join(made)


def _party(title: str, dial: str, accept: str, ring_timeout_s: int) -> Mapping[str, Value]:
    return {"title": title, "dial": dial, "accept": accept, "ring_timeout_s": ring_timeout_s}


def _table(name: str, keys: Mapping[str, Value]) -> str:
    """JSON's strings, numbers, booleans and lists of these are TOML's too."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    return "\n".join([f"[{name}]", *lines, ""])
