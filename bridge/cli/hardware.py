"""`bridge110 hardware`: the devices of this machine, usable without the daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import typer

from bridge.cli import hardware_fax
from bridge.cli.output import AsJson, emit, shown, table
from hardware.port_name import Device, local_devices

app = typer.Typer(help="串口设备 / serial devices, without the daemon", no_args_is_help=True)
app.add_typer(hardware_fax.app, name="fax")

STABLE: Final = ("/dev/serial/by-id", "/dev/serial/by-path")


@app.callback()
def devices() -> None:
    """串口设备 / serial devices, without the daemon."""


@app.command("list")
def list_devices(as_json: AsJson = False) -> None:
    """本机串口及其稳定名称 / the ports of this machine, and the names that stay."""
    found = local_devices()
    names = stable_names()
    documents = [document(device, names) for device in found]
    rows = [
        [str(one["path"]), str(one["name"] or "-"), shown(one["words"]), str(one["usb"] or "-")]
        for one in documents
    ]
    emit(as_json, {"devices": documents}, table(rows) or "没有串口 / no serial ports")


def stable_names() -> dict[str, str]:
    """Kernel's name to the name that stays after plugging, by-id before by-path."""
    names: dict[str, str] = {}
    for place in STABLE:
        for link in sorted(Path(place).glob("*")):
            names.setdefault(os.path.realpath(link), str(link))
    return names


def document(device: Device, names: dict[str, str]) -> dict[str, object]:
    """One port for programs."""
    usb = None if device.vendor is None else f"{device.vendor:04x}:{device.product or 0:04x}"
    return {
        "path": device.path,
        "name": names.get(device.path),
        "usb": usb,
        "serial_number": device.serial_number,
        "words": device.words,
    }
