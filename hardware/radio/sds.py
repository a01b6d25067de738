"""TETRA short data: SDS-TL PDUs (EN 300 392-2 clause 29) from and to octets. Pure.

Messages are frozen values; what can be received can be sent. An identifier or layout we do not
know is kept whole as `Raw` and shown, never dropped (PEI sheet, 9.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum
from typing import Final

from hardware.radio import gsm7
from hardware.radio.texts import TextRefused, check_text, cut

TEXT: Final = 0x82
IMMEDIATE_TEXT: Final = 0x89
LONG_TEXT: Final = 0x8A
SIMPLE_TEXT: Final = 0x02
SIMPLE_IMMEDIATE_TEXT: Final = 0x09
LIP: Final = 0x0A
WITH_HEADER: Final = 0x80
"""Identifiers from here on have an SDS-TL header."""

UCS2: Final = 26
LATIN_1: Final = 1
GSM_7: Final = 0
_NAMES: Final = (
    *(f"iso8859_{n}" for n in (*range(1, 11), 13, 14, 15)),
    *(f"cp{n}" for n in (437, 737, 850, 852, 855, 857, 860, 861, 863, 865, 866, 869)),
    "utf_16_be",
)
_CODECS: Final = dict(enumerate(_NAMES, 1))
"""Text coding schemes (9.5) with their Python names; 0 is GSM 7-bit, 27 (VISCII) stays raw."""
EMERGENCY_STATUS: Final = 0
MAX_PARTS: Final = 99
"""Parts of one long text: 1 000 Chinese characters at 36 a part are 28."""


class SdsError(ValueError):
    """Octets that are no PDU of this kind."""


class Want(IntFlag):
    """Which delivery reports the sender wants."""

    NONE = 0
    RECEIVED = 1
    CONSUMED = 2
    BOTH = 3


class StatusClass(StrEnum):
    """What a delivery status means for the message (9.4)."""

    SUCCESS = "success"
    TEMPORARY = "temporary"
    FAILED = "failed"
    FLOW = "flow"
    OTHER = "other"


class Short(IntEnum):
    """Kinds of an SDS-SHORT-REPORT."""

    NOT_SUPPORTED = 0
    MEMORY_FULL = 1
    RECEIVED = 2
    CONSUMED = 3


@dataclass(frozen=True, slots=True)
class StoreForward:
    """How long and for whom the network keeps a message. `address` is octets as they stand."""

    validity: int
    address_type: int = 7
    address: bytes = b""


@dataclass(frozen=True, slots=True)
class Transfer:
    """SDS-TRANSFER. `standard` is bit 2: only standard reports, no short ones."""

    protocol: int
    reference: int
    data: bytes
    want: Want = Want.NONE
    standard: bool = True
    forward: StoreForward | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """SDS-REPORT for a message of ours, or of theirs."""

    protocol: int
    status: int
    reference: int
    wants_ack: bool = False
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Ack:
    """SDS-ACK: answers a report that asked for it."""

    protocol: int
    status: int
    reference: int


@dataclass(frozen=True, slots=True)
class Simple:
    """A message without transport header: simple text, location, …"""

    protocol: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """Kept as it came."""

    data: bytes


Pdu = Transfer | Report | Ack | Simple | Raw


@dataclass(frozen=True, slots=True)
class Stamp:
    """Time of sending: 0 local time of the sender, 1 UTC, 2 local time of the receiver; no year."""

    frame: int
    month: int
    day: int
    hour: int
    minute: int


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of which long text: `group` is the reference of the first part."""

    group: int
    total: int
    number: int


@dataclass(frozen=True, slots=True)
class Text:
    """The user data of a text message."""

    text: str
    coding: int
    stamp: Stamp | None = None
    part: Part | None = None


_ADDRESS_OCTETS: Final = {0: 1, 1: 3, 2: 6, 7: 0}


def decode(pdu: bytes) -> Pdu:
    """The PDU of these octets; never raises."""
    if not pdu:
        return Raw(pdu)
    if pdu[0] < WITH_HEADER:
        return Simple(pdu[0], pdu[1:])
    if len(pdu) < 3:
        return Raw(pdu)
    kind = pdu[1] >> 4
    if kind == 0:
        return _transfer(pdu)
    if kind == 1 and len(pdu) >= 4 and not pdu[1] & 1:
        return Report(pdu[0], pdu[2], pdu[3], bool(pdu[1] & 8), pdu[4:])
    if kind == 2 and len(pdu) == 4:
        return Ack(pdu[0], pdu[2], pdu[3])
    return Raw(pdu)


