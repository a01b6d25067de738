"""Room on the disk of the store: how much is left, and a reserve for what must still be written.

A full disk cannot even delete (all space is in the WAL), so a ballast file is kept that can be
dropped. What it frees is for urgent transactions only, until it could be made again (guard 3.3).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BALLAST_BYTES = 64 * 1024 * 1024
LOW_BYTES = 1024**3
LOW_SHARE = 0.05
"""Warn below 1 GiB or 5 % free, whichever comes first."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is left on the disk, in bytes. `reserve` is False once the ballast was dropped."""

    free: int
    total: int
    reserve: bool

    @property
    def low(self) -> bool:
        """True when somebody should make room now."""
        return self.free < LOW_BYTES or self.free < LOW_SHARE * self.total


class Space:
    """The ballast file beside a database, and a look at the disk under it."""

    def __init__(self, database: Path, ballast_bytes: int = BALLAST_BYTES) -> None:
        self._directory = database.parent
        self._ballast = database.with_name(database.name + ".ballast")
        self._bytes = ballast_bytes
        self._spent = False

    @property
    def urgent_only(self) -> bool:
        """True while the reserve is being used: ordinary transactions are refused."""
        return self._spent

    def look(self) -> Room:
        """Measure, and make the ballast again when a quarter more than it needs is free."""
        room = self._measure()
        if (
            self._bytes
            and not self._ballast.exists()
            and room.free >= self._bytes + self._bytes // 4
        ):
            self._make()
            room = self._measure()
        return room

    def spend(self) -> bool:
        """Drop the ballast for an urgent transaction. False when there is none to drop."""
        if not self._ballast.exists():
            return False
        self._ballast.unlink()
        self._spent = True
        return True

    def _make(self) -> None:
        file = os.open(self._ballast, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(file, 0, self._bytes)
        except OSError:
            self._ballast.unlink()
        else:
            self._spent = False
        finally:
            os.close(file)

    def _measure(self) -> Room:
        disk = os.statvfs(self._directory)
        return Room(
            free=disk.f_bavail * disk.f_frsize,
            total=disk.f_blocks * disk.f_frsize,
            reserve=self._ballast.exists(),
        )
