"""A small Debian with systemd, in which the service is booted for the tests.

Nothing of the machine itself is used or changed: it is unpacked into the cache beside Asterisk's
root, and every boot has a layer of its own above it.
"""

from __future__ import annotations

import os
import platform
from hashlib import sha256
from pathlib import Path
from typing import Final

from bridge.lab import debstrap
from bridge.lab.packages import ensure_programs
from bridge.lab.progress import SetupError, say
from bridge.lab.root import cache_dir

SUITE: Final = "bookworm"
"""systemd 252, the oldest that the units are for."""
PACKAGES: Final = ("systemd", "tzdata")
OPTIONS: Final = ("--variant=essential",)
INIT: Final = "usr/lib/systemd/systemd"
STAMP: Final = "bridge110-root"
"""Written last: a root without it was never finished."""
PROGRAMS: Final = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "pivot_root": "util-linux",
}


def boot_root_path() -> Path:
    """Where it belongs; another recipe or machine type is another directory."""
    recipe = sha256(" ".join((SUITE, *PACKAGES, *OPTIONS)).encode()).hexdigest()[:8]
    return cache_dir() / f"boot-{SUITE}-{platform.machine()}-{recipe}"


def ensure_boot_root() -> Path:
    """The root: reused, or made now, which takes about 15 s and 190 MB.

    Raises SetupError when it cannot be made, with the mend; only the superuser can make it.
    """
    ensure_programs(PROGRAMS)
    path = boot_root_path()
    if _whole(path):
        return path
    if os.geteuid() != 0:
        raise SetupError("只有 root 能启动独立的 systemd / only root can boot a systemd of its own")
    debstrap.build(path, lambda: path if _whole(path) else None, _announce, _unpack)
    return path


def _whole(path: Path) -> bool:
    return (path / STAMP).is_file() and (path / INIT).is_file()


def _announce() -> None:
    say("正在准备带 systemd 的小系统，只此一次", "preparing a small system with systemd, this once")


def _unpack(building: Path) -> Path:
    debstrap.unpack(building, SUITE, PACKAGES, *OPTIONS, what=f"Debian {SUITE}'s systemd")
    if not (building / INIT).is_file():
        raise SetupError(f"{INIT} is not in what mmdebstrap made; use a current mirror")
    (building / STAMP).write_text(f"{SUITE}\n", encoding="ascii")
    return building
