"""An order by radio with the port process killed at every step of its attempt: it is never lost,
and no text goes out twice without the mark that it may be a repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hardware.ports.both import both, played

pytestmark = pytest.mark.timeout(180)

PORTS_STEPS = (
    *("before-journal job", "after-journal job", "after-journal refs", "before-journal sending"),
    *("before-line CMGS", "after-line CMGS", "before-line \x1a", "after-line \x1a"),
    *("after-line \x1a 2", "before-journal sent", "after-journal sent"),
    *("after-journal read", "before-journal status", "after-journal status"),
)


@pytest.mark.parametrize("step", PORTS_STEPS, ids=lambda step: step.replace("\x1a", "ctrl-z"))
async def test_the_port_process_killed(tmp_path: Path, step: str) -> None:
    async with both(tmp_path) as room:
        await room.start(ports_die=step)
        first = room.owner.pid
        await played(room)
        assert room.owner.pid != first, "it did not die at that step"
