"""A TETRA terminal as its PEI shows it (PEI sheet, section 15): strict where real ones are, and as
faulty as the script says. Works on bytes; a pty or a test carries them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hardware.radio import lip, sds
from hardware.radio.lip import Position
from hardware.radio.pei_lines import is_ssi
from hardware.rig.air import Air, Set

CTRL_Z: Final = 0x1A
ESC: Final = 0x1B
MAX_BUFFER: Final = 8192
_SETTINGS: Final = ("CTSDC", "CLVL", "CTOM", "CSCS", "CNUMS")
_FIXED: Final = {
    "+GMI?": "+GMI: BRIDGE110",
    "+GMM?": "+GMM: rig,pei,1",
    "+GMR?": "+GMR: 1",
    "+CBC?": "+CBC: 0,80",
    "+CTOM?": "+CTOM: 0",
    "+CMGS=?": "+CMGS: (0-16777215),(8-2047)",
}


@dataclass(slots=True)
class Behaviour:
    """How the terminal itself behaves. Times are seconds.

    `busy` counts commands that are answered by +CME ERROR 42; `stack` messages may wait (error
    20 above); `silent` answers nothing; `space` is the blank after a colon.
    """

    ssi: str = "9001"
    coverage: bool = True
    busy: int = 0
    silent: bool = False
    queue_full: bool = False
    answer_s: float = 0.0
    sent_s: float = 0.01
    payload_s: float = 5.0
    max_bits: int = 2047
    space: str = " "
    odd_hex: bool = False
    chatter: bool = False
    doubled: int = 1
    boot_line: str = ""


class PeiTerminal:
    """`write` carries bytes to the TE. Everything happens on the running loop."""

    def __init__(self, write: Callable[[bytes], None], air: Air, ways: Behaviour) -> None:
        self._write = write
        self.air = air
        self.ways = ways
        self.sent: list[tuple[str, bytes]] = []
        """Every message that the terminal took for the air: (address, octets)."""
        self.log: list[str] = []
        """Every command line."""
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()
        self._buffer = bytearray()
        self._echo = True
        self._services: set[str] = set()
        self._kind = "12"
        self._waiting: tuple[str, int] | None = None
        self._payload_timer: asyncio.TimerHandle | None = None
        self._number = 0
        self._group = "0"
        self._call: int | None = None

    # lines

    def feed(self, data: bytes) -> None:
        """Bytes from the TE."""
        if self.ways.silent:
            return
        if self._echo:
            self._write(data)
        for byte in data:
            self._byte(byte)

    def _byte(self, byte: int) -> None:
        if byte == CTRL_Z:
            line = self._take()
            self._payload(line)
        elif byte == ESC:
            self._take()
            self._end_payload()
        elif byte in (13, 10):
            line = self._take()
            if line and self._waiting is None:
                self._line(line)
            elif line:
                self._buffer += line.encode()  # a payload may be broken over lines
        elif len(self._buffer) < MAX_BUFFER:
            self._buffer.append(byte)

    def _take(self) -> str:
        line = bytes(self._buffer).decode("latin-1").strip()
        self._buffer.clear()
        return line

    def say(self, *lines: str) -> None:
        """Lines to the TE, framed."""
        for line in lines:
            if self.ways.space != " ":
                line = re.sub(r"^(\+\w+:) ", r"\1" + self.ways.space, line)
            self._write(f"\r\n{line}\r\n".encode())

    def _answer(self, *lines: str) -> None:
        if self.ways.chatter:
            self.say("+CTXG: 9,3,0,0")
        self._later(self.ways.answer_s, lambda: self.say(*lines))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds <= 0:
            act()
            return

        def due() -> None:
            self._timers.discard(handle)
            act()

        handle = self._loop.call_later(seconds, due)
        self._timers.add(handle)

    # commands

    def _line(self, line: str) -> None:
        if not line.upper().startswith("AT"):
            self._error(36) if re.fullmatch(r"[0-9A-Fa-f]{4,}", line) else self._answer("ERROR")
            return
        self.log.append(line)
        command = line[2:].upper()
        if self.ways.busy > 0 and command.startswith(("+CMGS=", "D", "+CTXD", "+CTSDS")):
            self.ways.busy -= 1
            self._error(42)
        elif command in _FIXED:
            self._answer(_FIXED[command], "OK")
        elif command in ("", "Z", "A"):
            self._answer("OK")
        elif command in ("E0", "E1"):
            self._echo = command == "E1"
            self._answer("OK")
        elif command == "H":
            self._answer("OK")
            self._end_call(1)
        elif command.startswith("D"):
            self._dial(command[1:])
        else:
            self._extended(command)

    def _extended(self, command: str) -> None:
        name, sign, value = command.lstrip("+").partition("=")
        if command == "+CREG?":
            self._answer(self._creg(), "OK")
        elif command == "+CSQ?":
            self._answer("+CSQ: 20,99" if self.ways.coverage else "+CSQ: 99,99", "OK")
        elif command == "+CNUMF?":
            self._answer(f"+CNUMF: 0,{self.ways.ssi}", "OK")
        elif command == "+CTGS?":
            self._answer(f"+CTGS: 1,{self._group}", "OK")
        elif name == "CTSP" and sign:
            if value in self._services:
                self._error(38)
            else:
                self._services.add(value)
                self._answer("OK")
        elif name == "CTSDS" and sign:
            self._kind = value.split(",")[0]
            self._answer("OK")
        elif name == "CTGS" and sign:
            self._group = value.split(",")[-1]
            self._answer("OK", f"+CTGS: 1,{self._group}")
        elif name == "CMGS" and sign:
            self._begin_message(value)
        elif name == "CTXD" and sign:
            self._demand(value)
        elif name == "CUTXC" and sign:
            self._answer("OK")
            self._later(0.01, lambda: self.say(f"+CDTXC: {value},0"))
        elif name in _SETTINGS and sign:
            self._answer("OK")
        else:
            self._error(4)

    def _error(self, code: int) -> None:
        self._answer(f"+CME ERROR: {code}")

    def _creg(self) -> str:
        return f"+CREG: {1 if self.ways.coverage else 2},1,90109999"

    # messages

    def _begin_message(self, value: str) -> None:
        address, _, bits = value.partition(",")
        address = address.lstrip("0") or "0"
        if not is_ssi(address) or not bits.isdecimal():
            self._error(33)
        elif int(bits) > self.ways.max_bits:
            self._error(34)
        else:
            self._waiting = (address, int(bits))
            self._payload_timer = self._loop.call_later(self.ways.payload_s, self._no_payload)

    def _no_payload(self) -> None:
        self._end_payload()
        self._error(37)

    def _end_payload(self) -> None:
        self._waiting = None
        if self._payload_timer is not None:
            self._payload_timer.cancel()
            self._payload_timer = None

    def _payload(self, digits: str) -> None:
        waiting = self._waiting
        self._end_payload()
        if waiting is None:
            self._error(36)
            return
        address, bits = waiting
        if not re.fullmatch(r"[0-9A-Fa-f]*", digits) or not 0 <= len(digits) * 4 - bits < 8:
            self._error(32)
        elif not self.ways.coverage:
            self._error(30)
        elif self.ways.queue_full:
            self._error(20)
        else:
            pdu = bytes.fromhex(digits + "0" * (len(digits) % 2))
            self.sent.append((address, pdu))
            kind = self._kind
            self._answer("+CMGS: 0", "OK")
            self._number = (self._number + 1) % 256
            number = self._number
            self._later(
                self.ways.answer_s + self.ways.sent_s,
                lambda: self._on_air(address, pdu, kind, number),
            )

    def _on_air(self, address: str, pdu: bytes, kind: str, number: int) -> None:
        self.say(f"+CMGS: 0,4,{number}")
        there = self.air.of(address)
        if kind == "13":
            if there.on:
                self.air.hear(address, pdu)
            return
        self._at_set(address, there, sds.decode(pdu), pdu)

    def _at_set(self, address: str, there: Set, message: sds.Pdu, pdu: bytes) -> None:
        """What the addressed set does with a message."""
        if not isinstance(message, sds.Transfer):
            if there.on:
                self.air.hear(address, pdu)
            return
        if there.failure is not None:
            self._later(
                there.delay_s, lambda: self._report(address, there, message, there.failure or 0)
            )
            return
        if not there.on:
            if there.stored:
                self._later(there.delay_s, lambda: self._report(address, there, message, 0x22))
            return
        self.air.hear(address, pdu)
        steps: list[int] = []
        if there.received and message.want & sds.Want.RECEIVED:
            steps.append(0)
        if there.consumed and message.want & sds.Want.CONSUMED:
            steps.append(2)
        if there.reordered:
            steps.reverse()
        if there.doubled:
            steps = [step for step in steps for _ in range(2)]
        at = there.delay_s
        for step in steps:
            self._later(at, lambda step=step: self._report(address, there, message, step))  # type: ignore[misc]
            at += there.read_s
        if _is_last(message):
            self._later(at + there.reply_s, lambda: self._reply(address, there))

    def _reply(self, address: str, there: Set) -> None:
        if there.reply_status is not None:
            self.status_from(address, there.reply_status)
        if there.reply_text is not None:
            self.text_from(address, there.reply_text)

    def _report(self, address: str, there: Set, message: sds.Transfer, status: int) -> None:
        if there.short and status in (0, 2):
            kind = sds.Short.CONSUMED if status else sds.Short.RECEIVED
            value = sds.encode_short_report(kind, message.reference)
            self._deliver(address, "13", value.to_bytes(2, "big"), "1,2,20")
            return
        report = sds.Report(message.protocol, status, message.reference)
        self._deliver(address, "12", sds.encode(report), f"1,3,{message.protocol}")

    def _deliver(self, source: str, service: str, data: bytes, needs: str) -> None:
        """An incoming message; nothing reaches a TE that did not register for it."""
        wide = {"1,3,24"} if needs.startswith("1,3,") and data[0] < 128 else {"1,3,25"}
        wanted = {needs, needs.replace("1,", "2,", 1)} | (wide if service == "12" else set())
        if not wanted & self._services:
            return
        digits = data.hex().upper()
        if self.ways.odd_hex and digits.endswith("0"):
            digits = digits[:-1]
        bits = len(data) * 8
        for _ in range(self.ways.doubled):
            self.say(f"+CTSDSR: {service},{source},0,{self.ways.ssi},0,{bits}", digits)

    # scripts: what happens in the field

    def text_from(self, source: str, text: str, *, want: sds.Want = sds.Want.RECEIVED) -> None:
        """A user writes to us; long texts in parts."""
        self.air.say(source, text.encode())
        pieces = sds.pieces(text, 668)
        first = self._number
        references = [(first + n) % 256 for n in range(1, len(pieces) + 1)]
        self._number = references[-1]
        for transfer in sds.transfers(pieces, references, want=want):
            self._deliver(source, "12", sds.encode(transfer), f"1,3,{transfer.protocol}")

    def status_from(self, source: str, value: int) -> None:
        """A user presses a status key; 0 is the emergency button."""
        self.air.say(source, value.to_bytes(2, "big"))
        self._deliver(source, "13", value.to_bytes(2, "big"), "1,2,20")

    def location_from(self, source: str, position: Position) -> None:
        """A set tells where it is."""
        self._deliver(source, "12", lip.encode_short(position), "1,3,10")

    def set_coverage(self, there: bool) -> None:
        """The terminal loses or finds its network; it says so."""
        self.ways.coverage = there
        self.say(self._creg())

    def restart(self) -> None:
        """Power cycle: registrations, service and the message in work are lost, echo is on."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._end_payload()
        self._buffer.clear()
        self._services.clear()
        self._kind = "12"
        self._echo = True
        self._call = None
        if self.ways.boot_line:
            self.say(self.ways.boot_line)

    # calls

    def _dial(self, number: str) -> None:
        if not self.ways.coverage:
            self._error(30)
            return
        self._call = 1
        self._answer("OK", "+CTOCP: 1,0,0,1,0")
        there = self.air.of(number.strip(";"))
        self._later(0.01, lambda: self._connected() if there.on else self._end_call(3))

    def _connected(self) -> None:
        if self._call is not None:
            self.say("+CTCC: 1,1,1,0,0,1,1", "+CTXG: 1,0,0,0")

    def _demand(self, value: str) -> None:
        if self._call is None:
            self._error(3)
            return
        instance = value.split(",")[0]
        self._answer("OK")
        self._later(0.01, lambda: self._granted(instance))

    def _granted(self, instance: str) -> None:
        if self._call is not None:
            self.say(f"+CTXG: {instance},0,0,0")

    def _end_call(self, cause: int) -> None:
        if self._call is not None:
            self._call = None
            self.say(f"+CTCR: 1,{cause}")

    def call_from(self, source: str, group: str, priority: int = 0) -> None:
        """A group call of `source`; it talks at once."""
        self._call = 1
        self.say(
            f"+CTICN: 1,0,0,0,{source},1,1,0,1,1,0,{group},{priority}",
            "+CTCC: 1,1,1,0,0,1,1",
            f"+CTXG: 1,3,0,0,0,{source}",
        )

    def close(self) -> None:
        """Nothing happens any more."""
        for timer in self._timers:
            timer.cancel()
        self._end_payload()


def _is_last(message: sds.Transfer) -> bool:
    """The whole text is there: its user reads and answers now."""
    text = sds.text_of(message)
    return text is None or text.part is None or text.part.number == text.part.total
