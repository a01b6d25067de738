"""Words by which a person makes an emulated device misbehave: one line a command.

coverage off|on             busy N              full on|off        silent on|off
restart                     pull [SECONDS]      lose SHARE         garble SHARE
set NUMBER off|on|short|doubled|reordered|stored|fail HEX
text NUMBER WORDS           status NUMBER VALUE call NUMBER [GROUP]
squelch open|closed
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from hardware.rig.air import Air
from hardware.rig.line_box import LineBox
from hardware.rig.map27_unit import Map27Unit
from hardware.rig.pei_terminal import PeiTerminal
from hardware.rig.pty import PtyEnd
from hardware.rig.sms_modem import SmsModemRig

Device = PeiTerminal | Map27Unit | SmsModemRig | LineBox


class ScriptError(ValueError):
    """The line is no command for this device; the text says which there are."""


@dataclass
class Script:
    """Carries out lines on one device; `pty` and `air` are None for the line box."""

    device: Device
    pty: PtyEnd | None = None
    air: Air | None = None

    def line(self, text: str) -> None:
        """One command. Raises ScriptError."""
        words = text.split()
        if not words or words[0].startswith("#"):
            return
        name, rest = words[0], words[1:]
        acts: dict[str, Callable[[list[str]], None]] = {
            "coverage": self._coverage,
            "busy": self._busy,
            "full": self._full,
            "silent": self._silent,
            "restart": self._restart,
            "pull": self._pull,
            "lose": self._spoil,
            "garble": self._spoil,
            "set": self._set,
            "text": self._text,
            "status": self._status,
            "call": self._call,
            "squelch": self._squelch,
        }
        if name not in acts:
            raise ScriptError(f"{name}: 未知命令 / unknown, there are {', '.join(acts)}")
        try:
            acts[name](words if name in ("lose", "garble") else rest)
        except (IndexError, ValueError, AttributeError) as error:
            raise ScriptError(f"{text!r}: 不适用 / does not fit this device ({error})") from error

    def _coverage(self, rest: list[str]) -> None:
        there = _on(rest)
        if isinstance(self.device, PeiTerminal):
            self.device.set_coverage(there)
        elif isinstance(self.device, Map27Unit):
            self.device.set_contact(there)
        elif isinstance(self.device, SmsModemRig):
            self.device.ways.network = there
        else:
            raise ScriptError("coverage")

    def _busy(self, rest: list[str]) -> None:
        if not isinstance(self.device, PeiTerminal):
            raise ScriptError("busy")
        self.device.ways.busy = int(rest[0])

    def _full(self, rest: list[str]) -> None:
        if isinstance(self.device, PeiTerminal):
            self.device.ways.queue_full = _on(rest)
        elif isinstance(self.device, SmsModemRig):
            self.device.ways.full = _on(rest)
        elif isinstance(self.device, Map27Unit):
            self.device.ways.cause = 0x0B if _on(rest) else None
        else:
            raise ScriptError("full")

    def _silent(self, rest: list[str]) -> None:
        if isinstance(self.device, PeiTerminal):
            self.device.ways.silent = _on(rest)
        elif isinstance(self.device, Map27Unit):
            self.device.ways.dumb = _on(rest)
        elif isinstance(self.device, SmsModemRig):
            self.device.ways.mute_after_payload = _on(rest)
        else:
            raise ScriptError("silent")

    def _restart(self, _: list[str]) -> None:
        if isinstance(self.device, LineBox):
            self.device.cut()
        else:
            self.device.restart()

    def _pull(self, rest: list[str]) -> None:
        if self.pty is None:
            raise ScriptError("pull")
        self.pty.pull()
        if rest:
            asyncio.get_running_loop().call_later(float(rest[0]), self.pty.plug)

    def _spoil(self, words: list[str]) -> None:
        if self.pty is None:
            raise ScriptError(words[0])
        for faults in (self.pty.faults_in, self.pty.faults_out):
            setattr(faults, words[0], min(1.0, max(0.0, float(words[1]))))

    def _set(self, rest: list[str]) -> None:
        if self.air is None:
            raise ScriptError("set")
        there = self.air.of(rest[0])
        if rest[1] in ("on", "off"):
            there.on = rest[1] == "on"
        elif rest[1] == "fail":
            there.failure = int(rest[2], 16)
        elif rest[1] in ("short", "doubled", "reordered", "stored"):
            setattr(there, rest[1], True)
        else:
            raise ScriptError(rest[1])

    def _text(self, rest: list[str]) -> None:
        if isinstance(self.device, LineBox):
            raise ScriptError("text")
        self.device.text_from(rest[0], " ".join(rest[1:]))

    def _status(self, rest: list[str]) -> None:
        if not isinstance(self.device, PeiTerminal | Map27Unit):
            raise ScriptError("status")
        self.device.status_from(rest[0], int(rest[1], 0))

    def _call(self, rest: list[str]) -> None:
        if isinstance(self.device, PeiTerminal):
            self.device.call_from(rest[0], rest[1] if len(rest) > 1 else "1000")
        elif isinstance(self.device, Map27Unit):
            self.device.call_from(rest[0])
        else:
            raise ScriptError("call")

    def _squelch(self, rest: list[str]) -> None:
        if not isinstance(self.device, LineBox):
            raise ScriptError("squelch")
        self.device.set_squelch(rest[0] == "open")


def _on(rest: list[str]) -> bool:
    if rest[0] not in ("on", "off"):
        raise ValueError("on or off")
    return rest[0] == "on"
