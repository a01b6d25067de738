"""Hytera radio network protocol (HRNP) and data application protocol (HDAP). Pure; experimental.

Text, work orders and their acknowledgements of DMR and related PDT sets that are reached over IP
(a USB port shows up as a network interface). Big-endian, texts in UTF-16LE.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

PORTS: Final = {"rrs": 3002, "lp": 3003, "tmp": 3004, "rcp": 3005, "tp": 3006}
MAX_MESSAGE: Final = 1500
RADIO_NETWORK: Final = 10
"""First octet of a radio's address; the other three are its 24-bit number."""
_END: Final = 0x03
_RELIABLE: Final = 0x80
_VERSION: Final = 0x04
_START: Final = 0x7E


class HyteraError(ValueError):
    """Octets that are none of these protocols, or values that do not fit."""


class Hrnp(IntEnum):
    """HRNP opcodes."""

    CONNECT = 0xFE
    ACCEPT = 0xFD
    REJECT = 0xFC
    CLOSE = 0xFB
    CLOSE_ACK = 0xFA
    DATA = 0x00
    DATA_ACK = 0x10


class Service(IntEnum):
    """HDAP services."""

    RCP = 0x02
    LP = 0x08
    TMP = 0x09
    RRS = 0x11
    TP = 0x12
    DTP = 0x13
    DDS = 0x14


class Text(IntEnum):
    """Opcodes of the text service (second octet)."""

    PRIVATE = 0xA1
    PRIVATE_ACK = 0xA2
    GROUP = 0xB1
    GROUP_ACK = 0xB2
    WORK_ORDER = 0xAC
    WORK_REPLY = 0xAD
    WORK_REPORT = 0xAA
    WORK_REPORT_REPLY = 0xAB
    SHORT = 0xAE
    SHORT_ACK = 0xAF
    GROUP_SHORT = 0xBE
    GROUP_SHORT_ACK = 0xBF


_ACKS: Final = (
    Text.PRIVATE_ACK,
    Text.GROUP_ACK,
    Text.WORK_REPLY,
    Text.WORK_REPORT_REPLY,
    Text.SHORT_ACK,
    Text.GROUP_SHORT_ACK,
)
_NO_SOURCE: Final = (Text.GROUP_ACK, Text.GROUP_SHORT_ACK)
_CONFIRMED: Final = 0x80
_OPTION: Final = 0x40

RESULTS: Final = {
    0x00: "ok",
    0x01: "fail",
    0x02: "password",
    0x03: "bad parameter",
    0x04: "channel busy",
    0x05: "receive only",
    0x06: "low battery",
    0x07: "PLL unlocked",
    0x08: "no acknowledgement from the radio",
    0x09: "repeater wake-up failed",
    0x0A: "no contact",
    0x0B: "transmission denied",
    0x0C: "interrupted",
}


@dataclass(frozen=True, slots=True)
class Packet:
    """An HRNP packet. Addresses: 20 the computer, 10 the radio at connect."""

    opcode: int
    source: int
    destination: int
    number: int
    data: bytes = b""
    block: int = 0


