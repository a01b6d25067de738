"""MAP27 network layer messages (MAP27 1.5, section 4) from and to octets. Pure.

A type or layout that is not ours is kept whole as `Other`. Octets behind the end of a known layout
are accepted and dropped, as the standard demands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PSTN: Final = 8101
PABX: Final = 8102
MAX_IDENT: Final = 8191
STATUS: Final = 0x80
SST: Final = 0x81
MST: Final = 0x82
ACKS: Final = (0xC0, 0xD0, 0xE0)
PROGRESS: Final = (0xC4, 0xD4, 0xE4, 0xC5, 0xD5, 0xE5)
VOICE: Final = 0xA4
EMERGENCY: Final = 0xA5
ENDS: Final = (0x86, 0xA6)
INTERROGATION: Final = 0xB0
CONTROL: Final = 0xB2
PROTOCOL: Final = 0xB4

BINARY: Final = 8
ASCII_7: Final = 11
PC_8: Final = 15
NO_PRIORITY: Final = 8
"""CALL DETAILS bit 4: not a priority call."""
GROUP: Final = 0x20
"""CALL DETAILS bit 6: group call."""
_ADDRESS: Final = re.compile(r"(\d{1,3})/(\d{1,4})")


class Map27Error(ValueError):
    """Values that do not fit, or an address that is none."""


@dataclass(frozen=True, slots=True)
class Address:
    """PFIX, IDENT and what follows them (4.1). `more` are the octets of ADDRESS as they stand."""

    prefix: int
    ident: int
    kind: int = 0
    more: bytes = b""

    def __str__(self) -> str:
        return f"{self.prefix}/{self.ident}"


@dataclass(frozen=True, slots=True)
class Status:
    """SEND or RECEIVE STATUS, 0–31."""

    address: Address
    status: int


@dataclass(frozen=True, slots=True)
class Data:
    """SST or MST. `last_bits` are the valid bits of the last octet."""

    extended: bool
    address: Address
    coding: int
    data: bytes
    last_bits: int = 8


@dataclass(frozen=True, slots=True)
class Ack:
    """What became of the open message: kind C0 done, D0 wait, E0 failed."""

    kind: int
    address: Address
    cause: int


@dataclass(frozen=True, slots=True)
class Call:
    """SETUP or INCOMING VOICE CALL; `details` as in 4.2."""

    emergency: bool
    address: Address
    details: int


@dataclass(frozen=True, slots=True)
class Progress:
    """SETUP PROGRESS (C4, D4, E4) or RECEIVE PROGRESS (C5, D5, E5)."""

    kind: int
    address: Address
    cause: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """DISCONNECT or CLEARED: kind 86 normal, A6 cancel or abnormal."""

    kind: int
    prefix: int
    ident: int
    cause: int


@dataclass(frozen=True, slots=True)
class Condition:
    """RADIO CONTROL (towards the radio) or OPERATING CONDITION (from it)."""

    off_hook: bool
    transmitting: bool
    contact: bool = False
    field_strength: int | None = None


@dataclass(frozen=True, slots=True)
class Interrogation:
    """RADIO INTERROGATION: 0 personality, 1 numbering, 2 settings, 3 condition, 4 network."""

    reason: int


@dataclass(frozen=True, slots=True)
class Personality:
    """What the radio is: own address, maker, facilities (a, b, c) and codings as bits."""

    prefix: int
    ident: int
    maker: int
    facilities: bytes
    codings: int


@dataclass(frozen=True, slots=True)
class ProtocolInfo:
    """1 not recognised, 2 not supported, 3 state mismatch, 4 coding, 5 radio busy, 6 ready."""

    info: int


@dataclass(frozen=True, slots=True)
class Other:
    """Kept as it came."""

    data: bytes


Message = (
    Status
    | Data
    | Ack
    | Call
    | Progress
    | Disconnect
    | Condition
    | Interrogation
    | Personality
    | ProtocolInfo
    | Other
)


def parse_address(text: str) -> Address:
    """`prefix/ident` as people write it, e.g. 31/2001. Raises Map27Error."""
    match = _ADDRESS.fullmatch(text) if text.isascii() else None
    if match is None or int(match[1]) > 127 or not 0 < int(match[2]) <= MAX_IDENT:
        raise Map27Error(f"{text!r}: 需要 / needed: prefix/ident, 0–127 / 1–{MAX_IDENT}")
    return Address(int(match[1]), int(match[2]))


def bcd(digits: str) -> bytes:
    """Digits packed, first one in the high nibble, F fills an odd end; `*` B, `#` C."""
    nibbles = digits.replace("*", "B").replace("#", "C")
    return bytes.fromhex(nibbles + "F" * (len(nibbles) % 2))


def encode(message: Message, *, from_radio: bool = False) -> bytes:
    """The octets of a message. Raises Map27Error for values that do not fit."""
    try:
        return _encode(message, from_radio)
    except (ValueError, OverflowError) as error:
        raise Map27Error(str(error)) from error


def _encode(message: Message, from_radio: bool) -> bytes:
    if isinstance(message, Status):
        if not 0 <= message.status <= 31:
            raise Map27Error(f"status {message.status}: 0–31")
        return bytes((STATUS,)) + _address(message.address) + bytes((message.status,))
    if isinstance(message, Data):
        kind = MST if message.extended else SST
        coding = message.coding << 4 | (message.last_bits - 1 & 7)
        return bytes((kind,)) + _address(message.address) + bytes((coding,)) + message.data
    if isinstance(message, Ack | Progress):
        return bytes((message.kind,)) + _address(message.address) + bytes((message.cause,))
    if isinstance(message, Call):
        kind = EMERGENCY if message.emergency else VOICE
        return bytes((kind,)) + _address(message.address) + bytes((message.details,))
    if isinstance(message, Disconnect):
        ident = message.ident.to_bytes(2, "big")
        return bytes((message.kind, message.prefix)) + ident + bytes((message.cause,))
    if isinstance(message, Condition):
        bits = message.off_hook << 1 | message.transmitting
        if from_radio:
            strength = message.field_strength or 0
            return bytes((CONTROL, bits | message.contact << 2, strength, 255))
        return bytes((CONTROL, bits))
    if isinstance(message, Interrogation):
        return bytes((INTERROGATION, message.reason))
    if isinstance(message, Personality):
        head = bytes((INTERROGATION, message.prefix)) + message.ident.to_bytes(2, "big")
        return (
            head + bytes((message.maker, 0, 0, 0)) + message.facilities + bytes((message.codings,))
        )
    if isinstance(message, ProtocolInfo):
        return bytes((PROTOCOL, message.info))
    return message.data


def _address(address: Address) -> bytes:
    head = bytes((address.prefix,)) + address.ident.to_bytes(2, "big")
    return head + bytes((address.kind << 4 | len(address.more),)) + address.more


def decode(data: bytes, *, from_radio: bool = True) -> Message:
    """The message of these octets; never raises."""
    try:
        return _decode(data, from_radio)
    except IndexError:
        return Other(data)


def _decode(data: bytes, from_radio: bool) -> Message:
    kind = data[0]
    if kind in _WITH_ADDRESS:
        address, at = _read_address(data)
        value = data[at]
        if kind == STATUS:
            return Status(address, value & 31)
        if kind in (SST, MST):
            return Data(kind == MST, address, value >> 4, data[at + 1 :], (value & 7) + 1)
        if kind in ACKS:
            return Ack(kind, address, value)
        if kind in PROGRESS:
            return Progress(kind, address, value)
        return Call(kind == EMERGENCY, address, value)
    if kind in ENDS:
        return Disconnect(kind, data[1], data[2] << 8 | data[3], data[4])
    if kind == CONTROL:
        off_hook, transmitting = bool(data[1] & 2), bool(data[1] & 1)
        if from_radio:
            return Condition(off_hook, transmitting, bool(data[1] & 4), data[2] or None)
        return Condition(off_hook, transmitting)
    if kind == INTERROGATION:
        if not from_radio:
            return Interrogation(data[1])
        return Personality(data[1], data[2] << 8 | data[3], data[4], data[8:11], data[11])
    if kind == PROTOCOL:
        return ProtocolInfo(data[1])
    return Other(data)


_WITH_ADDRESS: Final = frozenset((STATUS, SST, MST, VOICE, EMERGENCY, *ACKS, *PROGRESS))


def _read_address(data: bytes) -> tuple[Address, int]:
    size = data[4] & 15
    end = 5 + size
    if len(data) < end:
        raise IndexError
    return Address(data[1], data[2] << 8 | data[3], data[4] >> 4, data[5:end]), end
