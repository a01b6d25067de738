"""`order`, `unit` and `channel` against a desk that serves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from bridge.cli import app
from bridge.cli.order_words import along_words
from bridge.cli.output import CommandError
from tests.cli.cli_kit import Answer, run
from tests.desk.desk_kit import Kit, running
from tests.desk.test_orders_rest import a_case


async def command(kit: Kit, tmp_path: Path, *arguments: str, who: str = "T-8001") -> Answer:
    token = tmp_path / f"token-{who}"
    token.write_text(kit.tokens[who])
    reach = ("--url", kit.url, "--token-file", str(token))
    return await asyncio.to_thread(run, *arguments, *reach)


async def document(kit: Kit, tmp_path: Path, *arguments: str) -> Any:
    return json.loads((await command(kit, tmp_path, *arguments, "--json")).out)


async def test_an_order_from_sending_to_cancelling(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        case = await a_case(kit)
        words = ("--unit", "water", "--unit", "bank", "--words", "水管爆裂", "--drill")
        sent = await document(kit, tmp_path, "order", "send", case, *words)
        order, draft = (one["order"] for one in sent["orders"])
        assert [one["confirmation_asked"] for one in sent["orders"]] == [False, True]
        listed = await command(kit, tmp_path, "order", "list")
        assert order in listed.out
        assert "待确认 / draft" in listed.out
        await command(kit, tmp_path, "order", "remind", order)
        await command(kit, tmp_path, "order", "ack", order, "--by", "张三")
        shown = await command(kit, tmp_path, "order", "show", order)
        assert "演练 / drill" in shown.out
        assert "张三" in shown.out
        assert "终端 / terminal" in shown.out
        with pytest.raises(CommandError, match="reason-missing"):
            await command(kit, tmp_path, "order", "cancel", order, "--reason", " ")
        with pytest.raises(CommandError, match="no-such-channel"):
            await command(kit, tmp_path, "order", "redirect", order, "0539110", "--reason", "换号")
        with pytest.raises(CommandError, match="wrong-state"):
            await command(kit, tmp_path, "order", "take-back", f"{order}.1", "--reason", "误发")
        await command(kit, tmp_path, "order", "cancel", draft, "--reason", "误下")
        of_case = await document(kit, tmp_path, "order", "list", "--case", case)
        states = [one["state"] for one in of_case["orders"]]
        assert states == ["acknowledged", "cancelled"]


@pytest.mark.req("LU-15")
@pytest.mark.parametrize(
    ("refused", "words"), [(None, "通话同时转接 12345"), ("seat-busy", "未能转接 12345 / the call")]
)
def test_what_became_of_the_call_that_goes_along_is_said(refused: str | None, words: str) -> None:
    along = {"unit": "water", "call": "1.1", "to": "12345", "refused": refused}
    said = along_words(along)
    assert words in said
    assert (refused or "goes along") in said


async def test_what_goes_wrong_names_place_and_mend(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        with pytest.raises(CommandError, match="no-such-case"):
            await command(
                kit, tmp_path, "order", "send", "20200101-0001", "--unit", "bank", "--words", "x"
            )
        with pytest.raises(CommandError, match="no-such-order"):
            await command(kit, tmp_path, "order", "show", "20200101-0001-01")
        with pytest.raises(CommandError, match="not-allowed"):
            await command(kit, tmp_path, "order", "list", who="U")
    with pytest.raises(CommandError, match="token"):
        run("order", "list")


async def test_units_and_wires(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        assert "water" in (await command(kit, tmp_path, "unit", "list")).out
        tested = await document(kit, tmp_path, "unit", "test", "water")
        works = {wire["channel"]: wire["works"] for wire in tested["wires"]}
        assert (works["phone"], works["terminal"], works["fax"]) == (True, False, False)
        assert "电话 / phone" in (await command(kit, tmp_path, "channel", "status")).out
        with pytest.raises(CommandError, match="no wire of this unit works"):
            await command(kit, tmp_path, "unit", "test", "bank")


def test_a_pin_is_shown_as_its_hash_alone() -> None:
    result = CliRunner().invoke(app, ["unit", "pin"], input="4321\n4321\n")
    hashed = result.stdout.strip().splitlines()[-1]
    assert PasswordHasher().verify(hashed, "4321")
    bad = CliRunner().invoke(app, ["unit", "pin"], input="12a4\n12a4\n")
    assert isinstance(bad.exception, CommandError)


async def test_a_case_is_written_passed_on_and_its_delays_are_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        case = await a_case(kit)
        given = ("--place", "解放路1号", "--words", "水管爆裂", "--category", "WAT.02")
        assert "已登记" in (await command(kit, tmp_path, "case", "describe", case, *given)).out
        lead = {"who": "L-8003"}
        plan = ("--name", "应急预案", "--body", "housing", "--reported-at", "2026-01-01T08:00:00")
        assert "移交" in (await command(kit, tmp_path, "case", "plan", case, *plan, **lead)).out
        ended = ("case", "plan-end", case, "--reason", "误启动")
        assert "本台" in (await command(kit, tmp_path, *ended, **lead)).out
        sent = await document(kit, tmp_path, "order", "send", case, "--unit", "water")
        [order] = (one["order"] for one in sent["orders"])
        shown = await document(kit, tmp_path, "order", "show", order)
        assert (shown["place"], shown["words"]) == ("解放路1号", "水管爆裂")
        report = {"kind": "progress", "text": "已关阀", "by": "张三", "delay_reason": "道路封闭"}
        await kit.client().do("POST", f"orders/{order}/reports", report)
        onward = ("order", "pass-on", order, "--to", "housing", "--by", "张三")
        new = (await document(kit, tmp_path, *onward))["order"]
        assert "已确认" in (await command(kit, tmp_path, "order", "confirm", new)).out
        delays = (await command(kit, tmp_path, "unit", "delays")).out
        assert "市供水集团" in delays
        assert "道路封闭" in delays
