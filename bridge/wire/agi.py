"""AGI: what Asterisk says to a FastAGI server, and what may be said back. Pure.

Asterisk opens the connection, sends an environment block (`agi_name: value` lines, then an empty
line) and then answers one command at a time. Lines end with a bare LF. Measured behaviour and the
defects this guards against: libraries sheet, section 1, F1-F10; source: Asterisk 22 `res_agi.c`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

END_OF_ENVIRONMENT: Final = b"\n\n"
MAX_ENVIRONMENT_BYTES: Final = 64 * 1024
"""A real block is about 700 bytes; names and arguments from outside may make it grow."""
MAX_ANSWER_BYTES: Final = 16 * 1024
"""An answer of one line with a variable in it, or the longest usage text (about 3 KiB)."""
MAX_COMMAND_BYTES: Final = 2047
"""`AGI_BUF_LEN` of res_agi.c is 2048 in the oldest source read; longer lines are cut in two."""

_HEADER = re.compile(r"(agi_[a-z0-9_]{1,60}):(?: (.*))?", re.DOTALL)
_ANSWER = re.compile(
    r"(?P<code>[1-9]\d\d) result=(?P<result>[^\s(]*)(?: \((?P<value>.*)\))?"
    r"(?: endpos=(?P<endpos>\d{1,18}))?(?: results=.*)?\s*"
)
_PLAIN = re.compile(r"(?P<code>[1-9]\d\d)(?: (?P<text>.*))?")


class AgiPeerError(Exception):
    """The other side broke the protocol. The connection is of no further use."""


class AgiCommandError(ValueError):
    """We were asked to send something that cannot be sent safely."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one command."""

    code: int
    """200 done, 510 unknown command, 511 not on a dead channel, 520 wrong arguments."""
    result: str = ""
    value: str = ""
    """What stood in parentheses: the text of a variable, or `dtmf`. Never a verdict by itself."""
    timed_out: bool = False
    endpos: int | None = None
    """Samples played, where Asterisk tells it."""
    text: str = ""
    """The words of a 510, 511 or 520, with the usage of a 520 that has several lines."""

    @property
    def digit(self) -> str:
        """The key, of commands whose result is an ASCII code; empty when none was pressed."""
        code = int(self.result) if re.fullmatch(r"[1-9]\d?", self.result) else 0
        return chr(code) if chr(code) in "0123456789*#ABCD" and code else ""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The `HANGUP` line: the channel is gone. It is not an answer and takes no answer's place."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the dialplan asked for: `agi://host/accept?case=1.2&nonce=…`, cut up."""

    path: str
    """Without slashes at its ends, so `/accept` and `accept` are the same."""
    query: Mapping[str, str]


def parse_environment(block: bytes) -> dict[str, str]:
    """The headers of one block, with or without its empty line at the end.

    Bytes that are not UTF-8 (a caller's name in GBK) are replaced, never refused: the call goes on.
    Raises AgiPeerError on a line that is no header and on a header sent twice: a line break in a
    value from outside could otherwise rewrite the request.
    """
    if len(block) > MAX_ENVIRONMENT_BYTES:
        raise AgiPeerError(f"environment of {len(block)} bytes, at most {MAX_ENVIRONMENT_BYTES}")
    headers: dict[str, str] = {}
    for number, line in enumerate(block.decode("utf-8", "replace").rstrip("\n").split("\n"), 1):
        match = _HEADER.fullmatch(line.removesuffix("\r"))
        if match is None:
            raise AgiPeerError(f"environment line {number} is no 'agi_name: value': {line[:60]!r}")
        name, value = match.group(1), match.group(2) or ""
        if name in headers:
            raise AgiPeerError(f"environment line {number} repeats {name}")
        headers[name] = value
    return headers


def parse_target(headers: Mapping[str, str]) -> Target:
    """The path and query of the request. Raises AgiPeerError when there is none, or a key twice."""
    script = headers.get("agi_network_script")
    if script is None:
        raise AgiPeerError("no agi_network_script: this is not a FastAGI request")
    # agi_network_script comes without scheme and host; a leading '//' would be read as a host.
    parts = urlsplit("/" + script.lstrip("/"))
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=16)
    except ValueError as error:
        raise AgiPeerError(f"request query: {error}") from error
    if len(dict(pairs)) != len(pairs):
        raise AgiPeerError("request query gives a key twice")
    return Target(parts.path.strip("/"), dict(pairs))


class AnswerDecoder:
    """Cuts the bytes after the environment into answers and hang-ups. Keeps what is incomplete."""

    def __init__(self) -> None:
        self._buffer = b""
        self._usage: list[str] = []
        self._usage_size = 0

    def feed(self, data: bytes) -> list[Answer | Hangup]:
        """What is complete now. Raises AgiPeerError; nothing may be fed afterwards."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > MAX_ANSWER_BYTES:
            raise AgiPeerError(f"answer without end after {len(self._buffer)} bytes")
        found = (self._line(line.decode("utf-8", "replace").removesuffix("\r")) for line in lines)
        return [item for item in found if item is not None]

    def _line(self, line: str) -> Answer | Hangup | None:
        if self._usage:
            return self._usage_line(line)
        if line == "HANGUP":
            return Hangup()
        if line.startswith("520-"):
            self._usage, self._usage_size = [line.removeprefix("520-")], len(line)
            return None
        answer = _parse_answer(line)
        return None if answer.code == 100 else answer  # "100 Trying": the answer is still to come

    def _usage_line(self, line: str) -> Answer | Hangup | None:
        if line == "HANGUP":  # may stand between the lines of a usage text
            return Hangup()
        if not line.startswith("520 "):
            self._usage.append(line)
            self._usage_size += len(line) + 1
            if self._usage_size > MAX_ANSWER_BYTES:
                raise AgiPeerError("usage text without '520 End'")
            return None
        text, self._usage = "\n".join(self._usage), []
        return Answer(520, text=text)


def _parse_answer(line: str) -> Answer:
    match = _ANSWER.fullmatch(line)
    if match is not None:
        return Answer(
            int(match["code"]),
            match["result"],
            match["value"] or "",
            match["value"] == "timeout",
            int(match["endpos"]) if match["endpos"] else None,
        )
    plain = _PLAIN.fullmatch(line)
    # A 200 without a whole result is a value with a line break in it: what follows would be taken
    # for the next answer, so nothing on this connection can be believed any more.
    if plain is None or plain["code"] == "200":
        raise AgiPeerError(f"not an AGI answer: {line[:60]!r}")
    return Answer(int(plain["code"]), text=plain["text"] or "")


def encode_command(*arguments: str) -> bytes:
    """One command line, each argument quoted so that Asterisk reads it back exactly as given.

    The words of the command's name are arguments like the others: `encode_command("SAY", "DIGITS",
    "110", "")`. Raises AgiCommandError for CR, LF, NUL (nothing is stripped) and for lines that
    Asterisk would cut.
    """
    if not arguments or not arguments[0]:
        raise AgiCommandError("a command needs a name")
    for argument in arguments:
        if any(sign in argument for sign in "\r\n\0"):
            raise AgiCommandError(f"argument of {arguments[0]} holds CR, LF or NUL")
    try:
        line = " ".join(map(_quote, arguments)).encode() + b"\n"
    except UnicodeEncodeError as error:
        raise AgiCommandError(f"argument of {arguments[0]} is no valid text: {error}") from error
    if len(line) > MAX_COMMAND_BYTES:
        raise AgiCommandError(f"{arguments[0]}: {len(line)} bytes, at most {MAX_COMMAND_BYTES}")
    return line


def _quote(argument: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_/-]+", argument):
        return argument
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'
