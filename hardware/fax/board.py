"""The modem board: what each modem does at this moment, told from its line and its call. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import PurePath
from typing import Any

from hardware.fax.line import LineState
from hardware.fax.t30 import Agreed, PageConfirmed, PageStarted, Report


class Shown(StrEnum):
    """States of a modem on the board."""

    IDLE = "idle"
    DIALLING = "dialling"
    SENDING = "sending"
    RECEIVING = "receiving"
    PAUSED = "paused"
    """It sends nothing until a person lets it; calls that come in are taken."""
    HELD = "held"
    UNPLUGGED = "unplugged"
    AWAY = "away"

    @property
    def lost(self) -> bool:
        """The modem cannot be used."""
        return self in (Shown.HELD, Shown.UNPLUGGED, Shown.AWAY)


@dataclass(frozen=True, slots=True)
class Call:
    """The call on a line, as far as it has come. `done`: pages confirmed in earlier calls;
    `document`: the digest of what is sent."""

    key: str = ""
    number: str = ""
    of: int = 0
    """Pages of the document; 0 for a call that came in."""
    done: int = 0
    page: int = 0
    """The page on the line, else the last one that was confirmed."""
    confirmed: int = 0
    bps: int = 0
    ecm: bool = False
    far_id: str = ""
    document: str = ""

    def after(self, report: Report) -> Call:
        """The call after one report more."""
        match report:
            case Agreed(chosen, far_id):
                return replace(self, bps=chosen.rate.bps, ecm=chosen.ecm, far_id=far_id)
            case PageStarted(page, _):
                return replace(self, page=self.done + page)
            case PageConfirmed(page):
                there = self.done + page
                return replace(self, page=there, confirmed=there)
        return self


@dataclass(frozen=True, slots=True)
class Modem:
    """One row of the board. `why` says what is wrong, or why a person has paused it."""

    modem: str
    port: str
    state: Shown
    why: str
    call: Call | None = None

    def document(self) -> dict[str, Any]:
        """The row for programs; what does not apply is None."""
        call = asdict(self.call) if self.call is not None else {}
        names = ("key", "number", "page", "of", "confirmed", "bps", "ecm", "far_id")
        row = {"modem": self.modem, "port": self.port, "state": str(self.state), "why": self.why}
        return row | {name: call.get(name) for name in names}


def modem_name(port: str) -> str:
    """How a modem is called: the last part of its device's name."""
    return PurePath(port).name


def row(port: str, state: tuple[LineState, str], call: Call | None, paused: str | None) -> Modem:
    """One row, out of what the line says, its call, and why it is paused (None: it is not)."""
    doing, why = state
    if doing is LineState.SENDING and call is not None and not call.bps:
        shown = Shown.DIALLING
    elif doing is LineState.READY:
        shown = Shown.IDLE if paused is None else Shown.PAUSED
    else:
        shown = Shown(doing)
    busy = doing in (LineState.SENDING, LineState.RECEIVING)
    words = why or ("" if paused is None else paused)
    return Modem(modem_name(port), port, shown, words, call if busy else None)
