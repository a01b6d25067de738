"""What a mail that comes back is worth: a person's code, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.channels.mail_reply import MAX_WORDS, ReplyKind, read_mail
from bridge.domain.delivery import Says
from tests.channels.mail_kit import KEY, NOW, UNIT
from tests.channels.replies import (
    CODE,
    IDENTIFIER,
    OTHER,
    OURS,
    WRONG,
    mail,
    quoted,
    receipt,
    report,
)
from tests.domain.cases import CALM

QUOTES = (
    f"\n\n{quoted(OURS)}",
    f"\n\n在 2026年3月1日,110指挥中心 <orders@desk.example> 写道:\n{OURS}",
    f"\n\n110 <orders@desk.example> 于2026年3月1日周日 16:30写道:\n{OURS}",
    f"\n\n------------------ 原始邮件 ------------------\n发件人: 110\n{OURS}",
    f"\n\n-----Original Message-----\nFrom: 110\n{OURS}",
    f"\n\nOn Sun, 1 Mar 2026 at 16:30, 110 <orders@desk.example> wrote:\n{OURS}",
    f"\n\nOn Sun, 1 Mar 2026 at 16:30, 110 desk of the city\n<orders@desk.example> wrote:\n{OURS}",
    f"\n\n________________________________\n发件人: 110\n发送时间: 2026\n{OURS}",
    f"\n\n{OURS}",
)


@pytest.mark.parametrize("quote", QUOTES)
def test_a_code_counts_only_where_its_writer_wrote_it(quote: str) -> None:
    answered = read_mail(mail(f"收到,马上派人。{CODE}{quote}"), [KEY])
    assert (answered.kind, answered.codes) == (ReplyKind.PERSON, [CODE])
    told = answered.received(NOW)
    assert (told.says, told.code, told.source) == (Says.SIGN, CODE, UNIT)
    assert (told.attempt, told.order, told.unit) == (None, None, None)  # a mail proves none of it
    without = read_mail(mail(f"收到,马上派人。{quote}"), [KEY]).received(NOW)
    assert (without.says, without.code, without.automatic) == (Says.NOTHING, None, False)
    assert "马上派人" in without.words


def test_a_code_in_two_groups_is_read_and_two_codes_are_not_guessed() -> None:
    assert read_mail(mail(f"{CODE[:4]} {CODE[4:]}"), [KEY]).codes == [CODE]
    two = read_mail(mail(f"{CODE} {OTHER}"), [KEY])
    assert len(two.codes) == 2
    assert two.received(NOW).says is Says.NOTHING
    for text in (f"1{CODE}", CODE[:7], WRONG, f"电话 1{CODE}99", ""):
        assert read_mail(mail(text), [KEY]).received(NOW).says is Says.NOTHING


def test_html_replies_are_read_up_to_their_quotation() -> None:
    page = f"<style>{OTHER}</style><div>收到 {CODE}</div>"
    for quote in ("<blockquote>", '<div class="gmail_quote">', '<div id="divRplyFwdMsg">'):
        read = read_mail(mail(f"{page}{quote}<p>{OTHER}</p>", html=True), [KEY])
        assert read.codes == [CODE]
    hidden = read_mail(mail(f"<blockquote>{CODE}</blockquote>", html=True), [KEY])
    assert hidden.received(NOW).says is Says.NOTHING


@pytest.mark.parametrize(
    "headers",
    [
        ("Auto-Submitted: auto-replied",),
        ("Auto-Submitted: auto-generated; x=y",),
        ("Precedence: bulk",),
        ("X-Autoreply: yes",),
        ("X-Failed-Recipients: a@b.example",),
        ("List-Id: <x.example>",),
        ("Return-Path: <>",),
    ],
)
def test_automatic_answers_never_count(headers: tuple[str, ...]) -> None:
    read = read_mail(mail(f"我不在办公室 {CODE}", *headers), [KEY])
    assert read.kind is ReplyKind.AUTOMATIC
    told = read.received(NOW)
    assert (told.automatic, told.says, told.code) == (True, Says.NOTHING, None)


@pytest.mark.parametrize(
    ("source", "subject"),
    [
        (UNIT, "自动回复: 联动指令"),
        (UNIT, "=?utf-8?b?6Ieq5Yqo5Zue5aSN?="),
        (UNIT, "Out of Office: order"),
        (UNIT, "系统退信"),
        ("MAILER-DAEMON@mail.example", "hello"),
        ("no-reply@water.example", "hello"),
    ],
)
def test_machines_without_the_right_header_are_known_by_what_they_say(
    source: str, subject: str
) -> None:
    read = read_mail(mail(CODE, source=source, subject=subject), [KEY])
    assert read.kind is ReplyKind.AUTOMATIC
    assert read.received(NOW).automatic


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("failed", ReplyKind.BOUNCE),
        ("delayed", ReplyKind.DELAYED),
        ("delivered", ReplyKind.DELIVERED),
        ("relayed", ReplyKind.DELIVERED),
        ("nonsense", ReplyKind.BOUNCE),
    ],
)
def test_a_report_tells_of_its_attempt_and_never_counts(action: str, kind: ReplyKind) -> None:
    read = read_mail(report(action), [KEY])
    assert (read.kind, read.attempt, read.codes) == (kind, "a-1", [])
    told = read.received(NOW)
    assert (told.automatic, told.says) == (True, Says.NOTHING)
    forged = IDENTIFIER.replace("a-1", "a-2")
    assert read_mail(report(action, forged), [KEY]).attempt is None


def test_a_read_receipt_is_a_machine() -> None:
    read = read_mail(receipt(), [KEY])
    assert (read.kind, read.attempt, read.codes) == (ReplyKind.READ, "a-1", [])
    assert read.received(NOW).automatic


def test_who_wrote_it_is_one_address_or_nobody() -> None:
    assert read_mail(mail("x", source=f"值班 <{UNIT.upper()}>"), [KEY]).source == UNIT
    for source in ("", "a, b", f"{UNIT}, x@y.example", "not an address", '"a@b" <c>'):
        assert read_mail(mail("x", source=source), [KEY]).source == ""
    two = mail("x").replace(b"To:", b"From: x@y.example\r\nTo:", 1)
    assert read_mail(two, [KEY]).source == ""


def test_chinese_mail_programs_are_read() -> None:
    body = f"收到 {CODE}".encode("gb18030")
    for name in ("gb2312", "GBK", "gb18030"):
        head = f"From: {UNIT}\r\nContent-Type: text/plain; charset={name}\r\n\r\n".encode()
        assert read_mail(head + body, [KEY]).words == f"收到 {CODE}"
    head = f"From: {UNIT}\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n".encode()
    assert read_mail(head + CODE.encode(), [KEY]).codes == [CODE]


def test_acting_characters_are_shown_and_long_words_are_cut() -> None:
    read = read_mail(mail("a\x00b\u202ec\x1b[31m"), [KEY])
    assert read.words == "a〓b〓c〓[31m"
    assert len(read_mail(mail("长" * 50_000), [KEY]).words) == MAX_WORDS


@CALM
@given(st.binary(max_size=400))
def test_any_bytes_are_read_and_none_are_a_signature(data: bytes) -> None:
    told = read_mail(b"From: " + UNIT.encode() + b"\r\n" + data, [KEY]).received(NOW)
    assert told.says is Says.NOTHING or told.code is not None
    assert read_mail(data, [KEY]).key == read_mail(data, [KEY]).key
