"""SIP messages (RFC 3261) of the laboratory's telephones: read, written, answered. Pure.

Bytes that are not UTF-8 survive a round trip (surrogate escapes), so that a robot can send the
display names of broken networks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

VERSION: Final = "SIP/2.0"
MAGIC: Final = "z9hG4bK"
"""Every branch begins so (RFC 3261, section 8.1.1.7)."""
MAX_HEADERS: Final = 200
"""More than any telephone sends; a datagram holds no message longer than 65 kB anyway."""
ALLOW: Final = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY"

_COMPACT: Final = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
    "k": "supported",
    "o": "event",
    "s": "subject",
}
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?")
_REQUEST_LINE: Final = re.compile(r"([A-Z]+) (\S+) SIP/2\.0")
_Q850: Final = re.compile(r"Q\.850\s*;.*?cause\s*=\s*(\d{1,3})", re.IGNORECASE)
REASONS: Final = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    603: "Decline",
}


class SipError(ValueError):
    """The other side sent something that is not SIP."""


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in the order they came; names are compared without case, compact or not."""

    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str = "") -> str:
        """The first field called `name`."""
        return next(iter(self.all(name)), default)

    def all(self, name: str) -> list[str]:
        """Every field called `name`, in order."""
        wanted = _plain(name)
        return [value for own, value in self.fields if _plain(own) == wanted]

    def __getitem__(self, name: str) -> str:
        """The first field called `name`. Raises KeyError when there is none."""
        for value in self.all(name):
            return value
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A request or a response."""

    start: str
    headers: Headers
    body: bytes = field(default=b"")

    @property
    def status(self) -> int:
        """Status of a response, 0 for a request."""
        match = _STATUS_LINE.fullmatch(self.start)
        return int(match[1]) if match else 0

    @property
    def reason(self) -> str:
        """Reason phrase of a response, empty for a request."""
        match = _STATUS_LINE.fullmatch(self.start)
        return (match[2] or "") if match else ""

    @property
    def method(self) -> str:
        """The request's method; for a response that of the request it answers."""
        match = _REQUEST_LINE.fullmatch(self.start)
        return match[1] if match else self.cseq[1]

    @property
    def uri(self) -> str:
        """Request-URI, empty for a response."""
        match = _REQUEST_LINE.fullmatch(self.start)
        return match[2] if match else ""

    @property
    def cseq(self) -> tuple[int, str]:
        number, _, method = self.headers["CSeq"].partition(" ")
        return int(number), method.strip()

    @property
    def call_id(self) -> str:
        return self.headers["Call-ID"]

    @property
    def branch(self) -> str:
        """Of the topmost Via: names the transaction."""
        return parameter(self.headers["Via"], "branch")

    @property
    def from_tag(self) -> str:
        return parameter(self.headers["From"], "tag")

    @property
    def to_tag(self) -> str:
        return parameter(self.headers["To"], "tag")

    @property
    def q850(self) -> int | None:
        """Cause of the Reason field (RFC 3326), if one is there."""
        for value in self.headers.all("Reason"):
            if match := _Q850.search(value):
                return int(match[1])
        return None


def parse(data: bytes) -> SipMessage:
    """One datagram. Raises SipError, saying what is wrong, when it is no SIP message."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise SipError("no empty line after the header fields")
    start, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    if not (_STATUS_LINE.fullmatch(start) or _REQUEST_LINE.fullmatch(start)):
        raise SipError(f"neither request nor status line: {start[:60]!r}")
    if len(lines) > MAX_HEADERS:
        raise SipError(f"{len(lines)} header fields, at most {MAX_HEADERS}")
    headers = Headers(tuple(_fields(lines)))
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        if name not in headers:
            raise SipError(f"no {name}")
    if not re.fullmatch(r"\d{1,10} +[A-Z]+", headers["CSeq"]):
        raise SipError(f"CSeq {headers['CSeq'][:40]!r}")
    length = headers.get("Content-Length", str(len(body)))
    if not (length.isascii() and length.isdigit() and int(length) <= len(body)):
        raise SipError(f"Content-Length {length[:20]!r}, but {len(body)} bytes came")
    return SipMessage(start, headers, body[: int(length)])


def _fields(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and value of each line, folded lines (RFC 3261, section 7.3.1) joined."""
    joined: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and joined:
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
    for line in joined:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise SipError(f"not a header field: {line[:60]!r}")
        yield name.strip(), value.strip()


def serialise(message: SipMessage) -> bytes:
    """As bytes, with the right Content-Length. Raises ValueError for a line break in a field."""
    fields = [(n, v) for n, v in message.headers if _plain(n) != "content-length"]
    fields.append(("Content-Length", str(len(message.body))))
    for name, value in (("start line", message.start), *fields):
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"{name}: a line break would add header fields")
    head = "\r\n".join([message.start, *(f"{name}: {value}" for name, value in fields)])
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + message.body


def request(
    method: str, uri: str, fields: Iterable[tuple[str, str]], body: bytes = b""
) -> SipMessage:
    """A request with these header fields; Max-Forwards and, for a body, its type are added."""
    more = [("Max-Forwards", "70")]
    if body:
        more.append(("Content-Type", "application/sdp"))
    own = Headers(tuple(fields))
    kept = tuple(pair for pair in more if pair[0] not in own)
    return SipMessage(f"{method} {uri} {VERSION}", Headers(own.fields + kept), body)


def response(
    to: SipMessage,
    status: int,
    tag: str = "",
    fields: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> SipMessage:
    """The answer to request `to`; `tag` becomes our tag unless the request has one already."""
    known = to.headers["To"]
    if tag and not to.to_tag:
        known += f";tag={tag}"
    base = [("Via", via) for via in to.headers.all("Via")]
    base += [("Record-Route", route) for route in to.headers.all("Record-Route")]
    base += [("From", to.headers["From"]), ("To", known)]
    base += [("Call-ID", to.call_id), ("CSeq", to.headers["CSeq"])]
    if body:
        base.append(("Content-Type", "application/sdp"))
    start = f"{VERSION} {status} {REASONS.get(status, 'Status')}"
    return SipMessage(start, Headers((*base, *fields)), body)


def parameter(value: str, name: str) -> str:
    """Parameter `name` of a header field's value, behind the address; empty when it is absent."""
    outside = value.rpartition(">")[2] if ">" in value else value
    match = re.search(rf";\s*{re.escape(name)}\s*=\s*\"?([^;,\s\"]+)", outside, re.IGNORECASE)
    return match[1] if match else ""


def address(value: str) -> str:
    """The URI in a From, To, Contact or P-Asserted-Identity field."""
    match = re.search(r"<([^>]*)>", value)
    return match[1] if match else value.split(";")[0].strip()


def user_part(value: str) -> str:
    """The number or name in an address: `138` of `"x" <sip:138@host>;tag=1`."""
    match = re.match(r"sips?:([^@;>]*)@", address(value))
    return match[1] if match else ""


def name_address(uri: str, display: bytes = b"") -> str:
    """`uri` in brackets behind a quoted display name, whatever bytes that is made of."""
    if not display:
        return f"<{uri}>"
    shown = display.decode("utf-8", "surrogateescape").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}" <{uri}>'


def _plain(name: str) -> str:
    lower = name.lower()
    return _COMPACT.get(lower, lower)
