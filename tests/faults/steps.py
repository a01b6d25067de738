"""Named steps of the daemon, and an order to die at one of them. Pure but for reading the order.

A step is written `<place> <what> <call>`: `committed handoff.requested 1700000000.1`, where `*`
stands for any call. The places:

    before-commit F   a transaction with a fact of kind F goes to the store
    committed F       it is synced, nobody has been told
    published F       screens have it, whoever waits has not been woken
    before-act A      the act A is about to be carried out
    before-action N   an action N of an act is about to be sent to Asterisk
    after-action N    Asterisk has answered it
    after-act A       the act is done, the desk has not been answered
    before-send W      an attempt is about to be given to the wire W
    after-send W       the wire has taken it
    before-withdraw W  the wire is about to be told to stop one
    after-withdraw W   it was told
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PLACES: Final = (
    "before-commit",
    "committed",
    "published",
    "before-act",
    "before-action",
    "after-action",
    "after-act",
    "before-send",
    "after-send",
    "before-withdraw",
    "after-withdraw",
)
VARIABLE: Final = "FAULTS_STEP_FILE"


@dataclass(frozen=True, slots=True)
class Step:
    """One named step; `call` is a call's id or `*`."""

    place: str
    what: str
    call: str = "*"

    def __post_init__(self) -> None:
        if self.place not in PLACES:
            raise ValueError(f"{self.place!r} is no place of a step; there are {PLACES}")

    def __str__(self) -> str:
        return f"{self.place} {self.what} {self.call}"

    def is_at(self, place: str, what: str, call: str) -> bool:
        """Whether the daemon is there now."""
        return self.place == place and self.what == what and self.call in ("*", call)


def parse(text: str) -> Step | None:
    """A step as it is written, or None for an empty order. Raises ValueError."""
    words = text.split()
    if not words:
        return None
    place, what, call = words
    return Step(place, what, call)


def die() -> None:
    """At once and without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


class Doom:
    """Reads the order at every step, since it may be given at any time, and obeys it."""

    def __init__(self, file: Path, end: Callable[[], None] = die) -> None:
        self._file = file
        self._end = end

    def at(self, place: str, what: str, call: str) -> None:
        """The daemon has come to this step."""
        try:
            step = parse(self._file.read_text())
        except FileNotFoundError:
            return
        if step is not None and step.is_at(place, what, call):
            self._end()
