"""Every hostile string as words of an order on the air, as an address, and as what comes back."""

from __future__ import annotations

import random
import re

import pytest

from bridge.channels.radio_words import code_in, meaning
from hardware.at import AtDialect, AtDialogue, AtInjection, Command, Unsolicited, Write
from hardware.ports.wire import Decoder, encode
from hardware.radio import sds, sms_pdu
from hardware.radio.dialect import PeiDialect
from hardware.radio.events import RawIn, TextIn
from hardware.radio.map27_net import Address, Map27Error, parse_address
from hardware.radio.map27_text import messages
from hardware.radio.outstanding import Outstanding
from hardware.radio.pei_calls import PeiCalls
from hardware.radio.pei_lines import is_ssi
from hardware.radio.pei_receive import PeiReceiver
from hardware.radio.texts import TextRefused
from tests.attack.corpus import Hostile, load

CORPUS = load()
HEX = re.compile(r"[0-9A-F]*")


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
def test_as_a_text_from_the_air_it_is_clean_or_set_aside(hostile: Hostile) -> None:
    receiver = PeiReceiver(PeiDialect(words="attack"), Outstanding(random.Random(1)), PeiCalls())
    body = hostile.text.encode("utf_16_be", "surrogatepass")[:200]
    pdu = sds.Transfer(sds.TEXT, 1, bytes((sds.UCS2,)) + body)
    octets = sds.encode(pdu)
    line = Unsolicited(f"+CTSDSR: 12,5,0,9001,0,{len(octets) * 8}", octets.hex().upper())
    (event,) = receiver.line(line, 0.0).events
    assert isinstance(event, TextIn | RawIn)
    if isinstance(event, TextIn):
        assert all(c == "\n" or c.isprintable() or ord(c) > 0x2000 for c in event.text)
        meaning(event.text)
        code_in(event.text)
        (told,) = Decoder().feed(encode({"type": "thing", "text": event.text}))
        assert told["text"] == event.text


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
def test_between_the_processes_it_stays_one_value(hostile: Hostile) -> None:
    (told,) = Decoder().feed(encode({"type": "job", "text": hostile.text[:10_000]}))
    assert told == {"type": "job", "text": hostile.text[:10_000]}
    try:
        sent = messages(hostile.text, Address(31, 2001), "gb18030", True)
    except TextRefused:
        return
    assert all(len(message.data) <= 88 for message in sent)
