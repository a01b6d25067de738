"""Programs of the operating system that the laboratory uses: found, or installed by apt."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

from bridge.lab.progress import SetupError, detail, say

APT_SECONDS: Final = 900.0
"""Deadline of one apt-get call; a slow mirror gives 100 MB in less."""
SBIN: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find_program(name: str) -> str | None:
    """Full path of `name`; also from sbin, which an ordinary user's PATH lacks."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SBIN))
    return shutil.which(name, path=path)


def install_line(packages: list[str]) -> str:
    """What a person types to install `packages`."""
    return "sudo apt-get install --no-install-recommends " + " ".join(packages)


def ensure_programs(wanted: Mapping[str, str]) -> None:
    """Have every program of `wanted` (program or absolute file: Debian package) on this machine.

    As root the missing ones are installed. Otherwise raises SetupError with the exact line to
    type; also when apt-get fails or is not there.
    """
    missing = sorted({pkg for name, pkg in wanted.items() if not _present(name)})
    if not missing:
        return
    line = install_line(missing)
    if os.geteuid() != 0:
        raise SetupError(f"缺少软件包，请执行 / packages are missing, please run:\n    {line}")
    if find_program("apt-get") is None:
        raise SetupError(f"no apt-get on this machine; install by its own means: {missing}")
    say(f"正在安装 {' '.join(missing)}", f"installing {' '.join(missing)}")
    _apt_get("update", "-q")
    _apt_get("install", "-q", "-y", "--no-install-recommends", *missing)
    still = sorted(name for name in wanted if not _present(name))
    if still:
        raise SetupError(f"apt-get installed {missing}, yet {still} cannot be found; try: {line}")


def _present(name: str) -> bool:
    return os.path.exists(name) if name.startswith("/") else find_program(name) is not None


def _apt_get(*arguments: str) -> None:
    """Runs apt-get without questions; raises SetupError with its last lines when it fails."""
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3", *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    environment |= {"SYSTEMD_OFFLINE": "1"}  # no service of a package is started by us
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            timeout=APT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise SetupError(f"apt-get {arguments[0]} took more than {APT_SECONDS:.0f} s") from late
    if done.returncode != 0:
        tail = "\n    ".join(done.stdout.strip().splitlines()[-8:])
        raise SetupError(f"apt-get {arguments[0]} failed ({done.returncode}):\n    {tail}")
    detail(f"apt-get {arguments[0]}: ok")
