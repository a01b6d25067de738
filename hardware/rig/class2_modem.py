"""A Class 2 / 2.0 fax modem and a telephone line with a fax machine at its far end, emulated.

For hardware that nobody can install. Its judge is not our driver alone: efax, HylaFAX and mgetty
drive it too (`make test-hardware`). `Quirks` are habits of real firmware. No clock inside: `feed`
and `tick` are told the time, `take` gives what the modem says, `deadline` when it wants a tick.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from hardware.fax.bits import REVERSED
from hardware.fax.class2_dialect import CLASS_2, CLASS_20, EOP, MPS, PAGE_MARKS, Dialect
from hardware.fax.hdlc import DLE, DLE_ETX, shield

Far = Literal["fax", "busy", "no answer", "no dial tone", "voice", "blocked"]
DIAL_SECONDS: Final = 1.0
TRAIN_SECONDS: Final = 0.5
STATUS_SECONDS: Final = 0.5
RING_SECONDS: Final = 5.0
MAX_PAGE: Final = 8 << 20
MAX_LINE: Final = 512
_MARKS: Final = {mark[1]: end for end, mark in PAGE_MARKS.items()}
_BASIC: Final = re.compile(r"([&\\%*]?[A-Z])(\d*)")
_FAX: Final = re.compile(r"\+([A-Z0-9]+)(\?|=\?|=[^;]*)?;?")
_REGISTER: Final = re.compile(r"S(\d+)(\?|=(\d+))")
_RANGES: Final = {
    "FDCC": "(0,1),(0-5),(0),(0-2),(0,1),(0),(0),(0-7)",
    "FCC": "(0,1),(0-5),(0),(0-2),(0,1),(0),(0),(0-7)",
    "FCQ": "(0-2)", "FBOR": "(0-3)", "FBO": "(0-3)", "FNR": "(0,1),(0,1),(0,1),(0,1)",
}  # fmt: skip
_KNOWN: Final = frozenset(
    {
        *("FCLASS", "FMFR", "FMDL", "FREV", "FMI", "FMM", "FMR", "FDCC", "FCC", "FDIS", "FIS"),
        *("FLID", "FLI", "FCR", "FTBC", "FBOR", "FBO", "FPHCTO", "FCT", "FCQ", "FLO", "FPP"),
        *("FNR", "FIE", "FBUG", "FBU", "FREL", "FEA", "FIP", "FAXERR", "FMINSP", "FMS", "FAA"),
        *("FSP", "FPS", "FPTS"),
    }
)


@dataclass(slots=True)
class Quirks:
    """What the firmware does differently from its standard."""

    no_xon: bool = False
    """Class 2 without XON after CONNECT."""
    trigger: int | None = None
    """What a received page waits for, instead of DC1 (Class 2) and DC2 (2.0)."""
    reversed_receive: bool = False
    """Received pages come most significant bit first."""
    junk_lines: bool = False
    """Lines that nobody knows between report and result code."""
    ok_before_status: bool = False
    """OK first, then +FPTS."""
    no_status: bool = False
    """No +FPTS after EOP, only +FHNG:0."""
    no_carrier: bool = False
    """NO CARRIER where +FHNG belongs, when a call fails."""
    echo_stuck: bool = False
    """ATE0 is answered by OK and forgotten."""
    spaces: bool = False
    """A blank after the colon of a report."""
    quick_ok: bool = False
    """OK to page data at once, not when the last bit has left."""


@dataclass(slots=True)
class FarMachine:
    """The fax machine at the other end of the line."""

    kind: Far = "fax"
    identity: str = "057188888888"
    fine: bool = True
    max_bps: int = 14400
    statuses: list[int] = field(default_factory=list)
    """Its answers to pages: 1 MCF, 2 RTN, 3 RTP, 4 PIN, 5 PIP; MCF when the list is empty."""
    hang_up_at: dict[str, int] = field(default_factory=dict)
    """`train`, `page` or `status`: it ends the call there, with this +FHNG code; once."""
    documents: list[bytes] = field(default_factory=list)
    """Pages that it sends when it calls, MH, bit first sent = LSB."""
    received: list[bytes] = field(default_factory=list)
    """Pages that it has confirmed."""
    refused: list[bytes] = field(default_factory=list)


class Class2Modem:
    """The modem. `number` is what was dialled last."""

    def __init__(self, far: FarMachine, quirks: Quirks | None = None, *, pace: float = 1.0) -> None:
        self.far = far
        self.quirks = quirks or Quirks()
        self.number = ""
        self.commands: list[str] = []
        """Every command line, for tests."""
        self.overruled: list[int] = []
        self._pace = pace
        self._now = 0.0
        self._out = bytearray()
        self._plans: list[tuple[float, Callable[[], None]]] = []
        self._line = bytearray()
        self._mode = self._command_octets
        self._reset()
        self._connected = False
        self._ringing = False
        self._page = bytearray()
        self._escaped = False
        self._page_began = 0.0
        self._next_document = 0
        self._last_status = 1

    def _reset(self) -> None:
        self._echo = True
        self._class = "0"
        self._values: dict[str, str] = {"FDCC": "1,5,0,2,0,0,0,0", "FCC": "1,5,0,2,0,0,0,0"}
        self._registers: dict[int, int] = {0: 0, 7: 60}

    # Towards the host

    @property
    def deadline(self) -> float | None:
        """When `tick` is due; None for never."""
        return min((at for at, _ in self._plans), default=None)

    def take(self) -> bytes:
        """What the modem has said since it was asked last."""
        said = bytes(self._out)
        self._out.clear()
        return said

    def feed(self, data: bytes, now: float) -> None:
        """Octets from the host."""
        self.tick(now)
        while data:
            data = self._mode(data)

    def tick(self, now: float) -> None:
        """Time has passed."""
        self._now = max(self._now, now)
        while (
            due := min((p for p in self._plans if p[0] <= now), default=None, key=_at)
        ) is not None:
            self._plans.remove(due)
            due[1]()

    def ring(self, now: float) -> None:
        """The far machine calls; the line rings until it is answered."""
        self.tick(now)
        self._ringing = True
        self._ring()

    def _ring(self) -> None:
        if self._ringing:
            self._say("RING")
            self._later(RING_SECONDS, self._ring)

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        self._plans.append((self._now + seconds * self._pace, do))

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._out += f"\r\n{line}\r\n".encode("ascii", "replace")

    def _report(self, name: str, value: str | None = None) -> None:
        blank = " " if self.quirks.spaces else ""
        self._say(f"+{name}" if value is None else f"+{name}:{blank}{value}")
        if self.quirks.junk_lines:
            self._say("+FZZZ:1", "LINK UP")

    @property
    def _dialect(self) -> Dialect:
        return CLASS_2 if self._class == "2" else CLASS_20

    def _reported(self, position: int) -> bool:
        """Whether Class 2.0 was told to report this (+FNR); Class 2 always does."""
        if self._class == "2":
            return True
        wanted = self._values.get("FNR", "0,0,0,0").split(",")
        return position < len(wanted) and wanted[position].strip() == "1"

    # Commands

    def _command_octets(self, data: bytes) -> bytes:
        for at, octet in enumerate(data):
            if self._echo:
                self._out.append(octet)
            if octet == 0x0D:
                line = bytes(self._line).decode("ascii", "replace").strip().upper()
                self._line.clear()
                if line.startswith("AT"):
                    self._command(line[2:])
                    return data[at + 1 :]
            elif octet >= 0x20 and len(self._line) < MAX_LINE:
                self._line.append(octet)
        return b""

    def _command(self, line: str) -> None:
        self.commands.append(line)
        rest = line.replace(" ", "") if '"' not in line else line
        while rest:
            if rest[0] == "D":
                self._dial(rest[1:])
                return
            if (found := _FAX.match(rest)) is not None:
                if not self._fax_command(found[1], found[2] or ""):
                    return
            elif (found := _REGISTER.match(rest)) is not None:
                self._register(int(found[1]), found[3])
            elif (found := _BASIC.match(rest)) is not None:
                if not self._basic(found[1], found[2]):
                    return
            else:
                self._say("ERROR")
                return
            rest = rest[found.end() :]
        self._say("OK")

    def _basic(self, name: str, value: str) -> bool:
        """A command of V.250; False when its answer is given, or comes later."""
        if name == "A":
            self._answer()
            return False
        if name == "H":
            self._end_call()
        elif name == "Z" or name == "&F":
            self._end_call()
            self._reset()
        elif name == "E":
            self._echo = value == "1" or self.quirks.echo_stuck
        elif name == "I":
            self._say("BRIDGE110 RIG CLASS 2 MODEM")
        return True

    def _register(self, number: int, value: str | None) -> None:
        if value is None:
            self._say(f"{self._registers.get(number, 0):03d}")
        else:
            self._registers[number] = int(value) % 256

    def _fax_command(self, name: str, rest: str) -> bool:
        """A +F command; False when its answer is given, or comes later."""
        actions = {"FDT": self._send_page, "FDR": self._receive_page, "FK": self._kill,
                   "FKS": self._kill}  # fmt: skip
        if name in actions:
            actions[name]()
            return False
        if name == "FET" and rest.startswith("=") and rest[1:].isdigit():
            self._post_page(int(rest[1:]))
            return False
        if name not in _KNOWN:
            self._say("ERROR")
            return False
        if rest == "=?":
            self._say("0,2,2.0" if name == "FCLASS" else _RANGES.get(name, "(0-255)"))
        elif rest == "?":
            self._say(self._value(name))
        elif rest.startswith("="):
            return self._set(name, rest[1:])
        return True

    def _value(self, name: str) -> str:
        fixed = {
            "FCLASS": self._class,
            **dict.fromkeys(("FMFR", "FMI"), "BRIDGE110"),
            **dict.fromkeys(("FMDL", "FMM"), "RIG"),
            **dict.fromkeys(("FREV", "FMR"), "1.0"),
            "FPS": str(self._last_status),
        }
        if name in ("FDIS", "FIS"):
            name = {"FDIS": "FDCC", "FIS": "FCC"}[name]
        return fixed.get(name, self._values.get(name, "0"))

    def _set(self, name: str, value: str) -> bool:
        if name == "FCLASS":
            if value not in ("0", "2", "2.0"):
                self._say("ERROR")
                return False
            self._class = value
        elif name in ("FPTS", "FPS"):
            self.overruled.append(int(value[:1] or 0))
        elif name in ("FDCC", "FCC", "FDIS", "FIS"):
            key = self._dialect.capabilities
            old = self._values[key].split(",")
            new = value.split(",")
            self._values[key] = ",".join(
                n or o for n, o in zip(new + [""] * (8 - len(new)), old, strict=False)
            )
        else:
            self._values[name] = value
        return True

    # Calls

    def _dial(self, number: str) -> None:
        self.number = re.sub(r"^[TP]", "", number)
        answers: dict[Far, tuple[float, Callable[[], None]]] = {
            "fax": (DIAL_SECONDS, self._connect),
            "busy": (DIAL_SECONDS, lambda: self._say("BUSY")),
            "no dial tone": (0.1, lambda: self._say("NO DIALTONE")),
            "blocked": (0.1, lambda: self._say("DELAYED 00:05:00")),
            "no answer": (30.0, lambda: self._fail(4)),
            "voice": (30.0, lambda: self._fail(11)),
        }
        self._later(*answers[self.far.kind])

    def _connect(self) -> None:
        self._connected = True
        names = self._dialect
        self._report(names.connected)
        if self._reported(2):
            self._report(names.called_id, f'"{self.far.identity:>20}"')
        if self._reported(0):
            self._report(names.far_abilities, self._abilities())
        self._say("OK")

    def _abilities(self) -> str:
        return f"{int(self.far.fine)},{self.far.max_bps // 2400 - 1},0,2,0,0,0,0"

    def _chosen(self) -> str:
        """What both can do."""
        mine = [int(v or 0) for v in self._values[self._dialect.capabilities].split(",")]
        theirs = [int(v) for v in self._abilities().split(",")]
        return ",".join(str(min(pair)) for pair in zip(mine, theirs, strict=False))

    def _fail(self, code: int) -> None:
        """The call ends with this hang-up code."""
        self._connected = False
        if self.quirks.no_carrier:
            self._say("NO CARRIER")
            return
        shown = f"{code:02X}" if self._dialect is CLASS_20 else str(code)
        self._report(self._dialect.hung_up, shown)
        self._say("OK")

    def _end_call(self) -> None:
        self._connected = self._ringing = False
        self._plans.clear()
        self._mode = self._command_octets

    def _kill(self) -> None:
        was_connected = self._connected
        self._end_call()
        if was_connected:
            self._fail(2)
        else:
            self._say("OK")

    def _hangs_up(self, where: str) -> bool:
        code = self.far.hang_up_at.pop(where, None)
        if code is None:
            return False
        self._mode = self._command_octets
        self._later(STATUS_SECONDS, lambda: self._fail(code))
        return True

    # The host sends a page

    def _send_page(self) -> None:
        if not self._connected:
            self._say("ERROR")
        elif not self._hangs_up("train"):
            self._later(TRAIN_SECONDS, self._page_may_come)

    def _page_may_come(self) -> None:
        if self._reported(1):
            self._report(self._dialect.settings, self._chosen())
        self._say("CONNECT")
        if self._class == "2" and not self.quirks.no_xon:
            self._out.append(0x11)
        self._page.clear()
        self._escaped = False
        self._page_began = self._now
        self._mode = self._page_octets

    def _page_octets(self, data: bytes) -> bytes:
        """Octets of the page; 18h among them is data."""
        for at, octet in enumerate(data):
            if self._escaped:
                self._escaped = False
                if octet == DLE:
                    self._page.append(octet)
                elif octet == 0x18:
                    self._mode = self._command_octets
                    self._fail(2)
                    return data[at + 1 :]
                elif octet == DLE_ETX[1] or (octet in _MARKS and self._class != "2"):
                    self._mode = self._command_octets
                    self._page_ended(_MARKS.get(octet))
                    return data[at + 1 :]
            elif octet == DLE:
                self._escaped = True
            elif len(self._page) < MAX_PAGE:
                self._page.append(octet)
        return b""

    def _page_ended(self, end: int | None) -> None:
        if self._hangs_up("page"):
            return
        bps = (int(self._chosen().split(",")[1]) + 1) * 2400
        line_time = len(self._page) * 8 / bps * self._pace
        left = 0.0 if self.quirks.quick_ok else max(0.0, self._page_began + line_time - self._now)
        done = (lambda: self._say("OK")) if end is None else (lambda: self._post_page(end))
        self._plans.append((self._now + left, done))

    def _post_page(self, end: int) -> None:
        if not self._connected:
            self._say("ERROR")
        elif not self._hangs_up("status"):
            self._later(STATUS_SECONDS, lambda: self._status(end))

    def _status(self, end: int) -> None:
        self._last_status = status = self.far.statuses.pop(0) if self.far.statuses else 1
        good = status % 2 == 1
        (self.far.received if good else self.far.refused).append(bytes(self._page))
        ended = (end == EOP and good) or status in (4, 5)
        if self._class == "2":
            silent = self.quirks.no_status and end == EOP
            if self.quirks.ok_before_status:
                self._say("OK")
            if not silent:
                self._report("FPTS", f"{status}")
            if ended:
                self._connected = False
                self._report("FHNG", "0" if good else "58")
            if not self.quirks.ok_before_status:
                self._say("OK")
            return
        if ended:
            self._connected = False
            self._report("FHS", "00" if good else "3A")
        self._say("OK" if good else "ERROR")

    # The far machine sends pages

    def _answer(self) -> None:
        if not self._ringing:
            self._later(DIAL_SECONDS, lambda: self._fail(11))
            return
        self._ringing = False
        self._plans.clear()
        self._later(DIAL_SECONDS, self._answered)

    def _answered(self) -> None:
        self._connected = True
        self._next_document = 0
        names = self._dialect
        self._report(names.connected)
        if self._reported(2):
            self._report(names.sender_id, f'"{self.far.identity:>20}"')
        if self._reported(1):
            self._report(names.settings, self._chosen())
        self._say("OK")

    def _receive_page(self) -> None:
        if not self._connected:
            self._say("ERROR")
        elif self._hangs_up("train"):
            return
        elif self._next_document >= len(self.far.documents):
            self._later(STATUS_SECONDS, lambda: self._fail(0))
        else:
            self._later(TRAIN_SECONDS, self._page_offered)

    def _page_offered(self) -> None:
        self._say("CONNECT")
        self._mode = self._trigger_octets

    def _trigger_octets(self, data: bytes) -> bytes:
        usual = 0x11 if self._class == "2" else 0x12
        wanted = usual if self.quirks.trigger is None else self.quirks.trigger
        at = data.find(bytes((wanted,)))
        if at < 0:
            return b""
        self._mode = self._command_octets
        page = self.far.documents[self._next_document]
        self._next_document += 1
        shown = page.translate(REVERSED) if self.quirks.reversed_receive else page
        self._out += shield(shown)
        if self._hangs_up("page"):
            return data[at + 1 :]
        self._out += DLE_ETX
        last = self._next_document == len(self.far.documents)
        name = "FPTS" if self._class == "2" else "FPS"
        self._report(name, "1,1143,0,0")
        self._report("FET", str(EOP if last else MPS))
        self._say("OK")
        return data[at + 1 :]


def _at(plan: tuple[float, Callable[[], None]]) -> float:
    return plan[0]
