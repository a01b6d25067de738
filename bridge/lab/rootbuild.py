"""Makes the private Asterisk root: mmdebstrap unpacks, one rename finishes, one lock for all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bridge.lab.aptsources import debian_mirrors
from bridge.lab.packages import ensure_programs
from bridge.lab.progress import SetupError, detail, say
from bridge.lab.root import (
    MIN_VERSION,
    PACKAGES,
    STAMP,
    SUITE,
    AsteriskRoot,
    check_root,
    count_modules,
    parse_version,
    root_path,
    system_root,
)

BUILD_SECONDS: Final = 1800.0
"""Deadline of one mirror; 150 MB at 100 kB/s."""
LOCK_SECONDS: Final = 2 * BUILD_SECONDS
FREE_BYTES: Final = 1 << 30
"""What unpacking needs at its widest, archives beside files."""
PROGRAMS: Final = {
    "mmdebstrap": "mmdebstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}


def ensure_root() -> AsteriskRoot:
    """An Asterisk >= 22.10.1 with SIPp and baresip: the system's, or a private one.

    Raises SetupError when it cannot be had, with the mend.
    """
    return system_root() or ensure_private_root()


def missing_programs() -> dict[str, str]:
    """What `ensure_root` would want installed, so that a person can be told all at once."""
    if system_root() is not None or check_root(root_path())[0] is not None:
        return {}
    return PROGRAMS


def ensure_private_root() -> AsteriskRoot:
    """The private root: reused, or made now, which takes about 10 s, 310 MB and shows progress.

    Raises SetupError when it cannot be made, with the mend.
    """
    path = root_path()
    root, why = check_root(path)
    return root if root is not None else build_root(path, why)


def build_root(path: Path, why: str) -> AsteriskRoot:
    """Make the root at `path`, or take the one that another process has just made there.

    A broken one is replaced. Raises SetupError naming what is missing or what failed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(path.with_name(path.name + ".lock")):
        root, why_now = check_root(path)
        if root is not None:
            return root
        _announce(why if why == why_now else why_now)
        ensure_programs(PROGRAMS)
        _need_room(path.parent)
        for left in path.parent.glob(f"{path.name}.building-*"):
            shutil.rmtree(left, ignore_errors=True)
        building = path.with_name(f"{path.name}.building-{os.getpid()}")
        try:
            root = _unpack(building)
            _replace(building, path)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        say(f"专用 Asterisk {root.version} 已就绪", f"private Asterisk {root.version} is ready")
        return AsteriskRoot(path, root.version)


def _announce(why: str) -> None:
    if why == "absent":
        say("正在准备专用 Asterisk，只此一次", "preparing a private Asterisk, this once")
    else:
        say(f"专用 Asterisk 已损坏({why}),重新准备", f"private Asterisk is broken ({why}): again")


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


def _unpack(building: Path) -> AsteriskRoot:
    """Unpacks into `building` from the first mirror that can, checks it, stamps it."""
    troubles: list[str] = []
    for mirror in debian_mirrors():
        shutil.rmtree(building, ignore_errors=True)
        detail(f"{SUITE}: {mirror}")
        trouble = _mmdebstrap(building, mirror)
        if trouble is None:
            return _stamp(building)
        troubles.append(f"{mirror}:\n{trouble}")
    raise SetupError(
        f"mmdebstrap could not unpack Debian {SUITE}'s Asterisk from this machine's mirror; "
        "mend the mirror, or install Asterisk >= 22.10.1 yourself.\n" + "\n".join(troubles)
    )


def _mmdebstrap(building: Path, mirror: str) -> str | None:
    """Runs mmdebstrap, showing its lines; None when it went well, else its last words."""
    command = [
        "mmdebstrap",
        "--mode=chrootless",  # variant extract only unpacks: nothing is executed inside, so
        "--skip=check/chrootless",  # root needs no protection from it either
        "--variant=extract",
        "--format=directory",
        f"--include={','.join(PACKAGES)}",
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Retries "3"',
        *_proxies(),
        SUITE,
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


def _stamp(building: Path) -> AsteriskRoot:
    """Asks the new Asterisk for its version and writes the stamp. Raises SetupError."""
    probe = AsteriskRoot(building, "")
    banner = subprocess.run(
        probe.command("asterisk", "-V"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    ).stdout.strip()
    version = parse_version(banner)
    if version is None or version < MIN_VERSION:
        raise SetupError(
            f"the mirror's Asterisk says {banner!r}, at least "
            f"{'.'.join(map(str, MIN_VERSION))} is needed; use a current mirror"
        )
    root = AsteriskRoot(building, banner.removeprefix("Asterisk "))
    stamp = {"version": root.version, "suite": SUITE, "modules": count_modules(building)}
    (building / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    whole, why = check_root(building)
    if whole is None:
        raise SetupError(f"the private Asterisk was unpacked but does not work: {why}")
    return whole


def _replace(building: Path, path: Path) -> None:
    """Puts the finished root in its place; programs of a broken one may still be running."""
    if path.exists():
        old = path.with_name(f"{path.name}.broken-{os.getpid()}")
        path.rename(old)
        building.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        building.rename(path)
