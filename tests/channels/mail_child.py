"""`python -m tests.channels.mail_child PORT JOURNAL`: one order by mail, as a daemon would go on
with it after a kill: what was being sent and has no end is sent once more, marked."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from bridge.domain.delivery import A, Progress, Received
from tests.channels.mail_kit import Spawned, channel, job, mail_server


class Journal:
    """`FromChannel` on a synced file."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8")
        lines = file.read_text(encoding="utf-8").splitlines()
        self.last = {one["attempt"]: A(one["state"]) for one in map(json.loads, lines)}

    async def progress(self, progress: Progress) -> None:
        line = {"attempt": progress.attempt, "state": progress.state.value}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    async def received(self, received: Received) -> None:
        raise AssertionError(received)


async def main(port: int, file: Path) -> None:
    journal, spawned = Journal(file), Spawned()
    wire = channel(mail_server(port), journal, spawned)  # type: ignore[arg-type]
    seen = journal.last.get("a-1")
    if seen is None:
        await wire.send(job("a-1"))
    elif seen is A.SENDING and await wire.look("a-1") is None:
        await wire.send(job("a-1.r", repeat=True))
    await spawned.done()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
