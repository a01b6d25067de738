"""Recordings beside a backup: copied and proved by the hashes of the journal, or named as missing.

The journal says which files a closed call has and what their SHA-256 is; nothing else is copied,
and a file that is not what the journal says is named, never passed off as whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PIECE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file of a closed call, as the journal has it."""

    call: str
    file: str
    sha256: str


@dataclass(slots=True)
class Archive:
    """What became of the files: `copied` (or there already), `missing`, `damaged`."""

    copied: list[Wanted] = field(default_factory=list)
    missing: list[Wanted] = field(default_factory=list)
    damaged: list[Wanted] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Every file that the journal names is in the copy."""
        return not self.missing and not self.damaged


def wanted(closed: Iterable[Mapping[str, Any]]) -> Iterator[Wanted]:
    """Files named by `recording.closed` facts: tracks, mended tracks, the joined file."""
    for data in closed:
        call = str(data.get("call") or "")
        for track in data.get("tracks") or ():
            yield Wanted(call, str(track["file"]), str(track["sha256"]))
            if track.get("repaired_file"):
                yield Wanted(call, str(track["repaired_file"]), str(track["repaired_sha256"]))
        joined = data.get("joined")
        if joined:
            yield Wanted(call, str(joined["file"]), str(joined["sha256"]))


def copy_files(files: Iterable[Wanted], source: Path, target: Path) -> Archive:
    """Copy each file of `source` to `target`, synced and proved. Those that `target` has are read
    again instead. Raises OSError when `target` cannot be written."""
    target.mkdir(parents=True, exist_ok=True)
    found = Archive()
    for one in files:
        if Path(one.file).name != one.file or one.file in ("", ".", ".."):
            found.damaged.append(one)  # no name of ours
        elif _digest(target / one.file) == one.sha256:
            found.copied.append(one)
        elif not (source / one.file).is_file():
            found.missing.append(one)
        elif _copy(source / one.file, target / one.file, one.sha256):
            found.copied.append(one)
        else:
            found.damaged.append(one)
    _sync(target)
    return found


def _copy(source: Path, target: Path, sha256: str) -> bool:
    part = target.with_name(target.name + ".part")
    digest = hashlib.sha256()
    with source.open("rb") as reading, part.open("wb") as writing:
        while piece := reading.read(PIECE_BYTES):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    if digest.hexdigest() != sha256:
        part.unlink()
        return False
    part.rename(target)
    return True


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
