"""HRNP and HDAP: every vector of the sheet; ok-dmrlib reads what we write and the other way."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from okdmr.dmrlib.hytera.pdu.hdap import HDAP  # type: ignore[import-untyped]
from okdmr.dmrlib.hytera.pdu.hrnp import HRNP  # type: ignore[import-untyped]

from hardware.radio import hytera
from hardware.radio.events import Delivery, RadioEvent, RadioRefused, Stage, TextIn, Why
from hardware.radio.hytera import Hdap, Hrnp, HyteraError, Packet, Registration, Text, TextMessage
from hardware.radio.hytera_gateway import HyteraGateway
from tests.hardware.pty_kit import until

OLIVER = "0980A10022000000010A01B2070A03640E4F004C004900560045005200200054004500530054007A03"
TO, FROM = 0x01B207, 0x03640E

TEXTS = {
    OLIVER: TextMessage(Text.PRIVATE, 1, TO, FROM, "OLIVER TEST", confirmed=True),
    "0980A2000D000000010A01B2070A030000003103": TextMessage(
        Text.PRIVATE_ACK, 1, TO, 0x030000, result=0, confirmed=True
    ),
    "09C0A200120003000000020A01B2070A03000000010203E203": TextMessage(
        Text.PRIVATE_ACK, 2, TO, 0x030000, result=0, confirmed=True, option=b"\x01\x02\x03"
    ),
    "0900A10010000000010A0007D10A0003E9FA51668B6C03": TextMessage(
        Text.PRIVATE, 1, 2001, 1001, "出警"
    ),
    "0900A2000D000000010A0007D10A0003E900AA03": TextMessage(
        Text.PRIVATE_ACK, 1, 2001, 1001, result=0
    ),
}


@pytest.mark.parametrize("vector", TEXTS)
def test_text_vectors(vector: str) -> None:
    data = bytes.fromhex(vector)
    assert hytera.decode_text(hytera.decode_hdap(data)) == TEXTS[vector]
    assert hytera.encode_text(TEXTS[vector]) == data


@pytest.mark.parametrize(
    ("vector", "packet"),
    [
        ("7E0400FE20100000000C60E1", Packet(Hrnp.CONNECT, 0x20, 0x10, 0)),
        ("7E0400FD10200000000C70D2", Packet(Hrnp.ACCEPT, 0x10, 0x20, 0)),
        (
            "7E0400002010000100189B6002040005006400000001C403",
            Packet(Hrnp.DATA, 0x20, 0x10, 1, bytes.fromhex("02040005006400000001C403")),
        ),
        (
            "7E04000020100001001B43B502471808000700000000000000C403",
            Packet(Hrnp.DATA, 0x20, 0x10, 1, bytes.fromhex("02471808000700000000000000C403")),
        ),
        (
            "7E04000020100000001602FB02C8B003000B0400A803",
            Packet(Hrnp.DATA, 0x20, 0x10, 0, bytes.fromhex("02C8B003000B0400A803")),
        ),
    ],
)
def test_packet_vectors(vector: str, packet: Packet) -> None:
    data = bytes.fromhex(vector)
    assert hytera.decode_packet(data) == packet
    assert hytera.encode_packet(packet) == data


@pytest.mark.parametrize(
    ("vector", "message", "reliable"),
    [
        ("11000100040A2337FACF03", Registration(0x0001, 0x2337FA), False),
        ("91000200040A0000140E03", Registration(0x0002, 0x000014), True),
        ("91008000090A0000500000000E103103", Registration(0x0080, 0x000050, 0, 3600), True),
        ("11008200050A000021008003", Registration(0x0082, 0x000021, 0), False),
    ],
)
def test_registration_vectors(vector: str, message: Registration, reliable: bool) -> None:
    data = bytes.fromhex(vector)
    assert hytera.decode_registration(hytera.decode_hdap(data)) == message
    assert hytera.encode_registration(message, reliable=reliable) == data


@pytest.mark.parametrize(
    "vector",
    [
        "024108050000D20400000E03",
        "0241880100006803",
        "02471808000000000000000000CB03",
        "0247880100006203",
        "0245B810000100040004000000FD080000FA372300C303",
    ],
)
def test_radio_control_vectors_are_read_whole(vector: str) -> None:
    assert hytera.decode_hdap(bytes.fromhex(vector)).service == hytera.Service.RCP


@pytest.mark.parametrize("text", ["出警：中山路12号", "GATE 3", "𠮷"])
def test_ok_dmrlib_reads_our_texts(text: str) -> None:
    message = TextMessage(Text.PRIVATE, 77, 2001, 1001, text, confirmed=True)
    theirs = HDAP.from_bytes(hytera.encode_text(message))
    assert f"[TEXT: {text}]" in repr(theirs)
    assert theirs.as_bytes() == hytera.encode_text(message)


@pytest.mark.parametrize("vector", [*TEXTS])
def test_ok_dmrlib_makes_the_same_octets(vector: str) -> None:
    assert HDAP.from_bytes(bytes.fromhex(vector)).as_bytes() == hytera.encode_text(TEXTS[vector])


@pytest.mark.parametrize("opcode", [Hrnp.CONNECT, Hrnp.ACCEPT, Hrnp.CLOSE, Hrnp.DATA_ACK])
def test_ok_dmrlib_reads_our_packets(opcode: Hrnp) -> None:
    ours = hytera.encode_packet(Packet(opcode, 0x20, 0x10, 513))
    theirs = HRNP.from_bytes(ours)
    assert theirs.as_bytes() == ours


def test_ok_dmrlib_reads_a_text_inside_a_packet() -> None:
    inner = bytes.fromhex(OLIVER)
    ours = hytera.encode_packet(Packet(Hrnp.DATA, 0x20, 0x10, 9, inner))
    theirs = HRNP.from_bytes(ours)
    assert theirs.data.as_bytes() == inner
    assert theirs.as_bytes() == ours


@given(st.binary(max_size=120))
def test_any_octets_are_a_message_or_refused(data: bytes) -> None:
    for read in (hytera.decode_packet, hytera.decode_hdap):
        try:
            found = read(data)
        except HyteraError:
            continue
        if isinstance(found, Hdap):
            for inner in (hytera.decode_text, hytera.decode_registration):
                try:
                    inner(found)
                except HyteraError:
                    continue


@given(st.binary(max_size=60), st.integers(0, 0xFFFF))
def test_any_text_payload_is_read_or_refused(payload: bytes, opcode: int) -> None:
    hdap = Hdap(hytera.Service.TMP, opcode, payload)
    assert hytera.decode_hdap(hytera.encode_hdap(hdap)) == hdap
    try:
        hytera.decode_text(hdap)
    except HyteraError:
        return


class FakeSet(asyncio.DatagramProtocol):
    """A radio on the text port; `answers` are the results it gives, None for silence."""

    def __init__(self, answers: list[int | None]) -> None:
        self.answers = answers
        self.heard: list[TextMessage] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        message = hytera.decode_text(hytera.decode_hdap(data))
        self.heard.append(message)
        answer = self.answers.pop(0) if self.answers else 0
        if answer is not None and message.result is None:
            ack = TextMessage(
                message.opcode + 1, message.request, message.target, message.source, result=answer
            )
            self.transport.sendto(hytera.encode_text(ack), addr)
            if answer == 0 and message.source is not None:
                reply = TextMessage(
                    Text.PRIVATE, 5, message.source, message.target, "到场", confirmed=True
                )
                self.transport.sendto(hytera.encode_text(reply), addr)


@pytest.mark.parametrize(
    ("answers", "stage", "why"),
    [
        ([None, 0], Stage.DELIVERED, None),
        ([8], Stage.FAILED, Why.OFFLINE),
        ([4], Stage.FAILED, Why.BUSY),
        ([None, None, None], Stage.UNKNOWN, None),
    ],
)
async def test_a_text_over_the_network(
    answers: list[int | None], stage: Stage, why: Why | None
) -> None:
    loop = asyncio.get_running_loop()
    transport, far = await loop.create_datagram_endpoint(
        lambda: FakeSet(answers), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    told: list[RadioEvent] = []
    gateway = HyteraGateway(
        "127.0.0.1", port, 1001, emit=told.append, rng=random.Random(1), retry_s=0.1
    )
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gateway.run(stop))
        await until(lambda: gateway.health.usable)
        gateway.send_text("k", "2001", "出警：中山路12号")
        await until(lambda: any(isinstance(e, Delivery) and e.stage is stage for e in told))
        with pytest.raises(RadioRefused):
            gateway.send_text("k", "2001", "出警")
        if stage is Stage.DELIVERED:
            await until(lambda: any(isinstance(e, TextIn) for e in told))
            assert [e for e in told if isinstance(e, TextIn)] == [
                TextIn("2001", "1001", "到场", "2001:5")
            ]
        stop.set()
    transport.close()
    assert far.heard[0].text == "出警：中山路12号"
    assert [e.why for e in told if isinstance(e, Delivery)][-1] is why


async def test_a_text_is_acknowledged_once_it_is_stored_and_a_repeat_of_it_is_no_second_text() -> (
    None
):
    loop = asyncio.get_running_loop()
    transport, far = await loop.create_datagram_endpoint(
        lambda: FakeSet([]), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    told: list[RadioEvent] = []
    gateway = HyteraGateway("127.0.0.1", port, 1001, emit=told.append, rng=random.Random(1))

    def texts() -> list[str]:
        return [e.text for e in told if isinstance(e, TextIn)]

    def say(text: str, request: int, source: int = 2001) -> None:
        message = TextMessage(Text.PRIVATE, request, 1001, source, text, confirmed=True)
        gateway.datagram_received(_text_octets(message), ("127.0.0.1", port))

    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gateway.run(stop))
        await until(lambda: gateway.health.usable)
        say("到场", 5)
        say("到场", 5)
        await asyncio.sleep(0.05)
        assert (texts(), far.heard) == (["到场"], [])
        gateway.acknowledge("2001:5")
        say("到场", 5)
        await until(lambda: [m.result for m in far.heard] == [0, 0])
        say("收到", 5)
        say("无号码", 6, source=0)
        gateway.acknowledge(":6")
        assert texts() == ["到场", "收到", "无号码"]
        stop.set()
    transport.close()


def _text_octets(message: TextMessage) -> bytes:
    """As `encode_text`, also of a source that no radio may have."""
    if message.source:
        return hytera.encode_text(message)
    octets = hytera.encode_text(dataclasses.replace(message, source=1))
    hdap = hytera.decode_hdap(octets)
    payload = hdap.payload[:9] + bytes(3) + hdap.payload[12:]
    return hytera.encode_hdap(dataclasses.replace(hdap, payload=payload))
