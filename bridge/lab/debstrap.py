"""Debian packages unpacked into a directory: one rename finishes, one lock for all builders."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from bridge.lab.aptsources import debian_mirrors
from bridge.lab.packages import ensure_programs
from bridge.lab.progress import SetupError, detail, say

Made = TypeVar("Made")

BUILD_SECONDS: Final = 1800.0
"""Deadline of one mirror; 150 MB at 100 kB/s."""
LOCK_SECONDS: Final = 2 * BUILD_SECONDS
FREE_BYTES: Final = 1 << 30
"""What unpacking needs at its widest, archives beside files."""
PROGRAMS: Final = {
    "mmdebstrap": "mmdebstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def build(
    path: Path,
    whole: Callable[[], Made | None],
    announce: Callable[[], None],
    unpack: Callable[[Path], Made],
) -> Made:
    """Have `unpack` make a tree that becomes `path`, or take one that another process has made.

    `whole` looks at what is there; a broken tree is replaced. Raises SetupError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(path.with_name(path.name + ".lock")):
        if (there := whole()) is not None:
            return there
        announce()
        ensure_programs(PROGRAMS)
        _need_room(path.parent)
        for left in path.parent.glob(f"{path.name}.building-*"):
            shutil.rmtree(left, ignore_errors=True)
        building = path.with_name(f"{path.name}.building-{os.getpid()}")
        try:
            made = unpack(building)
            _replace(building, path)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return made


def unpack(building: Path, suite: str, packages: Sequence[str], *options: str, what: str) -> None:
    """Unpack `packages` of `suite` into `building` from the first mirror that can.

    Raises SetupError naming `what` could not be had.
    """
    troubles: list[str] = []
    for mirror in debian_mirrors():
        shutil.rmtree(building, ignore_errors=True)
        detail(f"{suite}: {mirror}")
        trouble = _mmdebstrap(building, mirror, suite, packages, options)
        if trouble is None:
            return
        troubles.append(f"{mirror}:\n{trouble}")
    raise SetupError(
        f"mmdebstrap could not unpack {what} from this machine's mirror; mend the mirror.\n"
        + "\n".join(troubles)
    )


@contextmanager
def _only_builder(lock: Path) -> Iterator[None]:
    """Holds the lock file; waits for another builder, with a deadline."""
    with lock.open("w") as held:
        deadline = time.monotonic() + LOCK_SECONDS
        waiting = False
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    say("等待另一个进程完成准备", "waiting for another process that prepares it")
                waiting = True
            if time.monotonic() > deadline:
                raise SetupError(f"{lock} is held by another process for {LOCK_SECONDS:.0f} s")
            time.sleep(0.2)
        yield


def _need_room(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES:
        raise SetupError(
            f"{directory}: {free >> 20} MiB free, {FREE_BYTES >> 20} needed; "
            "make room, or name another place in BRIDGE110_CACHE"
        )


def _mmdebstrap(
    building: Path, mirror: str, suite: str, packages: Sequence[str], options: Sequence[str]
) -> str | None:
    """Runs mmdebstrap, showing its lines; None when it went well, else its last words."""
    command = [
        "mmdebstrap",
        *options,
        "--format=directory",
        f"--include={','.join(packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Retries "3"',
        *_proxies(),
        suite,
        str(building),
        mirror,
    ]
    tail: deque[str] = deque(maxlen=12)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | {"LC_ALL": "C"},
    ) as running:
        limit = threading.Timer(BUILD_SECONDS, running.kill)
        limit.start()
        try:
            for line in running.stdout or ():
                tail.append("    " + line.rstrip())
                if line.startswith("I: ") and "chrootless" not in line:
                    detail(line.removeprefix("I: "))
        finally:
            limit.cancel()
    return None if running.returncode == 0 else "\n".join(tail)


def _proxies() -> list[str]:
    """The machine's own proxies for apt; mmdebstrap does not read the machine's apt.conf."""
    options = []
    for scheme in ("http", "https"):
        name = f"Acquire::{scheme}::Proxy"
        shown = subprocess.run(
            ["apt-config", "dump", "--format", "%v%n", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        ).stdout.split()
        if shown and '"' not in shown[0]:
            options.append(f'--aptopt={name} "{shown[0]}"')
    return options


def _replace(building: Path, path: Path) -> None:
    """Puts the finished root in its place; programs of a broken one may still be running."""
    if path.exists():
        old = path.with_name(f"{path.name}.broken-{os.getpid()}")
        path.rename(old)
        building.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        building.rename(path)
