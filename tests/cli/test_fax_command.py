"""`fax` against a desk that serves, and the board in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.cli.fax_board import board_words
from bridge.cli.output import CommandError
from tests.cli.test_order_command import command
from tests.desk.desk_kit import running
from tests.desk.test_fax_rest import BOARD, MODEM


async def test_pausing_closing_and_the_board(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        kit.view.board("fax", BOARD)

        async def fax(*arguments: str) -> str:
            return (await command(kit, tmp_path, "fax", *arguments, who="L-8003")).out

        assert "paused" in await fax("pause", "--modem", "ttyACM0", "--reason", "维修")
        assert "全部" in await fax("pause", "--reason", "停电")
        await fax("block", "05390000", "--reason", "错号")
        shown = await fax("board")
        assert "05390000" in shown
        assert "2/3" in shown
        document = json.loads(await fax("board", "--json"))
        assert document["paused"] == [
            {"modem": "", "reason": "停电"}, {"modem": "ttyACM0", "reason": "维修"},
        ]  # fmt: skip
        await fax("resume")
        await fax("unblock", "05390000")
        assert json.loads(await fax("board", "--json"))["blocked"] == []
        assert kit.paused[-1] == {"ttyACM0": "维修"}
        with pytest.raises(CommandError, match="not-allowed"):
            await command(kit, tmp_path, "fax", "resume", who="T-8001")


def test_the_board_in_words() -> None:
    idle = dict.fromkeys(MODEM) | {"modem": "b", "state": "held", "why": "efax"}
    board = {"modems": [MODEM, idle], "waiting": BOARD["waiting"], "paused": "停电"}
    lines = board_words([board]).splitlines()
    assert lines[0].split("  ")[0] == "ttyACM0"
    assert "14400 bit/s ECM" in lines[0]
    assert "被占用 / held" in lines[1]
    assert "efax" in lines[1]
    assert lines[2:] == [
        "全部暂停 / all sending is paused: 停电", "等待 / waits 1: 1  1 页 / pages",
    ]  # fmt: skip
    assert "没有" in board_words([])
