"""SMS in PDU mode (3GPP TS 23.040, 23.038): submissions, deliveries and status reports. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from hardware.radio import gsm7
from hardware.radio.texts import TextRefused, check_text, cut

NUMBER: Final = re.compile(r"\+?[0-9]{3,15}", re.ASCII)
UCS2: Final = 0x08
GSM_7: Final = 0x00
INTERNATIONAL: Final = 0x91
NATIONAL: Final = 0x81
_ALPHANUMERIC: Final = 0xD0
_REPORT: Final = 0x20
_UDHI: Final = 0x40
_RELATIVE_VALIDITY: Final = 0x10
MAX_PARTS: Final = 20
"""Messages of one text: 1 000 Chinese characters are 15."""
ONE_DAY: Final = 0xA7
"""Relative validity of 24 hours."""
_SEPTETS, _OCTETS = 160, 140
_HEADER: Final = 6


class SmsError(ValueError):
    """Octets that are no message, or a number that is none."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of which long text."""

    group: int
    total: int
    number: int


@dataclass(frozen=True, slots=True)
class Submit:
    """A message from us. `reference` is ignored by modems that count by themselves."""

    number: str
    text: str
    reference: int = 0
    report: bool = True
    validity: int = ONE_DAY
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Deliver:
    """A message to us; the text is None where it is in 8-bit data."""

    number: str
    text: str | None
    sent_at: datetime | None
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What became of a message of ours (TP-ST, 9.2.3.15)."""

    reference: int
    number: str
    status: int


Message = Submit | Deliver | StatusReport


def pieces(text: str) -> list[str]:
    """How a text is divided over messages. Raises TextRefused."""
    check_text(text)
    if gsm7.septets(text) is not None:
        whole, room = _SEPTETS, _SEPTETS - 7

        def cost(c: str) -> int:
            return len(gsm7.septets(c) or ())
    else:
        whole, room = _OCTETS, _OCTETS - _HEADER

        def cost(c: str) -> int:
            return len(c.encode("utf_16_be"))

    if sum(map(cost, text)) <= whole:
        return [text]
    parts = cut(text, room, cost)
    if len(parts) > MAX_PARTS:
        raise TextRefused(f"{len(text)} 字过长 / {len(parts)} messages, at most {MAX_PARTS}")
    return parts


def submits(number: str, text: str, group: int, *, report: bool = True) -> list[Submit]:
    """The messages of a text; `group` (0–255) marks the parts of a long one."""
    parts = pieces(text)
    if len(parts) == 1:
        return [Submit(number, text, report=report)]
    return [
        Submit(number, part, report=report, part=Part(group, len(parts), n))
        for n, part in enumerate(parts, 1)
    ]


def encode_submit(message: Submit, smsc: str = "") -> tuple[str, int]:
    """Hex for the modem, and the octets that AT+CMGS counts (without the service centre).

    Raises SmsError for a number that is none."""
    first = 0x01 | _RELATIVE_VALIDITY
    first |= (_REPORT if message.report else 0) | (_UDHI if message.part else 0)
    coding, length, data = _user_data(message.text, message.part)
    tpdu = bytes((first, message.reference)) + _address(message.number)
    tpdu += bytes((0, coding, message.validity, length)) + data
    centre = b""
    if smsc:
        semi = _semi_octets(smsc)
        centre = bytes((_type_of(smsc),)) + semi
    return (bytes((len(centre),)) + centre + tpdu).hex().upper(), len(tpdu)


def encode_deliver(message: Deliver, now: datetime) -> str:
    """Hex as a modem shows a received message (emulators)."""
    coding, length, data = _user_data(message.text or "", message.part)
    first = 0x04 | (_UDHI if message.part else 0)
    tpdu = bytes((first,)) + _address(message.number) + bytes((0, coding)) + _stamp(now)
    return (b"\x00" + tpdu + bytes((length,)) + data).hex().upper()


def encode_report(message: StatusReport, now: datetime) -> str:
    """Hex as a modem shows a status report (emulators)."""
    tpdu = bytes((0x06, message.reference)) + _address(message.number)
    return (b"\x00" + tpdu + _stamp(now) + _stamp(now) + bytes((message.status,))).hex().upper()


def decode(digits: str, *, to_us: bool = True) -> Message:
    """The message of a hex line; `to_us` false reads what a phone submits. Raises SmsError."""
    try:
        data = bytes.fromhex(digits)
        tpdu = data[1 + data[0] :]
        kind = tpdu[0] & 3
        if kind == 2:
            return _decode_report(tpdu)
        if kind == 1 and not to_us:
            return _decode_submit(tpdu)
        if kind == 0 and to_us:
            return _decode_deliver(tpdu)
    except (ValueError, IndexError, OverflowError) as error:
        raise SmsError(f"{digits[:40]!r}: {error}") from error
    raise SmsError(f"{digits[:40]!r}: a message of another kind")


def _decode_report(tpdu: bytes) -> StatusReport:
    number, at = _read_address(tpdu, 2)
    return StatusReport(tpdu[1], number, tpdu[at + 14])


def _decode_deliver(tpdu: bytes) -> Deliver:
    number, at = _read_address(tpdu, 1)
    text, part = _read_user_data(tpdu[0], tpdu[at + 1], tpdu[at + 9], tpdu[at + 10 :])
    return Deliver(number, text, _read_stamp(tpdu[at + 2 : at + 9]), part)


def _decode_submit(tpdu: bytes) -> Submit:
    number, at = _read_address(tpdu, 2)
    validity = {0: 0, 0x10: 1}.get(tpdu[0] & 0x18, 7)
    coding = tpdu[at + 1]
    at += 2
    period = tpdu[at] if validity == 1 else 0
    at += validity
    text, part = _read_user_data(tpdu[0], coding, tpdu[at], tpdu[at + 1 :])
    return Submit(number, text or "", tpdu[1], bool(tpdu[0] & _REPORT), period, part)


def _user_data(text: str, part: Part | None) -> tuple[int, int, bytes]:
    header = b"" if part is None else bytes((5, 0, 3, part.group, part.total, part.number))
    codes = gsm7.septets(text)
    if codes is not None:
        fill = (7 - len(header) * 8 % 7) % 7
        packed = gsm7.pack(codes, fill)
        return GSM_7, (len(header) * 8 + fill) // 7 + len(codes), header + packed
    data = header + text.encode("utf_16_be")
    return UCS2, len(data), data


def _read_user_data(
    first: int, coding: int, length: int, data: bytes
) -> tuple[str | None, Part | None]:
    size, part = 0, None
    if first & _UDHI:
        size = data[0] + 1
        part = _read_header(data[1:size])
    alphabet = coding >> 2 & 3 if coding < 0xF0 else coding >> 2 & 1
    if alphabet == 0:
        fill = (7 - size * 8 % 7) % 7
        count = length - (size * 8 + fill) // 7
        return gsm7.text_of(gsm7.unpack(data[size:], max(0, count), fill)), part
    if alphabet == 2:
        return data[size:length].decode("utf_16_be", "replace"), part
    return None, part


def _read_header(elements: bytes) -> Part | None:
    at = 0
    while at + 1 < len(elements):
        kind, size = elements[at], elements[at + 1]
        value = elements[at + 2 : at + 2 + size]
        if kind == 0 and len(value) == 3 and 0 < value[2] <= value[1]:
            return Part(value[0], value[1], value[2])
        if kind == 8 and len(value) == 4 and 0 < value[3] <= value[2]:
            return Part(value[0] << 8 | value[1], value[2], value[3])
        at += 2 + size
    return None


def _type_of(number: str) -> int:
    return INTERNATIONAL if number.startswith("+") else NATIONAL


def _semi_octets(number: str) -> bytes:
    if not NUMBER.fullmatch(number):
        raise SmsError(f"{number!r}: 不是号码 / is no number")
    digits = number.lstrip("+")
    digits += "F" * (len(digits) % 2)
    return bytes.fromhex("".join(digits[n + 1] + digits[n] for n in range(0, len(digits), 2)))


def _address(number: str) -> bytes:
    semi = _semi_octets(number)
    return bytes((len(number.lstrip("+")), _type_of(number))) + semi


def _read_address(tpdu: bytes, at: int) -> tuple[str, int]:
    digits, kind = tpdu[at], tpdu[at + 1]
    size = (digits + 1) // 2
    raw = tpdu[at + 2 : at + 2 + size]
    if len(raw) < size:
        raise IndexError("address cut")
    if kind & 0x70 == 0x50:
        name = gsm7.text_of(gsm7.unpack(raw, digits * 4 // 7))
        if not name.isprintable():
            raise SmsError(f"sender {name!r}")
        return name, at + 2 + size
    swapped = raw.hex()
    text = "".join(swapped[n + 1] + swapped[n] for n in range(0, len(swapped), 2))[:digits]
    if not text.isdecimal():
        text = text.translate(str.maketrans("abcdef", "*#abc ")).strip()
    return ("+" if kind & 0x70 == 0x10 else "") + text, at + 2 + size


def _stamp(moment: datetime) -> bytes:
    day = (moment.year % 100, moment.month, moment.day)
    values = (*day, moment.hour, moment.minute, moment.second, 0)
    return bytes(value % 10 << 4 | value // 10 for value in values)


def _read_stamp(octets: bytes) -> datetime | None:
    """Time of the service centre; None where it is no time."""
    values = [(octet & 15) * 10 + (octet >> 4) for octet in octets]
    sign = -1 if octets[6] & 8 else 1
    quarters = (octets[6] & 7) * 10 + (octets[6] >> 4)
    zone = timezone(sign * timedelta(minutes=15 * quarters)) if quarters <= 56 else UTC
    try:
        year, month, day, hour, minute, second = values[:6]
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except ValueError:
        return None
