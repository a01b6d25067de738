"""Cases through the public interface: what is written, who may, and what everybody is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator, FormatChecker

from bridge.desk.contract import data_schema
from tests.desk.desk_kit import Kit, running, until
from tests.desk.test_orders_rest import HOSTILE, a_case, give

WRITTEN: dict[str, Any] = {
    "klass": "URGENT",
    "category": "ENV.01",
    "grade": 2,
    "area": "兰山区",
    "place": "解放路1号",
    "words": HOSTILE,
    "caller_name": "王某",
    "drill": False,
}


@pytest_asyncio.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with running(tmp_path) as made:
        yield made


async def write(kit: Kit, case: str, who: str = "T-8001", **said: Any) -> Any:
    return await kit.client(who).do("PATCH", f"cases/{case}", said)


def as_told(event: dict[str, Any]) -> dict[str, Any]:
    """The event's data, which are as the contract says."""
    schema = data_schema(event["type"])
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(event["data"])
    found: dict[str, Any] = event["data"]
    return found


@pytest.mark.req("SB-36")
@pytest.mark.req("LL-28")
async def test_a_seat_writes_a_case_and_everybody_is_told(kit: Kit) -> None:
    case = await a_case(kit)
    async with kit.cti("T-8002", subscribe=[f"case:{case}"]) as events:
        answer = await write(kit, case, **WRITTEN)
        assert (answer.status_code, answer.json()) == (202, {"case": case, "command": "early"})
        described = as_told(await events.of_type("case.described"))
        assert (described["by"], described["words"]) == ("T-8001", HOSTILE)
        command = as_told(await events.of_type("case.command"))
        assert (command["mode"], command["holder"], command["body"]) == ("early", "110", "housing")
    shown = await kit.client().get(f"cases/{case}")
    assert {name: shown[name] for name in WRITTEN if name != "drill"} == {
        name: value for name, value in WRITTEN.items() if name != "drill"
    }
    assert (shown["case"], shown["caller"], shown["described_by"]) == (
        case,
        "13800138000",
        "T-8001",
    )
    fact = await kit.journalled("case.described")
    assert (fact.actor, fact.case) == ("T-8001", case)


@pytest.mark.parametrize(
    "bad",
    [
        {"place": "a\nb"},
        {"words": "a\x1ab"},
        {"words": "x" * 4001},
        {"place": "x" * 201},
        {"grade": 0},
        {"grade": "1"},
        {"klass": "ANY"},
        {"caller": "13800138001"},
    ],
)
async def test_what_a_case_cannot_be(kit: Kit, bad: dict[str, Any]) -> None:
    answer = await write(kit, await a_case(kit), **bad)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


@pytest.mark.parametrize("who", ["U", "E", "A", "P"])
async def test_only_the_centre_writes_cases_and_units_hear_nothing(kit: Kit, who: str) -> None:
    case = await a_case(kit)
    assert (await write(kit, case, who, place="x")).status_code == 403
    if who == "U":
        assert (await kit.client("U").http.get(f"cases/{case}")).status_code == 403
        async with kit.cti("U", subscribe=["*"]) as events:
            await write(kit, case, place="解放路1号")
            kit.view.alarm("x", "y")
            await events.of_type("alarm.raised")
            assert not any(str(one.get("type")).startswith("case.") for one in events.seen)


