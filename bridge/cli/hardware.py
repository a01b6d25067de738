"""`bridge110 hardware`: the devices of this machine, usable without the daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.cli import hardware_fax, hardware_radio, hardware_rig
from bridge.cli.output import AsJson, CommandError, emit, shown, table
from hardware.fax.replay import ReplayError
from hardware.fax.replay import replay as play_again
from hardware.port_name import Device, local_devices
from hardware.trace import TraceError, read_trace

app = typer.Typer(help="串口设备 / serial devices, without the daemon", no_args_is_help=True)
app.add_typer(hardware_fax.app, name="fax")
hardware_radio.register(app)
hardware_rig.register(app)

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


@app.command()
def replay(
    trace: Annotated[Path, typer.Argument(help="字节记录 / a byte trace")],
    driver: Annotated[str, typer.Option("--driver", help="fax, tetra-pei, map27, sms")] = "fax",
    as_json: AsJson = False,
) -> None:
    """重放字节记录:传真重放给现在的驱动,电台逐条解读 / a trace again: a fax call to the driver of
    today, a radio's read line by line."""
    if driver != "fax":
        hardware_rig.replay(trace, driver, as_json)
        return
    try:
        again = play_again(list(read_trace(trace)))
    except (OSError, TraceError, ReplayError) as error:
        raise CommandError(f"{trace}: 无法重放 / cannot be played again: {error}") from error
    found = again.difference
    document = {
        "outcome": hardware_fax.outcome_document(again.outcome),
        "pages": again.pages,
        "difference": None
        if found is None
        else {"at": found.at.isoformat(), "then": repr(found.then), "now": repr(found.now)},
    }
    words = hardware_fax.outcome_words(again.outcome, again.pages)
    words += (
        "\n与记录逐字节相同 / octet for octet as in the trace"
        if found is None
        else f"\n{found.at.isoformat()}: 记录 / then {found.then!r}, 现在 / now {found.now!r}"
    )
    emit(as_json, document, words)
    if found is not None:
        raise typer.Exit(1)


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
