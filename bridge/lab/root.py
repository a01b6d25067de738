"""The Asterisk of the laboratory: the system's own, or a private one made from Debian's package.

A private root is Debian forky's packages unpacked into the cache, nothing else: no maintainer
script runs, nothing is mounted, the machine's own packages stay untouched. Its programs are
started by the root's own dynamic loader with the root's own libraries, so they run beside any
host release, see the host's files under their own paths, and need no chroot and no privilege.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from bridge.lab.packages import ensure_programs, find_program
from bridge.lab.progress import say

MIN_VERSION: Final = (22, 10, 1)
"""First release with the fixes of 2026 that guard.md, section 5, asks for."""
SUITE: Final = "forky"
PACKAGES: Final = ("asterisk", "sip-tester", "baresip-core")
STAMP: Final = "bridge110-root.json"
"""Written last: a root without it was never finished."""


def cache_dir() -> Path:
    """`$BRIDGE110_CACHE`, else `bridge110` in the user's cache. May be deleted at any time."""
    if own := os.environ.get("BRIDGE110_CACHE"):
        return Path(own).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "bridge110"


def root_path() -> Path:
    """Where the private root belongs; another recipe or machine type is another directory."""
    recipe = sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:8]
    return cache_dir() / f"asterisk-{SUITE}-{platform.machine()}-{recipe}"


@dataclass(frozen=True, slots=True)
class AsteriskRoot:
    """Asterisk, SIPp and baresip that can be started. `path` is None for the system's own."""

    path: Path | None
    version: str

    def command(self, program: str, *arguments: str) -> list[str]:
        """Argument list that starts `program` (asterisk, sipp, baresip) with `arguments`.

        Raises FileNotFoundError when the program is not there.
        """
        if self.path is None:
            found = find_program(program)
            if found is None:
                raise FileNotFoundError(f"{program}: not on this machine")
            return [found, *arguments]
        places = (self.path / "usr" / place / program for place in ("sbin", "bin"))
        binary = next((place for place in places if place.is_file()), None)
        loader = next(self.path.glob("usr/lib/*/ld-linux*.so.*"), None)
        if binary is None or loader is None:
            raise FileNotFoundError(f"{program}: not in {self.path}")
        own = ["--inhibit-cache", "--library-path", str(loader.parent), "--argv0", program]
        return [str(loader), *own, str(binary), *arguments]

    @property
    def data_dir(self) -> Path:
        """Asterisk's own data: documentation that the modules need at start, English digits."""
        base = self.path or Path("/")
        places = (base / "usr/share/asterisk", base / "var/lib/asterisk")
        return next((p for p in places if (p / "documentation").is_dir()), places[0])

    @property
    def module_dir(self) -> Path | None:
        """Asterisk's modules; None for the place compiled into the system's Asterisk."""
        return (
            None if self.path is None else next(self.path.glob("usr/lib/*/asterisk/modules"), None)
        )

    @property
    def baresip_modules(self) -> Path:
        """What baresip's `module_path` must say."""
        return (self.path or Path("/")) / "usr/lib/baresip/modules"


def parse_version(banner: str) -> tuple[int, int, int] | None:
    """The three numbers of `asterisk -V`; None for anything else (certified and git builds)."""
    match = re.match(r"Asterisk (\d+)\.(\d+)\.(\d+)", banner)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def system_root() -> AsteriskRoot | None:
    """The system's own Asterisk if it is recent enough; SIPp and baresip are installed beside it.

    Raises SetupError when those cannot be installed.
    """
    found = find_program("asterisk")
    if found is None:
        return None
    banner = _output([found, "-V"])
    version = parse_version(banner)
    if version is None or version < MIN_VERSION:
        say(
            f"系统的 {banner or found} 版本过旧，改用专用 Asterisk",
            "the system's Asterisk is too old, a private one is used",
        )
        return None
    ensure_programs({"sipp": "sip-tester", "baresip": "baresip-core"})
    return AsteriskRoot(None, banner.removeprefix("Asterisk "))


def check_root(path: Path) -> tuple[AsteriskRoot | None, str]:
    """The private root at `path` if it is whole, else None and what is wrong with it."""
    if not path.exists():
        return None, "absent"
    try:
        stamp = json.loads((path / STAMP).read_text(encoding="utf-8"))
        root = AsteriskRoot(path, str(stamp["version"]))
        modules = count_modules(path)
        if modules != stamp["modules"]:
            return None, f"{modules} modules, {stamp['modules']} when it was made"
        if _output(root.command("asterisk", "-V")) != f"Asterisk {root.version}":
            return None, "asterisk -V does not answer as it did"
        if "SIPp v" not in _output(root.command("sipp", "-v")):
            return None, "SIPp does not start"
        root.command("baresip")
    except (OSError, ValueError, KeyError, TypeError) as broken:
        return None, f"not whole: {type(broken).__name__} {broken}"
    return root, ""


def count_modules(path: Path) -> int:
    """How many Asterisk modules the root has; kept in the stamp."""
    return len(list(path.glob("usr/lib/*/asterisk/modules/*.so")))


def _output(command: list[str]) -> str:
    """What a version question prints; empty when it hangs or does not start."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
