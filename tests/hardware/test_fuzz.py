"""Every codec on ten million hostile octets: no crash, no hang, no growing memory."""

from __future__ import annotations

import contextlib
import random
import resource
import time
from collections.abc import Callable, Iterator

import pytest

from hardware.at import AtDialect, AtDialogue, Command, TwoLines, Unsolicited
from hardware.ports.wire import Decoder, PortsProtocolError
from hardware.radio import hytera, lip, sds, sms_pdu
from hardware.radio import map27_net as net
from hardware.radio.dialect import PeiDialect
from hardware.radio.map27_frame import FrameDecoder, encode_frame
from hardware.radio.map27_link import Map27Link, S
from hardware.radio.outstanding import Outstanding
from hardware.radio.pei_calls import PeiCalls
from hardware.radio.pei_receive import PeiReceiver
from hardware.radio.texts import clean_incoming
from hardware.trace import TraceError, parse_line

BYTES = 10_000_000
SECONDS_A_MEGABYTE = 60
GROWTH_KIB = 64 * 1024

SEEDS = (
    b"\r\n+CTSDSR: 12,2269001,0,1001,0,80\r\n82040A1A5DF252308FBE\r\n",
    b"\r\n+CTSDSR: 12,1234567,0,2345678,0,192\r\n"
    b"8A02C981045A8F050003C90201746573746D657373616765\r\n",
    b"\r\n+CMGS: 0\r\n\r\nOK\r\n\r\n+CMGS: 0,4,7\r\n+CTICN: 1,0,0,5,23404,1,1,0,1,1,5,1000,0\r\n",
    b"+CTXG: 1,3,0,0,3,09011638300023404\r\n+CTCR: 1,13\r\n+CME ERROR: 42\r\n",
    bytes.fromhex("16100204030100801F07D10010101003 63B3".replace(" ", "")),
    bytes.fromhex("161002010E010110038A09161002020101001003 8FFB".replace(" ", "")),
    b"0891683108100005F011000B813108108300F00008FF1251FA8B66FF1A4E2D5C718DEF0031003253F7",
    bytes.fromhex("7E0400002010000100189B6002040005006400000001C403"),
    bytes.fromhex(
        "0980A10022000000010A01B2070A03640E4F004C004900560045005200200054004500530054007A03"
    ),
    b"2026-11-25T22:18:04.123456+00:00 > 41 54 0D\n",
)


def hostile(total: int, seed: int) -> Iterator[bytes]:
    """Chunks of noise, of good messages and of good messages spoilt, `total` octets in all."""
    rng = random.Random(seed)
    left = total
    while left > 0:
        kind = rng.randrange(4)
        if kind == 0:
            chunk = rng.randbytes(rng.randrange(1, 400))
        else:
            spoilt = bytearray(rng.choice(SEEDS))
            for _ in range(rng.randrange(4) if kind < 3 else 0):
                at = rng.randrange(len(spoilt))
                action = rng.randrange(3)
                if action == 0:
                    spoilt[at] = rng.randrange(256)
                elif action == 1:
                    del spoilt[at : at + rng.randrange(1, 5)]
                else:
                    spoilt[at:at] = rng.choice(SEEDS)[: rng.randrange(1, 40)]
                if not spoilt:
                    spoilt += b"\r"
            chunk = bytes(spoilt)
        left -= len(chunk)
        yield chunk


def at_pei() -> Callable[[bytes], None]:
    names = ("+CMGS:", "+CTICN:", "+CTXG:", "+CTCR:", "+CTCC:", "+CREG:")
    at = AtDialogue(AtDialect(unsolicited={"+CTSDSR:": TwoLines(), **dict.fromkeys(names)}))
    book = Outstanding(random.Random(1))
    receiver = PeiReceiver(PeiDialect(words="fuzz"), book, PeiCalls())
    moment = [0.0]

    def take(data: bytes) -> None:
        moment[0] += 0.01
        now = moment[0]
        if at.ready:
            at.start(Command(text="AT+CMGS=1,8", payload="82", direct=(r"\+CMGS: ?\d+",)), now)
        outputs = at.feed(data, now)
        if at.deadline is not None and at.deadline <= now:
            outputs += at.tick(now)
        for output in outputs:
            if isinstance(output, Unsolicited):
                heard = receiver.line(output, now)
                assert len(heard.replies) <= 1

    return take


