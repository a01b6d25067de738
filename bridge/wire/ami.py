"""Asterisk Manager Interface on the wire: bytes to messages, actions to bytes.

Decides framing, the reading of headers and what may be written. No socket, no clock, no log.
A message is decoded as a whole and only when a header is asked for: most events concern nobody.
Limits of Asterisk 22 measured on 22.10.1 (`main/manager.c`, `inbuf[1025]`, AST_MAX_MANHEADERS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

MAX_MESSAGE: Final = 4 * 1024 * 1024
"""Bytes of one incoming message; the longest real ones (CLI answers) are far below."""

MAX_LINE: Final = 1022
"""Bytes of an outgoing line without CR LF. The rest of a longer one is read as a new action."""

MAX_HEADERS: Final = 128
"""Lines of one outgoing action, `Action` and `ActionID` among them."""

MAX_BANNER: Final = 128

_END: Final = b"\r\n\r\n"
_BANNER: Final = b"Asterisk Call Manager/"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

Pair = tuple[str, str]
HeaderValue = str | Sequence[str]


class AmiProtocolError(Exception):
    """The peer does not speak AMI as Asterisk does: the connection must be given up."""


class AmiInjectionError(ValueError):
    """Our own action cannot be written safely. `header` names the place. Nothing was sent."""

    def __init__(self, header: str, reason: str) -> None:
        super().__init__(f"AMI header {header!r}: {reason}")
        self.header = header
        self.reason = reason


class Message:
    """One event or response. Headers are found whatever their case; values are outside text.

    `name` is the event's name, or `""` for a response. Of a repeated header `get` gives the first
    with the spelling asked for; `getall` gives all. Bytes that are not UTF-8 become U+FFFD.
    """

    __slots__ = ("_folded", "_raw", "_table", "name")

    name: str
    _table: dict[str, str] | None
    _folded: dict[str, str] | None

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._table = None
        if raw.startswith(b"Event: "):
            end = raw.find(b"\r\n", 7)
            self.name = (raw[7:end] if end > 0 else raw[7:]).decode("utf-8", "replace")
        elif raw.startswith(b"Response: "):
            self.name = ""
        else:
            self.name = self.get("Event")

    @classmethod
    def of(cls, headers: Mapping[str, str] | Iterable[Pair]) -> Message:
        """A message with these headers, as if received (simulations, tests)."""
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        return cls("\r\n".join(f"{key}: {value}" for key, value in pairs).encode())

    def get(self, key: str, default: str = "") -> str:
        """The header's value, `default` where it is missing."""
        table = self._table
        if table is None:
            table = self._parse()
        value = table.get(key)
        if value is not None:
            return value
        if self._folded is None:
            self._folded = {name.lower(): value for name, value in reversed(self.items())}
        return self._folded.get(key.lower(), default)

    def getall(self, key: str) -> list[str]:
        """Every value of the header, in the order received."""
        wanted = key.lower()
        near = [line for line in self._lines() if line[: len(wanted)].lower() == wanted]
        return [value for name, value in map(_pair, near) if name.lower() == wanted]

    def items(self) -> list[Pair]:
        """All headers in the order received, repeated ones too."""
        return [_pair(line) for line in self._lines() if line]

    def assignments(self, key: str) -> dict[str, str]:
        """`NAME=value` of every such header, e.g. `Variable` of `Status`, `DestChanVariable`."""
        found: dict[str, str] = {}
        for text in self.getall(key):
            name, _, value = text.partition("=")
            found[name] = value
        return found

    @property
    def variables(self) -> dict[str, str]:
        """Channel variables of the event: `ChanVariable`, from `channelvars=` of manager.conf."""
        if b"ChanVariable: " not in self._raw:
            return {}
        return self.assignments("ChanVariable")

    def _lines(self) -> list[str]:
        return self._raw.decode("utf-8", "replace").split("\r\n")

    def _parse(self) -> dict[str, str]:
        table: dict[str, str] = {}
        for line in reversed(self._lines()):  # of equal names the first is to stay
            name, mark, value = line.partition(": ")
            if mark:
                table[name] = value
            elif line:
                name, value = _pair(line)
                table[name] = value
        self._folded = None
        self._table = table
        return table

    def __contains__(self, key: str) -> bool:
        return bool(self.getall(key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        return (
            f"Message({self.name or 'Response ' + self.get('Response')!r}, {len(self._raw)} bytes)"
        )


def _pair(line: str) -> Pair:
    name, mark, value = line.partition(": ")
    if not mark:
        name, _, value = line.partition(":")
    return name, value


class Decoder:
    """Cuts the byte stream of one connection into messages; keeps what is not complete yet.

    `version` is the protocol version of the banner line, None before it came.
    """

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.version: str | None = None
        self._max = max_message
        self._tail = (
            bytearray()
        )  # never holds a whole end mark: only its last 3 bytes are looked at again

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete.

        Raises AmiProtocolError for a message above the limit or a peer without AMI banner.
        """
        if self.version is None:
            data = self._take_banner(data)
        tail = self._tail
        if tail:
            seen = max(0, len(tail) - 3)
            tail += data
            if tail.find(_END, seen) < 0:
                self._check_tail()
                return []
            data = bytes(tail)
            tail.clear()
        blocks = data.split(_END)
        tail += blocks.pop()
        self._check_tail()
        if len(data) > self._max and any(len(block) > self._max for block in blocks):
            raise AmiProtocolError(f"a message of more than {self._max} bytes")
        return [Message(block) for block in blocks if block]

    def _check_tail(self) -> None:
        if len(self._tail) > self._max + 3:  # up to 3 bytes of it may be the begun end mark
            raise AmiProtocolError(f"no end of message in {len(self._tail)} bytes")

    def _take_banner(self, data: bytes) -> bytes:
        self._tail += data
        line, found, rest = bytes(self._tail).partition(b"\r\n")
        start = line[: len(_BANNER)]
        if not _BANNER.startswith(start) or len(line) > MAX_BANNER:
            raise AmiProtocolError(f"first line {line[:40]!r} is not Asterisk's AMI banner")
        if not found:
            return b""
        if start != _BANNER:
            raise AmiProtocolError(f"first line {line[:40]!r} is not Asterisk's AMI banner")
        self._tail.clear()
        self.version = line[len(_BANNER) :].decode("ascii", "replace").strip()
        return rest


def encode_action(name: str, headers: Mapping[str, HeaderValue], action_id: str) -> bytes:
    """The bytes of one action. A value that is a sequence becomes one line for each of its items.

    Raises AmiInjectionError, naming the header: control characters are refused, never stripped
    (guard rule 18, S2), as is whatever Asterisk would cut, join or take for another header.
    """
    lines = [_line("Action", name), _line("ActionID", action_id)]
    seen = {"action", "actionid"}
    for header, value in headers.items():
        if header.lower() in seen:
            raise AmiInjectionError(header, "given twice (give a sequence to repeat a header)")
        seen.add(header.lower())
        values = (value,) if isinstance(value, str) else value
        lines.extend(_line(header, item) for item in values)
    if len(lines) > MAX_HEADERS:
        raise AmiInjectionError(name, f"{len(lines)} lines, Asterisk takes {MAX_HEADERS}")
    return b"\r\n".join(lines) + _END


def _line(header: str, value: str) -> bytes:
    if not _NAME.fullmatch(header):
        raise AmiInjectionError(header, "is not a header name (letters, digits, - and _)")
    found = _CONTROL.search(value)
    if found:
        raise AmiInjectionError(header, f"control character U+{ord(found[0]):04X} in the value")
    try:
        line = f"{header}: {value}".encode()
    except UnicodeEncodeError as error:
        raise AmiInjectionError(header, f"cannot be written as UTF-8: {error.reason}") from error
    if len(line) > MAX_LINE:
        raise AmiInjectionError(header, f"line of {len(line)} bytes, Asterisk takes {MAX_LINE}")
    return line
