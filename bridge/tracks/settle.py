"""Whether the files of an ended call are complete, so that they may be hashed.

Asterisk closes a track a moment after its leg has ended, and then the header states the length.
A track whose Asterisk was killed never gets there: it counts as complete when nothing about the
call's files has changed for longer than a live recorder needs to write its next buffer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bridge.tracks.folder import Folder, TracksError
from bridge.tracks.recording import LegTimes
from bridge.tracks.wav import HEAD_BYTES, Damage, inspect


class Step(Enum):
    """What to do after a look."""

    READY = "the files are complete, or as complete as they will ever be"
    WAIT = "look again"
    GROWING = "still being written, and nobody waits longer"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: `quiet` without any change, `total` in all.

    A live recorder writes 32 KB every 2.05 s: `quiet` has to be longer than that.
    """

    quiet: float = 3.0
    total: float = 10.0


@dataclass(frozen=True, slots=True)
class State:
    """One track at one look."""

    name: str
    size: int
    changed_ns: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Look:
    """All tracks of a call at one look, and the labels of legs that have none yet."""

    states: tuple[State, ...]
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.missing and all(state.closed for state in self.states)


def settle(look: Look, unchanged: float, waited: float, patience: Patience) -> Step:
    """Decide from the newest look, unchanged for `unchanged` s, `waited` s after the first."""
    if look.complete or unchanged >= patience.quiet:
        return Step.READY
    return Step.GROWING if waited >= patience.total else Step.WAIT


def look_at(directory: Path, case: str, legs: Sequence[LegTimes]) -> Look:
    """Look at the files of a call; blocks on the disk.

    Raises TracksError when the directory or one of the files cannot be read.
    """
    with Folder(directory) as folder:
        names = folder.tracks(case)
        try:
            states = tuple(_state(folder, str(name)) for name in names)
        except OSError as error:
            raise TracksError(f"call {case}: a track cannot be read: {error}") from error
    there = {name.leg for name in names}
    return Look(states, tuple(sorted({leg.leg for leg in legs if leg.joined_at} - there)))


def _state(folder: Folder, name: str) -> State:
    descriptor = folder.open(name)
    try:
        known = os.fstat(descriptor)
        head = os.pread(descriptor, HEAD_BYTES, 0)
    finally:
        os.close(descriptor)
    closed = inspect(head, known.st_size).damage is Damage.NONE
    return State(name, known.st_size, known.st_mtime_ns, closed)
