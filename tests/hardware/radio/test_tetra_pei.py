"""A TETRA terminal end to end on a pty: proof by proof, and each way it can go wrong."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from hardware.radio import sds
from hardware.radio.events import (
    CallChange,
    Delivery,
    EmergencyIn,
    LocationIn,
    RadioRefused,
    RawIn,
    Stage,
    StatusIn,
    TextIn,
    Why,
)
from hardware.radio.lip import Position
from hardware.rig.air import Set
from hardware.rig.pei_terminal import Behaviour
from tests.hardware.pty_kit import until
from tests.hardware.radio.radio_kit import PEI, pei

OFFICER = "2269001"
LONG = "请速到人民路8号处置纠纷，到场回告。" * 17


def text_heard(heard: list[tuple[str, bytes]]) -> str:
    texts = [sds.text_of(sds.decode(pdu)) for _, pdu in heard]
    return "".join(text.text for text in texts if text is not None)


@pytest.mark.req("SB-11")
async def test_a_chinese_order_of_300_characters_is_received_read_and_answered(
    tmp_path: Path,
) -> None:
    async with pei(tmp_path) as r:
        r.air.sets[OFFICER] = Set(reply_status=0x8003)
        await r.wait_usable()
        assert len(LONG) >= 300
        r.driver.send_text("order-1", OFFICER, LONG)
        await r.wait_stage("order-1", Stage.READ)
        await until(lambda: bool(r.of(StatusIn)))
        assert text_heard(r.air.heard) == LONG
        assert r.stages("order-1") == [Stage.SENDING, Stage.SENT, Stage.DELIVERED, Stage.READ]
        assert r.of(StatusIn) == [StatusIn(OFFICER, "9001", 0x8003)]


async def test_the_networks_word_in_the_same_breath_as_the_answer_is_not_missed(
    tmp_path: Path,
) -> None:
    async with pei(tmp_path, ways=Behaviour(sent_s=0)) as r:
        r.air.sets[OFFICER] = Set(received=False, consumed=False)
        await r.wait_usable()
        began = asyncio.get_running_loop().time()
        r.driver.send_text("order-1", OFFICER, LONG)
        await r.wait_stage("order-1", Stage.SENT)
        assert r.stages("order-1") == [Stage.SENDING, Stage.SENT]
        took = asyncio.get_running_loop().time() - began
        assert took < PEI.sent_wait_s, "no part waited for a word that had come"
        assert text_heard(r.air.heard) == LONG


async def test_a_set_that_is_off_leaves_the_order_sent_and_not_delivered(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        r.air.sets[OFFICER] = Set(on=False, stored=True)
        await r.wait_usable()
        r.driver.send_text("order-1", OFFICER, "出警")
        await until(lambda: any(e.stored for e in r.of(Delivery)))
        await asyncio.sleep(0.2)
        assert r.stages("order-1") == [Stage.SENDING, Stage.SENT, Stage.SENT]


async def test_a_cable_pulled_in_the_middle_of_a_command_is_unknown_and_service_returns(
    tmp_path: Path,
) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.radio.ways.answer_s = 0.3
        r.driver.send_text("order-1", OFFICER, "出警")
        await until(lambda: any("CMGS" in line for line in r.radio.log))
        r.pty.pull()
        await r.wait_stage("order-1", Stage.UNKNOWN)
        assert not r.driver.health.usable
        r.radio.restart()
        r.radio.ways.answer_s = 0
        r.pty.plug()
        await r.wait_usable()
        r.driver.send_text("order-2", OFFICER, "出警（可能重复）")
        await r.wait_stage("order-2", Stage.READ)


async def test_short_reports_doubled_and_reordered_ones_count_once(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.air.sets["1"] = Set(short=True)
        r.air.sets["2"] = Set(doubled=True)
        r.air.sets["3"] = Set(reordered=True)
        for number in ("1", "2", "3"):
            r.driver.send_text(f"k{number}", number, "到场")
        for number in ("1", "2", "3"):
            await r.wait_stage(f"k{number}", Stage.READ)
        await asyncio.sleep(0.1)
        assert r.stages("k1") == r.stages("k2")
        assert r.stages("k2") == [Stage.SENDING, Stage.SENT, Stage.DELIVERED, Stage.READ]
        assert r.stages("k3") == [Stage.SENDING, Stage.SENT, Stage.READ]


@pytest.mark.parametrize(
    ("status", "why"),
    [(0x5A, Why.OFFLINE), (0x4C, Why.QUEUE_FULL), (0x5F, Why.CONGESTION), (0x4E, Why.REFUSED)],
)
async def test_a_failure_report_names_its_cause(tmp_path: Path, status: int, why: Why) -> None:
    async with pei(tmp_path) as r:
        r.air.sets[OFFICER] = Set(failure=status)
        await r.wait_usable()
        r.driver.send_text("k", OFFICER, "到场")
        await r.wait_stage("k", Stage.FAILED)
        assert r.of(Delivery)[-1].why is why


async def test_out_of_coverage_fails_at_once_and_is_told(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.radio.set_coverage(False)
        await r.wait_usable(False)
        r.driver.send_text("k", OFFICER, "到场")
        await r.wait_stage("k", Stage.FAILED)
        assert r.of(Delivery)[-1].why is Why.NOT_REGISTERED
        r.radio.set_coverage(True)
        await r.wait_usable()
        r.driver.send_text("again", OFFICER, "到场")
        await r.wait_stage("again", Stage.READ)


async def test_busy_is_repeated_full_is_told(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.radio.ways.busy = 2
        r.driver.send_text("k", OFFICER, "到场")
        await r.wait_stage("k", Stage.READ)
        assert len(r.radio.sent) == 1
        r.radio.ways.queue_full = True
        r.driver.send_text("full", OFFICER, "到场")
        await r.wait_stage("full", Stage.FAILED)
        assert r.of(Delivery)[-1].why is Why.QUEUE_FULL


async def test_a_restart_is_noticed_and_the_services_registered_again(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.radio.log.clear()
        r.radio.restart()
        await until(lambda: "AT+CTSP=1,3,130" in r.radio.log)
        await until(lambda: "AT+CSQ?" in r.radio.log)
        r.driver.send_text("k", OFFICER, "到场")
        await r.wait_stage("k", Stage.READ)


async def test_a_silent_terminal_is_told_and_comes_back(tmp_path: Path) -> None:
    async with pei(tmp_path, dataclasses.replace(PEI, answer_s=0.5)) as r:
        await r.wait_usable()
        r.radio.ways.silent = True
        await r.wait_usable(False)
        r.radio.ways.silent = False
        await r.wait_usable()


async def test_incoming_texts_are_reported_only_after_they_were_stored(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.radio.ways.doubled = 4
        r.radio.text_from(OFFICER, "收到", want=sds.Want.BOTH)
        await until(lambda: bool(r.of(TextIn)))
        await asyncio.sleep(0.1)
        (text,) = r.of(TextIn)
        assert (text.source, text.text) == (OFFICER, "收到")
        assert r.radio.sent == []
        assert text.token is not None
        r.driver.acknowledge(text.token)
        await until(lambda: len(r.radio.sent) == 1)
        assert sds.decode(r.radio.sent[0][1]) == sds.Report(0x82, 0, 1)
        r.driver.acknowledge(text.token, consumed=True)
        await until(lambda: len(r.radio.sent) == 2)
        assert sds.decode(r.radio.sent[1][1]) == sds.Report(0x82, 2, 1)


async def test_a_long_incoming_text_is_put_together_and_each_part_reported(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.radio.text_from(OFFICER, LONG)
        await until(lambda: bool(r.of(TextIn)))
        (text,) = r.of(TextIn)
        assert text.text == LONG
        assert text.whole
        r.driver.acknowledge(text.token or "")
        await until(lambda: len(r.radio.sent) == 9)


async def test_location_emergency_and_status_are_told(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        here = Position(31.2, 121.5, 20, 12.0, 90.0, 2)
        r.radio.location_from(OFFICER, here)
        r.radio.status_from(OFFICER, 0)
        r.radio.call_from(OFFICER, "1000", priority=15)
        r.radio.status_from(OFFICER, 0x8002)
        await until(lambda: bool(r.of(StatusIn)))
        assert [e.how for e in r.of(EmergencyIn)] == ["location", "status", "call"]
        (place,) = r.of(LocationIn)
        assert place.position.latitude == pytest.approx(31.2, abs=1e-4)
        assert [c.state for c in r.of(CallChange)] == ["ringing", "connected", "listening"]
        assert all(c.emergency and c.group == "1000" for c in r.of(CallChange))


async def test_a_status_goes_out_and_the_next_text_sets_its_service_again(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.driver.send_status("s", OFFICER, 0x8004)
        r.driver.send_text("t", OFFICER, "到场")
        await r.wait_stage("t", Stage.READ)
        assert r.stages("s") == [Stage.SENDING, Stage.SENT]
        assert r.air.heard[0] == (OFFICER, b"\x80\x04")
        kinds = [line for line in r.radio.log if "CTSDS" in line or "CMGS" in line]
        assert kinds[-4:-1] == ["AT+CTSDS=13,0", f"AT+CMGS={OFFICER},16", "AT+CTSDS=12,0,0,0,1"]


async def test_a_group_call_with_push_to_talk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardware.radio.tetra_pei.TRIES", 1)
    async with pei(tmp_path) as r:
        await r.wait_usable()
        await r.driver.select_group("1000")
        await r.driver.call("1000", group=True)
        await until(lambda: any(c.state == "talking" for c in r.of(CallChange)))
        await r.driver.release(1)
        await until(lambda: any(c.state == "idle" for c in r.of(CallChange)))
        await r.driver.press(1, priority=3)
        await r.driver.hang_up()
        await until(lambda: r.of(CallChange)[-1].state == "ended")
        assert r.of(CallChange)[-1].cause == "user request"
        with pytest.raises(RadioRefused):
            await r.driver.press(1)


async def test_a_late_word_about_a_call_that_has_ended_begins_none(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.radio.say("+CTICN: 1,0,0,0,5,1,1,0,1,1,0,1000,0", "+CTCR: 1,13", "+CTXG: 1,3,0,0,0,5")
        r.radio.status_from(OFFICER, 0x8002)
        await until(lambda: bool(r.of(StatusIn)))
        assert [c.state for c in r.of(CallChange)] == ["ringing", "ended"]
        assert r.driver.calls.present == ()


async def test_lines_of_noise_between_everything_do_no_harm(tmp_path: Path) -> None:
    ways = Behaviour(chatter=True, space="", odd_hex=True)
    async with pei(tmp_path, ways=ways) as r:
        r.pty.faults_out.split = 7
        r.pty.faults_out.delay_s = 0.001
        await r.wait_usable()
        r.pty.write(b"\xff\x00\x81 half a line +CTSDSR: 12,1,0")
        r.pty.write(b"\r\n+CTSDSR: 12,1,0,2,0,32\r\n\r\n+CTXG: 9,3,0,0\r\n")
        r.driver.send_text("k", OFFICER, "到场")
        await r.wait_stage("k", Stage.READ)
        assert {e.why for e in r.of(RawIn)} >= {"noise", "second line missing"}


async def test_a_report_for_nothing_we_sent_is_kept_and_shown(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.pty.write(b"\r\n+CTSDSR: 12,5,0,9001,0,32\r\n821000C9\r\n")
        await until(lambda: bool(r.of(RawIn)))
        assert r.of(RawIn)[0].why == "report for an unknown reference"


@pytest.mark.parametrize(
    ("address", "text", "why"),
    [
        ("12AT+CTOM=1", "到场", Why.BAD_ADDRESS),
        ("0", "到场", Why.BAD_ADDRESS),
        (OFFICER, "到场\x1aAT+CTOM=1\r", Why.REFUSED),
        (OFFICER, "\ud842", Why.REFUSED),
        (OFFICER, "警" * 5000, Why.TOO_LONG),
    ],
)
async def test_what_may_not_go_out_is_refused_and_nothing_is_written(
    tmp_path: Path, address: str, text: str, why: Why
) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        with pytest.raises(RadioRefused) as refused:
            r.driver.send_text("k", address, text)
        assert refused.value.why is why
        await asyncio.sleep(0.05)
        assert r.radio.sent == []


async def test_a_text_that_looks_like_a_command_arrives_as_text(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        r.driver.send_text("k", OFFICER, "AT+CTOM=1")
        await r.wait_stage("k", Stage.READ)
        assert text_heard(r.air.heard) == "AT+CTOM=1"
        assert "AT+CTOM=1" not in r.radio.log


async def test_a_message_may_be_taken_back_before_it_begins(tmp_path: Path) -> None:
    async with pei(tmp_path, ways=Behaviour(answer_s=0.05)) as r:
        await r.wait_usable()
        r.driver.send_text("first", OFFICER, LONG)
        r.driver.send_text("second", OFFICER, "到场")
        assert r.driver.withdraw("second")
        await r.wait_stage("second", Stage.FAILED)
        assert [e.why for e in r.of(Delivery) if e.key == "second"] == [Why.WITHDRAWN]
        await r.wait_stage("first", Stage.READ)
        assert not r.driver.withdraw("first")
        assert "到场" not in text_heard(r.air.heard)[len(LONG) :]


async def test_an_urgent_text_goes_before_others_and_pops_up(tmp_path: Path) -> None:
    async with pei(tmp_path) as r:
        await r.wait_usable()
        for n in range(3):
            r.driver.send_text(f"n{n}", OFFICER, f"普通{n}")
        r.driver.send_text("u", OFFICER, "紧急", urgent=True)
        await r.wait_stage("n2", Stage.READ)
        pdus = [sds.decode(pdu) for _, pdu in r.air.heard]
        protocols = [pdu.protocol for pdu in pdus if isinstance(pdu, sds.Transfer)]
        assert sds.IMMEDIATE_TEXT in protocols[:2]


async def test_the_same_key_is_taken_once(tmp_path: Path) -> None:
    async with pei(tmp_path, dialect=PEI) as r:
        await r.wait_usable()
        r.driver.send_text("k", OFFICER, "到场")
        with pytest.raises(RadioRefused, match="taken over before"):
            r.driver.send_text("k", OFFICER, "到场")
        await r.wait_stage("k", Stage.READ)
        assert len(r.radio.sent) == 1
