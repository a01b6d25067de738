"""Makes the private Asterisk root: unpacks it, asks the new Asterisk, and stamps the tree."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

from bridge.lab import debstrap
from bridge.lab.progress import SetupError, say
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

UNPACK_ONLY: Final = (
    "--mode=chrootless",  # variant extract only unpacks: nothing is executed inside, so
    "--skip=check/chrootless",  # root needs no protection from it either
    "--variant=extract",
)


def ensure_root() -> AsteriskRoot:
    """An Asterisk >= 22.10.1 with SIPp and baresip: the system's, or a private one.

    Raises SetupError when it cannot be had, with the mend.
    """
    return system_root() or ensure_private_root()


def missing_programs() -> dict[str, str]:
    """What `ensure_root` would want installed, so that a person can be told all at once."""
    if system_root() is not None or check_root(root_path())[0] is not None:
        return {}
    return debstrap.PROGRAMS


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
    made = debstrap.build(path, lambda: check_root(path)[0], lambda: _announce(why), _unpack)
    say(f"专用 Asterisk {made.version} 已就绪", f"private Asterisk {made.version} is ready")
    return AsteriskRoot(path, made.version)


def _announce(why: str) -> None:
    if why == "absent":
        say("正在准备专用 Asterisk，只此一次", "preparing a private Asterisk, this once")
    else:
        say(f"专用 Asterisk 已损坏({why}),重新准备", f"private Asterisk is broken ({why}): again")


def _unpack(building: Path) -> AsteriskRoot:
    """Unpacks into `building`, checks it, stamps it."""
    what = f"Debian {SUITE}'s Asterisk (or install Asterisk >= 22.10.1 yourself)"
    debstrap.unpack(building, SUITE, PACKAGES, *UNPACK_ONLY, what=what)
    return _stamp(building)


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
