"""Room on the disk of the store: how much is left, and a reserve for what must still be written.

A full disk cannot even delete (all space is in the WAL), so a ballast file is kept that can be
emptied. What it frees is for urgent transactions only, until it could be made again (guard 3.3).
An empty ballast file stays as the mark of that: a daemon that starts meanwhile knows it too.
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
    """What is left on the disk, in bytes. `reserve` is False while there is no ballast."""

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
        self._spent = bool(ballast_bytes) and self._length() == 0

    @property
    def urgent_only(self) -> bool:
        """True while the reserve is being used: ordinary transactions are refused."""
        return self._spent

    def look(self) -> Room:
        """Measure, and make the ballast again when a quarter more than it needs is free."""
        room = self._measure()
        if self._bytes and not room.reserve and room.free >= self._bytes + self._bytes // 4:
            self._make()
            room = self._measure()
        return room

    def spend(self) -> bool:
        """Empty the ballast for an urgent transaction. False when there is none, or the disk
        refuses even that."""
        try:
            if not self._length():
                return False
            os.truncate(self._ballast, 0)
        except OSError:
            return False
        self._spent = True
        return True

    def _make(self) -> None:
        """A ballast that finds no room leaves all as it was: none, or an empty one."""
        before = self._length()
        file = os.open(self._ballast, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(file, 0, self._bytes)
        except OSError:
            if before is None:
                self._ballast.unlink()
            else:
                os.ftruncate(file, before)
        else:
            self._spent = False
        finally:
            os.close(file)

    def _length(self) -> int | None:
        """Bytes of the ballast file; 0 once it was spent, None before there was ever one."""
        try:
            return self._ballast.stat().st_size
        except FileNotFoundError:
            return None

    def _measure(self) -> Room:
        disk = os.statvfs(self._directory)
        return Room(
            free=disk.f_bavail * disk.f_frsize,
            total=disk.f_blocks * disk.f_frsize,
            reserve=bool(self._length()),
        )
