"""The AT dialogue with a terminal or modem, pure: bytes and moments in, bytes and events out.

Decides framing, which line answers which command, two-line results, the data phase, time-outs and
how to find back after garbage. No port, no clock: the caller passes monotonic seconds and calls
`tick` when `deadline` has come. Shared by TETRA PEI, SMS and fax modems (ITU-T V.250, 3GPP TS
27.007/27.005, ETSI EN 300 392-5). Only one command is outstanding at a time (PEI sheet, 3).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from hardware.at_lines import MAX_LINE, OVERLONG, Framer, fields
from hardware.at_values import (
    HEX,
    PRINTABLE,
    Answer,
    AtBusy,
    AtDialect,
    AtError,
    AtInjection,
    Broken,
    Command,
    Dead,
    Echo,
    End,
    Noise,
    Output,
    Raw,
    TwoLines,
    Unsolicited,
    Write,
    check_text,
)

__all__ = [
    "HEX",
    "MAX_LINE",
    "OVERLONG",
    "Answer",
    "AtBusy",
    "AtDialect",
    "AtDialogue",
    "AtError",
    "AtInjection",
    "Broken",
    "Command",
    "Dead",
    "Echo",
    "End",
    "Framer",
    "Noise",
    "Output",
    "Raw",
    "TwoLines",
    "Unsolicited",
    "Write",
    "fields",
]

MAX_LINES: Final = 2000
"""Lines of one answer: a full list of talk groups."""
CTRL_Z: Final = b"\x1a"
_ERROR: Final = re.compile(r"\+(CME|CMS) ERROR: ?(.*)")
_FINALS: Final = {
    "OK": "ok",
    "ERROR": "error",
    "NO CARRIER": "no-carrier",
    "BUSY": "busy",
    "NO DIALTONE": "no-dialtone",
    "NO DIAL TONE": "no-dialtone",
    "NO ANSWER": "no-answer",
}


class _S(StrEnum):
    IDLE = "idle"
    PROMPT = "prompt"
    GAP = "gap"
    RESULT = "result"
    RESYNC = "resync"
    QUIET = "quiet"
    RAW = "raw"


class AtDialogue:
    """One line to one device. `deadline` is when `tick` wants to be called, None for never."""

    def __init__(self, dialect: AtDialect) -> None:
        self._dialect = dialect
        self._framer = Framer()
        self._unsolicited = [
            (prefix, None if kind is None else re.compile(kind.second))
            for prefix, kind in dialect.unsolicited.items()
        ]
        self._state = _S.IDLE
        self._until: float | None = None
        self._command: Command | None = None
        self._direct: tuple[re.Pattern[str], ...] = ()
        self._lines: list[str] = []
        self._echo: list[str] = []
        self._sent_payload = False
        self._head: tuple[str, re.Pattern[str], float] | None = None
        self._tries = 0
        self._drop_lf = False

    @property
    def ready(self) -> bool:
        """A command may be started."""
        return self._state is _S.IDLE

    @property
    def state(self) -> str:
        """For people and tests: idle, prompt, gap, result, resync, quiet or raw."""
        return str(self._state)

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which `tick` is due."""
        times = [t for t in (self._until, self._head[2] if self._head else None) if t is not None]
        return min(times, default=None)

    def start(self, command: Command, now: float) -> list[Output]:
        """Begin a command. Raises AtBusy, or AtInjection for a character that is no plain text."""
        if self._state is not _S.IDLE:
            raise AtBusy(f"{self._state}: 上一命令未完成 / a command is outstanding")
        check_text(command.text)
        if command.payload is not None:
            check_text(command.payload)
        self._command = command
        self._direct = tuple(re.compile(pattern) for pattern in command.direct)
        self._lines = []
        self._sent_payload = False
        self._echo = [command.text]
        line = command.text.encode() + self._dialect.end
        self._until = now + command.timeout_s
        if command.payload is None:
            self._state = _S.RESULT
            return [Write(line)]
        self._echo.append(command.payload)
        if self._dialect.prompt:
            self._state = _S.PROMPT
            self._framer.prompt = True
            return [Write(line)]
        if self._dialect.gap_s > 0:
            self._state = _S.GAP
            self._until = now + self._dialect.gap_s
            return [Write(line)]
        self._state = _S.RESULT
        self._sent_payload = True
        return [Write(line + command.payload.encode() + CTRL_Z)]

    def feed(self, data: bytes, now: float) -> list[Output]:
        """What these bytes mean."""
        if self._state is _S.RAW:
            return self._stream(data)
        out: list[Output] = []
        self._framer.add(data)
        while (line := self._framer.next()) is not None:
            if self._state is _S.QUIET:
                self._until = now + self._dialect.quiet_s
            self._judge(line, now, out)
            if self._became_raw():
                self._drop_lf = self._framer.wants_lf
                return out + self._stream(self._framer.take_rest())
        return out

    def _became_raw(self) -> bool:
        return self._state is _S.RAW

    def _stream(self, data: bytes) -> list[Output]:
        if data and self._drop_lf:
            self._drop_lf = False
            data = data.removeprefix(b"\n")
        return [Raw(data)] if data else []

    def _judge(self, raw: bytes, now: float, out: list[Output]) -> None:
        try:
            line = raw.decode("ascii").strip(" ")
        except UnicodeDecodeError:
            out.append(Noise(raw))
            return
        if line == ">" and raw == b"> ":
            self._prompted(now, out)
            return
        line = line.removeprefix("> ")
        if not line or not PRINTABLE.fullmatch(line):
            out.append(Noise(raw))
            return
        if self._head is not None and self._second(line, out):
            return
        if line in self._echo:
            self._echo.remove(line)
            out.append(Echo(line))
            return
        if self._state in (_S.RESYNC, _S.QUIET):
            self._while_lost(line, now, out)
            return
        command = self._command
        if command is not None:
            if self._final(command, line, now, out):
                return
            if any(pattern.fullmatch(line) for pattern in self._direct):
                self._keep(line)
                return
        if self._begins_unsolicited(line, now, out):
            return
        if command is not None and command.free:
            self._keep(line)
            return
        out.append(Noise(raw))

    def _keep(self, line: str) -> None:
        if len(self._lines) < MAX_LINES:
            self._lines.append(line)

    def _second(self, line: str, out: list[Output]) -> bool:
        """Was the line the second half of a result that waits?"""
        assert self._head is not None
        head, pattern, _ = self._head
        self._head = None
        if pattern.fullmatch(line):
            out.append(Unsolicited(head, line))
            return True
        out.append(Broken(head))
        return False

    def _begins_unsolicited(self, line: str, now: float, out: list[Output]) -> bool:
        for prefix, second in self._unsolicited:
            if line.startswith(prefix):
                if second is None:
                    out.append(Unsolicited(line))
                else:
                    self._head = (line, second, now + self._dialect.second_line_s)
                return True
        return False

    def _final(self, command: Command, line: str, now: float, out: list[Output]) -> bool:
        if line in command.finals or ("CONNECT" in command.finals and line.startswith("CONNECT ")):
            self._finish(End.OTHER, line, None, out)
            if command.raw:
                self._state = _S.RAW
            return True
        if line in _FINALS:
            kind = _FINALS[line]
            end = {"ok": End.OK, "error": End.ERROR}.get(kind, End.OTHER)
            self._finish(end, line, None, out)
            return True
        error = _ERROR.fullmatch(line)
        if error is not None:
            code = int(error[2]) if error[2].isdecimal() and len(error[2]) < 6 else None
            self._finish(End.ERROR, line, code, out)
            return True
        return False

    def _finish(self, end: End, final: str, code: int | None, out: list[Output]) -> None:
        command, self._command = self._command, None
        assert command is not None
        self._state = _S.IDLE
        self._until = None
        self._framer.prompt = False
        self._echo = []
        out.append(Answer(command, end, final, code, tuple(self._lines), self._sent_payload))
        self._lines = []

    def _prompted(self, now: float, out: list[Output]) -> None:
        command = self._command
        if self._state is not _S.PROMPT or command is None or command.payload is None:
            return
        self._framer.prompt = False
        self._state = _S.RESULT
        self._sent_payload = True
        self._until = now + command.timeout_s
        out.append(Write(command.payload.encode() + CTRL_Z))

    def tick(self, now: float) -> list[Output]:
        """What is due at `now`."""
        out: list[Output] = []
        if self._head is not None and now >= self._head[2]:
            out.append(Broken(self._head[0]))
            self._head = None
        if self._until is None or now < self._until:
            return out
        if self._state is _S.GAP:
            command = self._command
            assert command is not None
            assert command.payload is not None
            self._state = _S.RESULT
            self._sent_payload = True
            self._until = now + command.timeout_s
            out.append(Write(command.payload.encode() + CTRL_Z))
        elif self._state in (_S.PROMPT, _S.RESULT):
            self._finish(End.TIMEOUT, "", None, out)
            out += self.find_back(now)
        elif self._state is _S.RESYNC:
            self._tries += 1
            if self._tries >= self._dialect.resync_tries:
                self._state, self._until = _S.IDLE, None
                out.append(Dead())
            else:
                self._until = now + self._dialect.resync_s
                out.append(Write(self._dialect.resync))
        elif self._state is _S.QUIET:
            self._state, self._until = _S.IDLE, None
        return out

    def find_back(self, now: float) -> list[Output]:
        """Start the search for the device: late answers are dropped until a probe is answered."""
        out: list[Output] = []
        if self._command is not None:
            self._finish(End.LOST, "", None, out)
        self._command = None
        self._framer.take_rest()
        self._framer.prompt = False
        self._state = _S.RESYNC
        self._tries = 0
        self._echo = ["AT"]
        self._until = now + self._dialect.resync_s
        out.append(Write(self._dialect.resync))
        return out

    def _while_lost(self, line: str, now: float, out: list[Output]) -> None:
        if self._state is _S.RESYNC and line == "OK":
            self._state = _S.QUIET
            self._until = now + self._dialect.quiet_s
        else:
            self._begins_unsolicited(line, now, out)

    def end_raw(self) -> None:
        """The stream is over: lines again."""
        if self._state is _S.RAW:
            self._state = _S.IDLE

    def lost(self) -> list[Output]:
        """The port was lost: an outstanding command has an unknown end; all is empty again."""
        out: list[Output] = []
        if self._command is not None:
            self._finish(End.LOST, "", None, out)
        self._state, self._until, self._command, self._head = _S.IDLE, None, None, None
        self._framer.take_rest()
        self._framer.prompt = False
        return out
