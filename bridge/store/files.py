"""Files beside the journal, by the hash of their content: written once, never changed.

A file is whole and synced before any fact names it. What the journal names and is not there, or is
not what its name says, is told, never passed off as whole.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.domain.attachment import NAME, is_whole, name_of
from bridge.flows.ports import FileMissing, StoreError, StoreFull

FREE_BYTES: Final = 256 * 1024 * 1024
"""Left on the disk, which the journal is on too: no picture stops an order."""
DIRECTORY: Final = "files"


def files_of(database: Path) -> Path:
    """Where the files of that store are."""
    return database.parent / DIRECTORY


class Files:
    """`flows.ports.Files` in one directory, which is made where it is not there."""

    def __init__(self, directory: Path, free_bytes: int = FREE_BYTES) -> None:
        """Raises OSError where the directory cannot be used."""
        self._directory = directory
        self._free_bytes = free_bytes
        directory.mkdir(mode=0o750, exist_ok=True)
        for left in directory.glob(".*.new"):
            left.unlink(missing_ok=True)

    async def keep(self, data: bytes, kind: str) -> str:
        """Store it; gives its name, durable when this returns. Raises StoreError."""
        name = name_of(data, kind)
        try:
            await asyncio.to_thread(self._keep, name, data)
        except OSError as error:
            raise StoreError(f"{self._directory}: {error.strerror}") from error
        return name

    async def read(self, name: str) -> bytes:
        """The octets of a file. Raises FileMissing: it is not there, or is not what it was."""
        return await asyncio.to_thread(self._read, name)

    def _keep(self, name: str, data: bytes) -> None:
        place = self._directory / name
        if self.state(name) == "whole":
            return
        if shutil.disk_usage(self._directory).free < self._free_bytes + len(data):
            raise StoreFull(f"{self._directory}: less than {self._free_bytes} bytes are free")
        fresh = self._directory / f".{name}.{secrets.token_hex(4)}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(place)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _read(self, name: str) -> bytes:
        if NAME.fullmatch(name) is None:
            raise FileMissing(name)
        try:
            data = (self._directory / name).read_bytes()
        except OSError as error:
            raise FileMissing(name) from error
        if not is_whole(name, data):
            raise FileMissing(name)
        return data

    def state(self, name: str) -> str:
        """`whole`, `missing` or `damaged`."""
        try:
            data = (self._directory / name).read_bytes()
        except OSError:
            return "missing"
        return "whole" if is_whole(name, data) else "damaged"


@dataclass(slots=True)
class FilesFound:
    """How the files are that a journal names."""

    whole: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def look_at(directory: Path, names: Iterable[str]) -> FilesFound:
    """Read every file that is named. The directory is only looked at."""
    found = FilesFound()
    for name in dict.fromkeys(names):
        try:
            data = (directory / name).read_bytes()
        except OSError:
            found.missing.append(name)
            continue
        if is_whole(name, data):
            found.whole += 1
        else:
            found.damaged.append(name)
    return found
