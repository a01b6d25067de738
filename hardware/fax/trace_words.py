"""A byte trace of a fax modem as people read it: commands, result codes, frames by name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hardware.fax.hdlc import ADDRESS, checked
from hardware.fax.t30_frames import (
    Fcf,
    Frame,
    decode_identity,
    parse_dcs,
    parse_dis,
    parse_frame,
)
from hardware.trace import Traced

_IDENTITIES: Final = (Fcf.CSI, Fcf.TSI)
_LONGEST_FRAME: Final = 300
_END: Final = re.compile(rb"((?:[^\x10]|\x10\x10)*)\x10[^\x10]", re.DOTALL)
"""Data and their end: DLE ETX, or one of Class 2.0's page marks."""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was said on the serial line."""

    at: datetime
    way: str
    """`>` to the modem, `<` from it, `#` a remark of the port."""
    words: str


@dataclass(slots=True)
class _Side:
    """What one side has said and is not whole yet."""

    waiting: bytearray = field(default_factory=bytearray)
    began: datetime | None = None


def words_of(events: Iterable[Traced]) -> Iterator[Said]:
    """What the trace tells, in order; page data is counted, not shown."""
    sides = {">": _Side(), "<": _Side()}
    for event in events:
        if event.way == "#":
            yield Said(event.at, "#", event.data.decode("utf-8", "replace"))
            continue
        side = sides[event.way]
        if not side.waiting:
            side.began = event.at
        side.waiting += event.data
        for words in _whole(side.waiting):
            yield Said(side.began or event.at, event.way, words)
            side.began = event.at
    for way, side in sides.items():
        if side.waiting and side.began is not None:
            rest = len(side.waiting)
            yield Said(side.began, way, f"… {rest} 字节未完 / octets, not ended")


def _whole(waiting: bytearray) -> Iterator[str]:
    """Takes whole things off the front."""
    while waiting:
        if waiting[0] in b"\r\n":
            del waiting[0]
        elif waiting[0] in b"\x11\x13\x18":
            yield {0x11: "XON", 0x13: "XOFF", 0x18: "CAN"}[waiting[0]]
            del waiting[0]
        elif _is_text(waiting):
            end = min(at for at in (waiting.find(b"\r"), waiting.find(b"\n")) if at >= 0)
            yield bytes(waiting[:end]).decode("ascii", "replace").strip()
            del waiting[:end]
        else:
            found = _END.match(waiting)
            if found is None:
                return
            yield _data(found[1].replace(b"\x10\x10", b"\x10"))
            del waiting[: found.end()]


def _is_text(waiting: bytearray) -> bool:
    """Whether a line of printable characters comes next."""
    ends = [at for at in (waiting.find(b"\r"), waiting.find(b"\n")) if at > 0]
    return bool(ends) and all(0x20 <= octet < 0x7F for octet in waiting[: min(ends)])


def _data(octets: bytes) -> str:
    if octets[:1] == bytes((ADDRESS,)) and len(octets) < _LONGEST_FRAME:
        frame = parse_frame(checked(octets) or octets)
        if frame is not None:
            return frame_words(frame)
    return f"{len(octets)} 字节数据 / octets of data"


def frame_words(frame: Frame) -> str:
    """A frame by name, with what it says."""
    text = frame.name
    if frame.fcf in _IDENTITIES:
        text += f" {decode_identity(frame.fif)!r}"
    elif frame.fcf == Fcf.DCS and (chosen := parse_dcs(frame.fif)) is not None:
        ecm = " ECM" if chosen.ecm else ""
        text += f" {chosen.rate.modulation} {chosen.rate.bps} {chosen.coding}{ecm}"
        text += " fine" if chosen.fine else " standard"
    elif frame.fcf == Fcf.DIS and (can := parse_dis(frame.fif)) is not None:
        ecm = " ECM" if can.ecm else ""
        text += f" {can.rates[0].modulation} {can.rates[0].bps}{ecm}{' T.6' if can.t6 else ''}"
    elif frame.fif:
        text += " " + frame.fif.hex(" ")
    return text
