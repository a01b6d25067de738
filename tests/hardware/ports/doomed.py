"""`python -m tests.hardware.ports.doomed ports …`: the port process, dying at a named step.

The step stands in the variable, as `<place> <what> [<which time, 1 is the first>]`:

    before-journal W   a line about W goes to the journal: job, refs, sending, sent, read, status …
    after-journal W    it is synced
    before-line W      octets with W in them are about to go out on a serial line
    after-line W       the system has taken them
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Final

from bridge.__main__ import main
from hardware.ports.journal import Journal
from hardware.serial_link import SerialLink
from tests.faults.parent import die_with_parent
from tests.faults.steps import die

VARIABLE: Final = "PORTS_DIE_AT"


def watch(step: str) -> None:
    """Put the doom at both doors: journal and line."""
    place, what, *rest = step.split()
    turn = int(rest[0]) if rest else 1
    passed: Counter[str] = Counter()

    def at(here: str, about: bool) -> None:
        if about and here == place:
            passed[here] += 1
            if passed[here] == turn:
                die()

    journal, line = Journal._write, SerialLink.write

    def watched_journal(self: Journal, data: bytes) -> None:
        about = what in _about(data)
        at("before-journal", about)
        journal(self, data)
        at("after-journal", about)

    async def watched_line(self: SerialLink, data: bytes) -> None:
        about = what.encode() in data
        at("before-line", about)
        await line(self, data)
        at("after-line", about)

    for owner, name, watched in (
        (Journal, "_write", watched_journal),
        (SerialLink, "write", watched_line),
    ):
        setattr(owner, name, watched)


def _about(data: bytes) -> set[str]:
    """What the lines of one write to the journal are about."""
    found: set[str] = set()
    for entry in map(json.loads, data.splitlines()):
        body = entry.get("body") or {}
        found |= {entry["e"], str(entry.get("stage", body.get("stage"))), str(body.get("kind"))}
    return found


if __name__ == "__main__":
    die_with_parent()
    watch(os.environ[VARIABLE])
    main()
