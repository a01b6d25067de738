"""The board of the switch's fax lines, and what the switch says of a fax on a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.asterisk.fax_calls import FaxCalls
from bridge.channels.fax_lines import LineBoard
from bridge.domain.journal import Json
from bridge.flows.fax_ports import FaxPage
from bridge.flows.ports import ActRefused
from bridge.wire.ami import Message
from tests.asterisk.ami_peer import AmiPeer, Connection
from tests.asterisk.watched import running, settings


class Board:
    """A board of two lines, and what it showed last."""

    def __init__(self) -> None:
        self.last: Mapping[str, Any] = {}
        self.board = LineBoard(self._nothing, "fax", 2, self._shown)

    async def _nothing(self) -> Sequence[FaxPage]:
        return ()

    def _shown(self, data: Mapping[str, Any]) -> None:
        self.last = data

    def rows(self, *names: str) -> list[tuple[object, ...]]:
        return [tuple(row[name] for name in names) for row in self.last["modems"]]


def page(name: str, number: int = 1, *, bps: int = 14_400, sending: bool = True) -> FaxPage:
    return FaxPage(name=name, sending=sending, page=number, done=number - 1, bps=bps, ecm=True)


def test_a_line_goes_from_dialling_over_its_pages_to_idle() -> None:
    seen = Board()
    seen.board.began("1.1", "05391", 2)
    assert seen.rows("modem", "state", "number", "page", "of") == [
        ("fax-1", "dialling", "05391", None, 2),
        ("fax-2", "idle", None, None, None),
    ]
    seen.board.answered("1.1")
    seen.board.see([page("1.1", bps=0)])
    assert seen.rows("state", "page", "bps")[0] == ("sending", None, None), "nothing is agreed yet"
    seen.board.see([page("1.1", 2)])
    shown = ("sending", 2, 2, 1, 14_400, True)
    assert seen.rows("state", "page", "of", "confirmed", "bps", "ecm")[0] == shown
    seen.board.see([page("1.1", 3)])
    assert seen.rows("page", "confirmed")[0] == (2, 2), "there is no page 3 of 2"
    seen.board.see([])
    assert seen.rows("state")[0] == ("sending",), "its end is told, not guessed"
    seen.board.over("1.1")
    assert seen.rows("state") == [("idle",), ("idle",)]


def test_what_comes_in_or_was_there_before_us_has_a_row_while_it_lasts() -> None:
    seen = Board()
    seen.board.began("1.1", "05391", 1)
    seen.board.see([page("old.1"), page("1789.7", sending=False)])
    assert seen.rows("modem", "key", "state") == [
        ("fax-1", "1.1", "dialling"),
        ("fax-2", "old.1", "sending"),
        ("fax-3", "1789.7", "receiving"),
    ]
    seen.board.over("1.1")
    seen.board.began("1.2", "05392", 1)
    assert seen.rows("key") == [("1.2",), ("old.1",), ("1789.7",)], "each keeps its line"
    seen.board.see([])
    assert seen.rows("state") == [("dialling",), ("idle",)]


def test_what_waits_and_why_nothing_is_sent() -> None:
    seen = Board()
    waiting: dict[str, Json] = {"key": "1.3", "number": "1", "urgent": False, "pages": 1}
    seen.board.waits([waiting], "paper jam")
    assert (seen.last["waiting"], seen.last["paused"]) == ([waiting], "paper jam")


async def test_the_switch_is_asked_for_its_sessions_and_each_for_its_page() -> None:
    def sessions(connection: Connection, asked: Message) -> None:
        action = f"ActionID: {asked.get('ActionID')}"
        connection.respond(asked, "EventList: start", "Message: will follow")
        for number, operation, file in ((0, "send", "out/1.1.tif"), (3, "V.21", "")):
            said = (f"SessionNumber: {number}", f"Operation: {operation}", f"Files: /spool/{file}")
            connection.send("Event: FAXSessionsEntry", action, *said)
        end = ("EventList: Complete", "ListItems: 2")
        connection.send("Event: FAXSessionsComplete", action, *end)

    def session(connection: Connection, asked: Message) -> None:
        connection.respond(asked, "Message: FAXSession event will follow")
        connection.send(
            "Event: FAXSession",
            f"ActionID: {asked.get('ActionID')}",
            "SessionNumber: 0",
            "Operation: send",
            "ErrorCorrectionMode: Yes",
            "DataRate: 9600",
            "ImageResolution: 8031x7700",
            "PageNumber: 2",
            "FileName: /spool/out/1.1.tif",
            "PagesTransmitted: 1",
            "PagesReceived: 0",
        )

    async with AmiPeer() as peer:
        peer.answers["FAXSessions"] = sessions
        peer.answers["FAXSession"] = session
        async with running(settings(peer.port)) as watched:
            await watched.wait_up()
            calls = FaxCalls(watched.link, lambda: datetime.now(UTC), lambda _s, do: do())
            expected = FaxPage(name="1.1", sending=True, page=2, done=1, bps=9600, ecm=True)
            assert await calls.pages() == [expected]
            assert [one.get("SessionNumber") for one in peer.asked("FAXSession")] == ["0"]


async def test_without_the_link_there_is_no_answer() -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        calls = FaxCalls(watched.link, lambda: datetime.now(UTC), lambda _s, do: do())
        with pytest.raises(ActRefused):
            await calls.pages()
