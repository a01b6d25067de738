"""Result lines of a TETRA terminal's PEI (EN 300 392-5) as values, and commands as lines. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from hardware.at import fields

SDS_TYPE_4: Final = 12
STATUS: Final = 13
MAX_SSI: Final = 16_777_215


class LineError(ValueError):
    """The line does not have the fields of its kind."""


class Registration(IntEnum):
    """`+CREG` (4.3)."""

    SEARCHING = 0
    HOME = 1
    NO_NETWORK = 2
    REJECTED = 3
    UNKNOWN = 4
    VISITED = 5


class Grant(IntEnum):
    """`+CTXG` (11.1)."""

    GRANTED = 0
    NOT_GRANTED = 1
    QUEUED = 2
    ANOTHER = 3


@dataclass(frozen=True, slots=True)
class Sds:
    """`+CTSDSR`: something arrived. `cut`: fewer digits came than were announced."""

    service: int
    source: str
    target: str
    data: bytes
    bits: int
    cut: bool


@dataclass(frozen=True, slots=True)
class SdsSent:
    """`+CMGS: <instance>,<status>[,<reference>]`; status 4 sent, 5 failed (7.2)."""

    instance: int
    status: int
    reference: int | None


@dataclass(frozen=True, slots=True)
class CallLine:
    """A line of voice calls: kind is CTICN, CTOCP, CTCC, CTXG, CDTXC, CTXI, CTXW or CTCR."""

    kind: str
    instance: int
    value: int
    """Call status, hook, grant, permission or cause, by kind."""
    peer: str = ""
    """Caller of CTICN, talker of CTXG."""
    group: str = ""
    priority: int = 0


def ssi_of(identity: str) -> str:
    """The SSI of an identity, without leading zeros: the last eight digits of a TSI (4.2)."""
    if not identity.isdecimal() or not identity.isascii() or len(identity) > 17:
        raise LineError(f"{identity!r} is no identity")
    return str(int(identity[-8:]))


def network_of(identity: str) -> str:
    """MCC and MNC of a TSI as they stand, without leading zeros; empty for an SSI alone."""
    return identity[:-8].lstrip("0") if len(identity) > 8 else ""


def same_identity(one: str, other: str) -> bool:
    """The same subscriber: equal SSI, and equal network where both name one."""
    networks = {network_of(one), network_of(other)} - {""}
    return len(networks) < 2 and ssi_of(one) == ssi_of(other)


def is_ssi(address: str) -> bool:
    """An address that may be called or written to: decimal, 1 … 16777215."""
    return (
        address.isascii()
        and address.isdecimal()
        and len(address) <= 8
        and 0 < int(address) <= MAX_SSI
    )


def _number(text: str, what: str, top: int = 1 << 31) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 10 and (number := int(text)) <= top:
        return number
    raise LineError(f"{what}: {text!r} is no number")


def parse_sds(header: str, hex_line: str) -> Sds:
    """`+CTSDSR` and its second line; field counts 3, 4, 6 and 7 (section 8). Raises LineError."""
    values = fields(header)
    if len(values) == 3:
        service, target, bits = values[0], values[1], values[2]
        source = ""
    elif len(values) == 4:
        service, target, bits = values[0], values[1], values[3]
        source = ""
    elif len(values) in (6, 7):
        service, source, target, bits = values[0], values[1], values[3], values[5]
    else:
        raise LineError(f"{header!r}: {len(values)} fields")
    announced = _number(bits, "bits", 1 << 16)
    data, cut = _octets(hex_line, announced)
    return Sds(
        _number(service, "service", 255),
        ssi_of(source) if source else "",
        ssi_of(target) if target else "",
        data,
        announced,
        cut,
    )


def _octets(digits: str, bits: int) -> tuple[bytes, bool]:
    """The hex as sent; an odd digit gets a 0; a message shorter than announced is cut (8)."""
    cut = len(digits) * 4 + 3 < bits
    try:
        data = bytes.fromhex(digits + "0" * (len(digits) % 2))
    except ValueError as error:
        raise LineError(f"not hex: {digits[:40]!r}") from error
    return data, cut


def parse_sent(line: str) -> SdsSent:
    """An unsolicited `+CMGS`. Raises LineError."""
    values = fields(line)
    if len(values) not in (2, 3):
        raise LineError(f"{line!r}: {len(values)} fields")
    reference = _number(values[2], "reference", 255) if len(values) == 3 else None
    return SdsSent(
        _number(values[0], "instance", 255), _number(values[1], "status", 255), reference
    )


def parse_registration(line: str) -> Registration:
    """`+CREG: <stat>[,…]`. Raises LineError."""
    try:
        return Registration(_number(fields(line)[0], "stat"))
    except ValueError as error:
        raise LineError(str(error)) from error


def parse_signal(line: str) -> int | None:
    """dBm of `+CSQ: <n>,…`; None unknown. Raises LineError."""
    level = _number(fields(line)[0], "level")
    return None if level == 99 else -113 + 2 * level


def parse_call(line: str) -> CallLine:
    """Any line of voice calls. Raises LineError."""
    kind = line.partition(":")[0].lstrip("+")
    values = fields(line)
    instance = _number(values[0], "instance", 65535)
    value = _number(values[1], "value", 255) if len(values) > 1 and values[1] else 0
    if kind == "CTICN":
        padded = values + [""] * (13 - len(values))
        priority = padded[12] or (padded[-1] if len(values) > 10 else "")
        return CallLine(
            kind,
            instance,
            value,
            _identity(padded[4]),
            _identity(padded[11]) if len(values) > 11 else "",
            _number(priority, "priority", 15) if priority and priority.isdecimal() else 0,
        )
    if kind == "CTXG":
        return CallLine(kind, instance, value, _identity(values[-1]) if len(values) > 5 else "")
    return CallLine(kind, instance, value)


def _identity(text: str) -> str:
    return ssi_of(text) if text else ""


def cme_words(code: int | None) -> str:
    """What a `+CME ERROR` says (section 13)."""
    return "" if code is None else CME.get(code, f"reserved {code}")


CME: Final = {
    0: "could not send over the air",
    1: "no reliable communication with the TE",
    2: "PEI link in use",
    3: "not in this state",
    4: "not supported",
    5: "PIN needed",
    20: "message stack full",
    24: "status text too long",
    25: "status text invalid characters",
    26: "dial string over 25 digits",
    27: "dial string invalid characters",
    30: "out of service",
    31: "no layer-2 acknowledgement from the network",
    32: "user data decoding failed",
    33: "parameter of wrong type",
    34: "parameter out of range",
    35: "syntax error or data without command",
    36: "user data without AT+CMGS",
    37: "time-out waiting for user data",
    38: "protocol id already registered",
    39: "registration table full",
    40: "not while in DMO",
    41: "transmit inhibit",
    42: "signalling in progress, try again",
    43: "not while in V+D",
    44: "unknown parameters handled",
}

DISCONNECT: Final = {
    0: "unknown",
    1: "user request",
    2: "called party busy",
    3: "not reachable",
    4: "does not support encryption",
    5: "congestion",
    6: "not allowed traffic",
    7: "incompatible traffic",
    8: "service not available",
    9: "pre-emption",
    10: "invalid call identifier",
    11: "called party rejection",
    12: "no idle call entity",
    13: "timer expiry",
    14: "network disconnect",
    15: "no acknowledgement",
    16: "unknown identity",
    17: "supplementary service",
    18: "unknown external number",
    19: "call restoration failed",
    20: "called party requires encryption",
    21: "concurrent set-up not supported",
    22: "called party under the same DM gate",
    31: "unacceptable service offered",
    32: "pre-emption by late entering gateway",
    33: "link to DM repeater failed",
    34: "link to gateway failed",
    35: "rejected by gateway",
    36: "V+D set-up failure",
    37: "V+D resource lost or call timer expired",
    38: "transmit authorisation lost",
    39: "channel occupied by others",
    40: "security mismatch",
}
"""Causes of `+CTCR` (11.1)."""
