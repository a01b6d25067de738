"""An order by radio with the daemon killed at every step of its attempt: it is never lost, and no
text goes out twice without the mark that it may be a repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hardware.ports.both import both, played

pytestmark = pytest.mark.timeout(180)

DAEMON_STEPS = tuple(
    f"{place} {kind} *"
    for kind in (
        *("order.created", "attempt.sending", "attempt.sent", "attempt.read"),
        "order.acknowledged",
    )
    for place in ("before-commit", "committed")
)


@pytest.mark.parametrize("step", DAEMON_STEPS)
async def test_the_daemon_killed(tmp_path: Path, step: str) -> None:
    async with both(tmp_path) as room:
        await room.start(daemon_dies=step)
        first = room.daemon.pid
        await played(room)
        assert room.daemon.pid != first, "it did not die at that step"