def _transfer(pdu: bytes) -> Pdu:
    forward, at = None, 3
    if pdu[1] & 1:
        if len(pdu) < 4:
            return Raw(pdu)
        size = _ADDRESS_OCTETS.get(pdu[3] & 7)
        if size is None or len(pdu) < 4 + size:
            return Raw(pdu)
        forward = StoreForward(pdu[3] >> 3, pdu[3] & 7, pdu[4 : 4 + size])
        at = 4 + size
    want = Want(pdu[1] >> 2 & 3)
    return Transfer(pdu[0], pdu[2], pdu[at:], want, bool(pdu[1] & 2), forward)


def encode(pdu: Pdu) -> bytes:
    """The octets of a PDU. Raises SdsError for values that do not fit."""
    try:
        if isinstance(pdu, Transfer):
            return _encode_transfer(pdu)
        if isinstance(pdu, Report):
            kind = 0x18 if pdu.wants_ack else 0x10
            return bytes((pdu.protocol, kind, pdu.status, pdu.reference)) + pdu.data
        if isinstance(pdu, Ack):
            return bytes((pdu.protocol, 0x20, pdu.status, pdu.reference))
        if isinstance(pdu, Simple):
            return bytes((pdu.protocol,)) + pdu.data
        return pdu.data
    except ValueError as error:
        raise SdsError(str(error)) from error


def _encode_transfer(pdu: Transfer) -> bytes:
    second = pdu.want << 2 | (2 if pdu.standard else 0) | (1 if pdu.forward else 0)
    head = bytes((pdu.protocol, second, pdu.reference))
    if pdu.forward is None:
        return head + pdu.data
    forward = pdu.forward
    if _ADDRESS_OCTETS.get(forward.address_type) != len(forward.address):
        raise SdsError(f"forward address of type {forward.address_type}: wrong length")
    return (
        head + bytes((forward.validity << 3 | forward.address_type,)) + forward.address + pdu.data
    )


def is_text(pdu: Pdu) -> bool:
    """Whether its protocol carries texts, in whatever coding."""
    if isinstance(pdu, Simple):
        return pdu.protocol in (SIMPLE_TEXT, SIMPLE_IMMEDIATE_TEXT)
    return isinstance(pdu, Transfer) and pdu.protocol in (TEXT, IMMEDIATE_TEXT, LONG_TEXT)


def text_of(pdu: Pdu) -> Text | None:
    """The text a PDU carries; None where it carries none or in a coding that is not ours.

    Characters that cannot be decoded become U+FFFD; control characters stay for the caller."""
    if not is_text(pdu):
        return None
    assert isinstance(pdu, Simple | Transfer)
    return _text(pdu.data, pdu.protocol == LONG_TEXT)


def _text(data: bytes, long: bool) -> Text | None:
    if not data:
        return None
    coding, at = data[0] & 0x7F, 1
    stamp = None
    if data[0] & 0x80:
        if len(data) < 4:
            return None
        stamp = _stamp(int.from_bytes(data[1:4], "big"))
        at = 4
    part = None
    if long:
        part, at = _user_header(data, at)
    body = data[at:]
    if coding == GSM_7:
        return Text(gsm7.text_of(gsm7.unpack(body)), coding, stamp, part)
    codec = _CODECS.get(coding)
    if codec is None:
        return None
    return Text(body.decode(codec, "replace"), coding, stamp, part)


def _stamp(bits: int) -> Stamp:
    return Stamp(bits >> 22, bits >> 16 & 15, bits >> 11 & 31, bits >> 6 & 31, bits & 63)


def _user_header(data: bytes, at: int) -> tuple[Part | None, int]:
    """The concatenation element of a user data header (9.6) and where the text begins."""
    if at >= len(data):
        return None, at
    end = at + 1 + data[at]
    element = data[at + 1 : end]
    if len(element) == 5 and element[:2] == b"\x00\x03":
        return _part(element[2], element[3], element[4]), end
    if len(element) == 6 and element[:2] == b"\x08\x04":
        return _part(element[2] << 8 | element[3], element[4], element[5]), end
    return None, end


def _part(group: int, total: int, number: int) -> Part | None:
    return Part(group, total, number) if 1 <= number <= total else None


