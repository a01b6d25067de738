"""How long units took: measured without any limit, late against one, reasons kept beside."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.domain.call import as_json
from bridge.domain.delay import figures, late, spans
from bridge.domain.delivery import A, Says
from bridge.domain.order_decide import cancel
from tests.domain.order_story import START, OrderStory, begin


def doc(story: OrderStory) -> dict[str, Any]:
    found: Any = as_json(story.order)
    return dict(found)


def handled(unit: str = "water", minutes: tuple[int, int, int] = (2, 20, 60), **more: Any) -> Any:
    """Received at once, signed, arrived and done after so many minutes."""
    story = begin(unit=unit, **more)
    story.tell(story.attempt(1).id, A.SENDING, A.SENT, A.DELIVERED)
    for after, says in zip(minutes, (Says.SIGN, Says.ARRIVED, Says.RESULT), strict=True):
        story.now = START + timedelta(minutes=after)
        reason: Any = {"delay_reason": "道路封闭"} if says is Says.ARRIVED else {}
        story.says(says, unit=unit, words="x", **reason)
    return story


@pytest.mark.req("LL-31")
@pytest.mark.req("LL-53")
@pytest.mark.req("LL-55")
def test_every_span_is_measured_also_where_no_limit_was_entered() -> None:
    found = spans(doc(handled(kind="command")))
    assert found == {
        "received_to_accepted_s": 120.0,
        "accepted_to_arrival_s": 18 * 60.0,
        "received_to_arrival_s": 1200.0,
        "arrival_to_report_s": 0.0,
        "received_to_result_s": 3600.0,
    }
    assert late(doc(handled(kind="command")), "arrival", START) is None
    assert set(spans(doc(begin())).values()) == {None}, "nothing has ended"


@pytest.mark.req("SB-13")
def test_the_interval_from_arrival_to_its_report_is_measured() -> None:
    story = begin()
    story.now = START + timedelta(minutes=12)
    told = story.now - timedelta(minutes=7)
    story.says(Says.ARRIVED, words="已到")
    story.order.reports[-1].at = told
    assert spans(doc(story))["arrival_to_report_s"] == 420.0


@pytest.mark.req("YJ-46")
def test_a_reason_is_kept_and_nothing_is_deducted_for_it() -> None:
    with_reason = handled(minutes=(2, 45, 60))
    without = handled(minutes=(2, 45, 60))
    for report in without.order.reports:
        report.delay_reason = ""
    now = START + timedelta(days=1)
    [one], [other] = figures([doc(with_reason)], now), figures([doc(without)], now)
    assert one["late_arrival"] == other["late_arrival"] == 1
    assert one["late_arrival_s"] == other["late_arrival_s"] == 15 * 60.0
    assert one["reasons"] == [
        {"order": with_reason.order.id, "report": f"{with_reason.order.id}-r1", "words": "道路封闭"}
    ]
    assert other["reasons"] == []


@pytest.mark.req("YJ-46")
def test_figures_are_by_unit_and_an_order_still_open_grows_late() -> None:
    silent = begin(unit="housing")
    silent.tell(silent.attempt(1).id, A.SENDING, A.SENT, A.DELIVERED)
    docs = [doc(handled()), doc(handled(minutes=(4, 10, 90))), doc(silent)]
    housing, water = figures(docs, START + timedelta(hours=1))
    assert (water["unit"], water["name"], water["orders"]) == ("water", "市供水集团", 2)
    assert water["received_to_accepted_s"] == {"count": 2, "median_s": 180.0, "longest_s": 240.0}
    assert (housing["late_arrival"], housing["late_arrival_s"]) == (1, 1800.0)
    assert housing["received_to_accepted_s"] == {"count": 0, "median_s": None, "longest_s": None}


def test_what_was_cancelled_grows_no_later() -> None:
    story = begin()
    story.tell(story.attempt(1).id, A.SENDING, A.SENT, A.DELIVERED)
    story.do(lambda work: cancel(work, "撤回"), 40 * 60)
    assert late(doc(story), "arrival", START + timedelta(days=9)) == 600.0


@pytest.mark.req("SB-42")
def test_drills_and_drafts_are_left_out_of_the_figures() -> None:
    assert figures([doc(handled(drill=True)), doc(begin(unit="bank"))], START) == []


@pytest.mark.req("LL-38")
@pytest.mark.req("SB-18")
def test_what_a_unit_had_in_hand_already_is_counted_once_and_told_apart() -> None:
    story = begin()
    story.says(Says.IN_HAND, reference="GS-2026-77")
    [line] = figures([doc(story)], START)
    assert (line["orders"], line["in_hand"]) == (1, 1)
