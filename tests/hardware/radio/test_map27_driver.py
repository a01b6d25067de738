"""A MAP27 radio end to end on a pty."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hardware.radio.events import (
    CallChange,
    Delivery,
    EmergencyIn,
    Health,
    RadioRefused,
    Stage,
    StatusIn,
    TextIn,
    Why,
)
from hardware.radio.map27_net import Condition, Data, Disconnect
from hardware.rig.air import Set
from tests.hardware.pty_kit import until
from tests.hardware.radio.radio_kit import MAP27, map27

UNIT = "31/2001"
LONG = "请速到人民路8号处置纠纷，到场回告。" * 17


@pytest.mark.req("SB-11")
async def test_a_status_order_is_delivered_and_answered_by_a_status(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        r.air.sets[UNIT] = Set(reply_status=2)
        r.radio.ways.waits = 2
        r.driver.send_status("k", UNIT, 16)
        await r.wait_stage("k", Stage.DELIVERED)
        await until(lambda: bool(r.of(StatusIn)))
        assert r.stages("k") == [Stage.SENDING, Stage.DELIVERED]
        assert r.of(StatusIn) == [StatusIn(UNIT, "", 2)]
        assert r.air.heard == [(UNIT, b"\x10")]


async def test_a_chinese_order_goes_in_extended_data_and_comes_out_whole(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        r.air.sets[UNIT] = Set(reply_text="收到")
        r.driver.send_text("k", UNIT, LONG)
        await r.wait_stage("k", Stage.DELIVERED)
        parts = [data.decode("gb18030").partition(" ")[2] for _, data in r.air.heard]
        assert "".join(parts) == LONG
        await until(lambda: bool(r.of(TextIn)))
        assert r.of(TextIn)[0] == TextIn(UNIT, "", "收到")


async def test_a_controller_without_extended_data_gets_short_ones(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        r.radio.ways.no_mst = True
        r.driver.send_text("k", UNIT, "请速到人民路8号处置纠纷")
        await r.wait_stage("k", Stage.DELIVERED)
        sent = [m for m in r.radio.messages if isinstance(m, Data)]
        assert [m.extended for m in sent] == [True, False, False]


@pytest.mark.parametrize(
    ("cause", "why"), [(4, Why.OFFLINE), (0x0B, Why.CONGESTION), (0x0C, Why.BUSY), (3, Why.REFUSED)]
)
async def test_a_failure_names_its_cause(tmp_path: Path, cause: int, why: Why) -> None:
    async with map27(tmp_path) as r:
        r.radio.ways.cause = cause
        r.driver.send_status("k", UNIT, 1)
        await r.wait_stage("k", Stage.FAILED)
        assert r.of(Delivery)[-1].why is why


async def test_no_end_in_time_is_cancelled_at_the_radio_and_unknown(tmp_path: Path) -> None:
    async with map27(tmp_path, dataclasses.replace(MAP27, answer_s=0.3)) as r:
        r.radio.ways.dumb = True
        r.driver.send_status("k", UNIT, 1)
        await r.wait_stage("k", Stage.UNKNOWN)
        await until(lambda: Disconnect(0xA6, 31, 2001, 8) in r.radio.messages)


async def test_an_incoming_call_interrupts_and_the_outcome_is_unknown(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        r.radio.ways.dumb = True
        r.driver.send_status("k", UNIT, 1)
        await until(lambda: len(r.radio.messages) >= 2)
        r.radio.call_from("31/2002", emergency=True)
        await r.wait_stage("k", Stage.UNKNOWN)
        await until(lambda: bool(r.of(CallChange)))
        assert r.of(CallChange)[0].state == "connected"
        assert r.of(EmergencyIn) == [EmergencyIn("31/2002", "call")]


async def test_a_voice_call_with_push_to_talk(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        r.driver.call(UNIT)
        await until(lambda: any(c.state == "connected" for c in r.of(CallChange)))
        r.driver.key(True)
        r.driver.key(False)
        r.driver.hang_up()
        await until(lambda: r.of(CallChange)[-1].state == "ended")
        keyed = [m.transmitting for m in r.radio.messages if isinstance(m, Condition)]
        assert keyed == [True, False]
        with pytest.raises(RadioRefused):
            r.driver.key(True)


async def test_a_ringing_call_is_answered_off_hook(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        r.radio.call_from(UNIT, hook=True)
        await until(lambda: bool(r.of(CallChange)))
        assert r.of(CallChange)[0].state == "ringing"
        r.driver.answer()
        await until(lambda: Condition(True, False) in r.radio.messages)


async def test_contact_lost_fails_at_once_and_returns(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        r.radio.set_contact(False)
        await r.wait_usable(False)
        r.driver.send_status("k", UNIT, 1)
        await r.wait_stage("k", Stage.FAILED)
        assert r.of(Delivery)[-1].why is Why.NOT_REGISTERED
        r.radio.set_contact(True)
        await r.wait_usable()
        r.driver.send_status("again", UNIT, 1)
        await r.wait_stage("again", Stage.DELIVERED)


async def test_a_radio_that_restarts_and_a_pulled_cable_come_back(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        r.radio.restart()
        await until(lambda: any(not health.usable for health in r.of(Health)))
        await r.wait_usable()
        r.radio.ways.dumb = True
        r.driver.send_status("k", UNIT, 1)
        await until(lambda: any(type(m).__name__ == "Status" for m in r.radio.messages))
        r.pty.pull()
        await r.wait_stage("k", Stage.UNKNOWN)
        r.radio.ways.dumb = False
        r.pty.plug()
        r.radio.restart()
        await r.wait_usable()
        r.driver.send_status("again", UNIT, 1)
        await r.wait_stage("again", Stage.DELIVERED)


async def test_a_line_that_loses_and_garbles_only_makes_it_slower(tmp_path: Path) -> None:
    async with map27(tmp_path) as r:
        for faults in (r.pty.faults_in, r.pty.faults_out):
            faults.lose = faults.garble = 0.004
            faults.split = 3
        for n in range(8):
            r.driver.send_status(f"k{n}", UNIT, n)
        await until(
            lambda: all(r.stages(f"k{n}")[-1:] not in ([], [Stage.SENDING]) for n in range(8))
        )
        heard = [data[0] for _, data in r.air.heard]
        assert heard == sorted(set(heard)), "nothing twice, nothing out of order"
        for n in range(8):
            if r.stages(f"k{n}")[-1] is Stage.DELIVERED:
                assert n in heard


@pytest.mark.parametrize(
    ("address", "text", "why"),
    [
        ("31/2001/7", "x", Why.BAD_ADDRESS),
        (UNIT, "a\x00b", Why.REFUSED),
        (UNIT, "警" * 3000, Why.TOO_LONG),
    ],
)
async def test_what_may_not_go_out_is_refused(
    tmp_path: Path, address: str, text: str, why: Why
) -> None:
    async with map27(tmp_path) as r:
        with pytest.raises(RadioRefused) as refused:
            r.driver.send_text("k", address, text)
        assert refused.value.why is why


async def test_without_an_agreed_coding_chinese_is_refused_in_words(tmp_path: Path) -> None:
    async with map27(tmp_path, dataclasses.replace(MAP27, chinese="none")) as r:
        with pytest.raises(RadioRefused, match="status numbers"):
            r.driver.send_text("k", UNIT, "出警")
        r.driver.send_text("plain", UNIT, "GATE 3")
        await r.wait_stage("plain", Stage.DELIVERED)
        assert r.driver.health == Health(True, "可用 / usable")
