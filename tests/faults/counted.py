"""`python -m tests.faults.counted run --config …`: the daemon as it is, which also writes down each
second how many tasks it has.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from bridge.__main__ import main
from bridge.app.daemon import Daemon
from tests.faults.parent import die_with_parent

VARIABLE: Final = "FAULTS_TASKS_FILE"
EVERY_S: Final = 1.0


async def count(file: Path) -> None:
    """For ever; this task is not counted. The file is whole whenever it is read."""
    fresh = file.with_suffix(".fresh")
    while True:
        fresh.write_text(str(len(asyncio.all_tasks()) - 1))
        fresh.replace(file)
        await asyncio.sleep(EVERY_S)


def watch(file: Path) -> None:
    """Count beside the daemon's own work."""
    run = Daemon.run

    async def counted(self: Daemon) -> None:
        counting = asyncio.ensure_future(count(file))
        try:
            await run(self)
        finally:
            counting.cancel()

    setattr(Daemon, "run", counted)  # noqa: B010  mypy: a method is assigned


if __name__ == "__main__":
    die_with_parent()
    watch(Path(os.environ[VARIABLE]))
    main()
