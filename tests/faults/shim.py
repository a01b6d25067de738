"""The library between a program and the system (`shim.c`), and what it is told to do."""

from __future__ import annotations

import errno
import mmap
import struct
import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Final

from bridge.lab.packages import ensure_programs
from bridge.lab.prepare import FAULT_PROGRAMS
from bridge.lab.root import cache_dir

SOURCE: Final = Path(__file__).with_name("shim.c")
LAYOUT: Final = struct.Struct("@lll")


@cache
def library() -> Path:
    """The compiled shim, from the cache or made now. Raises SetupError, CalledProcessError."""
    found = cache_dir() / f"faults-{sha256(SOURCE.read_bytes()).hexdigest()[:12]}.so"
    if not found.exists():
        ensure_programs(FAULT_PROGRAMS)
        found.parent.mkdir(parents=True, exist_ok=True)
        made = found.with_suffix(f".{id(found)}")
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O1", "-o", str(made), str(SOURCE), "-ldl"], check=True
        )
        made.replace(found)
    return found


class Orders:
    """What the programs under the shim live with, changed while they run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(LAYOUT.pack(0, 0, 0))
        with path.open("r+b") as file:
            self._there = mmap.mmap(file.fileno(), LAYOUT.size)

    @property
    def environment(self) -> dict[str, str]:
        """For a program that is to live under the shim."""
        return {"LD_PRELOAD": str(library()), "FAULTS_ORDERS": str(self._path)}

    def give(self, *, step_s: int = 0, full: bool = False, failing: bool = False) -> None:
        """The wall clock is off by `step_s`; the store's disk is full, or its syncs fail."""
        write = errno.ENOSPC if full else 0
        self._there[:] = LAYOUT.pack(step_s, write, errno.EIO if failing else 0)

    def __enter__(self) -> Orders:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._there.close()
