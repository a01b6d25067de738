"""Every hostile string as words of an order on the air, as an address, and as what comes back."""

from __future__ import annotations

import re

import pytest

from bridge.channels.radio_words import code_in, meaning
from hardware.at import AtDialect, AtDialogue, AtInjection, Command, Write
from hardware.ports.wire import Decoder, encode
from hardware.radio import sds, sms_pdu
from hardware.radio.events import TextIn
from hardware.radio.map27_net import Address, Map27Error, parse_address
from hardware.radio.map27_text import messages
from hardware.radio.pei_lines import is_ssi
from hardware.radio.sms_pdu import SmsError
from hardware.radio.texts import TextRefused, clean_incoming
from tests.attack.air import every_way
from tests.attack.corpus import Hostile, load

CORPUS = load()
HEX = re.compile(r"[0-9A-F]*")
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that act on a screen or end a line somewhere; LF alone is a line."""


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
def test_as_words_of_an_order_it_is_refused_or_goes_out_as_hex(hostile: Hostile) -> None:
    at = AtDialogue(AtDialect())
    try:
        parts = sds.pieces(hostile.text, 668)
    except TextRefused:
        with pytest.raises(TextRefused):
            sms_pdu.pieces(hostile.text)
        return
    for pdu in sds.transfers(parts, list(range(len(parts)))):
        digits = sds.encode(pdu).hex().upper()
        (written,) = at.start(Command(text="AT+CMGS=1001,8", payload=digits), 0.0)
        assert isinstance(written, Write)
        head, _, rest = written.data.decode().partition("\r")
        assert head == "AT+CMGS=1001,8"
        assert HEX.fullmatch(rest.removesuffix("\x1a"))
        at.lost()
    read = [sds.text_of(sds.decode(sds.encode(p))) for p in sds.transfers(parts, [0] * len(parts))]
    assert "".join(text.text for text in read if text is not None) == hostile.text


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
def test_as_an_address_or_a_command_it_never_reaches_the_line(hostile: Hostile) -> None:
    if not re.fullmatch(r"[0-9]{1,8}", hostile.text, re.ASCII):
        assert not is_ssi(hostile.text)
    if not re.fullmatch(r"[0-9]{1,3}/[0-9]{1,4}", hostile.text, re.ASCII):
        with pytest.raises(Map27Error):
            parse_address(hostile.text)
    if not hostile.text.isascii() or not hostile.text.isprintable():
        with pytest.raises(AtInjection):
            AtDialogue(AtDialect()).start(Command(text=f"AT+CTGS=1,{hostile.text}"), 0.0)


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
def test_as_words_of_an_sms_it_is_refused_or_goes_out_as_hex(hostile: Hostile) -> None:
    at = AtDialogue(AtDialect(prompt=True))
    try:
        made = sms_pdu.submits("13800138000", hostile.text, 9)
    except TextRefused:
        return
    for submit in made:
        digits, length = sms_pdu.encode_submit(submit)
        (head,) = at.start(Command(text=f"AT+CMGS={length}", payload=digits), 0.0)
        assert isinstance(head, Write)
        assert head.data.decode() == f"AT+CMGS={length}\r"
        (body,) = [one for one in at.feed(b"\r\n> ", 0.1) if isinstance(one, Write)]
        assert HEX.fullmatch(body.data.decode().removesuffix("\x1a"))
        at.lost()
    if not re.fullmatch(r"\+?[0-9]{3,15}", hostile.text, re.ASCII):
        with pytest.raises(SmsError):
            sms_pdu.encode_submit(sms_pdu.Submit(hostile.text, "x"))


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
async def test_as_a_text_from_the_air_it_is_clean_or_a_person_looks(hostile: Hostile) -> None:
    for event in await every_way(hostile.text):
        assert event.source.isprintable()
        if isinstance(event, TextIn):
            assert clean_incoming(event.text) == event.text
            assert not re.search(
                "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", event.text
            )
            meaning(event.text)
            code_in(event.text)


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
def test_between_the_processes_it_stays_one_value(hostile: Hostile) -> None:
    (told,) = Decoder().feed(encode({"type": "job", "text": hostile.text[:10_000]}))
    assert told == {"type": "job", "text": hostile.text[:10_000]}
    try:
        sent = messages(hostile.text, Address(31, 2001), "gb18030", True)
    except TextRefused:
        return
    assert all(len(message.data) <= 88 for message in sent)
