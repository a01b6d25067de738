"""Start of the store: the order of steps before anything may be published (guard rule 7).

1. nobody else writes this file (lock file), 2. the library and every setting are right, what is in
the WAL is really on the disk, 3. the
database is whole, 4. the schema is brought up to date, 5. everything in the WAL is synced into the
database and the WAL begun anew, 6. the tail of the journal proves itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import apsw

from bridge.domain.journal import link
from bridge.flows.ports import Table
from bridge.store.connection import (
    PRAGMAS,
    StoreRefused,
    abandon,
    check_library,
    load_checksums,
    open_writing,
    rewrite_wal,
)
from bridge.store.session import Head
from bridge.store.space import BALLAST_BYTES, Space
from bridge.store.sql import Migration, migrations, query

TAIL = 1_000
"""Entries proved at every start; `bridge110 db verify` proves all of them."""

WHOLE_CHECK_BYTES = 1024**3
"""Above this size the start checks the tables but not the journal (0.2 s for 226 MB)."""

CHECKS_WITHOUT_JOURNAL = tuple(f"check_{table}" for table in get_args(Table))


@dataclass(frozen=True, slots=True)
class Options:
    """How the store is opened. The defaults are the measured ones; tests make things smaller."""

    pragmas: Mapping[str, int | str] = field(default_factory=lambda: PRAGMAS)
    ballast_bytes: int = BALLAST_BYTES
    group_limit: int = 64
    queue_limit: int = 4_096
    queue_bytes: int = 64 * 1024 * 1024
    idle_seconds: float = 1.0
    rewrite: Callable[[Path], None] = rewrite_wal


class WriteLock:
    """Keeps a second process from writing the same store; freed by the kernel when we die."""

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreRefused(
                f"{database}: process {holder} is writing this store; stop it first"
            ) from error
        with contextlib.suppress(OSError):  # who holds it is told to people; no room, no matter
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process write."""
        os.close(self._file)


def open_checked(path: Path, site: str, options: Options) -> tuple[apsw.Connection, Head]:
    """Steps 2 to 6. The caller holds the WriteLock.

    Raises StoreRefused when the file must not be used as it is, apsw.Error or OSError when the
    disk fails.
    """
    check_library()
    load_checksums()
    options.rewrite(path)
    connection = open_writing(path, options.pragmas)
    try:
        _check_whole(connection, path)
        _migrate(connection, path)
        _check_site(connection, path, site)
        _empty_wal(connection, path)
        return connection, _check_tail(connection, path, site)
    except BaseException:
        abandon(connection)
        raise


def open_with_reserve(
    path: Path, site: str, options: Options, space: Space
) -> tuple[apsw.Connection, Head]:
    """`open_checked`, also where the disk has no room for what it must sync: the ballast gives way,
    for without a daemon the reserve serves nobody."""
    try:
        return open_checked(path, site, options)
    except (apsw.FullError, OSError) as error:
        full = isinstance(error, apsw.FullError) or error.errno == errno.ENOSPC
        if not full or not space.spend():
            raise
    return open_checked(path, site, options)


def _check_whole(connection: apsw.Connection, path: Path) -> None:
    if path.stat().st_size <= WHOLE_CHECK_BYTES:
        checks = [connection.execute(query("check_whole"))]
    else:
        checks = [connection.execute(query(name)) for name in CHECKS_WITHOUT_JOURNAL]
    faults = [str(line) for check in checks for (line,) in check if line != "ok"]
    if faults:
        raise StoreRefused(f"{path}: damaged: {'; '.join(faults)}; restore a backup")


def _migrate(connection: apsw.Connection, path: Path) -> None:
    known = migrations()
    found = int(connection.pragma("user_version"))
    if found > len(known):
        raise StoreRefused(
            f"{path}: schema {found} is newer than this program knows ({len(known)}); "
            "start the newer version"
        )
    for step in known[found:]:
        _apply(connection, step)


def _apply(connection: apsw.Connection, step: Migration) -> None:
    with connection:
        for _ in connection.execute(step.text):
            pass
        connection.pragma("user_version", step.number)


def _check_site(connection: apsw.Connection, path: Path, site: str) -> None:
    names = [name for (name,) in connection.execute(query("site"))]
    if not names:
        connection.execute(query("put_site"), {"name": site})
    elif names != [site]:
        raise StoreRefused(
            f"{path}: belongs to site {names[0]}, the configuration says {site}; "
            "set the right path or the right site"
        )


def _empty_wal(connection: apsw.Connection, path: Path) -> None:
    """What a killed writer left unsynced becomes durable before anybody is shown it.

    The synced write afterwards gives the WAL a new header: without it a power cut could bring back
    the old WAL, and with it the state before a failed sync or a commit that was denied.
    """
    for busy, _, _ in connection.execute(query("empty_wal")):
        if busy:
            raise StoreRefused(f"{path}: a reader keeps the WAL from being synced; end it")
    connection.execute(query("count_start"))


def _check_tail(connection: apsw.Connection, path: Path, site: str) -> Head:
    last = [int(seq) for seq, _ in connection.execute(query("head"))]
    after = max(0, last[0] - TAIL) if last else 0
    head = Head(site, after)
    bindings = {"seq": after, "most": TAIL}
    for owner, seq, text, prev, digest in connection.execute(query("entries_after"), bindings):
        expected = prev if after and seq == after + 1 else head.hash
        if seq != head.seq + 1 or prev != expected or link(prev, owner, seq, text) != digest:
            raise StoreRefused(
                f"{path}: the journal is broken at entry {seq}; run `bridge110 db verify`"
            )
        head = Head(site, int(seq), str(digest))
    return head
