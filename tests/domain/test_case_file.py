"""Who commands a case, what is written of it, and what both leave in the journal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.domain.call import as_json
from bridge.domain.case_file import (
    CaseFile,
    CommandRule,
    Description,
    FileBook,
    FileWork,
    Mode,
    alarm_of,
    describe,
    end_plan,
    from_doc,
    start_plan,
)
from bridge.domain.errors import Refused

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
CASE = "20261124-0001"
RULES = (CommandRule("ENV", frozenset({1, 2}), "环境应急预案", "emergency"),)


class Story:
    """One file; each decision is applied as facts and kept."""

    def __init__(self) -> None:
        self.file = CaseFile(CASE)
        self.book = FileBook()

    def work(self, actor: str = "T-8001") -> FileWork:
        return FileWork(self.file, NOW, actor, RULES)

    def keep(self, work: FileWork) -> list[str]:
        for fact in work.facts:
            self.book.apply(fact)
        assert self.book.files.get(CASE, CaseFile(CASE)) == self.file, "the fold of its facts"
        return [fact.kind for fact in work.facts]

    def describe(self, actor: str = "T-8001", **said: object) -> list[str]:
        work = self.work(actor)
        describe(work, Description(**said))  # type: ignore[arg-type]
        return self.keep(work)

    def start(self, plan: str = "环境应急预案", reported_at: datetime = NOW) -> list[str]:
        work = self.work("L-8099")
        start_plan(work, plan, "emergency", reported_at, ["o-1", "o-2"])
        return self.keep(work)


@pytest.mark.req("LL-29")
def test_110_commands_where_nothing_is_said_and_where_no_plan_is_needed() -> None:
    story = Story()
    assert (story.file.command.mode, story.file.command.holder) == (Mode.DIRECT, "110")
    assert story.describe(category="WAT.02", grade=1) == ["case.described"]
    assert story.describe(category="ENV.01", grade=4) == ["case.described"]
    assert (story.file.command.mode, story.file.command.holder) == (Mode.DIRECT, "110")


@pytest.mark.req("LL-28")
def test_command_follows_category_and_grade_and_each_change_is_kept_with_time_and_actor() -> None:
    story = Story()
    assert story.describe(category="ENV.01") == ["case.described"], "no grade yet"
    assert story.describe(actor="T-8002", grade=2) == ["case.described", "case.command"]
    due = story.file.command
    assert (due.mode, due.holder, due.body) == (Mode.EARLY, "110", "emergency")
    assert (due.by, due.since) == ("T-8002", NOW)
    assert "环境应急预案" in alarm_of(story.file)[1]
    assert story.describe(grade=3) == ["case.described", "case.command"]
    assert [one.mode for one in story.file.commands] == [Mode.EARLY, Mode.DIRECT]
    assert alarm_of(story.file)[1] == ""


@pytest.mark.req("LL-30")
def test_a_special_plan_records_name_report_and_handing_over_and_keeps_early_orders() -> None:
    story = Story()
    story.describe(category="ENV.01", grade=1)
    reported = NOW - timedelta(minutes=5)
    assert story.start(reported_at=reported) == ["case.command"]
    now = story.file.command
    assert (now.mode, now.holder, now.plan) == (Mode.SPECIAL, "emergency", "环境应急预案")
    assert now.reported_at == reported.isoformat(timespec="microseconds")
    assert (now.since, now.by, now.orders) == (NOW, "L-8099", ("o-1", "o-2"))
    assert story.describe(grade=4) == ["case.described"], "a person ends it, no word of a grade"
    work = story.work("L-8099")
    end_plan(work, "处置完毕")
    story.keep(work)
    assert (story.file.command.holder, story.file.command.why) == ("110", "处置完毕")
    assert from_doc(as_json(story.file)) == story.file  # type: ignore[arg-type]


def test_what_a_plan_cannot_be() -> None:
    story = Story()
    for plan, at, code in ((" ", NOW, "plan-missing"), ("x", NOW + timedelta(days=1), "not-yet")):
        with pytest.raises(Refused) as refused:
            story.start(plan, at)
        assert refused.value.code == code
    with pytest.raises(Refused, match="no-plan"):
        end_plan(story.work(), "x")
    story.start()
    with pytest.raises(Refused, match="plan-runs"):
        story.start()
    with pytest.raises(Refused, match="reason-missing"):
        end_plan(story.work(), " ")


def test_only_what_is_new_is_written_and_nothing_twice() -> None:
    story = Story()
    assert story.describe(place="解放路1号", words="水管爆裂") == ["case.described"]
    assert story.describe(place="解放路1号") == []
    work = story.work()
    describe(work, Description(place="", words="水管爆裂"))
    assert [dict(fact.data) for fact in work.facts] == [{"place": ""}]
