"""The command side of the emulated Class 2 / 2.0 modem: lines in, answers and reports out. What a
call does is its subclass's. No clock inside.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from hardware.fax.class2_dialect import CLASS_2, CLASS_20, Dialect
from hardware.rig.class2_far import Quirks

MAX_LINE: Final = 512
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


class Class2Front(ABC):
    """Takes command lines; `commands` is every one of them, for tests."""

    def __init__(self, quirks: Quirks, pace: float) -> None:
        self.quirks = quirks
        self.commands: list[str] = []
        self.overruled: list[int] = []
        """Page results that the host has set (+FPTS=, +FPS=)."""
        self._pace = pace
        self._now = 0.0
        self._out = bytearray()
        self._plans: list[tuple[float, Callable[[], None]]] = []
        self._line = bytearray()
        self._mode = self._command_octets
        self._last_status = 1
        self._reset()

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

    # What a call does

    @abstractmethod
    def _dial(self, number: str) -> None: ...

    @abstractmethod
    def _answer(self) -> None: ...

    @abstractmethod
    def _end_call(self) -> None: ...

    @abstractmethod
    def _kill(self) -> None: ...

    @abstractmethod
    def _send_page(self) -> None: ...

    @abstractmethod
    def _receive_page(self) -> None: ...

    @abstractmethod
    def _post_page(self, end: int) -> None: ...


def _at(plan: tuple[float, Callable[[], None]]) -> float:
    return plan[0]
