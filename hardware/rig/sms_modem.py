"""A GSM modem as its serial port shows it (SMS sheet, section 4), for our driver and for gammu."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hardware.radio import sms_pdu
from hardware.radio.sms_pdu import Deliver, SmsError, StatusReport, Submit
from hardware.rig.air import Air

_FIXED: Final = {
    "+CGMI": "bridge110",
    "+CGMM": "rig",
    "+CGMR": "1",
    "+GMI": "bridge110",
    "+GMM": "rig",
    "+GMR": "1",
    "+CGSN": "350000000000006",
    "+CIMI": "460000000000001",
    "+CPIN?": "+CPIN: READY",
    "+CSQ": "+CSQ: 20,0",
    "+CSCA?": '+CSCA: "+8613800100500",145',
    "+COPS?": '+COPS: 0,2,"46000"',
    "+CSCS?": '+CSCS: "GSM"',
    "+CSCS=?": '+CSCS: ("GSM","UCS2","HEX")',
    "+CPMS=?": '+CPMS: ("SM","ME"),("SM","ME"),("SM","ME")',
    "+CNMI=?": "+CNMI: (0-2),(0-3),(0-2),(0-2),(0,1)",
    "+CSMS?": "+CSMS: 0,1,1,1",
    "+CMGF?": "+CMGF: 0",
    "+CFUN?": "+CFUN: 1",
    "+CGATT?": "+CGATT: 1",
}
_TAKEN: Final = re.compile(
    r"\+(CMEE|CMGF|CNMI|CFUN|CSCS|CSCA|CSMS|CSMP|CREG|CGREG|CEREG|CLIP|CRC|CVHU|COPS|CMMS)=.*|"
    r"Z|&F.*|V1|Q0|E[01]|\^CURC=.*|H"
)
CAPACITY: Final = 30


@dataclass(slots=True)
class Ways:
    """How modem and network behave. `error` is a +CMS ERROR for each submission; `report` says
    whether delivery reports come; times are seconds."""

    network: bool = True
    error: int | None = None
    report: bool = True
    full: bool = False
    answer_s: float = 0.0
    submit_s: float = 0.02
    report_s: float = 0.02
    mute_after_payload: bool = False
    pin: str = "READY"


class SmsModemRig:
    """`write` carries bytes to the computer. `sent` are the submissions the network took."""

    def __init__(
        self, write: Callable[[bytes], None], air: Air, now: Callable[[], datetime], ways: Ways
    ) -> None:
        self._write = write
        self.air = air
        self._now = now
        self.ways = ways
        self.sent: list[Submit] = []
        self.log: list[str] = []
        self.stored: dict[int, str] = {}
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()
        self._buffer = bytearray()
        self._echo = True
        self._length: int | None = None
        self._reference = 0

    def feed(self, data: bytes) -> None:
        """Bytes from the computer."""
        if self._echo:
            self._write(data)
        for byte in data:
            if byte == 0x1B:
                self._buffer.clear()
                self._length = None
            elif self._length is not None:
                self._payload_byte(byte)
            elif byte == 13:
                line = bytes(self._buffer).decode("latin-1").strip()
                self._buffer.clear()
                if line:
                    self._line(line)
            elif byte != 10 and len(self._buffer) < 4096:
                self._buffer.append(byte)

    def _payload_byte(self, byte: int) -> None:
        if byte == 0x1A:
            digits = bytes(self._buffer).decode("latin-1").strip()
            length, self._length = self._length, None
            self._buffer.clear()
            self._submit(digits, length or 0)
        elif len(self._buffer) < 1024:
            self._buffer.append(byte)

    def say(self, *lines: str) -> None:
        """Lines to the computer."""
        self._write("".join(f"\r\n{line}\r\n" for line in lines).encode())

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds <= 0:
            act()
            return

        def due() -> None:
            self._timers.discard(handle)
            act()

        handle = self._loop.call_later(seconds, due)
        self._timers.add(handle)

    def _answer(self, *lines: str) -> None:
        self._later(self.ways.answer_s, lambda: self.say(*lines))

    def _line(self, line: str) -> None:
        self.log.append(line)
        if not line.upper().startswith("AT"):
            self._answer("ERROR")
            return
        command = line[2:].upper()
        if command in ("E0", "E1"):
            self._echo = command == "E1"
        if command == "+CPIN?" and self.ways.pin != "READY":
            self._answer(f"+CPIN: {self.ways.pin}", "OK")
        elif command in _FIXED:
            self._answer(_FIXED[command], "OK")
        elif command in ("+CREG?", "+CGREG?"):
            self._answer(f"{command[:-1]}: 0,{1 if self.ways.network else 0}", "OK")
        elif command.startswith("+CMGS="):
            self._begin(command[6:])
        elif command.startswith("+CMGR="):
            self._read(command[6:])
        elif command.startswith("+CMGD="):
            self.stored.pop(int(re.sub(r"\D.*", "", command[6:]) or 0), None)
            self._answer("OK")
        elif command.startswith("+CMGL"):
            lines = [x for n, p in self.stored.items() for x in (f"+CMGL: {n},0,,{_tpdu(p)}", p)]
            self._answer(*lines, "OK")
        elif command.startswith("+CPMS"):
            used = f'"SM",{len(self.stored)},{CAPACITY}'
            self._answer(f"+CPMS: {used},{used},{used}", "OK")
        elif command == "" or _TAKEN.fullmatch(command):
            self._answer("OK")
        else:
            self._answer("+CME ERROR: 4")

    def _begin(self, value: str) -> None:
        if not value.isdecimal():
            self._answer("+CMS ERROR: 304")
        elif not self.ways.network:
            self._answer("+CMS ERROR: 331")
        else:
            self._length = int(value)
            self._buffer.clear()
            self._write(b"\r\n> ")

    def _submit(self, digits: str, length: int) -> None:
        if self.ways.mute_after_payload:
            return
        try:
            message = sms_pdu.decode(digits, to_us=False)
        except SmsError:
            self._answer("+CMS ERROR: 304")
            return
        if not isinstance(message, Submit) or _tpdu(digits) != length:
            self._answer("+CMS ERROR: 304")
        elif self.ways.error is not None or self.ways.full:
            self._answer(f"+CMS ERROR: {self.ways.error or 322}")
        else:
            self._reference = (self._reference + 1) % 256
            reference = self._reference
            self.sent.append(message)
            self._later(self.ways.submit_s, lambda: self._taken(message, reference))

    def _taken(self, message: Submit, reference: int) -> None:
        self.say(f"+CMGS: {reference}", "OK")
        there = self.air.of(message.number)
        if there.on:
            self.air.hear(message.number, message.text.encode())
        if message.report and self.ways.report:
            status = there.failure if there.failure is not None else 0 if there.on else 0x30
            report = StatusReport(reference, message.number, status)
            self._later(self.ways.report_s, lambda: self._report(report))
        last = message.part is None or message.part.number == message.part.total
        if there.on and last and there.reply_text is not None:
            words = there.reply_text
            self._later(there.reply_s, lambda: self.text_from(message.number, words))

    def _report(self, report: StatusReport) -> None:
        pdu = sms_pdu.encode_report(report, self._now())
        self.say(f"+CDS: {_tpdu(pdu)}", pdu)

    def _read(self, value: str) -> None:
        pdu = self.stored.get(int(value) if value.isdecimal() else -1)
        if pdu is None:
            self._answer("+CMS ERROR: 321")
        else:
            self._answer(f"+CMGR: 0,,{_tpdu(pdu)}", pdu, "OK")

    # scripts

    def text_from(self, number: str, text: str) -> None:
        """Somebody writes; the modem stores it and says where."""
        self.air.say(number, text.encode())
        for submit in sms_pdu.submits(number, text, 77):
            index = next(n for n in range(1, CAPACITY + 2) if n not in self.stored)
            deliver = Deliver(number, submit.text, None, submit.part)
            self.stored[index] = sms_pdu.encode_deliver(deliver, self._now())
            self.say(f'+CMTI: "SM",{index}')

    def restart(self) -> None:
        """Power cycle; stored messages stay on the card."""
        self.close()
        self._buffer.clear()
        self._length = None
        self._echo = True
        self.say("RDY", "+CFUN: 1")

    def close(self) -> None:
        """Nothing happens any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


def _tpdu(digits: str) -> int:
    """Octets of the TPDU in a hex line with service centre."""
    try:
        data = bytes.fromhex(digits)
        return len(data) - 1 - data[0]
    except (ValueError, IndexError):
        return -1
