"""Which names of a port are safe to configure: the same device tomorrow, and only that one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from serial.tools import list_ports

_MOVING: Final = re.compile(r"/dev/tty(USB|ACM)\d+")
_SCHEMES: Final = ("rfc2217", "socket")
BY_ID: Final = "/dev/serial/by-id/"


class PortNameError(ValueError):
    """The name may mean another device tomorrow, or means two today. The text names the mend."""


@dataclass(frozen=True, slots=True)
class Device:
    """A port of this machine. `path` is the kernel's name; the rest is empty where unknown."""

    path: str
    vendor: int | None = None
    product: int | None = None
    serial_number: str | None = None
    place: str | None = None
    """USB bus and plug, and the interface: `1-1.4:1.0`."""
    words: str = ""


def is_network(name: str) -> bool:
    """A port that is reached over TCP."""
    return "://" in name


def local_devices() -> list[Device]:
    """The ports of this machine, as the system lists them. Blocks for some milliseconds."""
    return [
        Device(
            path=found.device,
            vendor=found.vid,
            product=found.pid,
            serial_number=found.serial_number,
            place=found.location,
            words=found.description or "",
        )
        for found in list_ports.comports()
    ]


def check_name(name: str) -> None:
    """Refuse a name that is not stable or not unique on this machine. Raises PortNameError."""
    judge(name, os.path.realpath(name), local_devices() if name.startswith(BY_ID) else ())


def judge(name: str, target: str, devices: Sequence[Device]) -> None:
    """The rule of `check_name`; `target` is where links lead, `devices` what is plugged in."""
    if is_network(name):
        _judge_url(name)
        return
    if any(not c.isprintable() for c in name) or not name.startswith("/"):
        raise PortNameError(f"{name!r}: 需要设备的完整路径 / a full path of a device is needed")
    if _MOVING.fullmatch(name):
        raise PortNameError(
            f"{name}: 编号随插拔变化，请用 / the number changes with plugging, use "
            "/dev/serial/by-path/… or /dev/serial/by-id/… or a udev name"
        )
    if name.startswith(BY_ID):
        twins = _twins(target, devices)
        if twins:
            raise PortNameError(
                f"{name}: 同名设备不止一个，请改用 by-path / the same identity is on "
                f"{', '.join(twins)} too, use /dev/serial/by-path/…"
            )


def _judge_url(name: str) -> None:
    parts = urlsplit(name)
    try:
        good = parts.scheme in _SCHEMES and parts.hostname and parts.port
    except ValueError:
        good = None
    if not good or parts.query or parts.path.strip("/") or parts.username:
        raise PortNameError(f"{name!r}: 需要 / needed: rfc2217://host:port or socket://host:port")


def _twins(target: str, devices: Sequence[Device]) -> list[str]:
    """Other devices that udev would give the same by-id name: same maker, type, serial number and
    interface. Cheap adapters have no serial number at all."""
    ours = next((device for device in devices if device.path == target), None)
    if ours is None:
        return []
    return [
        other.path for other in devices if other is not ours and _identity(other) == _identity(ours)
    ]


def _identity(device: Device) -> tuple[object, ...]:
    interface = (device.place or "").partition(":")[2]
    return device.vendor, device.product, device.serial_number, interface
