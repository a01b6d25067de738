"""Cases with a real store: what is written, who commands, where reports go, over a restart too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.domain.case_file import Description, Mode
from bridge.domain.delivery import ChannelKind, Says
from bridge.domain.errors import Refused
from bridge.flows.case_desk import CaseDesk
from bridge.flows.rows import replay
from bridge.store.rebuild import check
from tests.orders.order_kit import CASE, SEAT, Kit, MovedClock, life


async def describe(kit: Kit, key: str = "", **said: Any) -> None:
    await kit.cases.describe(SEAT, CASE, Description(**said), key or f"describe-{len(said)}-{said}")


async def start(kit: Kit) -> None:
    now = kit.clock.now()
    await kit.cases.start_plan(SEAT, CASE, "环境应急预案", "bank", now, f"plan-{now}")
    await kit.settled()


async def measure(kit: Kit, order: str, words: str) -> None:
    """The first unit reports what it has done."""
    told = Says.PROGRESS
    await kit.says(told, ChannelKind.TERMINAL, unit="water", order=order, words=words)


async def forwarded(kit: Kit) -> list[str]:
    """Words of everything that was handed to the commanding body."""
    rows: list[Any] = [row.doc for row in await kit.store.reader.orders_of_case(CASE)]
    found = [doc["content"] for doc in rows if doc["content"].get("forward_of")]
    assert all(one["kind"] == "notice" for one in found)
    assert len({one["forward_of"] for one in found}) == len(found), "each once"
    return [str(one["words"]) for one in found]


@pytest.mark.req("LL-52")
async def test_an_order_carries_what_the_case_says_where_the_seat_says_nothing(
    tmp_path: Path,
) -> None:
    async with life(tmp_path) as kit:
        await describe(
            kit,
            place="解放路1号",
            words="水管爆裂",
            category="WAT.02",
            klass="URGENT",
            caller_name="王某",
            drill=True,
        )
        [order] = await kit.send(words="", klass="")
        content = (await kit.order(order)).content
        assert (content["place"], content["words"]) == ("解放路1号", "水管爆裂")
        assert (content["category"], content["klass"]) == ("WAT.02", "URGENT")
        assert (content["caller_name"], content["caller_number"]) == ("王某", "13800138000")
        assert content["drill"] is True
        assert (await kit.order(order)).seat == "8001"
        [other] = await kit.send(words="请派车", place="人民路2号", klass="GENERAL")
        content = (await kit.order(other)).content
        assert (content["words"], content["place"]) == ("请派车", "人民路2号")


async def test_an_order_without_words_of_anybody_is_refused(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        with pytest.raises(Refused, match="nothing-to-say"):
            await kit.send(words=" ")


@pytest.mark.req("LU-15")
@pytest.mark.parametrize(
    "said", [{"category": "POL.01"}, {"category": "FIR.01"}, {"category": "MED.02"}]
)
async def test_police_fire_and_medical_matters_are_not_diverted(
    tmp_path: Path, said: dict[str, str]
) -> None:
    async with life(tmp_path) as kit:
        await describe(kit, **said)
        with pytest.raises(Refused, match="not-for-diversion"):
            await kit.send(copy=True)
        assert await kit.send(), "an order of the seat's own choice goes"


@pytest.mark.req("LL-28")
async def test_what_is_written_is_durable_and_the_journal_rebuilds_it(tmp_path: Path) -> None:
    clock = MovedClock()
    async with life(tmp_path, clock) as kit:
        await describe(kit, category="ENV.01", grade=2, area="兰山区")
        assert f"command.{CASE}" in kit.alarms
        with pytest.raises(Refused, match="no-such-case"):
            await kit.cases.describe(SEAT, "20261124-9999", Description(place="x"), "key-none")
    async with life(tmp_path, clock) as kit:
        file = await kit.cases.file(CASE)
        assert (file.area, file.command.mode) == ("兰山区", Mode.EARLY)
        assert kit.cases.area_of(CASE) == "兰山区", "at hand for a click after a start"
        assert "突发环境事件应急预案" in kit.alarms[f"command.{CASE}"], "raised again after a start"
        facts = await kit.facts("case.command")
        assert [(fact.actor, fact.at) for fact in facts] == [(SEAT.name, clock.now())]
    assert check(tmp_path / "site.db", replay) == []


@pytest.mark.req("LL-30")
async def test_reports_after_the_handing_over_go_to_whoever_commands(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        await describe(kit, category="ENV.01", grade=1)
        first, second = await kit.send("water", "housing")
        await kit.says(Says.PROGRESS, ChannelKind.TERMINAL, unit="water", order=first, words="早报")
        kit.clock.at += timedelta(minutes=1)
        await start(kit)
        assert await forwarded(kit) == [], "what came before was the desk's"
        file = await kit.cases.file(CASE)
        assert file.command.orders == (first, second), "early disposal stays linked"
        kit.clock.at += timedelta(minutes=1)
        await kit.says(Says.ARRIVED, ChannelKind.TERMINAL, unit="water", order=first, words="到")
        await kit.says(Says.DISPUTE, ChannelKind.TERMINAL, unit="housing", order=second, words="否")
        words = await forwarded(kit)
        assert [one.partition("(")[0] for one in words] == [
            "【转报】市供水集团 到场",
            "【转报】住建局 异议",
        ]
        [notice] = [order for order in kit.orders.of("bank") if "到场" in order.content["words"]]
        assert notice.state.value == "dispatched", "it walks the body's ladder"
        told = Says.PROGRESS
        await kit.says(told, ChannelKind.TERMINAL, unit="bank", order=notice.id, words="已知")
        assert len(await forwarded(kit)) == 2, "what the body says itself is not sent back to it"
        await kit.cases.end_plan(SEAT, CASE, "处置完毕", "plan-end")
        await kit.says(Says.RESULT, ChannelKind.TERMINAL, unit="water", order=first, words="完")
        assert len(await forwarded(kit)) == 2


@pytest.mark.req("LL-30")
async def test_a_report_stored_as_the_daemon_died_is_passed_on_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = MovedClock()
    with monkeypatch.context() as patch:
        patch.setattr(CaseDesk, "see", lambda *_: None)  # it died before it looked
        async with life(tmp_path, clock) as kit:
            [order] = await kit.send()
            await start(kit)
            await measure(kit, order, "x")
            assert await forwarded(kit) == []
    for _ in range(2):
        async with life(tmp_path, clock) as kit:
            await kit.settled()
            assert len(await forwarded(kit)) == 1


@pytest.mark.req("LL-33")
@pytest.mark.req("LL-32")
async def test_an_order_is_passed_on_by_asking_and_confirming(tmp_path: Path) -> None:
    clock = MovedClock()
    async with life(tmp_path, clock) as kit:
        [order] = await kit.send()
        with pytest.raises(Refused, match="not-accepted-yet"):
            await kit.desk.onward(SEAT, order, "housing", "", "key-on-1", unit="water", by="张三")
        with pytest.raises(Refused, match="not-your-unit"):
            await kit.desk.onward(SEAT, order, "housing", "", "key-on-2", unit="bank", by="张三")
        await measure(kit, order, "已关阀")
        answer = await kit.desk.onward(
            SEAT, order, "housing", "管线", "key-on-3", unit="water", by="张三"
        )
        new = str(answer.body["order"])
        assert f"onward.{new}" in kit.alarms
        assert kit.orders.open_of("housing") == [], "nothing has gone out"
    async with life(tmp_path, clock) as kit:
        assert kit.alarms[f"onward.{new}"], "said again after a start"
        await kit.desk.confirm(SEAT, new, "key-on-4")
        await kit.settled()
        assert kit.alarms[f"onward.{new}"] == ""
        assert [one.id for one in kit.orders.open_of("housing")] == [new]
        assert (await kit.order(order)).live, "the first order stays in force"


@pytest.mark.req("LL-33")
async def test_a_unit_whose_wish_was_not_granted_is_told(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        [order] = await kit.send()
        await measure(kit, order, "已关阀")
        with pytest.raises(Refused, match="name-missing"):
            await kit.desk.onward(SEAT, order, "housing", "", "key-on-5", unit=None, by=" ")
        answer = await kit.desk.onward(SEAT, order, "housing", "", "key-6", unit=None, by="李四")
        await kit.desk.cancel(SEAT, str(answer.body["order"]), "属你单位", "key-on-7")
        await kit.settled()
        told = kit.orders.open_of("water")[-1]
        assert told.kind == "notice"
        assert order in str(told.content["words"])


async def test_what_is_stored_after_whoever_asked_gave_up_is_known_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with life(tmp_path) as kit:
        monkeypatch.setattr("bridge.flows.asked.COMMIT_SECONDS", 0.0)
        with pytest.raises(Refused, match="outcome-unknown"):
            await describe(kit, area="兰山区", category="ENV.01", grade=1)
        monkeypatch.undo()
        await describe(kit, place="解放路1号")
        file = await kit.cases.file(CASE)
        assert (file.area, file.place, kit.cases.area_of(CASE)) == ("兰山区", "解放路1号", "兰山区")
        assert f"command.{CASE}" in kit.alarms
    assert check(tmp_path / "site.db", replay) == []
