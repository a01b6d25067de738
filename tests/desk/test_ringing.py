"""What a telephone that rang in vain means for its agent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.domain.seen import Gone
from tests.desk.desk_kit import running, until


@pytest.mark.parametrize(
    ("cause", "rang_s", "state"),
    [(0, 0.2, "ready"), (16, 3.0, "ready"), (26, 12.0, "ready"), (0, 15.0, "notReady"),
     (21, 1.0, "notReady"), (17, 0.2, "notReady")],
)  # fmt: skip
async def test_a_citizen_who_leaves_while_it_rings_takes_no_seat_out_of_service(
    tmp_path: Path, cause: int, rang_s: float, state: str
) -> None:
    async with running(tmp_path) as kit:
        client = kit.client("T-8002")
        await client.do("PUT", "seats/8002/agent", {"agent": "a"})
        await client.do("PATCH", "seats/8002/agent", {"state": "ready"})
        call = kit.switch.citizen_calls()
        leg = kit.switch.seat_rings(call, "8002")
        seats = kit.room.book.seats
        await until(lambda: seats["8002"].state == "reserved")
        at = datetime.now(UTC) + timedelta(seconds=rang_s)
        kit.room.see(Gone(call=call, at=at, leg=leg, cause=cause))
        await until(lambda: seats["8002"].state != "reserved")
        assert seats["8002"].state == state
