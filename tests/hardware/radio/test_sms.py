"""SMS: the recorded submission, every length, and a modem end to end; gammu judges our modem."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.lab.packages import find_program
from hardware.radio import sms_pdu
from hardware.radio.events import Delivery, RadioRefused, Stage, TextIn, UnreadableIn, Why
from hardware.radio.sms_pdu import Deliver, Part, SmsError, StatusReport, Submit
from hardware.radio.texts import TextRefused
from hardware.rig.air import Set
from tests.hardware.pty_kit import until
from tests.hardware.radio.radio_kit import MOMENT, on_pty, sms, sms_modem

PHONE = "13800138000"
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


async def test_an_order_by_sms_is_delivered_and_answered(tmp_path: Path) -> None:
    async with sms(tmp_path) as r:
        r.air.sets[PHONE] = Set(reply_text="收到 12345670")
        r.driver.send_text("k", PHONE, LONG)
        await r.wait_stage("k", Stage.DELIVERED)
        assert r.stages("k") == [Stage.SENDING, Stage.SENT, Stage.DELIVERED]
        assert "".join(m.text for m in r.radio.sent) == LONG
        await until(lambda: bool(r.of(TextIn)))
        text = r.of(TextIn)[0]
        assert (text.source, text.text) == (PHONE, "收到 12345670")
        assert text.token is not None
        assert r.radio.stored
        for event in r.of(TextIn):
            r.driver.acknowledge(event.token or "")
        await until(lambda: len(r.radio.stored) < len(r.of(TextIn)) or not r.radio.stored)


async def test_a_handset_that_is_off_leaves_it_sent(tmp_path: Path) -> None:
    async with sms(tmp_path) as r:
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
    async with sms(tmp_path) as r:
        r.radio.ways.error = error
        r.driver.send_text("k", PHONE, "到场")
        await r.wait_stage("k", Stage.FAILED)
        assert r.of(Delivery)[-1].why is why


async def test_a_failure_report_is_a_failure(tmp_path: Path) -> None:
    async with sms(tmp_path) as r:
        r.air.sets[PHONE] = Set(failure=0x46)
        r.driver.send_text("k", PHONE, "到场")
        await r.wait_stage("k", Stage.FAILED)


async def test_silence_after_the_text_is_unknown_and_nothing_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardware.radio.sms.SEND_S", 0.3)
    async with sms(tmp_path) as r:
        r.radio.ways.mute_after_payload = True
        r.driver.send_text("k", PHONE, "到场")
        await r.wait_stage("k", Stage.UNKNOWN)
        assert sum("CMGS" in line for line in r.radio.log) == 1


async def test_a_restart_is_followed_and_messages_left_on_the_card_are_read(tmp_path: Path) -> None:
    async with sms(tmp_path) as r:
        count = r.radio.log.count("AT+CMGF=0")
        r.radio.ways.network = False
        r.radio.stored[4] = sms_pdu.encode_deliver(Deliver("10086", "早先的", MOMENT), MOMENT)
        r.radio.restart()
        await until(lambda: r.radio.log.count("AT+CMGF=0") > count)
        await until(lambda: any(t.text == "早先的" for t in r.of(TextIn)))
        r.driver.send_text("k", PHONE, "到场")
        await r.wait_stage("k", Stage.FAILED)
        assert r.of(Delivery)[-1].why is Why.NOT_REGISTERED
        r.radio.ways.network = True
        await r.wait_usable()
        r.driver.send_text("again", PHONE, "到场")
        await r.wait_stage("again", Stage.DELIVERED)


async def test_a_report_in_the_same_breath_as_the_answer_is_not_missed(tmp_path: Path) -> None:
    async with sms(tmp_path) as r:
        r.radio.ways.submit_s = r.radio.ways.report_s = 0
        r.driver.send_text("k", PHONE, LONG)
        await r.wait_stage("k", Stage.DELIVERED)
        assert r.stages("k") == [Stage.SENDING, Stage.SENT, Stage.DELIVERED]


async def test_what_nobody_can_read_leaves_the_modem_and_what_is_stored_too(
    tmp_path: Path,
) -> None:
    """A full modem takes no more: eight-bit data, a foreign kind, a sender with a line end."""
    stamp = "62112510350032"
    unread = (
        f"00040B813108108300F00004{stamp}0568656C6C6F",
        "00FF",
        f"000406D04185100000{stamp}0168",
    )
    async with sms(tmp_path) as r:
        for index, digits in enumerate(unread, 1):
            r.radio.stored[index] = digits
            r.radio.say(f'+CMTI: "SM",{index}')
        await until(lambda: len(r.of(UnreadableIn)) == len(unread))
        shown = r.of(UnreadableIn)
        assert [one.why.rpartition(": ")[2] for one in shown] == [
            *("8-bit data", "a message of another kind", r"sender 'A\nB'")
        ]
        await asyncio.sleep(0.05)
        assert len(r.radio.stored) == len(unread), "they stay until their owner has them"
        for one in shown:
            r.driver.acknowledge(one.token or "")
        await until(lambda: r.radio.stored == {})
        assert r.of(TextIn) == []
        r.radio.text_from(PHONE, "到场")
        await until(lambda: bool(r.of(TextIn)))
        await asyncio.sleep(0.05)
        assert r.radio.stored, "it stays until its owner has it"
        (text,) = r.of(TextIn)
        r.driver.acknowledge(text.token or "")
        await until(lambda: r.radio.stored == {})


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
    async with sms(tmp_path) as r:
        with pytest.raises(RadioRefused) as refused:
            r.driver.send_text("k", number, text)
        assert refused.value.why is why


async def test_gammu_sends_through_our_modem_and_reads_from_it(tmp_path: Path) -> None:
    """An independent program drives the emulator: a Chinese text out, a long one, and one in."""
    gammu = find_program("gammu")
    assert gammu is not None, "gammu is missing: python -m bridge.lab.prepare installs it"
    async with on_pty(tmp_path / "sms-1", sms_modem) as (made, pty, _):
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
