"""What an order is from its draft to its result, and what people at a unit may say about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.desk.unit_words import order_lines
from bridge.domain.crossing import crossed, sheet_of, spoken_marks
from bridge.domain.delivery import A, ChannelKind, Says
from bridge.domain.errors import Refused
from bridge.domain.ladder import URGENT
from bridge.domain.order import Order
from bridge.domain.order_decide import cancel, confirm, decide_dispute, informed
from bridge.domain.order_ladder import on_time
from bridge.domain.order_state import O
from bridge.domain.unit import Unit
from tests.domain.order_story import BANK, HOUSING, UNITS, WATER, alarms, begin, sends

T, P, R, S, F, M = ChannelKind


@pytest.mark.req("LL-54")
def test_an_arrival_without_its_situation_is_incomplete_and_listed() -> None:
    story = begin()
    story.says(Says.ARRIVED, R)
    assert story.state() is O.ARRIVED
    assert story.order.acknowledged is not None
    assert story.missing() == ("situation",)
    story.says(Says.ARRIVED, T, words="现场积水半米")
    assert story.missing() == ()
    report = story.order.reports[-1]
    assert report.at <= report.told_at


@pytest.mark.req("LL-55")
def test_any_number_of_progress_reports_and_one_result_that_closes() -> None:
    story = begin()
    for words in ("已派人", "正在抢修"):
        story.says(Says.PROGRESS, words=words)
    story.says(Says.RESULT, words="已修复")
    assert story.state() is O.CLOSED
    assert [r.says for r in story.order.reports] == ["progress", "progress", "result"]


@pytest.mark.req("SB-13")
def test_reports_before_their_turn_are_facts_and_what_is_missing_is_listed() -> None:
    story = begin()
    story.says(Says.RESULT, words="已处置")
    assert story.state() is O.CLOSED
    closed = next(f for f in story.facts if f.kind == "order.closed")
    assert closed.data["missing"] == ["arrival"]


def test_a_report_after_the_end_is_kept_and_moves_nothing() -> None:
    story = begin()
    story.says(Says.RESULT, words="已处置")
    story.says(Says.PROGRESS, words="补充")
    assert story.kinds[-1] == "order.lateReport"
    assert story.state() is O.CLOSED


def test_the_same_thing_told_twice_counts_once() -> None:
    story = begin()
    for _ in range(2):
        story.says(Says.PROGRESS, words="已派人", key="mail-1")
    assert len(story.order.reports) == 1


@pytest.mark.req("YJ-45")
@pytest.mark.req("LL-27")
def test_an_objection_signs_opens_a_dispute_and_pauses_no_clock() -> None:
    story = begin()
    story.says(Says.DISPUTE, P, words="不属我单位职责")
    assert story.order.acknowledged is not None
    assert story.order.disputed
    assert story.order.clocks["result"].running
    story.do(on_time, 24 * 3600)
    assert story.overdue() == ("arrival", "result")
    story.do(lambda work: decide_dispute(work, "upheld", "由住建局办理"))
    assert not story.order.disputed
    with pytest.raises(Refused):
        story.do(lambda work: decide_dispute(work, "upheld", ""))


@pytest.mark.req("LL-38")
@pytest.mark.req("SB-18")
def test_already_in_hand_signs_with_the_units_own_reference() -> None:
    story = begin()
    story.says(Says.IN_HAND, P, reference="GS-2026-77")
    assert story.state() is O.ACKNOWLEDGED
    assert story.order.in_hand == "GS-2026-77"


@pytest.mark.req("LL-43")
@pytest.mark.req("SB-26")
def test_a_site_order_to_a_tier_3_unit_asks_for_confirmation_and_runs_no_arrival_clock() -> None:
    story = begin(unit="bank")
    assert story.state() is O.DRAFT
    assert story.order.confirmation_asked
    assert sends(story.effects) == []
    story.do(confirm)
    assert story.state() is O.DISPATCHED
    story.says(Says.SIGN, unit="bank")
    assert set(story.order.clocks) == {"result"}


@pytest.mark.req("SB-27")
@pytest.mark.req("LL-43")
def test_a_support_request_to_tier_3_goes_at_once_and_is_of_one_of_four_types() -> None:
    for category in ("SUP.02", "SUP.07", "SUP.08", "SUP.09"):
        story = begin(unit="bank", kind="support", category=category)
        assert story.state() is O.DISPATCHED
    for category in ("", "SUP.06", "WAT.02"):
        with pytest.raises(Refused, match="support-type-missing"):
            begin(unit="bank", kind="support", category=category)
    assert begin(kind="support").state() is O.DISPATCHED, "other tiers are asked in words"


@pytest.mark.req("LL-43")
def test_a_notice_to_tier_3_needs_no_confirmation() -> None:
    assert begin(unit="bank", kind="notice").state() is O.DISPATCHED


@pytest.mark.req("SB-14")
def test_the_role_of_a_further_unit_goes_with_the_order() -> None:
    order = begin(role="指导").order
    for channel in ChannelKind:
        assert sheet(order, WATER, channel).role == "指导"
    assert ("类型", "出警处置(指导)") in order_lines(sheet(order, WATER, T))


@pytest.mark.req("SB-09")
@pytest.mark.parametrize("kind", ["command", "notice", "equipment", "inspection", "support"])
def test_only_site_orders_run_an_arrival_clock(kind: str) -> None:
    story = begin(kind=kind)
    story.says(Says.SIGN)
    assert set(story.order.clocks) == {"result"}


@pytest.mark.req("LL-53")
@pytest.mark.req("LL-31")
def test_clocks_run_from_the_proven_receipt_and_arrival_stops_only_its_own() -> None:
    story = begin()
    story.tell(story.attempt(1).id, A.SENDING, A.SENT)
    assert story.order.clocks == {}
    story.tell(story.attempt(1).id, A.DELIVERED)
    arrival = story.order.clocks["arrival"]
    assert arrival.start == "terminal:delivered"
    assert arrival.due - story.now == timedelta(minutes=30)
    story.now += timedelta(minutes=31)
    effects = story.do(on_time)
    assert story.overdue() == ("arrival",)
    assert alarms(effects)
    story.says(Says.ARRIVED, words="已到")
    met = next(f for f in story.facts if f.kind == "clock.met")
    assert met.data["late_s"] == 60.0
    assert story.overdue() == ()
    assert story.order.clocks["result"].running


def test_only_the_centre_cancels_and_only_with_a_reason() -> None:
    story = begin()
    with pytest.raises(Refused) as refused:
        story.do(lambda work: cancel(work, "  "))
    assert refused.value.code == "reason-missing"
    story.do(lambda work: cancel(work, "市民已撤回"))
    assert story.state() is O.CANCELLED
    story.says(Says.SIGN)
    assert story.order.acknowledged is None, "a cancelled order cannot be signed for"
    assert story.kinds[-1] == "order.lateReport"


@pytest.mark.req("LU-18")
def test_a_result_has_two_marks_the_centre_and_the_citizen() -> None:
    story = begin()
    with pytest.raises(Refused):
        story.do(lambda work: informed(work, "citizen", "phone"))
    story.says(Says.RESULT, words="已修复")
    story.do(lambda work: informed(work, "citizen", "phone"))
    assert story.order.citizen_informed is not None
    assert story.order.centre_informed is None


def test_a_promise_is_kept_with_its_date() -> None:
    story = begin()
    day = story.now + timedelta(days=2)
    story.says(Says.PROMISE, promised_at=day, words="需换泵")
    assert story.order.reports[0].promised_at == day
    assert story.state() is O.ACKNOWLEDGED


def sheet(order: Order, unit: Unit, channel: ChannelKind) -> Any:
    return sheet_of(order, unit, channel, centre="指挥中心", centre_number="7110")


@pytest.mark.req("LL-52")
@pytest.mark.req("SB-34")
def test_the_callers_number_goes_on_three_wires_and_the_name_nowhere_unless_allowed() -> None:
    order = begin(caller_number="13800138000", caller_name="王某", equipment="抽水泵").order
    for channel in ChannelKind:
        found = sheet(order, WATER, channel)
        assert (found.caller_number is not None) == (channel in (T, P, F))
        assert found.caller_name is None
        assert found.words
        assert found.equipment == "抽水泵"
    open_unit = Unit(id="x", name="x", may_receive=frozenset({"caller_number", "caller_name"}))
    found = sheet(order, open_unit, M)
    assert (found.caller_number, found.caller_name) == ("13800138000", "王某")
    assert {"caller_number", "caller_name"} <= set(crossed(found))


@pytest.mark.req("SB-34")
def test_what_crossed_is_in_the_journal_by_name_and_never_by_content() -> None:
    story = begin(caller_number="13800138000")
    queued = next(f for f in story.facts if f.kind == "attempt.queued")
    assert "caller_number" in queued.data["crossed"]  # type: ignore[operator]
    assert "13800138000" not in str(queued.data)


@pytest.mark.req("LL-39")
@pytest.mark.req("LU-09")
def test_an_order_names_squad_and_equipment() -> None:
    order = begin(squad="供水抢修分队", equipment="抽水泵").order
    found = sheet(order, WATER, T)
    assert (found.squad, found.equipment) == ("供水抢修分队", "抽水泵")


@pytest.mark.req("SB-42")
def test_a_drill_says_so_before_anything_else() -> None:
    assert spoken_marks(sheet(begin(drill=True).order, WATER, P)).startswith("【演练】")


@pytest.mark.req("YJ-28")
def test_the_green_channel_goes_with_the_order() -> None:
    story = begin(green=True, klass=URGENT)
    assert sheet(story.order, WATER, P).green


def test_repeats_and_reminders_are_marked() -> None:
    order = begin().order
    order.reminder = 2
    found = sheet_of(order, WATER, P, centre="c", centre_number="1", repeat=True)
    assert spoken_marks(found) == "【催办第2次】【可能重复】"


@pytest.mark.req("SB-12")
def test_one_order_is_for_one_unit_that_is_known() -> None:
    with pytest.raises(Refused):
        begin(unit="nobody")
    assert {WATER.id, HOUSING.id, BANK.id} < set(UNITS)
