"""SMS: the recorded submission, every length, and a modem end to end; gammu judges our modem."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.lab.packages import find_program
from hardware.port import PortSettings
from hardware.radio import sms_pdu
from hardware.radio.events import Delivery, RadioEvent, RadioRefused, Stage, TextIn, Why
from hardware.radio.sms import SmsModem
from hardware.radio.sms_pdu import Deliver, Part, SmsError, StatusReport, Submit
from hardware.radio.texts import TextRefused
from hardware.rig.air import Air, Set
from hardware.rig.pty import PtyEnd
from hardware.rig.sms_modem import SmsModemRig, Ways
from tests.hardware.pty_kit import until

E = TypeVar("E")
PHONE = "13800138000"
MOMENT = datetime(2026, 11, 25, 16, 5, 30, tzinfo=UTC)
RECORDED = "0891683108100005F011000B813108108300F00008FF1251FA8B66FF1A4E2D5C718DEF0031003253F7"
LONG = "请速到人民路8号处置纠纷，到场回告。" * 17


def test_the_submission_that_gammu_made_is_ours_octet_for_octet() -> None:
    message = Submit(PHONE, "出警：中山路12号", report=False, validity=0xFF)
    assert sms_pdu.encode_submit(message, "+8613800100500") == (RECORDED, 32)
    assert sms_pdu.decode(RECORDED, to_us=False) == message


def test_first_octets() -> None:
    def first(message: Submit) -> str:
        return sms_pdu.encode_submit(message)[0][2:4]

    assert first(Submit(PHONE, "x", report=False)) == "11"
    assert first(Submit(PHONE, "x")) == "31"
    assert first(Submit(PHONE, "x", report=False, part=Part(1, 2, 1))) == "51"
    assert first(Submit(PHONE, "x", part=Part(1, 2, 1))) == "71"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("警" * 70, 1),
        ("警" * 71, 2),
        ("警" * 134, 2),
        ("警" * 135, 3),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("", 1),
        ("𠮷" * 35, 1),
        ("𠮷" * 36, 2),
    ],
)
def test_how_many_messages_a_text_takes(text: str, count: int) -> None:
    assert len(sms_pdu.pieces(text)) == count


@given(st.text(st.sampled_from("警𠮷aé€[ 1"), max_size=1000))
def test_every_text_comes_back_whole(text: str) -> None:
    try:
        made = sms_pdu.submits(PHONE, text, 9)
    except TextRefused:
        assert len(text) > 600
        return
    read = [sms_pdu.decode(sms_pdu.encode_submit(m)[0], to_us=False) for m in made]
    assert "".join(m.text for m in read if isinstance(m, Submit)) == text
    assert all(sms_pdu.encode_submit(m)[1] <= 165 for m in made)


def test_deliveries_and_reports() -> None:
    came = Deliver("+86" + PHONE, "收到[ok]", MOMENT, Part(3, 2, 1))
    assert sms_pdu.decode(sms_pdu.encode_deliver(came, MOMENT)) == came
    plain = Deliver("10086", "hello world", MOMENT)
    assert sms_pdu.decode(sms_pdu.encode_deliver(plain, MOMENT)) == plain
    report = StatusReport(5, PHONE, 0x46)
    assert sms_pdu.decode(sms_pdu.encode_report(report, MOMENT)) == report
    # alphanumeric sender, GSM 7-bit, service centre +31653131316, zone +08:00
    named = sms_pdu.decode(
        "07911356131313F604 0AD0 5036FB2D07 0000 62110251500323 02 E834".replace(" ", "")
    )
    assert isinstance(named, Deliver)
    assert named.text == "hi"
    assert len(named.number) == 5


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_refused(data: bytes) -> None:
    for to_us in (True, False):
        try:
            sms_pdu.decode(data.hex(), to_us=to_us)
        except SmsError:
            continue


@dataclass
class Rig:
    driver: SmsModem
    modem: SmsModemRig
    pty: PtyEnd
    air: Air
    told: list[RadioEvent] = field(default_factory=list)

    def stages(self, key: str) -> list[Stage]:
        return [e.stage for e in self.told if isinstance(e, Delivery) and e.key == key]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.told if isinstance(event, kind)]

    async def wait_stage(self, key: str, stage: Stage) -> None:
        await until(lambda: stage in self.stages(key))

    async def wait_usable(self, usable: bool = True) -> None:
        await until(lambda: self.driver.health.usable is usable)


@asynccontextmanager
async def modem(tmp_path: Path) -> AsyncIterator[tuple[SmsModemRig, PtyEnd]]:
    pty = PtyEnd(lambda data: made.feed(data), random.Random(7))
    made = SmsModemRig(pty.write, Air(), lambda: MOMENT, Ways())
    pty.link(tmp_path / "sms-1")
    try:
        yield made, pty
    finally:
        made.close()
        pty.close()


@asynccontextmanager
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with modem(tmp_path) as (made, pty):
        told: list[RadioEvent] = []
        driver = SmsModem(
            PortSettings(name=str(tmp_path / "sms-1"), rate=115200),
            emit=told.append,
            rng=random.Random(7),
            probe_s=0.3,
        )
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(driver.run(stop))
            try:
                await until(lambda: driver.health.usable)
                yield Rig(driver, made, pty, made.air, told)
            finally:
                stop.set()


async def test_an_order_by_sms_is_delivered_and_answered(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        r.air.sets[PHONE] = Set(reply_text="收到 12345670")
        r.driver.send_text("k", PHONE, LONG)
        await r.wait_stage("k", Stage.DELIVERED)
        assert r.stages("k") == [Stage.SENDING, Stage.SENT, Stage.DELIVERED]
        assert "".join(m.text for m in r.modem.sent) == LONG
        await until(lambda: bool(r.of(TextIn)))
        text = r.of(TextIn)[0]
        assert (text.source, text.text) == (PHONE, "收到 12345670")
        assert text.token is not None
        assert r.modem.stored
        for event in r.of(TextIn):
            r.driver.acknowledge(event.token or "")
        await until(lambda: len(r.modem.stored) < len(r.of(TextIn)) or not r.modem.stored)


async def test_a_handset_that_is_off_leaves_it_sent(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        r.air.sets[PHONE] = Set(on=False)
        r.driver.send_text("k", PHONE, "到场")
        await until(lambda: any(e.stored for e in r.of(Delivery)))
        assert r.stages("k")[-1] is Stage.SENT


@pytest.mark.parametrize(
    ("error", "why"),
    [(331, Why.NOT_REGISTERED), (322, Why.QUEUE_FULL), (304, Why.REFUSED), (500, Why.ERROR)],
)
async def test_an_error_of_the_network_names_its_cause(
    tmp_path: Path, error: int, why: Why
) -> None:
    async with rig(tmp_path) as r:
        r.modem.ways.error = error
        r.driver.send_text("k", PHONE, "到场")
        await r.wait_stage("k", Stage.FAILED)
        assert r.of(Delivery)[-1].why is why


async def test_a_failure_report_is_a_failure(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        r.air.sets[PHONE] = Set(failure=0x46)
        r.driver.send_text("k", PHONE, "到场")
        await r.wait_stage("k", Stage.FAILED)


async def test_silence_after_the_text_is_unknown_and_nothing_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardware.radio.sms.SEND_S", 0.3)
    async with rig(tmp_path) as r:
        r.modem.ways.mute_after_payload = True
        r.driver.send_text("k", PHONE, "到场")
        await r.wait_stage("k", Stage.UNKNOWN)
        assert sum("CMGS" in line for line in r.modem.log) == 1


async def test_a_restart_is_followed_and_messages_left_on_the_card_are_read(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        count = r.modem.log.count("AT+CMGF=0")
        r.modem.ways.network = False
        r.modem.stored[4] = sms_pdu.encode_deliver(Deliver("10086", "早先的", MOMENT), MOMENT)
        r.modem.restart()
        await until(lambda: r.modem.log.count("AT+CMGF=0") > count)
        await until(lambda: any(t.text == "早先的" for t in r.of(TextIn)))
        r.driver.send_text("k", PHONE, "到场")
        await r.wait_stage("k", Stage.FAILED)
        assert r.of(Delivery)[-1].why is Why.NOT_REGISTERED
        r.modem.ways.network = True
        await r.wait_usable()
        r.driver.send_text("again", PHONE, "到场")
        await r.wait_stage("again", Stage.DELIVERED)


@pytest.mark.parametrize(
    ("number", "text", "why"),
    [
        ("138;AT", "x", Why.BAD_ADDRESS),
        ("+", "x", Why.BAD_ADDRESS),
        (PHONE, "a\x1a\rAT+CFUN=0", Why.REFUSED),
        (PHONE, "警" * 2000, Why.TOO_LONG),
    ],
)
async def test_what_may_not_go_out_is_refused(
    tmp_path: Path, number: str, text: str, why: Why
) -> None:
    async with rig(tmp_path) as r:
        with pytest.raises(RadioRefused) as refused:
            r.driver.send_text("k", number, text)
        assert refused.value.why is why


async def test_gammu_sends_through_our_modem_and_reads_from_it(tmp_path: Path) -> None:
    """An independent program drives the emulator: a Chinese text out, a long one, and one in."""
    gammu = find_program("gammu")
    assert gammu is not None, "gammu is missing: python -m bridge.lab.prepare installs it"
    async with modem(tmp_path) as (made, pty):
        config = tmp_path / "gammurc"
        config.write_text(
            f"[gammu]\ndevice = {pty.name}\nconnection = at115200\nuse_locking = no\n"
        )

        async def run(*arguments: str) -> tuple[int, str]:
            process = await asyncio.create_subprocess_exec(
                *(gammu or "", "-c", str(config), *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={"LC_ALL": "C.UTF-8", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            )
            try:
                async with asyncio.timeout(60):
                    out, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            assert process.returncode is not None
            return process.returncode, out.decode()

        text = LONG[:100]
        code, words = await run(
            "sendsms", "TEXT", PHONE, "-unicode", "-autolen", "400", "-text", text
        )
        assert code == 0, words
        assert "".join(message.text for message in made.sent) == text
        assert len(made.sent) == 2
        made.text_from("10086", "收到，到场")
        code, words = await run("getallsms")
        assert code == 0, words
        assert "收到，到场" in words
