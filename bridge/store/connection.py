"""Opens connections to the database file: the one that writes, and short read-only ones.

Every page carries a checksum (SQLite's own `cksumvfs`, shipped with APSW), so that one changed
byte anywhere in the file is an error on reading and never a wrong answer. Every setting is read
back after it was made: SQLite ignores a pragma it does not know without a word (guard 3.1).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType

import apsw
import apsw.sqlite_extra

from bridge.flows.ports import StoreError

OLDEST_SQLITE = (3, 51, 3)
"""Older libraries can damage the file when two connections checkpoint (guard finding 2)."""

CHECKSUM_BYTES = 8
"""Room at the end of each page; `cksumvfs` works with exactly this."""

REWRITE_BYTES = 1024 * 1024

READ_SECONDS = 1.0
"""Longest read: a reader that stays keeps the WAL from being emptied (guard rule 8)."""

PRAGMAS: Mapping[str, int | str] = MappingProxyType(
    {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL: one fdatasync a commit; NORMAL loses 62 % of power cuts
        "busy_timeout": 5_000,  # ms
        "foreign_keys": 1,
        "wal_autocheckpoint": 1_000,  # pages
        "journal_size_limit": 64 * 1024 * 1024,  # bytes
        "trusted_schema": 0,
        "mmap_size": 0,
        "checksum_verification": 1,
    }
)
"""What the writing connection is set to (guard section 4, 3.1)."""

_READ_BACK_ONLY = {"checksum_verification"}  # follows from how the file was made


class StoreRefused(Exception):
    """The store must not be opened as it is. The message names the place and the mend."""


def sqlite_version() -> tuple[int, ...]:
    """Version of the SQLite library in use."""
    return tuple(int(part) for part in apsw.sqlite_lib_version().split("."))


def check_library(version: tuple[int, ...] | None = None) -> None:
    """Raises StoreRefused when the SQLite library has the WAL-reset fault."""
    found = version or sqlite_version()
    if found < OLDEST_SQLITE:
        raise StoreRefused(
            f"SQLite {'.'.join(map(str, found))} can damage the store (WAL reset fault); "
            f"install apsw with SQLite {'.'.join(map(str, OLDEST_SQLITE))} or later"
        )


@cache
def load_checksums() -> None:
    """Make page checksums the default for every connection of this process. Once is enough."""
    if not apsw.sqlite_extra.has("cksumvfs"):
        raise StoreRefused("apsw was built without cksumvfs; install the wheel from the lock file")
    connection = apsw.Connection(":memory:")
    try:
        apsw.sqlite_extra.load(connection, "cksumvfs")
    finally:
        connection.close()


def open_writing(path: Path, pragmas: Mapping[str, int | str] = PRAGMAS) -> apsw.Connection:
    """The connection that writes and checkpoints. Creates the file when it is not there.

    The caller has called `check_library` and `load_checksums`.

    Raises StoreRefused when a setting does not hold, apsw.Error when the file cannot be opened.
    """
    connection = apsw.Connection(str(path))
    try:
        if not connection.pragma("page_count"):  # new, or cut off while it was made
            connection.reserve_bytes("main", CHECKSUM_BYTES)
        for name, value in pragmas.items():
            if name not in _READ_BACK_ONLY:
                connection.pragma(name, value)
        connection.pragma("schema_version")  # reads page 1, which switches the checksums on
        _read_back(connection, path, pragmas)
    except BaseException:
        connection.close()
        raise
    return connection


def rewrite_wal(path: Path) -> None:
    """Write what is in the WAL of `path` a second time, and sync it.

    After a failed sync the kernel may hold pages as clean that never reached the disk: they can
    be read, a later sync passes over them, a power cut takes them away. Only what was written
    again can be built upon. Raises OSError when the disk fails.
    """
    wal = path.with_name(path.name + "-wal")
    if not wal.exists() or not wal.stat().st_size:
        return
    with wal.open("r+b", buffering=0) as file:
        offset = 0
        while piece := os.pread(file.fileno(), REWRITE_BYTES, offset):
            offset += os.pwrite(file.fileno(), piece, offset)
        os.fsync(file.fileno())


def abandon(connection: apsw.Connection) -> None:
    """Close without the checkpoint that closing does: what was read may not be on the disk."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.close()


def _read_back(connection: apsw.Connection, path: Path, pragmas: Mapping[str, int | str]) -> None:
    for name, wanted in pragmas.items():
        found = connection.pragma(name)
        if str(found) != str(wanted):
            raise StoreRefused(
                f"{path}: {name} is {found!r} where {wanted!r} is needed; the store is not safe "
                "so (network file system, or a file made without page checksums: restore a backup)"
            )


@contextmanager
def open_reading(
    path: Path, seconds: float | None = READ_SECONDS, *, at_rest: bool = False
) -> Iterator[apsw.Connection]:
    """A read-only connection, closed at the end; None waits for ever (checking and backup only).
    `at_rest`: nobody writes the file, no lock is needed and no file beside it is made.

    Raises StoreError when the file cannot be read, or not within `seconds`.
    """
    load_checksums()
    if not path.is_file():
        raise StoreError(f"{path}: there is no store; start the daemon once or restore a backup")
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if at_rest else ''}"
    connection = None
    try:
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        connection.set_busy_timeout(int(1000 * (seconds if seconds is not None else 5)))
        connection.pragma("trusted_schema", 0)
        if seconds is not None:
            until = time.monotonic() + seconds
            connection.set_progress_handler(lambda: time.monotonic() > until, 2_000)
        yield connection
    except apsw.InterruptError as error:
        raise StoreError(f"{path}: reading took longer than {seconds} s; ask for less") from error
    except apsw.Error as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    finally:
        if connection is not None:
            connection.close()
