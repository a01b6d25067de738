"""The fax desk by the public interface: the board, what rests, numbers that are closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.desk.desk_kit import Kit, running

MODEM: dict[str, Any] = {
    "modem": "ttyACM0",
    "port": "/dev/ttyACM0",
    "state": "sending",
    "why": "",
    "key": "20260301-0001-01.1",
    "number": "05398110119",
    "page": 2,
    "of": 3,
    "confirmed": 1,
    "bps": 14400,
    "ecm": True,
    "far_id": "8110119",
}
BOARD: dict[str, Any] = {
    "modems": [MODEM],
    "waiting": [{"key": "k", "number": "1", "urgent": False, "pages": 1}],
    "paused": None,
}


@pytest_asyncio.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with running(tmp_path) as made:
        yield made


async def test_the_board_is_on_the_stream_in_the_snapshot_and_by_rest(kit: Kit) -> None:
    async with kit.cti("E", subscribe=["*"]) as events:
        kit.view.board("fax", BOARD)
        kit.view.board("fax", BOARD)  # nothing new
        kit.view.alarm("x", "y")
        told = await events.of_type("fax.board")
        assert told["data"] == {"gateway": "fax", **BOARD}
        await events.of_type("alarm.raised")
        assert [m.get("type") for m in events.seen].count("fax.board") == 1
    engineer = kit.client("E")
    assert (await engineer.get("snapshot"))["fax"] == [{"gateway": "fax", **BOARD}]
    assert (await engineer.get("fax"))["boards"] == [{"gateway": "fax", **BOARD}]
    kit.view.board("lines", BOARD)
    kit.view.no_boards(["fax"])
    boards = (await engineer.get("fax"))["boards"]
    assert [len(board["modems"]) for board in boards] == [0, 1], "the switch's lines are not theirs"


async def test_a_units_people_see_nothing_of_it(kit: Kit) -> None:
    kit.view.board("fax", BOARD)
    assert (await kit.client("U").http.get("fax")).status_code == 403
    async with kit.cti("U", subscribe=["*"]) as events:
        assert events.welcome["snapshot"]["fax"] == []
        kit.view.board("fax", {**BOARD, "paused": "x"})
        kit.view.alarm("x", "y")
        await events.of_type("alarm.raised")
        assert "fax.board" not in [message.get("type") for message in events.seen]


async def test_a_modem_rests_and_goes_on_and_it_is_known_by_whom(kit: Kit) -> None:
    leader = kit.client("L-8003")
    asked = {"modem": "ttyACM0", "reason": "维修"}
    first = await leader.do("POST", "fax/pause", asked, key="key-fax-1")
    again = await leader.do("POST", "fax/pause", asked, key="key-fax-1")
    assert (first.status_code, first.text) == (200, again.text)
    assert kit.paused == [{"ttyACM0": "维修"}]
    assert (await leader.get("fax"))["paused"] == [asked]
    fact = await kit.journalled("fax.paused")
    assert (fact.subject, fact.actor, fact.data) == ("ttyACM0", "L-8003", {"reason": "维修"})
    await leader.do("POST", "fax/resume", {"modem": "ttyACM0"})
    assert kit.paused[-1] == {}


async def test_a_number_is_closed_with_a_reason_and_opened_again(kit: Kit) -> None:
    leader = kit.client("L-8003")
    refused = await leader.do("POST", "fax/block", {"number": "05390000", "reason": ""})
    assert (refused.status_code, refused.json()["code"]) == (400, "reason-missing")
    await leader.do("POST", "fax/block", {"number": "05390000", "reason": "错号"})
    assert (await leader.get("fax"))["blocked"] == [{"number": "05390000", "reason": "错号"}]
    assert "错号" in kit.view.alarms["fax.number.05390000"]["words"]  # type: ignore[operator]
    await leader.do("POST", "fax/unblock", {"number": "05390000"})
    assert (await leader.get("fax"))["blocked"] == []
    assert "fax.number.05390000" not in kit.view.alarms


@pytest.mark.parametrize("who", ["T-8001", "U", "A", "P"])
@pytest.mark.parametrize("service", ["pause", "resume", "block", "unblock"])
async def test_only_leaders_and_engineers_run_the_fax_desk(
    kit: Kit, who: str, service: str
) -> None:
    body: dict[str, Any] = {"number": "110"} if "block" in service else {}
    body |= {"reason": "x"} if service in ("pause", "block") else {}
    answer = await kit.client(who).do("POST", f"fax/{service}", body)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
    assert kit.paused == []


@pytest.mark.parametrize("number", ["", "8;ATH", "1 2 3 4", "９９９９", "1" * 30])
async def test_only_a_number_can_be_closed(kit: Kit, number: str) -> None:
    answer = await kit.client("E").do("POST", "fax/block", {"number": number, "reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
