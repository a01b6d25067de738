"""Recordings of calls about orders: begun before they end, closed once, also after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bridge.domain.delivery import ChannelKind, Says
from bridge.domain.journal import Json
from bridge.domain.order_state import O
from bridge.flows.ports import PhoneSeen, RadioSeen, RadioWhat
from tests.orders.order_kit import Kit, life
from tests.orders.voices_kit import WHOLE, voices_of


def seen(order: str, what: Any, kit: Kit, number: str = "") -> PhoneSeen:
    attempt = f"{order}.1"
    return PhoneSeen(
        attempt=attempt, what=what, at=kit.clock.now(), call=f"ord-{attempt}", number=number
    )


async def test_unit_and_seat_are_on_record_and_the_end_is_hashed_once(tmp_path: Path) -> None:
    async with life(tmp_path) as kit, voices_of(kit) as (voices, closed):
        (order,) = await kit.send()
        for what, number in (("answered", ""), ("seat", "8001"), ("seat", "8001")):
            voices.see(seen(order, what, kit, number))
        await kit.settled()
        assert set((await kit.order(order)).on_record[f"ord-{order}.1"]) == {"unit", "seat-8001"}
        for what in ("ended", "ended", "answered"):
            voices.see(seen(order, what, kit))
        await kit.settled()
        ((call, legs),) = closed
        assert call == f"ord-{order}.1"
        assert {leg[0]: leg[2] is not None for leg in legs} == {"unit": True, "seat-8001": False}
        found = await kit.order(order)
        assert found.on_record == {}
        assert [one["tracks"] for one in found.recordings] == [WHOLE["tracks"]]
        kinds = [fact.kind for fact in await kit.facts("order.")]
        assert (kinds.count("order.onRecord"), kinds.count("order.recorded")) == (2, 1)
        assert not [name for name in kit.alarms if name.endswith("recording")]


async def test_a_call_that_nobody_answered_has_no_recording(tmp_path: Path) -> None:
    async with life(tmp_path) as kit, voices_of(kit) as (voices, closed):
        (order,) = await kit.send()
        voices.see(seen(order, "rang", kit))
        voices.see(seen(order, "ended", kit))
        await kit.settled()
        assert closed == []


async def test_what_an_earlier_life_left_open_is_closed_also_of_an_order_that_is_over(
    tmp_path: Path,
) -> None:
    async with life(tmp_path) as kit, voices_of(kit) as (voices, _):
        (over,), (open_) = await kit.send(), await kit.send("housing")
        for order in (over, *open_):
            voices.see(seen(order, "answered", kit))
        await kit.settled()
        await kit.says(Says.RESULT, ChannelKind.TERMINAL, unit="water", order=over, person="张")
        assert (await kit.order(over)).state is O.CLOSED
    talking = f"ord-{open_[0]}.1"
    async with life(tmp_path) as kit, voices_of(kit, up={talking}) as (voices, closed):
        rows = await kit.store.reader.orders_on_record()
        assert {row.id for row in rows} == {over, *open_}
        voices.restore([await kit.order(row.id) for row in rows])
        await voices.look()
        await kit.settled()
        assert [call for call, _ in closed] == [f"ord-{over}.1"], "the other is still up"
        rows = await kit.store.reader.orders_on_record()
        assert {row.id for row in rows} == set(open_)


async def test_while_nobody_knows_what_is_up_nothing_is_closed(tmp_path: Path) -> None:
    async with life(tmp_path) as kit, voices_of(kit, up=None) as (voices, closed):
        (order,) = await kit.send()
        voices.see(seen(order, "answered", kit))
        await kit.settled()
        await voices.look()
        await asyncio.sleep(0)
        assert closed == []


async def test_a_missing_track_is_an_alarm_and_is_in_the_journal(tmp_path: Path) -> None:
    gone: dict[str, Json] = {"tracks": [], "missing": [{"leg": "unit"}]}
    async with life(tmp_path) as kit, voices_of(kit, gone) as (voices, _):
        (order,) = await kit.send()
        voices.see(seen(order, "answered", kit))
        voices.see(seen(order, "ended", kit))
        await kit.settled()
        assert f"order.{order}.recording" in kit.alarms
        (fact,) = await kit.facts("order.recorded")
        assert fact.data["missing"] == [{"leg": "unit"}]


async def test_the_line_of_a_radio_gateway_is_on_record_once_for_both_overs(tmp_path: Path) -> None:
    async with life(tmp_path) as kit, voices_of(kit) as (voices, closed):
        (order,) = await kit.send()
        call = f"rad-{order}.1"
        whats: list[RadioWhat] = ["waits", "spoken", "waits", "spoken", "code", "ended"]
        for what in whats:
            voices.see_radio(
                RadioSeen(attempt=f"{order}.1", what=what, at=kit.clock.now(), call=call)
            )
        await kit.settled()
        ((closed_call, ((leg, _, left),)),) = closed
        assert (closed_call, leg, left) == (call, "radio", kit.clock.now())
        assert [one["tracks"] for one in (await kit.order(order)).recordings] == [WHOLE["tracks"]]
