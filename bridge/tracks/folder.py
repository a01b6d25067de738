"""One directory of sound files, entered only by checked names; no link is ever followed.

The recordings belong to Asterisk and are only read. What is made from them goes into a directory
of the daemon's own. Both are opened once and then used through their descriptor, so that nothing
outside can be named, whatever is put in their place meanwhile (guard.md, S11).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bridge.tracks.naming import BadName, TrackName, check_case, is_made, parse

MAX_TRACKS: Final = 256
"""Most tracks of one call; more is an error, not a recording without some of them."""
PIECE_BYTES: Final = 1024 * 1024
SYNC_BYTES: Final = 4 * PIECE_BYTES
"""Written to the disk this often: one large sync would hold up the store's own."""

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class TracksError(Exception):
    """The recording of a call could not be closed now. The text names the file and the mend."""


class NotReady(TracksError):
    """A track is still being written: close the call again when its legs have ended."""


class Folder:
    """An open directory. Use as a context manager; not shared between threads."""

    def __init__(self, path: Path) -> None:
        """Raises TracksError when `path` is not a directory that we may enter."""
        try:
            self.path = path.resolve(strict=True)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, RuntimeError) as error:
            raise TracksError(f"{path}: cannot be opened as a directory: {error}") from error

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def tracks(self, case: str) -> list[TrackName]:
        """The tracks of one call that are regular files, sorted by start.

        Raises BadName for a bad case, TracksError beyond MAX_TRACKS.
        """
        prefix = check_case(case) + "-"
        found = []
        with os.scandir(self._descriptor) as entries:
            for entry in entries:
                if not entry.name.startswith(prefix):
                    continue
                with contextlib.suppress(BadName):
                    name = parse(entry.name)
                    if name.case == case and entry.is_file(follow_symlinks=False):
                        found.append(name)
        if len(found) > MAX_TRACKS:
            raise TracksError(f"call {case}: {len(found)} tracks, at most {MAX_TRACKS} are joined")
        return sorted(found, key=lambda name: (name.started_ms, name.leg))

    def open(self, text: str) -> int:
        """A descriptor for reading the track or made file `text`; the caller closes it.

        Raises BadName for any other name, FileNotFoundError, or OSError for a link, a directory, a
        pipe or whatever else is no regular file.
        """
        descriptor = os.open(_checked(text), _READ, dir_fd=self._descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", text)
        return descriptor

    def locate(self, text: str) -> Path:
        """The full path of the track or made file `text`, for parts that need one.

        Raises BadName, FileNotFoundError, or TracksError when it leads out of this directory.
        """
        path = (self.path / _checked(text)).resolve(strict=True)
        if not path.is_relative_to(self.path) or path.name != text:
            raise TracksError(f"{text}: is a link out of its place; remove it")
        return path

    def lock(self) -> None:
        """Wait for the right to make files here; it ends with this object."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def free_bytes(self) -> int:
        """Room on the disk of this directory."""
        room = os.fstatvfs(self._descriptor)
        return room.f_bavail * room.f_frsize

    def replace(self, text: str, pieces: Iterable[bytes]) -> str:
        """Make the file `text` of `pieces`, whole or not at all; its SHA-256.

        Written beside it, synced, then renamed: a kill at any moment leaves the old file or the
        new one. Needs `lock`. Raises BadName, OSError.
        """
        if not is_made(text):
            raise BadName("file", text, "is not one that is made here")
        part = f".{text}.part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=self._descriptor)
        descriptor = os.open(part, _MAKE, 0o640, dir_fd=self._descriptor)
        try:
            digest = _write(descriptor, pieces)
            here = self._descriptor
            os.rename(part, text, src_dir_fd=here, dst_dir_fd=here)
        except BaseException:
            os.unlink(part, dir_fd=self._descriptor)
            raise
        finally:
            os.close(descriptor)
        os.fsync(self._descriptor)
        return digest


def pieces_of(descriptor: int, offset: int, length: int) -> Iterator[bytes]:
    """Bytes of an open file in bounded pieces. Raises OSError when it has fewer."""
    end = offset + length
    while offset < end:
        piece = os.pread(descriptor, min(PIECE_BYTES, end - offset), offset)
        if not piece:
            raise OSError(f"file ends {end - offset} bytes before it should")
        yield piece
        offset += len(piece)


def sha256(descriptor: int) -> str:
    """SHA-256 of a whole open file, as lower-case hexadecimal."""
    digest = hashlib.sha256()
    for piece in pieces_of(descriptor, 0, os.fstat(descriptor).st_size):
        digest.update(piece)
    return digest.hexdigest()


def _checked(text: str) -> str:
    if not is_made(text):
        parse(text)
    return text


def _write(descriptor: int, pieces: Iterable[bytes]) -> str:
    digest, unsynced = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        unsynced += len(piece)
        if unsynced >= SYNC_BYTES:
            os.fdatasync(descriptor)
            unsynced = 0
    os.fsync(descriptor)
    return digest.hexdigest()
