"""What goes into and comes out of an AT dialogue, as plain values; `hardware.at` moves them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

HEX: Final = r"[0-9A-Fa-f]*"
PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")


class AtError(Exception):
    """A mistake of ours in using the dialogue. Nothing was sent."""


class AtInjection(AtError, ValueError):
    """A command or payload with a character that would end it or begin another."""


class AtBusy(AtError):
    """A command is outstanding, or the line is being found again."""


@dataclass(frozen=True, slots=True)
class TwoLines:
    """An unsolicited result whose second line has no prefix; `second` is what that must look like.

    A line that does not fit breaks the pair and is judged by itself."""

    second: str = HEX


@dataclass(frozen=True, slots=True, kw_only=True)
class AtDialect:
    """How a kind of device speaks; data, not code.

    `unsolicited` gives the prefixes of lines that may come at any time. `end` closes a command,
    `gap_s` waits between command and payload where no prompt comes, `resync` is written to find
    back (each probe must end by OK) and `quiet_s` is the silence that ends the search.
    """

    unsolicited: Mapping[str, TwoLines | None] = field(default_factory=dict)
    end: bytes = b"\r"
    prompt: bool = False
    gap_s: float = 0.0
    second_line_s: float = 2.0
    resync: bytes = b"\x1b\rAT\r"
    resync_s: float = 2.0
    resync_tries: int = 5
    quiet_s: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command. `direct` are patterns of the lines that belong to its answer; `free` takes any
    line that is not known otherwise. `payload` is written in the data phase and closed by Ctrl-Z.
    `finals` are further words that end it, e.g. `CONNECT`; with `raw` such an end turns the line
    into a stream until `end_raw`."""

    text: str
    payload: str | None = None
    direct: tuple[str, ...] = ()
    free: bool = False
    finals: tuple[str, ...] = ()
    raw: bool = False
    timeout_s: float = 5.0


class End(StrEnum):
    """How a command ended."""

    OK = "ok"
    ERROR = "error"
    OTHER = "other"
    """A final of the command's own, or one of a call: the words are in `final`."""
    TIMEOUT = "timeout"
    """No final came: what happened is unknown."""
    LOST = "lost"
    """The line was lost or reset in the middle."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a command: its own lines and the final one. `code` is the number of a CME or CMS
    error. `sent_payload`: the data phase was reached, so the device may have acted."""

    command: Command
    end: End
    final: str = ""
    code: int | None = None
    lines: tuple[str, ...] = ()
    sent_payload: bool = False


@dataclass(frozen=True, slots=True)
class Unsolicited:
    """Something the device said by itself; `second` for results of two lines."""

    line: str
    second: str | None = None


@dataclass(frozen=True, slots=True)
class Echo:
    """The device sent a line of ours back. Where echo was switched off, it has restarted."""

    line: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A two-line result whose second line did not come."""

    line: str


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that are no line of this dialogue (wrong bit rate, another device, cross-talk)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to put on the line now."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes of the stream after a `raw` command."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Dead:
    """The device did not answer any probe: the next one goes out when a command is wanted."""


Output = Answer | Unsolicited | Echo | Broken | Noise | Write | Raw | Dead


def check_text(text: str) -> None:
    """Refuse what would end a command or begin another. Raises AtInjection."""
    if not PRINTABLE.fullmatch(text):
        bad = next(c for c in text if not PRINTABLE.fullmatch(c))
        raise AtInjection(f"U+{ord(bad):04X} 不得进入 AT 命令 / must not enter an AT command")
