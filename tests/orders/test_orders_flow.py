"""Orders with a real store: what is asked, told and due is durable before anything is begun."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.domain.code import make_code
from bridge.domain.delivery import A, Cause, ChannelKind, Progress, Received, Says
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact
from bridge.domain.order_state import O
from bridge.domain.proof import Verdict
from bridge.flows.order_desk import OrderAsk
from bridge.flows.ports import StoreError
from bridge.flows.rows import replay
from bridge.store.rebuild import check
from tests.orders.order_kit import CASE, SEAT, MovedClock, life

T, P, R, S, F, M = ChannelKind


async def test_an_order_is_stored_before_its_first_attempt_leaves(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        await kit.settled()
        (job,) = kit.wires[T].sent
        assert job.attempt == f"{order}.1"
        assert job.sheet.words == "水管爆裂"
        assert job.sheet.caller_number == "13800138000"
        kinds = [fact.kind for fact in await kit.facts("order.")]
        assert kinds[:2] == ["order.created", "order.dispatched"]
        rows = await kit.store.reader.orders_of_case(CASE)
        assert [(row.id, row.state) for row in rows] == [(order, "dispatched")]


async def test_the_same_key_gives_one_order_and_its_answer_is_stored(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        await kit.send(key="key-same-1")
        with pytest.raises(Refused) as refused:
            await kit.send(key="key-same-1")
        assert refused.value.code == "already-answered"
        answer = await kit.store.reader.answer("key-same-1", kit.clock.now())
        assert answer is not None
        assert len(await kit.store.reader.orders_of_case(CASE)) == 1


@pytest.mark.req("SB-12")
@pytest.mark.req("YJ-25")
async def test_a_group_call_is_one_order_for_each_unit_signed_by_itself(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        orders = await kit.send("water", "housing", kind="notice")
        assert len(orders) == 2
        await kit.says(Says.SIGN, T, unit="water", order=orders[0])
        assert (await kit.order(orders[0])).state is O.ACKNOWLEDGED
        assert (await kit.order(orders[1])).state is O.DISPATCHED
        codes = {(await kit.order(one)).code for one in orders}
        assert len(codes) == 2


@pytest.mark.req("LU-15")
@pytest.mark.req("LU-16")
async def test_one_act_orders_the_unit_and_copies_the_centre(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        first, copied = await kit.send("water", copy=True)
        await kit.tell(f"{copied}.1", A.SENDING, A.FAILED, cause=Cause.OFFLINE)
        copy = await kit.order(copied)
        assert (copy.unit, copy.kind, copy.content["copy_of"]) == ("housing", "notice", [first])
        assert len(copy.attempts) == 2, "a failed copy goes on by the next wire"
        assert (await kit.order(first)).state is O.DISPATCHED


@pytest.mark.req("SB-14")
async def test_a_further_order_names_the_report_that_led_to_it(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (first,) = await kit.send()
        await kit.says(Says.PROGRESS, T, unit="water", order=first, words="需住建局到场")
        report = (await kit.order(first)).reports[0].id
        (second,) = await kit.send("housing", after_report=report, role="参与")
        content = (await kit.order(second)).content
        assert (content["after_report"], content["role"]) == (report, "参与")
        with pytest.raises(Refused):
            await kit.send("housing", after_report=f"{first}-r9")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"units": ("nobody",)}, "no-such-unit"),
        ({"case": "20261124-9999"}, "no-such-case"),
        ({"words": " "}, "nothing-to-say"),
    ],
)
async def test_what_cannot_be_ordered_is_refused_and_leaves_nothing(
    tmp_path: Path, more: dict[str, object], code: str
) -> None:
    async with life(tmp_path) as kit:
        with pytest.raises(Refused) as refused:
            await kit.send(**more)  # type: ignore[arg-type]
        assert refused.value.code == code
        assert await kit.facts("order.") == []


async def test_a_signature_stops_the_ladder_and_tells_running_attempts_to_stop(
    tmp_path: Path,
) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send(klass="URGENT")
        await kit.tell(f"{order}.2", A.SENDING, A.SENT)
        await kit.says(Says.SIGN, T, unit="water", order=order)
        assert kit.wires[P].withdrawn == [f"{order}.2"]
        await kit.later(3600)
        assert sum(len(wire.sent) for wire in kit.wires.values()) == 2


async def test_time_leads_down_the_ladder_to_an_alarm(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        await kit.later(2000)
        assert [len(kit.wires[kind].sent) for kind in (T, R, F, P, M)] == [2, 1, 1, 2, 1]
        assert (await kit.order(order)).state is O.EXHAUSTED
        assert "无人签收" in kit.alarms[f"order.{order}"]
        await kit.says(Says.SIGN, T, unit="housing", order=order)
        assert kit.alarms[f"order.{order}"] == ""


async def test_our_call_signs_by_its_key_from_the_registered_number(tmp_path: Path) -> None:
    async with life(tmp_path, channels=frozenset({P})) as kit:
        (order,) = await kit.send()
        await kit.tell(f"{order}.1", A.SENDING, A.SENT)
        stranger = await kit.says(Says.SIGN, P, source="PJSIP/6666", attempt=f"{order}.1")
        assert stranger.verdict is Verdict.LOOK
        signed = await kit.says(Says.SIGN, P, source="PJSIP/6001", attempt=f"{order}.1")
        assert signed.verdict is Verdict.PROVEN
        assert (await kit.order(order)).acknowledged is not None


async def test_a_code_is_compared_with_the_units_open_orders(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        first, second = await kit.send("water"), await kit.send("water")
        code = (await kit.order(second[0])).code
        await kit.says(Says.ARRIVED, S, source="13900000000", code=code)
        assert (await kit.order(second[0])).state is O.DISPATCHED, "no registered number"
        await kit.says(Says.ARRIVED, P, unit="water", code=code, words="已到")
        assert (await kit.order(second[0])).state is O.ARRIVED
        assert (await kit.order(first[0])).state is O.DISPATCHED


async def test_five_wrong_codes_close_the_way_over_a_restart_and_others_still_count(
    tmp_path: Path,
) -> None:
    clock = MovedClock()
    async with life(tmp_path, clock) as kit:
        (order,) = await kit.send()
        right = (await kit.order(order)).code
        for number in range(5):
            with pytest.raises(Refused, match="wrong-code"):
                await kit.says(Says.SIGN, P, unit="water", code=make_code(number))
        assert "code.water" in kit.alarms
    async with life(tmp_path, clock) as kit:
        with pytest.raises(Refused, match="way-closed"):
            await kit.says(Says.SIGN, P, unit="water", code=right)
        await kit.says(Says.SIGN, T, unit="water", order=order)
        assert (await kit.order(order)).state is O.ACKNOWLEDGED


async def test_what_nobody_can_place_goes_to_a_person_once(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        told = Received(
            channel=M,
            source="a@b.example",
            at=kit.clock.now(),
            key="m1",
            says=Says.SIGN,
            code=make_code(7),
            words="收到",
        )
        for _ in range(2):
            await kit.inbox.received(told)
        assert len(await kit.facts("inbox.look")) == 1
        assert [name for name in kit.alarms if name.startswith("inbox.")] == ["inbox.m1"]


async def test_what_is_told_of_an_order_that_cannot_be_read_waits_for_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        await kit.settled()
        memory, failed = kit.orders.memory, asyncio.Event()

        class Away:
            async def order_facts(self, order: str) -> Any:
                failed.set()
                raise StoreError("disk I/O error")

        monkeypatch.setattr(kit.orders, "memory", Away())
        del kit.orders.book.orders[order]
        told = Received(
            channel=T,
            source="x",
            at=kit.clock.now(),
            key="k",
            says=Says.SIGN,
            unit="water",
            order=order,
        )
        telling = asyncio.create_task(kit.inbox.received(told))
        async with asyncio.timeout(30):
            await failed.wait()
            monkeypatch.setattr(kit.orders, "memory", memory)
            assert await telling
        assert (await kit.order(order)).state is O.ACKNOWLEDGED


async def test_an_automatic_answer_never_counts_and_alarms_nobody(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        code = (await kit.order(order)).code
        taken = await kit.says(Says.SIGN, M, source="duty@water.example", code=code, automatic=True)
        assert taken.verdict is Verdict.MACHINE
        assert (await kit.order(order)).acknowledged is None
        assert kit.alarms == {}


async def test_a_radio_status_signs_the_newest_order_that_reached_the_set(tmp_path: Path) -> None:
    async with life(tmp_path, channels=frozenset({R})) as kit:
        (old,), (new,) = await kit.send(), await kit.send()
        await kit.tell(f"{old}.1", A.SENDING, A.SENT)
        kit.clock.at = kit.clock.at.replace(minute=5)
        await kit.tell(f"{new}.1", A.SENDING, A.SENT, A.DELIVERED)
        await kit.says(Says.ARRIVED, R, source="1001")
        assert (await kit.order(new)).state is O.ARRIVED
        assert (await kit.order(old)).state is O.DISPATCHED


async def test_a_code_in_a_text_names_the_order_also_where_a_newer_one_reached_the_set(
    tmp_path: Path,
) -> None:
    """And one of an order that is over signs for no other."""
    async with life(tmp_path, channels=frozenset({R})) as kit:
        (old,), (new,) = await kit.send(), await kit.send()
        code = (await kit.order(old)).code
        for order in (old, new):
            await kit.tell(f"{order}.1", A.SENDING, A.SENT)
            kit.clock.at = kit.clock.at.replace(minute=5)
        await kit.says(Says.RESULT, R, source="1001", code=code)
        assert (await kit.order(old)).state is O.CLOSED
        assert (await kit.order(new)).state is O.DISPATCHED
        await kit.says(Says.RESULT, R, source="1001", code=code)
        assert (await kit.order(new)).state is O.DISPATCHED
        assert any(name.startswith("inbox.") for name in kit.alarms)


async def test_a_result_by_status_closes_no_order_while_it_may_be_another_s(tmp_path: Path) -> None:
    async with life(tmp_path, channels=frozenset({R})) as kit:
        (old,), (new,) = await kit.send(), await kit.send()
        for order in (old, new):
            await kit.tell(f"{order}.1", A.SENDING, A.SENT)
        await kit.says(Says.RESULT, R, source="1001")
        assert {(await kit.order(order)).state for order in (old, new)} == {O.DISPATCHED}
        assert any(name.startswith("inbox.") for name in kit.alarms)


async def test_another_units_order_cannot_be_signed(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send("water")
        with pytest.raises(Refused, match="not-your-unit"):
            await kit.says(Says.SIGN, T, unit="bank", order=order)


async def test_a_cancelled_order_stops_and_the_unit_is_told(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        await kit.tell(f"{order}.1", A.SENDING, A.SENT)
        await kit.desk.cancel(SEAT, order, "市民已撤回", "key-cancel-1")
        await kit.settled()
        assert kit.wires[T].withdrawn == [f"{order}.1"]
        notice = kit.wires[T].sent[-1].sheet
        assert notice.kind == "notice"
        assert "已取消" in notice.words
        assert "市民已撤回" in notice.words


async def test_news_of_a_cancelling_is_stored_with_it_and_makes_no_news_itself(
    tmp_path: Path,
) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        await kit.tell(f"{order}.1", A.SENDING, A.SENT)
        await kit.desk.cancel(SEAT, order, "市民已撤回", "key-cancel-3")
        [notice] = kit.orders.open_of("water")
        stored = await kit.facts("order.")
        gone = next(at for at, fact in enumerate(stored) if fact.kind == "order.cancelled")
        assert stored[gone + 1].kind == "order.created", "one transaction"
        await kit.settled()
        await kit.desk.cancel(SEAT, notice.id, "误发", "key-cancel-4")
        await kit.settled()
        assert kit.orders.open_of("water") == []
        assert len(await kit.facts("order.created")) == 2


async def test_who_signs_for_a_cancelled_order_is_told_so(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        await kit.desk.cancel(SEAT, order, "市民已撤回", "key-cancel-2")
        with pytest.raises(Refused, match="order-cancelled"):
            await kit.says(Says.SIGN, T, unit="water", order=order)
        assert (await kit.order(order)).acknowledged is None
        assert len(await kit.facts("order.lateReport")) == 1, "and it is kept"


@pytest.mark.req("LY-16")
async def test_a_case_that_another_desk_has_accepted_gets_no_order_of_ours(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        kit.desk.held_elsewhere = lambda case: case == CASE
        with pytest.raises(Refused, match="case-with-other-desk"):
            await kit.send()
        assert await kit.facts("order.") == []


async def test_a_unit_is_told_of_a_cancelling_also_when_another_desk_has_the_case(
    tmp_path: Path,
) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        kit.desk.held_elsewhere = lambda case: case == CASE
        await kit.desk.cancel(SEAT, order, "已由12345受理", "key-cancel-held")
        await kit.settled()
        [told] = kit.orders.open_of("water")
        assert order in str(told.content["words"])


async def test_a_call_taker_signs_on_behalf_and_names_the_person(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        with pytest.raises(Refused, match="name-missing"):
            await kit.desk.on_behalf(SEAT, order, Says.SIGN, " ", "key-behalf-1")
        await kit.desk.on_behalf(SEAT, order, Says.SIGN, "李四", "key-behalf-2")
        signed = (await kit.order(order)).acknowledged
        assert signed is not None
        assert "李四" in str(signed["by"])
        assert "lab-8001" in str(signed["by"])


async def test_two_proofs_at_once_make_one_first_signature(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        await asyncio.gather(
            *(kit.says(Says.SIGN, T, unit="water", order=order, key=f"k{n}") for n in range(5))
        )
        facts = await kit.facts("order.acknowledged")
        assert [fact.data["again"] for fact in facts] == [False, True, True, True, True]


async def test_the_tables_are_what_the_journal_says(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send(klass="URGENT", drill=True)
        await kit.tell(f"{order}.2", A.SENDING, A.FAILED, cause=Cause.BUSY)
        await kit.later(30)
        await kit.says(Says.DISPUTE, T, unit="water", order=order, words="不属职责")
        await kit.says(Says.RESULT, T, unit="water", order=order, words="已修复")
    assert list(check(tmp_path / "site.db", replay)) == []


async def test_what_is_shown_is_durable_and_carries_no_code(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        events = kit.view.subscribe(lambda _: True)
        (order,) = await kit.send()
        code = (await kit.order(order)).code
        await kit.says(Says.SIGN, T, unit="water", order=order)
        seen = []
        while (event := await events.next(0.2)) is not None:
            seen.append(event.type)
            assert code not in event.text
        assert seen[:4] == ["order.created", "order.dispatched", "order.step", "attempt.queued"]
        assert "order.acknowledged" in seen
        shown = kit.view.order(order)
        assert shown is not None
        assert "code" not in shown


async def test_a_closed_order_leaves_memory_and_late_words_are_still_kept(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        (order,) = await kit.send()
        await kit.says(Says.RESULT, T, unit="water", order=order, words="已修复")
        assert order not in kit.orders.book.orders
        await kit.orders.progress(
            Progress(attempt=f"{order}.1", state=A.WITHDRAWN, at=kit.clock.now())
        )
        await kit.says(Says.PROGRESS, T, unit="water", order=order, words="补充说明")
        assert len(await kit.facts("order.lateReport")) == 1
        assert len(await kit.facts("attempt.withdrawn")) == 1


async def test_a_request_needs_a_known_order(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        with pytest.raises(Refused, match="no-such-order"):
            await kit.desk.remind(SEAT, "20261124-0001-99", "key-none-1")
        ask = OrderAsk(case=CASE, units=("bank",), kind="site", klass="GENERAL", words="x")
        answer = await kit.desk.send(SEAT, ask, "key-bank-1")
        lines: Any = answer.body["orders"]
        assert lines[0]["confirmation_asked"] is True
        await kit.desk.confirm(SEAT, lines[0]["order"], "key-bank-2")
        await kit.settled()
        assert len(kit.wires[T].sent) == 1


async def test_a_fact_that_can_never_be_stored_stops_nothing(tmp_path: Path) -> None:
    async with life(tmp_path) as kit:
        async with asyncio.timeout(5):
            await kit.orders.note(Fact("inbox.look", kit.clock.now(), subject="\ud800"))
        await kit.orders.note(Fact("inbox.look", kit.clock.now(), subject="x"))
        assert [fact.subject for fact in await kit.facts("inbox.")] == ["x"]
