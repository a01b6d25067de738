"""Everything that is told and answered about orders is as the published contract says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from bridge.desk.contract import asyncapi, data_schema
from bridge.domain.delivery import A, Cause, ChannelKind, Says
from bridge.domain.journal import Fact
from bridge.domain.onward import ask_onward
from bridge.domain.order import Order
from bridge.domain.order_book import OrderBook
from bridge.domain.order_decide import cancel, confirm, decide_dispute, informed, send_reminder
from bridge.domain.order_ladder import on_time
from bridge.domain.redirect import redirect_fax
from bridge.flows.order_events import ORDER_EVENTS, order_data
from tests.desk.desk_kit import running
from tests.desk.test_orders_rest import ORDER, a_case
from tests.domain.order_story import OrderStory, begin, centre

T, P = ChannelKind.TERMINAL, ChannelKind.PHONE


def stories() -> Iterator[OrderStory]:
    """Orders in which everything happens that is an event."""
    story = begin(klass="URGENT", drill=True)
    story.tell(story.attempt(1).id, A.SENDING, A.SENT, A.DELIVERED, A.READ)
    story.fail(story.attempt(2).id, Cause.BUSY)
    story.do(on_time, 1801)
    story.says(Says.IN_HAND, T, attempt=story.attempt(1).id, reference="GS-1")
    story.says(Says.ARRIVED, words="已到场", equipment="抽水泵", delay_reason="道路封闭")
    story.says(Says.PROMISE, promised_at=story.now + timedelta(days=1))
    story.says(Says.DISPUTE, words="不属职责")
    story.do(lambda work: decide_dispute(work, "rejected", "请处置"))
    story.do(send_reminder)
    story.do(lambda work: redirect_fax(work, "7009", "换号"))
    story.do(lambda work: ask_onward(work, "housing", "管线归住建局", "张三", "x-09"))
    story.says(Says.RESULT, words="已修复")
    story.do(lambda work: informed(work, "citizen", "phone"))
    story.says(Says.PROGRESS, words="补充")
    yield story
    story = begin(unit="bank")
    story.do(confirm)
    story.tell(story.attempt(1).id, A.SENDING, A.UNKNOWN)
    story.unknown(story.attempt(1).id)
    story.tell(story.attempt(2).id, A.EXPIRED)
    story.do(lambda work: cancel(work, "撤回"))
    yield story
    story = begin(around=centre(frozenset({P})))
    story.do(lambda work: cancel(work, "撤回"))
    story.tell(story.attempt(1).id, A.WITHDRAWN)
    yield story


def replayed(story: OrderStory) -> Iterator[tuple[Order, Fact]]:
    """The order as it stood right after each fact."""
    book = OrderBook()
    for fact in story.facts:
        book.apply(fact)
        yield copy.deepcopy(book.orders[story.order.id]), fact


def test_every_event_of_an_order_is_as_the_contract_says_and_carries_no_code() -> None:
    seen = set()
    for story in stories():
        for order, fact in replayed(story):
            made = order_data(order, fact)
            if made is None:
                continue
            name, data = made
            seen.add(name)
            validator = Draft202012Validator(data_schema(name), format_checker=FormatChecker())
            validator.validate(data)
            assert order.code not in str(data)
    assert seen == set(ORDER_EVENTS)
    assert seen <= set(asyncapi()["components"]["messages"])


async def test_every_answer_about_orders_is_as_the_contract_says(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client, case = kit.client("L-8003"), await a_case(kit)
        document = await client.get("openapi.json")
        given = await client.do("POST", f"cases/{case}/orders", ORDER)
        order = given.json()["orders"][0]["order"]
        asked: list[tuple[str, Any]] = [
            ("/cases/{case}/orders", given),
            ("/cases/{case}/orders", await client.do("POST", f"cases/{case}/orders", {})),
            ("/orders/{order}/remind", await client.do("POST", f"orders/{order}/remind")),
            (
                "/orders/{order}/dispute",
                await client.do("POST", f"orders/{order}/dispute", {"outcome": "upheld"}),
            ),
            (
                "/orders/{order}/acknowledge",
                await client.do("POST", f"orders/{order}/acknowledge", {"by": "张三"}),
            ),
            (
                "/orders/{order}/reports",
                await client.do(
                    "POST", f"orders/{order}/reports", {"kind": "arrival", "by": "张三"}
                ),
            ),
            ("/units/{unit}/test", await client.do("POST", "units/water/test")),
        ]
        for path in ("orders", "units", "channels"):
            asked.append((f"/{path}", await client.http.get(path)))
        asked.append(("/orders/{order}", await client.http.get(f"orders/{order}")))
        asked.append(("/units/{unit}", await client.http.get("units/nobody")))
        for path, answer in asked:
            operation = document["paths"][f"/api/v1{path}"][answer.request.method.lower()]
            body = operation["responses"][str(answer.status_code)]["content"]
            schema = body[answer.headers["content-type"]]["schema"]
            whole = {**schema, "components": document["components"]}
            Draft202012Validator(whole, format_checker=FormatChecker()).validate(answer.json())
        assert {answer.status_code for _, answer in asked} == {200, 202, 400, 404, 409}
        named = {
            operation.get("operationId")
            for methods in document["paths"].values()
            for operation in methods.values()
        }
        assert {
            "createOrder",
            "confirmSiteOrder",
            "acknowledgeOrder",
            "reportOrder",
            "remindOrder",
            "cancelOrder",
            "decideDispute",
        } <= named