@dataclass(frozen=True, slots=True)
class Hdap:
    """An HDAP message of any service; the payload as it stands."""

    service: int
    opcode: int
    payload: bytes
    reliable: bool = False


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A message of the text service. `result` only in acknowledgements, `text` only in others.

    `target` and `source` are 24-bit radio numbers (or group numbers)."""

    opcode: int
    request: int
    target: int
    source: int | None
    text: str = ""
    result: int | None = None
    confirmed: bool = False
    option: bytes | None = None
    reliable: bool = False


def checksum(data: bytes) -> int:
    """One's complement sum of 16-bit words, as in IP."""
    if len(data) % 2:
        data += b"\0"
    total = sum(data[n] << 8 | data[n + 1] for n in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def encode_packet(packet: Packet) -> bytes:
    """The octets of an HRNP packet."""
    head = bytes((_START, _VERSION, packet.block, packet.opcode, packet.source, packet.destination))
    head += packet.number.to_bytes(2, "big") + (12 + len(packet.data)).to_bytes(2, "big")
    return head + checksum(head + packet.data).to_bytes(2, "big") + packet.data


def decode_packet(data: bytes) -> Packet:
    """Raises HyteraError."""
    if len(data) < 12 or data[0] != _START or int.from_bytes(data[8:10], "big") != len(data):
        raise HyteraError(f"no HRNP packet: {data[:12].hex()}")
    if checksum(data[:10] + data[12:]) != int.from_bytes(data[10:12], "big"):
        raise HyteraError("HRNP check sum")
    return Packet(data[3], data[4], data[5], int.from_bytes(data[6:8], "big"), data[12:], data[2])


def encode_hdap(message: Hdap) -> bytes:
    """The octets of an HDAP message."""
    body = message.opcode.to_bytes(2, "big") + len(message.payload).to_bytes(2, "big")
    body += message.payload
    service = message.service | (_RELIABLE if message.reliable else 0)
    return bytes((service,)) + body + bytes((_sum(body), _END))


def _sum(body: bytes) -> int:
    return ((sum(body) & 0xFF ^ 0xFF) + 0x33) & 0xFF


def decode_hdap(data: bytes) -> Hdap:
    """Raises HyteraError."""
    if len(data) < 7 or data[-1] != _END:
        raise HyteraError(f"no HDAP message: {data[:8].hex()}")
    little = data[0] & 0x7F == Service.RCP
    size = int.from_bytes(data[3:5], "little" if little else "big")
    if size != len(data) - 7:
        raise HyteraError(f"HDAP length {size} in {len(data)} octets")
    if _sum(data[1:-2]) != data[-2]:
        raise HyteraError("HDAP check sum")
    opcode = int.from_bytes(data[1:3], "big")
    return Hdap(data[0] & 0x7F, opcode, data[5:-2], bool(data[0] & _RELIABLE))


def radio_address(number: int) -> bytes:
    """A radio's address: 10 and its 24-bit number. Raises HyteraError."""
    if not 0 < number < 1 << 24:
        raise HyteraError(f"{number}: 1 … {(1 << 24) - 1}")
    return bytes((RADIO_NETWORK,)) + number.to_bytes(3, "big")


def radio_number(address: bytes) -> int:
    """The number of an address."""
    return int.from_bytes(address[1:4], "big")


def encode_text(message: TextMessage) -> bytes:
    """The octets of a text, work order or acknowledgement. Raises HyteraError."""
    flags = (_CONFIRMED if message.confirmed else 0) | (
        _OPTION if message.option is not None else 0
    )
    payload = b"" if message.option is None else len(message.option).to_bytes(2, "big")
    payload += message.request.to_bytes(4, "big") + radio_address(message.target)
    if message.source is not None:
        payload += radio_address(message.source)
    if message.result is not None:
        payload += bytes((message.result,))
    else:
        payload += message.text.encode("utf_16_le")
    payload += message.option or b""
    opcode = flags << 8 | message.opcode
    return encode_hdap(Hdap(Service.TMP, opcode, payload, message.reliable))


def decode_text(hdap: Hdap) -> TextMessage:
    """A message of the text service. Raises HyteraError."""
    if hdap.service != Service.TMP:
        raise HyteraError(f"service {hdap.service:02X} carries no text")
    flags, opcode = hdap.opcode >> 8, hdap.opcode & 0xFF
    data, option = hdap.payload, None
    if flags & _OPTION:
        size = int.from_bytes(data[:2], "big")
        if size > len(data) - 2:
            raise HyteraError("option longer than the message")
        data, option = data[2 : len(data) - size], data[len(data) - size :]
    wanted = 8 if opcode in _NO_SOURCE else 12
    if len(data) < wanted + (opcode in _ACKS):
        raise HyteraError(f"text message of {len(data)} octets")
    source = None if opcode in _NO_SOURCE else radio_number(data[8:12])
    rest = data[wanted:]
    result = rest[0] if opcode in _ACKS else None
    text = "" if opcode in _ACKS else rest.decode("utf_16_le", "replace")
    return TextMessage(
        opcode,
        int.from_bytes(data[:4], "big"),
        radio_number(data[4:8]),
        source,
        text,
        result,
        bool(flags & _CONFIRMED),
        option,
        hdap.reliable,
    )


@dataclass(frozen=True, slots=True)
class Registration:
    """RRS: opcode 0003 request, 0080 answer, 0001 going offline, 0002 and 0082 status check."""

    opcode: int
    radio: int
    result: int | None = None
    renewal_s: int | None = None


def decode_registration(hdap: Hdap) -> Registration:
    """Raises HyteraError."""
    data = hdap.payload
    if hdap.service != Service.RRS or len(data) < 4:
        raise HyteraError("no registration message")
    result = data[4] if len(data) > 4 else None
    renewal = int.from_bytes(data[5:9], "big") if len(data) >= 9 else None
    return Registration(hdap.opcode, radio_number(data), result, renewal)


def encode_registration(message: Registration, *, reliable: bool = False) -> bytes:
    """The octets of a registration message."""
    payload = radio_address(message.radio)
    if message.result is not None:
        payload += bytes((message.result,))
    if message.renewal_s is not None:
        payload += message.renewal_s.to_bytes(4, "big")
    return encode_hdap(Hdap(Service.RRS, message.opcode, payload, reliable))
