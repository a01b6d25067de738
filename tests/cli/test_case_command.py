"""`bridge110 case` and `db`: what the store holds, in words and as JSON, without changing it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.cli.case_words import timeline
from bridge.cli.order_words import KINDS
from bridge.cli.output import CommandError, masked, shown, table
from bridge.domain.journal import Entry, Fact, Json
from bridge.flows.order_events import ORDER_EVENTS
from bridge.flows.ports import StoreError
from bridge.store import Head
from tests.cli.cli_kit import CASE, NUMBER, facts, fill, make_config, run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    made = make_config(tmp_path)
    asyncio.run(fill(made, facts()))
    return made


def test_list_shows_the_case_with_its_number_masked(config: Path) -> None:
    answer = run("case", "list", "--config", config)
    assert answer.status == 0
    assert CASE in answer.out
    assert "2026-11-24T09:00:00+08:00" in answer.out
    assert NUMBER not in answer.out
    assert "138****1234" in answer.out
    assert NUMBER in run("case", "list", "--full-numbers", "--config", config).out


def test_list_counts_by_the_local_day_and_tells_of_more(config: Path) -> None:
    def cases(*more: str) -> list[object]:
        answer = run("case", "list", "--json", "--config", config, *more)
        document = json.loads(answer.out)
        assert document["more"] is False
        return list(document["cases"])

    assert len(cases("--day", "2026-11-24")) == 1
    assert cases("--day", "2026-11-23") == []
    assert run("case", "list", "--day", "24.11.", "--config", config).status == 2


def test_time_line_is_in_order_with_local_times_and_what_was_learnt_later(config: Path) -> None:
    out = run("case", "show", CASE, "--config", config).out
    lines = out.splitlines()
    assert "移交 / handoff → 12345: ended 已移交(completed)" in lines
    told = [line for line in lines if line.startswith("09:0")]
    assert told[0].startswith("09:00:00.000     +0.000  来电 138****1234 → 110 / call from")
    assert "09:00:02.500     +2.500  坐席 8001 进入通话" in out
    assert "(事后得知 / learnt later) 移交:对方已加入" in out
    assert "something.newer" in out
    assert len(told) == len(facts())
    assert NUMBER not in out


def test_every_fact_of_an_order_has_words_and_hides_the_number_that_signed() -> None:
    assert set(ORDER_EVENTS) <= set(KINDS)
    data: dict[str, Json] = {"by": "13800138000", "channel": "sms"}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    signed = Entry("s", 1, Fact("order.acknowledged", at, "c", None, "c-01", data=data), "", "")
    (moment,) = timeline([signed], full_numbers=False)
    assert moment.zh == "指令 c-01 签收 138****8000"
    assert moment.en == "order c-01 is signed by 138****8000"
    (whole,) = timeline([signed], full_numbers=True)
    assert "13800138000" in whole.zh


def test_time_line_as_json(config: Path) -> None:
    document = json.loads(run("case", "show", CASE, "--json", "--config", config).out)
    assert [m["after_s"] for m in document["timeline"]] == [0, 1, 2.4, 2.5, 10, 15, 16, 60, 60]
    assert document["timeline"][5]["learnt_later"] is True


def test_export_holds_everything_once_and_never_overwrites(config: Path, tmp_path: Path) -> None:
    target = tmp_path / "case.json"
    assert run("case", "export", CASE, "-o", target, "--config", config).status == 0
    document = json.loads(target.read_text(encoding="utf-8"))
    assert len(document["journal"]) == len(facts())
    assert {one["table"] for one in document["records"]} == {"case", "call", "leg", "handoff"}
    assert target.stat().st_mode & 0o077 == 0
    with pytest.raises(CommandError, match="name a new file"):
        run("case", "export", CASE, "-o", target, "--config", config)


def test_case_that_is_not_there_is_told_safely(config: Path) -> None:
    with pytest.raises(CommandError, match=r"x\\u001b\[2J"):
        run("case", "show", "x\x1b[2J", "--config", config)


def test_without_a_store_the_mend_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="start the daemon once"):
        run("case", "list", "--config", make_config(tmp_path))


def test_backup_is_proved_and_restored_with_the_same_head(config: Path, tmp_path: Path) -> None:
    made = json.loads(run("db", "backup", tmp_path / "copy", "--json", "--config", config).out)
    whole = json.loads(run("db", "verify", "--json", "--config", config).out)
    assert whole["fault"] is None
    assert made["head"] == whole["head"]
    assert Head.parse(made["head"]).seq == len(facts())
    empty = tmp_path / "other.db"
    back = json.loads(run("db", "restore", tmp_path / "copy", "--store", empty, "--json").out)
    assert back["head"] == made["head"]
    assert run("db", "verify", "--store", empty, "--head", made["head"]).status == 0


def test_state_is_what_the_journal_says(config: Path) -> None:
    answer = run("db", "rebuild", "--check", "--json", "--config", config)
    assert json.loads(answer.out)["differences"] == []
    assert run("db", "rebuild", "--config", config).status == 2


def test_changed_journal_is_damaged_with_its_place(config: Path) -> None:
    store = config.parent / "var-lib-bridge110" / "bridge110.db"
    data = bytearray(store.read_bytes())
    data[data.index(b"something.newer")] ^= 1
    store.write_bytes(data)
    with pytest.raises((CommandError, StoreError), match=r"page|entry"):
        run("db", "verify", "--config", config)


def test_head_that_was_published_and_is_gone_is_told(config: Path) -> None:
    beyond = f"linyi 99 {'0' * 64}"
    with pytest.raises(CommandError, match="entries 10 to 99 were cut off"):
        run("db", "verify", "--head", beyond, "--config", config)
    assert run("db", "verify", "--head", "nonsense", "--config", config).status == 2


def test_reading_changes_nothing(config: Path) -> None:
    store = config.parent / "var-lib-bridge110" / "bridge110.db"
    before = store.read_bytes()
    for command in (["case", "list"], ["case", "show", CASE], ["db", "verify"]):
        assert run(*command, "--config", config).status == 0
    assert store.read_bytes() == before


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        ("13800001234", "138****1234"),
        ("110", "110"),
        ("12345", "****5"),
        ("0539888666", "053****666"),
        ("", ""),
    ],
)
def test_middle_of_a_number_is_hidden(number: str, seen: str) -> None:
    assert masked(number) == seen


def test_outside_text_does_not_act_on_the_terminal() -> None:
    assert shown("张三\x1b]0;x\x07\u202e") == "张三\\u001b]0;x\\u0007\\u202e"


def test_columns_line_up_with_chinese_in_them() -> None:
    assert table([["坐席", "a"], ["x", "b"]]) == "坐席  a\nx     b"
