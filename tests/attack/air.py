"""Every way by which a string comes in from the air, as the events that a driver makes of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from hardware.at import AtDialect, Unsolicited
from hardware.at_session import AtSession
from hardware.port import PortSettings
from hardware.radio import gsm7, hytera, map27_net, sds
from hardware.radio.dialect import Map27Dialect, PeiDialect
from hardware.radio.events import RadioEvent, TextIn, UnreadableIn
from hardware.radio.hytera import TextMessage
from hardware.radio.hytera_gateway import HyteraGateway
from hardware.radio.map27 import Map27
from hardware.radio.outstanding import Outstanding
from hardware.radio.pei_calls import PeiCalls
from hardware.radio.pei_receive import PeiReceiver
from hardware.radio.sms_inbox import SmsInbox

NOWHERE: Final = PortSettings(name="/dev/null")
STAMP: Final = "62112510350032"


def pei(text: str) -> list[RadioEvent]:
    """As a TETRA text in UCS-2, its beginning."""
    receiver = PeiReceiver(PeiDialect(words="attack"), Outstanding(random.Random(1)), PeiCalls())
    body = text.encode("utf_16_be", "surrogatepass")[:200]
    octets = sds.encode(sds.Transfer(sds.TEXT, 1, bytes((sds.UCS2,)) + body))
    line = Unsolicited(f"+CTSDSR: 12,5,0,9001,0,{len(octets) * 8}", octets.hex().upper())
    return receiver.line(line, 0.0).events


def sms(text: str) -> list[RadioEvent]:
    """As an SMS in UCS-2, and as the name of its sender."""
    heard: list[RadioEvent] = []
    session = AtSession(AtDialect(), lambda _: None)
    inbox = SmsInbox(session, Outstanding(random.Random(1)), heard.append)
    body = text.encode("utf_16_be", "surrogatepass")[:140]
    inbox.message(f"00040B813108108300F00008{STAMP}{len(body):02X}{body.hex()}", None)
    if codes := gsm7.septets(text[:10]):
        name = gsm7.pack(codes[:11])
        inbox.message(f"0004{len(name) * 2:02X}D0{name.hex()}0000{STAMP}0168", None)
    return heard


async def map27(text: str) -> list[RadioEvent]:
    """As MAP27 extended data, in each coding that may be agreed."""
    heard: list[RadioEvent] = []
    for chinese, codec in (("gb18030", "gb18030"), ("ucs2", "utf_16_be")):
        dialect = Map27Dialect(words="attack", chinese=chinese)
        radio = Map27(NOWHERE, dialect, emit=heard.append, rng=random.Random(1))
        address = map27_net.Address(31, 2001)
        for coding in (map27_net.BINARY, map27_net.PC_8):
            octets = text.encode(codec, "replace")[:88]
            message = map27_net.Data(True, address, coding, octets)
            radio._message(map27_net.encode(message, from_radio=True))
    return heard


def hdap(text: str) -> list[RadioEvent]:
    """As a text of a Hytera set."""
    heard: list[RadioEvent] = []
    gateway = HyteraGateway("127.0.0.1", 1, 1001, emit=heard.append, rng=random.Random(1))
    body = text.encode("utf_16_le", "surrogatepass")[:400].decode("utf_16_le", "replace")
    message = TextMessage(hytera.Text.PRIVATE, 7, 1001, 2001, body, confirmed=True)
    gateway.datagram_received(hytera.encode_text(message), ("127.0.0.1", 1))
    return heard


async def every_way(text: str) -> Iterator[TextIn | UnreadableIn]:
    """All of them; what is neither a text nor unreadable is no text at all."""
    events = [*pei(text), *sms(text), *await map27(text), *hdap(text)]
    return (event for event in events if isinstance(event, TextIn | UnreadableIn))
