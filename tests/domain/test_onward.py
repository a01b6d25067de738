"""Passing on: only after acceptance and a measure, and responsible until a person accepts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.domain.call import as_json
from bridge.domain.case_orders import complete, first_receiver, handed_on, responsible
from bridge.domain.delivery import Says
from bridge.domain.errors import Refused
from bridge.domain.onward import ask_onward, asks_again
from bridge.domain.order import Order
from bridge.domain.order_decide import cancel, confirm, create, informed
from bridge.domain.order_state import O
from tests.domain.order_story import START, OrderStory, alarms, begin, centre, sends


def passed(story: OrderStory, to: str = "housing") -> dict[str, Any]:
    """The content of the order that waits for the centre."""
    made: list[Any] = []
    story.do(lambda work: made.append(ask_onward(work, to, "管线归住建局", "张三", "next")))
    found: dict[str, Any] = made[0]
    return found


def onward_order(content: dict[str, Any], ident: str = "next") -> OrderStory:
    work = create(
        centre(),
        START + timedelta(minutes=30),
        "U",
        ident=ident,
        case="20261124-0001",
        unit="housing",
        code="00000000",
        seat=None,
        content=content,
    )
    return OrderStory(work.order, centre(), work.now, [*work.facts], [*work.effects])


def doc(order: Order) -> dict[str, Any]:
    found: Any = as_json(order)
    return dict(found)


@pytest.mark.req("LL-33")
def test_only_after_acceptance_and_a_measure() -> None:
    story = begin()
    for says, words, code in (
        (None, "", "not-accepted-yet"),
        (Says.SIGN, "", "no-measure"),
        (Says.ARRIVED, "", "no-measure"),
    ):
        if says is not None:
            story.says(says, words=words)
        with pytest.raises(Refused) as refused:
            passed(story)
        assert refused.value.code == code
    story.says(Says.PROGRESS, words="已关阀、设围挡")
    content = passed(story)
    assert content["onward"]["stage"] == "事中"
    assert content["after_report"] == story.order.reports[-1].id
    assert story.order.passed_on == ["housing"]
    assert story.state() is O.ARRIVED, "the order stays in force"
    assert story.order.clocks["result"].running


@pytest.mark.req("LL-33")
def test_after_its_own_part_the_stage_says_so() -> None:
    story = begin()
    story.says(Says.RESULT, words="已止水,路面待修")
    assert passed(story)["onward"]["stage"] == "事后"


@pytest.mark.parametrize(
    ("to", "code"), [("water", "same-unit"), ("nobody", "no-such-unit"), ("housing", "")]
)
def test_to_whom(to: str, code: str) -> None:
    story = begin()
    story.says(Says.PROGRESS, words="已关阀")
    if not code:
        passed(story, to)
        code = "already-passed-on"
    with pytest.raises(Refused) as refused:
        passed(story, to)
    assert refused.value.code == code


def test_a_cancelled_order_is_not_passed_on() -> None:
    story = begin()
    story.says(Says.PROGRESS, words="已关阀")
    story.do(lambda work: cancel(work, "撤回"))
    with pytest.raises(Refused, match="wrong-state"):
        passed(story)


@pytest.mark.req("LL-26")
@pytest.mark.req("LL-33")
def test_the_unit_asks_and_the_centre_orders() -> None:
    story = begin(squad="供水抢修分队")
    story.says(Says.PROGRESS, words="已关阀")
    content = passed(story)
    assert [one.words.split(",")[0] for one in alarms(story.effects)][
        -1
    ] == "water 请求移交给 housing"
    after = onward_order(content)
    assert after.state() is O.DRAFT
    assert sends(after.effects) == []
    assert after.order.content["words"] == story.order.content["words"]
    assert after.order.content.get("squad") is None, "the first unit's own squad"
    assert asks_again(after.order) is not None, "said again after a start"
    effects = after.do(confirm)
    assert [one.words for one in alarms(effects) if one.name == "onward.next"] == [""]
    assert after.state() is O.DISPATCHED
    assert asks_again(after.order) is None


@pytest.mark.req("LL-32")
@pytest.mark.req("LL-33")
def test_the_first_receiver_is_responsible_until_a_person_has_accepted() -> None:
    story = begin()
    story.says(Says.PROGRESS, words="已关阀")
    after = onward_order(passed(story))
    orders = [story.order, after.order]
    assert responsible([doc(one) for one in orders]) == "water"
    after.do(confirm)
    assert responsible([doc(one) for one in orders]) == "water", "sent is not accepted"
    after.says(Says.SIGN, unit="housing")
    docs = [doc(one) for one in orders]
    assert (first_receiver(docs), responsible(docs)) == ("water", "housing")
    [line] = handed_on([(one.id, one.state.value, doc(one)) for one in orders])
    assert (line["from"], line["to"], line["stage"]) == ("water", "housing", "事中")
    assert line["accepted_at"] is not None


def test_copies_and_forwarded_reports_make_nobody_responsible() -> None:
    marks: tuple[str, ...] = ("copy_of", "forward_of", "cancels")
    for mark in marks:
        more: dict[str, Any] = {mark: "x"}
        copy = begin(unit="housing", kind="notice", **more)
        copy.says(Says.SIGN, unit="housing")
        assert first_receiver([doc(copy.order)]) is None


@pytest.mark.req("LU-18")
def test_a_case_is_complete_when_every_result_was_told_to_centre_and_citizen() -> None:
    first, second = begin(), begin(unit="housing")
    orders = [first.order, second.order]
    assert not complete([])
    for story, unit in ((first, "water"), (second, "housing")):
        story.says(Says.RESULT, unit=unit, words="已修复")
        assert not complete([doc(one) for one in orders])
    for story in (first, second):
        for who in ("centre", "citizen"):
            assert not complete([doc(one) for one in orders])
            story.do(lambda work, who=who: informed(work, who, "phone"))  # type: ignore[misc]
    assert complete([doc(one) for one in orders])
