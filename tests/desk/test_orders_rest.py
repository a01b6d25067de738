"""Orders through the public interface: rights, refusals, and what everybody is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import pytest
import pytest_asyncio

from bridge.desk.bodies import DoOrder
from bridge.desk.order_services import ORDER_SERVICES
from bridge.domain.delivery import A, Cause, ChannelKind, Progress
from bridge.domain.order_state import O
from bridge.flows.ports import StoreError
from tests.desk.desk_kit import Client, Kit, running, until
from tests.orders.order_kit import Wire

ORDER = {"units": ["water"], "words": "水管爆裂", "place": "解放路1号", "klass": "URGENT"}


@pytest_asyncio.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with running(tmp_path) as made:
        yield made


async def a_case(kit: Kit) -> str:
    call, _ = await kit.talking()
    await until(lambda: kit.room._recorder.waiting == 0)
    case = kit.room.book.calls[call].case
    while await kit.store.reader.case(case) is None:
        await asyncio.sleep(0.01)
    return case


async def give(kit: Kit, client: Client, **more: Any) -> str:
    answer = await client.do("POST", f"cases/{await a_case(kit)}/orders", {**ORDER, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["orders"][0]["order"])


async def shown(client: Client, order: str) -> Any:
    return await client.get(f"orders/{order}")


@pytest.mark.req("SB-36")
@pytest.mark.req("SB-35")
@pytest.mark.req("SB-11")
async def test_an_order_from_giving_to_result_and_the_events_of_it(kit: Kit) -> None:
    client, unit = kit.client(), kit.client("U")
    async with kit.cti("T-8002", subscribe=["*"]) as events:
        order = await give(kit, client)
        await events.of_type("attempt.failed")  # the terminal is off
        found = await shown(client, order)
        assert [a["channel"] for a in found["attempts"]] == ["terminal", "phone"]
        assert found["attempts"][0]["cause"] == "offline"
        assert "terminal.water" in kit.view.alarms
        signed = await unit.do("POST", f"orders/{order}/acknowledge", {"by": "张三"})
        assert signed.status_code == 202, signed.text
        told = await events.of_type("order.acknowledged")
        assert told["data"]["by"] == "张三"
        assert told["case"] == found["case"]
        body = {"kind": "arrival", "text": "已到场", "at": "2026-11-24T11:20:00+08:00"}
        assert (await unit.do("POST", f"orders/{order}/reports", body)).status_code == 202
        reported = await events.of_type("order.reported")
        assert reported["data"]["happened_at"].startswith("2026-11-24T03:20")
        await unit.do("POST", f"orders/{order}/reports", {"kind": "result", "text": "已修复"})
        await events.of_type("order.closed")
        done = await shown(client, order)
        assert done["state"] == "closed"
        await client.do("POST", f"orders/{order}/informed", {"who": "citizen", "channel": "phone"})
        assert (await shown(client, order))["citizen_informed"]["channel"] == "phone"


async def test_the_same_key_gives_the_same_orders(kit: Kit) -> None:
    client, case = kit.client(), await a_case(kit)
    answers = [
        await client.do("POST", f"cases/{case}/orders", ORDER, key="key-orders-1") for _ in range(3)
    ]
    assert len({answer.text for answer in answers}) == 1
    assert len((await client.get(f"cases/{case}/orders"))["orders"]) == 1


@pytest.mark.req("LL-26")
@pytest.mark.parametrize("who", ["U", "E", "A", "P"])
async def test_only_the_centre_gives_orders(kit: Kit, who: str) -> None:
    case = await a_case(kit)
    answer = await kit.client(who).do("POST", f"cases/{case}/orders", ORDER)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
    assert (await kit.client().get("orders"))["orders"] == []


async def test_a_unit_signs_its_own_orders_and_sees_none_through_this_door(kit: Kit) -> None:
    order = await give(kit, kit.client(), units=["housing"])
    unit = kit.client("U")
    refused = await unit.do("POST", f"orders/{order}/acknowledge", {})
    assert (refused.status_code, refused.json()["code"]) == (403, "not-your-unit")
    assert (await unit.http.get(f"orders/{order}")).status_code == 403
    assert (await unit.http.get("orders")).status_code == 403


async def test_a_units_people_hear_nothing_of_orders_on_the_event_stream(kit: Kit) -> None:
    async with kit.cti("U", subscribe=["*"]) as events:
        await give(kit, kit.client())
        kit.view.alarm("x", "y")
        await events.of_type("alarm.raised")
        kinds = {str(message.get("type")).partition(".")[0] for message in events.seen}
        assert not kinds & {"order", "attempt", "clock"}


async def test_on_behalf_needs_the_name_of_the_person(kit: Kit) -> None:
    client = kit.client()
    order = await give(kit, client)
    refused = await client.do("POST", f"orders/{order}/acknowledge", {})
    assert refused.json()["code"] == "name-missing"
    assert (await client.do("POST", f"orders/{order}/acknowledge", {"by": "李四"})).is_success
    signed = (await shown(client, order))["acknowledged"]
    assert signed["proof"] == "seat"


async def test_cancelling_needs_a_reason_and_stops_what_runs(kit: Kit) -> None:
    client = kit.client()
    order = await give(kit, client)
    phone = kit.wires[ChannelKind.PHONE]
    await until(lambda: len(phone.sent) == 1)
    refused = await client.do("POST", f"orders/{order}/cancel", {"reason": ""})
    assert (refused.status_code, refused.json()["code"]) == (400, "reason-missing")
    assert (await client.do("POST", f"orders/{order}/cancel", {"reason": "撤回"})).is_success
    await until(lambda: phone.withdrawn == [phone.sent[0].attempt])
    again = await client.do("POST", f"orders/{order}/cancel", {"reason": "撤回"})
    assert (again.status_code, again.json()["code"]) == (409, "wrong-state")


async def test_a_dispute_is_decided_by_the_leader(kit: Kit) -> None:
    client, unit, leader = kit.client(), kit.client("U"), kit.client("L-8003")
    order = await give(kit, client)
    await unit.do("POST", f"orders/{order}/reports", {"kind": "dispute", "text": "不属职责"})
    assert (await shown(client, order))["disputed"]
    body = {"outcome": "rejected", "words": "请先处置"}
    assert (await client.do("POST", f"orders/{order}/dispute", body)).status_code == 403
    assert (await leader.do("POST", f"orders/{order}/dispute", body)).is_success
    assert not (await shown(client, order))["disputed"]


async def test_tier_3_asks_and_the_seat_confirms(kit: Kit) -> None:
    client = kit.client()
    order = await give(kit, client, units=["bank"])
    found = await shown(client, order)
    assert (found["state"], found["possible"]) == ("draft", ["confirmSiteOrder", "cancelOrder"])
    assert (await client.do("POST", f"orders/{order}/confirm")).is_success
    assert (await shown(client, order))["state"] != "draft"


HOSTILE = "<script>alert(1)</script> ${SHELL(id)} AT+CMGS=1 &a@b, {{7*7}}"


async def test_hostile_text_is_kept_as_it_is_and_control_characters_are_refused(kit: Kit) -> None:
    client = kit.client()
    order = await give(kit, client, words=HOSTILE)
    assert (await shown(client, order))["words"] == HOSTILE
    case = await a_case(kit)
    for name, bad in (("words", "a\x1ab"), ("words", "a\rb"), ("place", "a\nb")):
        answer = await client.do("POST", f"cases/{case}/orders", {**ORDER, name: bad})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("orders/20261124-0001-99", "no-such-order"),
        ("units/nobody", "no-such-unit"),
    ],
)
async def test_what_is_not_there(kit: Kit, path: str, code: str) -> None:
    answer = await kit.client().http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_lists_come_newest_first_and_in_pages(kit: Kit) -> None:
    client, case = kit.client(), await a_case(kit)
    await client.do("POST", f"cases/{case}/orders", {**ORDER, "units": ["water", "housing"]})
    first = (await client.get("orders?limit=1"))["orders"]
    second = (await client.get(f"orders?limit=1&before={first[0]['order']}"))["orders"]
    assert [one["unit"] for one in first + second] == ["housing", "water"]


@pytest.mark.req("LL-09")
async def test_a_unit_whose_wires_all_fail_raises_an_alarm_and_one_that_works_ends_it(
    kit: Kit,
) -> None:
    client, phone = kit.client(), kit.wires[ChannelKind.PHONE]
    phone.well = "中继不通"
    found = (await client.do("POST", "units/housing/test")).json()
    assert [wire["works"] for wire in found["wires"]] == [False, False]
    assert "unit.housing" in kit.view.alarms
    phone.well = ""
    await client.do("POST", "units/housing/test")
    assert "unit.housing" not in kit.view.alarms
    fact = await kit.journalled("unit.checked")
    assert fact.data["wires"]["phone"] == "中继不通"  # type: ignore[index, call-overload]
    wires = {one["channel"]: one for one in (await client.get("channels"))["channels"]}
    assert (wires["phone"]["there"], wires["fax"]["there"]) == (True, False)


async def test_a_failed_phone_is_tried_again_by_itself(kit: Kit) -> None:
    order = await give(kit, kit.client())
    phone = kit.wires[ChannelKind.PHONE]
    await until(lambda: len(phone.sent) == 1)
    now = kit.orders.orders.clock.now
    for state, cause in ((A.SENDING, None), (A.FAILED, Cause.BUSY)):
        await kit.orders.orders.progress(
            Progress(attempt=phone.sent[0].attempt, state=state, at=now(), cause=cause)
        )
    found = await shown(kit.client(), order)
    assert found["attempts"][1]["retry_at"] is not None


@pytest.mark.req("LL-32")
async def test_the_unit_that_an_order_reached_first_stays_responsible(kit: Kit) -> None:
    client, case = kit.client(), await a_case(kit)
    body = {**ORDER, "units": ["housing", "water"], "kind": "notice"}
    given = (await client.do("POST", f"cases/{case}/orders", body)).json()["orders"]
    housing, water = (one["order"] for one in given)
    assert (await client.get(f"cases/{case}/orders"))["first_receiver"] is None
    for order in (water, housing):
        await client.do("POST", f"orders/{order}/acknowledge", {"by": "李四"})
    await client.do("POST", f"orders/{water}/reports", {"kind": "dispute", "by": "李四"})
    assert (await client.get(f"cases/{case}/orders"))["first_receiver"] == "water"


class StoreAway:
    """The store while the disk cannot be read."""

    async def orders(self, **_: Any) -> Any:
        raise StoreError("disk I/O error")

    async def order_facts(self, order: str) -> Any:
        raise StoreError("disk I/O error")


async def test_while_the_store_cannot_be_read_it_is_said_and_nothing_is_acknowledged(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, unit = kit.client(), kit.client("U")
    order = await give(kit, client)
    done = {"kind": "result", "text": "已修复", "by": "张三"}
    assert (await unit.do("POST", f"orders/{order}/reports", done)).status_code == 202
    with monkeypatch.context() as away:  # an order that is over is only in the store
        away.setattr(kit.orders.orders, "memory", StoreAway())
        away.setattr(type(kit.store.reader), "orders", StoreAway.orders)
        for path in ("orders", f"orders/{order}"):
            answer = await client.http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "store-away")
            assert "请" in answer.json()["title"]
        for who in (client, unit):
            answer = await who.do("POST", f"orders/{order}/acknowledge", {"by": "张三"})
            assert (answer.status_code, answer.json()["code"]) == (503, "store-cannot-write")
    assert (await shown(client, order))["state"] == "closed"
    said = await unit.do("POST", f"orders/{order}/acknowledge", {"by": "张三"})
    assert said.status_code == 202, "the desk is still there"


async def asked(events: Any, service: str, key: str, **rest: Any) -> Any:
    message = json.dumps({"op": "do", "id": key, "service": service, **rest})
    await events.socket.send(message)
    while True:
        found = await events.next()
        if found.get("op") in ("accepted", "refused") and found["id"] == key:
            return found


async def test_every_service_of_orders_by_name_over_the_socket(kit: Kit) -> None:
    assert set(get_args(DoOrder.model_fields["service"].annotation)) == set(ORDER_SERVICES)
    case = await a_case(kit)
    async with kit.cti("T-8001") as seat, kit.cti("L-8003") as leader:
        made = await asked(seat, "createOrder", "create-01", case=case, args=ORDER)
        order = made["answer"]["orders"][0]["order"]
        again = await asked(seat, "createOrder", "create-01", case=case, args=ORDER)
        assert again["answer"] == made["answer"], "once for its key"
        for who, service, args in (
            (seat, "remindOrder", {}),
            (seat, "acknowledgeOrder", {"by": "张三"}),
            (seat, "reportOrder", {"kind": "dispute", "by": "张三", "text": "不属职责"}),
            (leader, "decideDispute", {"outcome": "rejected"}),
            (seat, "reportOrder", {"kind": "progress", "by": "张三", "text": "已关阀"}),
            (seat, "passOnOrder", {"to": "housing", "by": "张三"}),
            (seat, "reportOrder", {"kind": "result", "by": "张三", "text": "已修复"}),
            (seat, "noteInformed", {"who": "citizen", "channel": "phone"}),
        ):
            said = await asked(
                who, service, f"{service}-{args.get('kind', '')}01", order=order, args=args
            )
            assert said["op"] == "accepted", said
        found = await shown(kit.client(), order)
        assert (found["state"], found["citizen_informed"]["channel"]) == ("closed", "phone")
        asks = {**ORDER, "units": ["bank"]}
        kit.orders.orders.use(Wire(ChannelKind.FAX))
        second = await asked(seat, "createOrder", "create-03", case=case, args=ORDER)
        order = second["answer"]["orders"][0]["order"]
        args = {"number": "05390000", "reason": "换号"}
        said = await asked(seat, "redirectFax", "redirect-01", order=order, args=args)
        assert said["op"] == "accepted", said
        args = {"attempt": f"{order}.2", "reason": "号码有误"}
        said = await asked(seat, "takeBackAttempt", "take-back-01", order=order, args=args)
        assert said["op"] == "accepted", said
        third = await asked(seat, "createOrder", "create-02", case=case, args=asks)
        order = third["answer"]["orders"][0]["order"]
        for service, args in (("confirmSiteOrder", {}), ("cancelOrder", {"reason": "误派"})):
            said = await asked(seat, service, f"{service}-02", order=order, args=args)
            assert said["op"] == "accepted", said
        record = await kit.orders.orders.find(order)
        assert record is not None
        assert record.state is O.CANCELLED


@pytest.mark.parametrize(
    ("service", "rest", "code"),
    [
        ("cancelOrder", {"order": "x-01", "args": {"reason": "误派"}}, "no-such-order"),
        ("cancelOrder", {"order": "x-01"}, "bad-request"),
        ("cancelOrder", {"args": {"reason": "误派"}}, "bad-request"),
        ("remindOrder", {"order": "x-01", "args": {"more": 1}}, "bad-request"),
        ("createOrder", {"case": "x", "args": {"units": []}}, "bad-request"),
        ("remindOrder", {"order": "../x"}, "bad-request"),
    ],
)
async def test_a_wrong_message_about_orders_is_refused_with_its_reason(
    kit: Kit, service: str, rest: dict[str, Any], code: str
) -> None:
    async with kit.cti("T-8001") as events:
        said = await asked(events, service, "wrong-001", **rest)
        assert (said["op"], said["problem"]["code"]) == ("refused", code)


async def test_a_unit_gives_no_orders_over_the_socket_either(kit: Kit) -> None:
    case = await a_case(kit)
    async with kit.cti("U") as events:
        said = await asked(events, "createOrder", "create-03", case=case, args=ORDER)
        assert said["problem"]["code"] == "not-allowed"