def at_prompt() -> Callable[[bytes], None]:
    at = AtDialogue(AtDialect(unsolicited={"+CDS:": TwoLines(), "+CMTI:": None}, prompt=True))
    moment = [0.0]

    def take(data: bytes) -> None:
        moment[0] += 0.5
        if at.ready:
            at.start(Command(text="AT+CMGS=9", payload="00", free=True, timeout_s=3), moment[0])
        at.feed(data, moment[0])
        at.tick(moment[0])

    return take


def map27() -> Callable[[bytes], None]:
    decoder = FrameDecoder(frozenset((0xC4,)))
    link = Map27Link(9600)
    link.start(0.0)
    moment = [0.0]

    def take(data: bytes) -> None:
        moment[0] += 0.02
        for body in (*decoder.feed(data), data[:300]):
            if not body:
                continue
            link.frame(body, moment[0])
            for from_radio in (True, False):
                message = net.decode(body, from_radio=from_radio)
                if not isinstance(message, net.Other):
                    net.encode(message, from_radio=from_radio)
            encode_frame(body)
        if link.deadline is not None and link.deadline <= moment[0]:
            link.tick(moment[0])
        assert len(decoder._buffer) < 20_000
        assert link.state in S

    return take


def sds_pdus() -> Callable[[bytes], None]:
    def take(data: bytes) -> None:
        pdu = sds.decode(data)
        text = sds.text_of(pdu)
        if text is not None:
            clean_incoming(text.text)
        sds.encode(pdu)
        lip.decode_short(data)

    return take


def sms_messages() -> Callable[[bytes], None]:
    def take(data: bytes) -> None:
        for digits in (data.hex(), data.decode("latin-1")):
            for to_us in (True, False):
                try:
                    sms_pdu.decode(digits, to_us=to_us)
                except sms_pdu.SmsError:
                    continue

    return take


def hytera_messages() -> Callable[[bytes], None]:
    def take(data: bytes) -> None:
        for inner in (data, data[12:]):
            with contextlib.suppress(hytera.HyteraError):
                hytera.decode_packet(inner)
            with contextlib.suppress(hytera.HyteraError):
                hytera.decode_text(hytera.decode_hdap(inner))

    return take


def trace_lines() -> Callable[[bytes], None]:
    def take(data: bytes) -> None:
        try:
            parse_line(data.decode("utf-8", "replace"))
        except TraceError:
            return

    return take


def ports_wire() -> Callable[[bytes], None]:
    decoders = [Decoder()]

    def take(data: bytes) -> None:
        framed = len(data).to_bytes(4, "big") + data
        try:
            for body in decoders[0].feed(data if len(data) % 3 else framed):
                assert isinstance(body["type"], str)
        except PortsProtocolError:
            decoders[0] = Decoder()

    return take


CODECS = (
    at_pei,
    at_prompt,
    map27,
    sds_pdus,
    sms_messages,
    hytera_messages,
    trace_lines,
    ports_wire,
)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.__name__)
def test_hostile_octets_do_no_harm(codec: Callable[[], Callable[[bytes], None]]) -> None:
    take = codec()
    for chunk in hostile(100_000, seed=1):
        take(chunk)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    for chunk in hostile(BYTES, seed=2):
        take(chunk)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < GROWTH_KIB, f"{grown} KiB more after {BYTES} octets"
    assert time.monotonic() - began < SECONDS_A_MEGABYTE * BYTES / 1e6
