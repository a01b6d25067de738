"""Lock files of serial devices that other programs respect (FHS 3.0, 5.9): efax, HylaFAX, mgetty,
minicom. Beside them stands the exclusive opening of `hardware.port`, for those that do not.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from hardware.fax.wire import WireGone, WireHeld

DIRECTORY: Final = Path("/var/lock")
MAX_TRIES: Final = 3
"""Stale files taken over before we give up: more than one in a row means that somebody races us."""


def lock_file(device: str, directory: Path = DIRECTORY) -> Path:
    """Where the lock of a device is, by its real name below /dev."""
    real = os.path.realpath(device).removeprefix("/dev/")
    return directory / f"LCK..{real.strip('/').replace('/', '_')}"


class DeviceLock:
    """The lock of one device; use as a context. Raises WireGone when another program holds it.

    Where the directory is not ours to write to, there is no lock and no fault.
    """

    def __init__(self, device: str, directory: Path = DIRECTORY) -> None:
        self._file = lock_file(device, directory)
        self._held = False

    def __enter__(self) -> DeviceLock:
        for _ in range(MAX_TRIES):
            try:
                self._create()
            except FileExistsError:
                holder = self._holder()
                if holder is not None:
                    raise WireHeld(
                        f"{self._file}: 设备被进程 {holder} 占用 / the device is held by "
                        f"process {holder}; end it or wait"
                    ) from None
                with contextlib.suppress(OSError):
                    self._file.unlink()  # its owner is gone
            except OSError:
                return self
            else:
                self._held = True
                return self
        raise WireGone(f"{self._file}: 锁文件不断变化 / the lock file keeps changing")

    def __exit__(self, *_: object) -> None:
        if self._held and self._holder() == os.getpid():
            with contextlib.suppress(OSError):
                self._file.unlink()

    def _create(self) -> None:
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{os.getpid():10d}\n")  # HDB form: ten columns and a line end

    def _holder(self) -> int | None:
        """The process that holds it; None when that is gone, or the file says no number."""
        try:
            holder = int(self._file.read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            return None
        try:
            os.kill(holder, 0)
        except PermissionError:
            return holder  # somebody else's, and alive
        except OSError:
            return None
        return holder