@pytest.mark.req("SB-36")
@pytest.mark.req("LL-30")
@pytest.mark.req("LL-26")
async def test_the_shift_leader_hands_the_command_over_and_takes_it_back(kit: Kit) -> None:
    case, leader = await a_case(kit), kit.client("L-8003")
    order = await give(kit, kit.client())
    case = str((await kit.client().get(f"orders/{order}"))["case"])
    body = {
        "plan": "突发环境事件应急预案",
        "body": "housing",
        "reported_at": (datetime.now(UTC) - timedelta(minutes=1)).isoformat(),
    }
    refused = await kit.client().do("POST", f"cases/{case}/plan", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")
    bad = await leader.do("POST", f"cases/{case}/plan", {**body, "body": "nobody"})
    assert (bad.status_code, bad.json()["code"]) == (404, "no-such-unit")
    assert (await leader.do("POST", f"cases/{case}/plan", body)).status_code == 202
    command = (await leader.get(f"cases/{case}"))["command"]
    assert (command["mode"], command["holder"], command["by"]) == ("special", "housing", "L-8003")
    assert command["orders"] == [order]
    unit = kit.client("U")
    await unit.do("POST", f"orders/{order}/reports", {"kind": "arrival", "text": "已到场"})
    await until(lambda: bool(kit.orders.orders.of("housing")))
    notice = kit.orders.orders.of("housing")[0]
    assert (notice.kind, notice.content["after_report"]) == ("notice", f"{order}-r1")
    ended = await leader.do("POST", f"cases/{case}/plan/end", {"reason": "处置完毕"})
    assert ended.json()["command"] == "direct"
    assert len((await leader.get(f"cases/{case}"))["commands"]) == 2


@pytest.mark.req("LY-12")
async def test_the_area_of_a_case_selects_the_countys_own_12345(kit: Kit) -> None:
    call, _ = await kit.talking()
    await until(lambda: kit.room._recorder.waiting == 0)
    case = kit.room.book.calls[call].case
    await write(kit, case, area="兰山区")
    assert (await kit.client().get(f"cases/{case}"))["desk"] == "123451"
    client = kit.client()
    await client.do("POST", f"calls/{call}/three-way", {"to": "12345"}, wait=3)
    assert [one.target for one in kit.room.book.calls[call].handoffs.values()] == ["123451"]
    other, _ = await kit.talking("8002", "13900139000")
    await kit.client("T-8002").do("POST", f"calls/{other}/three-way", {"to": "12345"}, wait=3)
    assert [one.target for one in kit.room.book.calls[other].handoffs.values()] == ["12345"]


@pytest.mark.req("LL-33")
async def test_a_unit_passes_on_over_the_interface(kit: Kit) -> None:
    order = await give(kit, kit.client())
    unit = kit.client("U")
    body = {"to": "housing", "text": "管线归住建局"}
    early = await unit.do("POST", f"orders/{order}/pass-on", body)
    assert (early.status_code, early.json()["code"]) == (409, "not-accepted-yet")
    await unit.do("POST", f"orders/{order}/reports", {"kind": "progress", "text": "已关阀"})
    async with kit.cti("T-8002", subscribe=["*"]) as events:
        answer = await unit.do("POST", f"orders/{order}/pass-on", body)
        assert answer.status_code == 202, answer.text
        told = as_told(await events.of_type("order.onward"))
        assert (told["whom"], told["stage"]) == ("housing", "事中")
    new = answer.json()["order"]
    shown = await kit.client().get(f"orders/{new}")
    assert (shown["state"], shown["possible"]) == ("draft", ["confirmSiteOrder", "cancelOrder"])
    await kit.client().do("POST", f"orders/{new}/confirm")
    await kit.client().do("POST", f"orders/{new}/acknowledge", {"by": "李四"})
    listed = await kit.client().get(f"cases/{shown['case']}/orders")
    assert (listed["first_receiver"], listed["responsible"]) == ("water", "housing")
    assert listed["onward"][0]["accepted_at"] is not None


@pytest.mark.req("SB-36")
@pytest.mark.req("YJ-46")
async def test_delays_are_shown_by_unit_with_the_reasons_given(kit: Kit) -> None:
    order = await give(kit, kit.client())
    body = {"kind": "arrival", "text": "已到场", "delay_reason": "道路封闭", "equipment": "抽水泵"}
    await kit.client("U").do("POST", f"orders/{order}/reports", body)
    [line] = (await kit.client().get("delays"))["units"]
    assert (line["unit"], line["orders"]) == ("water", 1)
    assert line["reasons"] == [{"order": order, "report": f"{order}-r1", "words": "道路封闭"}]
    assert line["received_to_arrival_s"]["count"] == 1
    shown = await kit.client().get(f"orders/{order}")
    assert shown["measured"]["received_to_accepted_s"] == 0.0
    assert shown["reports"][0]["equipment"] == "抽水泵"
    now = datetime.now(UTC)
    for since, until_ in ((now, now), (now - timedelta(days=400), now)):
        query = {"since": since.isoformat(), "until": until_.isoformat()}
        answer = await kit.client().http.get("delays", params=query)
        assert answer.status_code == 400