def encode_text(text: Text) -> bytes:
    """User data of a text. Raises SdsError or TextRefused."""
    head = bytes((text.coding | (0x80 if text.stamp else 0),))
    if text.stamp is not None:
        s = text.stamp
        bits = s.frame << 22 | s.month << 16 | s.day << 11 | s.hour << 6 | s.minute
        head += bits.to_bytes(3, "big")
    if text.part is not None:
        part = text.part
        if part.group > 0xFF:
            head += b"\x06\x08\x04" + part.group.to_bytes(2, "big")
        else:
            head += bytes((5, 0, 3, part.group))
        head += bytes((part.total, part.number))
    return head + _body(text.text, text.coding)


def _body(text: str, coding: int) -> bytes:
    if coding == GSM_7:
        codes = gsm7.septets(text)
        if codes is None:
            raise SdsError("not in the GSM 7-bit alphabet")
        return gsm7.pack(codes)
    codec = _CODECS.get(coding)
    if codec is None:
        raise SdsError(f"text coding {coding} is not ours")
    try:
        return text.encode(codec)
    except UnicodeEncodeError as error:
        raise SdsError(f"text coding {coding}: {error.reason}") from error


def choose_coding(text: str) -> int:
    """8 bits where they hold the text, UCS-2 where not: Chinese needs it."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return UCS2
    return LATIN_1


_HEAD: Final = 4
_LONG_HEAD: Final = 10


def pieces(text: str, max_bits: int) -> list[str]:
    """How a text is divided over messages of at most `max_bits`; one piece where it fits.

    Raises TextRefused for characters that may not be sent and for more than MAX_PARTS parts.
    """
    check_text(text)
    octets = max_bits // 8

    def cost(character: str) -> int:
        return len(character.encode(codec))

    codec = _CODECS[choose_coding(text)]
    if sum(map(cost, text)) <= octets - _HEAD:
        return [text]
    parts = cut(text, octets - _LONG_HEAD, cost)
    if len(parts) > MAX_PARTS:
        raise TextRefused(f"{len(text)} 字过长 / {len(parts)} parts, at most {MAX_PARTS}")
    return parts


def transfers(
    parts: list[str],
    references: list[int],
    *,
    want: Want = Want.BOTH,
    immediate: bool = False,
    standard: bool = True,
    validity: int = 0,
) -> list[Transfer]:
    """The messages of a text divided by `pieces`, each with its own reference (9.6)."""
    coding = choose_coding("".join(parts))
    forward = StoreForward(validity) if validity else None
    if len(parts) == 1:
        protocol = IMMEDIATE_TEXT if immediate else TEXT
        data = encode_text(Text(parts[0], coding))
        return [Transfer(protocol, references[0], data, want, standard, forward)]
    made: list[Transfer] = []
    for number, (part, reference) in enumerate(zip(parts, references, strict=True), 1):
        data = encode_text(Text(part, coding, part=Part(references[0], len(parts), number)))
        made.append(Transfer(LONG_TEXT, reference, data, want, standard, forward))
    return made


def status_class(status: int) -> StatusClass:
    """The class of a delivery status (9.4)."""
    if status <= 0x1F:
        return StatusClass.SUCCESS
    if status <= 0x3F:
        return StatusClass.TEMPORARY
    if status <= 0x5F:
        return StatusClass.FAILED
    if status <= 0x7F:
        return StatusClass.FLOW
    return StatusClass.OTHER


def is_consumed(status: int) -> bool:
    """Somebody opened the message, as far as a machine can say."""
    return status in (0x02, 0x03)


def short_report(status: int) -> tuple[Short, int] | None:
    """Kind and reference of a pre-coded status that is an SDS-SHORT-REPORT (7C00–7FFF)."""
    if status >> 10 != 0b011111:
        return None
    return Short(status >> 8 & 3), status & 0xFF


def encode_short_report(kind: Short, reference: int) -> int:
    """The pre-coded status of a short report."""
    return 0x7C00 | kind << 8 | reference


def validity_seconds(value: int) -> int | None:
    """Seconds of a validity period (9.2); 0 none, None unlimited."""
    if value >= 31:
        return None
    if value <= 6:
        return value * 10
    if value <= 10:
        return (value - 5) * 60
    if value <= 16:
        return (value - 10) * 600
    if value <= 21:
        return (value - 15) * 3600
    if value <= 24:
        return (12, 18, 24)[value - 22] * 3600
    return (value - 24) * 2 * 86400
