"""A Class 2 / 2.0 fax modem and a telephone line with a fax machine at its far end, emulated.

For hardware that nobody can install. Its judge is not our driver alone: efax, HylaFAX and mgetty
drive it too (`make test-hardware`). `Quirks` are habits of real firmware. No clock inside: `feed`
and `tick` are told the time, `take` gives what the modem says, `deadline` when it wants a tick.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from hardware.fax.bits import REVERSED
from hardware.fax.class2_dialect import CLASS_20, EOP, MPS, PAGE_MARKS
from hardware.fax.hdlc import DLE, DLE_ETX, shield
from hardware.rig.class2_far import Far, FarMachine, Quirks
from hardware.rig.class2_front import Class2Front

DIAL_SECONDS: Final = 1.0
TRAIN_SECONDS: Final = 0.5
STATUS_SECONDS: Final = 0.5
RING_SECONDS: Final = 5.0
MAX_PAGE: Final = 8 << 20
_MARKS: Final = {mark[1]: end for end, mark in PAGE_MARKS.items()}


class Class2Modem(Class2Front):
    """The modem. `number` is what was dialled last."""

    def __init__(self, far: FarMachine, quirks: Quirks | None = None, *, pace: float = 1.0) -> None:
        super().__init__(quirks or Quirks(), pace)
        self.far = far
        self.number = ""
        self._connected = False
        self._ringing = False
        self._page = bytearray()
        self._escaped = False
        self._page_began = 0.0
        self._next_document = 0

    def ring(self, now: float) -> None:
        """The far machine calls; the line rings until it is answered."""
        self.tick(now)
        self._ringing = True
        self._ring()

    def _ring(self) -> None:
        if self._ringing:
            self._say("RING")
            self._later(RING_SECONDS, self._ring)

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
