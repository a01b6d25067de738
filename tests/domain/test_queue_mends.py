"""What the queue was not told is told when both are compared."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.domain.agent import AgentAct, queue_mends
from bridge.domain.call import Book, Seat

AT = datetime(2026, 11, 24, tzinfo=UTC)
ADD, REMOVE = AgentAct("add", "8001", "A1", "notReady"), AgentAct("remove", "8001")
PAUSE, UNPAUSE = AgentAct("pause", "8001", reason="lunch"), AgentAct("unpause", "8001")


@pytest.mark.parametrize(
    ("state", "member", "acts"),
    [
        ("loggedOff", None, []),
        ("loggedOff", True, [REMOVE]),
        ("loggedOff", False, [REMOVE]),
        ("notReady", None, [ADD]),
        ("notReady", True, []),
        ("notReady", False, [PAUSE]),
        ("workingAfterCall", False, [PAUSE]),
        ("ready", None, [ADD, UNPAUSE]),
        ("ready", True, [UNPAUSE]),
        ("ready", False, []),
        ("reserved", False, []),
        ("busy", True, []),
        ("busy", None, [ADD]),
    ],
)
def test_queue_and_seat_come_to_agree(
    state: str, member: bool | None, acts: list[AgentAct]
) -> None:
    book = Book()
    book.seats["8001"] = Seat("8001", state=state, agent="A1", reason="lunch", since=AT)
    members = {"4711": False} if member is None else {"4711": False, "8001": member}
    assert queue_mends(book, members) == acts
