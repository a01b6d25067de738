"""Papers that leave the house: made of the record, kept as printed, printed the same again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator, FormatChecker

from bridge.desk.contract import data_schema
from bridge.documents.service import Documents
from bridge.domain.journal import iso
from bridge.domain.shared_case import HandoffPart, SharedCase
from tests.desk.desk_kit import Kit, running, until
from tests.desk.test_orders_rest import HOSTILE, a_case, give

NOW = datetime.now(UTC)


@pytest_asyncio.fixture
async def kit(tmp_path: Path, documents: Documents) -> AsyncIterator[Kit]:
    async with running(tmp_path, paper=documents.paper) as made:
        yield made


async def print_it(kit: Kit, who: str = "T-8001", key: str = "", **body: Any) -> Any:
    return await kit.client(who).do("POST", "papers", body, key=key)


async def text_of(kit: Kit, paper: str) -> str:
    answer = await kit.client().http.get(f"papers/{paper}", params={"form": "text"})
    assert answer.status_code == 200, answer.text
    return str(answer.text)


async def test_a_notice_says_what_the_record_says_and_counts_itself(kit: Kit) -> None:
    order = await give(kit, kit.client(), words=HOSTILE, category="WAT.02")
    due = (NOW + timedelta(hours=1)).isoformat()
    early = await print_it(kit, kind="notice", order=order)
    assert (early.status_code, early.json()["code"]) == (409, "not-overdue")
    case = str((await kit.client().get(f"orders/{order}"))["case"])
    async with kit.cti("T-8002", subscribe=["*"]) as events:
        first = await print_it(kit, kind="notice", order=order, demand="请即办结", due_at=due)
        assert first.status_code == 201, first.text
        told = (await events.of_type("paper.printed"))["data"]
        schema = data_schema("paper.printed")
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(told)
        assert (told["paper"], told["by"]) == (f"{case}-N01", "T-8001")
    words = await text_of(kit, f"{case}-N01")
    for part in ("市供水集团", "解放路1号", order, HOSTILE, "请即办结", "WAT.02"):
        assert part in words
    assert "第2次督办" not in words
    second = await print_it(kit, kind="notice", order=order, due_at=due)
    assert second.json()["paper"] == f"{case}-N02"
    assert "第2次督办" in await text_of(kit, f"{case}-N02")
    for bad in ({"unit_name": "别的单位"}, {"number": "X-1"}, {"order": "../x"}):
        refused = await print_it(kit, **{"kind": "notice", "order": order, **bad})
        assert refused.status_code == 400, "the record's words are not the client's to say"


async def test_a_limit_that_ran_out_is_the_records(kit: Kit) -> None:
    order = await give(kit, kit.client(), arrival_limit_s=60)
    await kit.client().do("POST", f"orders/{order}/acknowledge", {"by": "张三"})
    record = kit.orders.orders.book.orders[order]
    record.clocks["arrival"].due = NOW - timedelta(minutes=5)
    due = record.clocks["arrival"].due.astimezone(kit.orders.orders.site.zone)
    mine = (NOW + timedelta(days=9)).isoformat()
    paper = (await print_it(kit, kind="notice", order=order, due_at=mine)).json()["paper"]
    assert due.strftime("%Y年%m月%d日 %H时%M分") in await text_of(kit, paper)


async def test_what_was_printed_is_kept_and_printed_the_same_again(
    kit: Kit, tmp_path: Path
) -> None:
    order = await give(kit, kit.client())
    due = (NOW + timedelta(hours=1)).isoformat()
    body: dict[str, Any] = {"kind": "notice", "order": order, "due_at": due}
    answers = [await print_it(kit, key="print-key-1", **body) for _ in range(2)]
    assert answers[0].json() == answers[1].json(), "one command, one paper"
    made = answers[0].json()
    fact = await kit.journalled("paper.printed")
    assert fact.data["files"] == made["files"]
    for form, begins in (("pdf", b"%PDF"), ("tiff", b"II*\0"), ("html", b"<!DOCTYPE")):
        got = [
            (await kit.client().http.get(f"papers/{made['paper']}", params={"form": form})).content
            for _ in range(2)
        ]
        assert got[0] == got[1] == (tmp_path / "files" / made["files"][form]).read_bytes()
        assert got[0].startswith(begins)
    case = made["paper"].rpartition("-")[0]
    listed = (await kit.client().get(f"cases/{case}/papers"))["papers"]
    assert [one["paper"] for one in listed] == [made["paper"]]
    (tmp_path / "files" / made["files"]["pdf"]).unlink()
    gone = await kit.client().http.get(f"papers/{made['paper']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "attachment-missing")
    assert f"file.{made['files']['pdf'][:12]}" in kit.view.alarms


async def test_a_call_back_form_has_caller_matter_unit_and_result_from_the_record(
    kit: Kit,
) -> None:
    order = await give(kit, kit.client())
    case = str((await kit.client().get(f"orders/{order}"))["case"])
    written = {"place": "人民路2号", "words": "停水两天", "caller_name": "王某"}
    await kit.client().do("PATCH", f"cases/{case}", written)
    result = {"kind": "result", "text": "已修复", "by": "张三"}
    await kit.client().do("POST", f"orders/{order}/reports", result)
    asked: dict[str, Any] = {
        "attitude": True,
        "speed": False,
        "said": "来得慢",
        "asked_at": NOW.isoformat(),
    }
    answer = await print_it(kit, kind="callback", case=case, **asked)
    assert answer.json()["paper"] == f"{case}-H01"
    words = await text_of(kit, f"{case}-H01")
    parts = ("13800138000", "王某", "人民路2号", "停水两天", "市供水集团", "已修复", "来得慢")
    for part in (*parts, "不满意"):
        assert part in words, part
    none = await print_it(kit, kind="callback", case="20200101-0001", asked_at=NOW.isoformat())
    assert (none.status_code, none.json()["code"]) == (404, "no-such-case")
    forged: dict[str, Any] = {
        "kind": "callback",
        "case": case,
        "asked_at": NOW.isoformat(),
        "caller_number": "110",
    }
    assert (await print_it(kit, **forged)).status_code == 400


async def test_a_receipt_says_who_has_taken_the_matter_and_since_when(kit: Kit) -> None:
    call, _ = await kit.talking()
    await kit.client().do("POST", f"calls/{call}/three-way", {"to": "12345"}, wait=3)
    record = kit.room.book.calls[call]
    [handoff] = record.handoffs.values()
    await until(lambda: kit.room._recorder.waiting == 0)
    kit.shared[record.case] = SharedCase(
        case=record.case,
        origin="test",
        handoff=HandoffPart(handoff.id, NOW, NOW, "12345 坐席 7"),
        ticket="T-2026-9",
    )
    answer = await print_it(kit, kind="receipt", case=record.case, handoff=handoff.id)
    assert answer.status_code == 201, answer.text
    words = await text_of(kit, f"{record.case}-R01")
    for part in ("12345 热线", "12345 坐席 7", "T-2026-9", "已接受", "13800138000", handoff.id):
        assert part in words, part
    other = await print_it(kit, kind="receipt", case=record.case, handoff="h-none")
    assert (other.status_code, other.json()["code"]) == (404, "no-such-handoff")


@pytest.mark.parametrize("who", ["U", "E", "A", "P"])
async def test_only_the_centre_prints(kit: Kit, who: str) -> None:
    case = await a_case(kit)
    answer = await print_it(kit, who, kind="callback", case=case, asked_at=iso(NOW))
    assert answer.status_code == 403
    for path in (f"cases/{case}/papers", f"papers/{case}-N01"):
        assert (await kit.client(who).http.get(path)).status_code == 403


async def test_a_paper_that_was_never_printed_is_not_there(kit: Kit) -> None:
    case = await a_case(kit)
    answer = await kit.client().http.get(f"papers/{case}-N01")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-paper")
