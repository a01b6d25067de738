"""A verified copy of the store while it is written, and the way back onto an empty machine.

SQLite's own backup under one read transaction: it copies pages with their checksums and does not
start again when the daemon writes. `VACUUM INTO` would lose the checksums. Run it in a process of
its own: proving the copy is processor-bound.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import apsw

from bridge.domain.attachment import files_named
from bridge.domain.journal import Fact, Json, parse_body
from bridge.flows.ports import StoreError
from bridge.store.connection import CHECKSUM_BYTES, load_checksums, open_reading
from bridge.store.session import Head
from bridge.store.sql import query
from bridge.store.verify import verify

STEP_PAGES = 256
"""Pages copied between two reports of progress (1 MiB)."""

SYNC_BYTES = 4 * 1024 * 1024
"""Written to the disk this often: one large sync would hold up the daemon's own."""

PAGE = 500

Progress = Callable[[int, int], None]
"""Told (bytes copied, bytes in all)."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was read again and proved. `sha256` is of the file, kept beside it."""

    path: Path
    head: Head
    size: int
    sha256: str

    def manifest(self) -> str:
        """Text of the file beside the copy."""
        return json.dumps(
            {"head": str(self.head), "size": self.size, "sha256": self.sha256}, indent=1
        )


def backup(source: Path, target: Path, progress: Progress | None = None) -> Backup:
    """Copy the store `source` to the new file `target`, synced and proved.

    Beside it `<target>.json` holds head, size and SHA-256. Raises StoreError when the target is
    there already or the copy does not prove itself; then no file is left under its name.
    """
    if target.exists():
        raise StoreError(f"{target}: is there already; name a new file")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    try:
        _copy(source, part, progress)
        made = _proved(part, target)
        _write(target.with_name(target.name + ".json"), made.manifest())
        part.rename(target)
        _sync(target.parent)
    except (apsw.Error, OSError) as error:
        raise StoreError(f"{target}: cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return made


def restore(copy: Path, database: Path) -> Backup:
    """Put the backup `copy` in place as `database`; its head is the same afterwards.

    Raises StoreError when there is a store already (only an empty machine is restored onto), when
    the copy is not the one its `.json` describes, or does not prove itself.
    """
    for name in (database.name, database.name + "-wal", database.name + "-journal"):
        if database.with_name(name).exists():
            raise StoreError(
                f"{database.with_name(name)}: there is a store already; "
                "restore onto an empty machine, or move the old files away"
            )
    said = _manifest(copy)
    part = database.with_name(database.name + ".part")
    try:
        _copy_file(copy, part)
        made = _proved(part, database)
        if said is not None and said != (str(made.head), made.sha256):
            raise StoreError(f"{copy}: is not the copy that {copy.name}.json describes")
        part.rename(database)
        _sync(database.parent)
    except OSError as error:
        raise StoreError(f"{database}: cannot be restored: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return made


def closed_recordings(copy: Path) -> Iterator[Mapping[str, Json]]:
    """Data of every `recording.closed` fact in a store at rest. Raises StoreError."""
    return (fact.data for fact in _facts(copy, "closed_recordings", at_rest=True))


def named_files(database: Path, *, at_rest: bool = True) -> Iterator[str]:
    """Every file beside the journal that a fact names. Raises StoreError."""
    for fact in _facts(database, "facts_with_files", at_rest=at_rest):
        yield from files_named(fact)


def _facts(database: Path, name: str, *, at_rest: bool) -> Iterator[Fact]:
    with open_reading(database, None, at_rest=at_rest) as reading:
        after = 0
        while True:
            bindings = {"seq": after, "most": PAGE}
            page = list(reading.execute(query(name), bindings))
            for _, text in page:
                yield parse_body(str(text))
            if len(page) < PAGE:
                return
            after = int(str(page[-1][0]))


def _copy(source: Path, part: Path, progress: Progress | None) -> None:
    load_checksums()
    with open_reading(source, None) as reading:
        reading.execute("BEGIN")
        reading.execute(query("head")).fetchall()  # the moment that is copied
        writing = apsw.Connection(str(part))
        try:
            writing.reserve_bytes("main", CHECKSUM_BYTES)
            writing.pragma("synchronous", 0)  # synced below, in small pieces
            writing.pragma("user_version", 1)  # page 1 goes first: it switches the checksums on
            _copy_pages(writing, reading, part, progress)
        finally:
            writing.close()
        reading.execute("ROLLBACK")


def _copy_pages(
    writing: apsw.Connection, reading: apsw.Connection, part: Path, progress: Progress | None
) -> None:
    page_size = int(str(reading.pragma("page_size")))
    synced = 0
    with writing.backup("main", reading, "main") as steps:
        while not steps.done:
            steps.step(STEP_PAGES)
            copied = (steps.page_count - steps.remaining) * page_size
            if copied - synced >= SYNC_BYTES:
                _sync(part)
                synced = copied
            if progress is not None:
                progress(copied, steps.page_count * page_size)


def _copy_file(source: Path, part: Path) -> None:
    if not source.is_file():
        raise StoreError(f"{source}: there is no such backup")
    with source.open("rb") as reading, part.open("xb") as writing:
        while piece := reading.read(SYNC_BYTES):
            writing.write(piece)
            writing.flush()
            os.fdatasync(writing.fileno())


def _proved(part: Path, final: Path) -> Backup:
    _sync(part)
    verdict = verify(part, at_rest=True)
    if verdict.fault is not None:
        raise StoreError(f"{final}: the copy does not prove itself: {verdict.fault}")
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Backup(final, verdict.head, part.stat().st_size, digest)


def _manifest(copy: Path) -> tuple[str, str] | None:
    path = copy.with_name(copy.name + ".json")
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text("utf-8"))
        return str(said["head"]), str(said["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: is not the description of a backup: {error}") from error


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", "utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
