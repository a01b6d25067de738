"""What a recorded line said: a byte trace read through the codecs, without any device. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import datetime

from hardware.at import AtDialect, AtDialogue, Command, TwoLines, Unsolicited
from hardware.at import Output as AtOutput
from hardware.radio import map27_net as net
from hardware.radio.dialect import PeiDialect
from hardware.radio.map27_frame import FrameDecoder
from hardware.radio.map27_link import LT
from hardware.radio.outstanding import Outstanding
from hardware.radio.pei_calls import PeiCalls
from hardware.radio.pei_receive import PeiReceiver
from hardware.radio.tetra_pei import UNSOLICITED
from hardware.trace import Traced

Line = tuple[datetime, str, str]
"""When, which way, and what it meant."""


def replay(driver: str, events: Iterable[Traced]) -> Iterator[Line]:
    """The meaning of a trace, in order. Raises ValueError for a driver that has no codec here."""
    if driver == "map27":
        yield from _map27(events)
    elif driver in ("tetra-pei", "sms"):
        yield from _at(driver, events)
    else:
        raise ValueError(f"{driver}: tetra-pei, map27, sms")


def _map27(events: Iterable[Traced]) -> Iterator[Line]:
    ways = {"<": FrameDecoder(), ">": FrameDecoder()}
    for event in events:
        if event.way == "#":
            yield event.at, "#", event.data.decode("utf-8", "replace")
            continue
        for body in ways[event.way].feed(event.data):
            if body[0] == LT and len(body) > 4:
                message = net.decode(body[4:], from_radio=event.way == "<")
                yield event.at, event.way, f"LT {body[1]} {message}"
            else:
                yield event.at, event.way, body.hex(" ").upper()


def _at(driver: str, events: Iterable[Traced]) -> Iterator[Line]:
    """Commands are taken from what was sent, so that answers are known as such."""
    names = UNSOLICITED if driver == "tetra-pei" else {"+CDS:": TwoLines(), "+CMTI:": None}
    at = AtDialogue(AtDialect(unsolicited=names, resync_s=1e9))
    book = Outstanding(random.Random(0))  # noqa: S311  references of messages that nobody sends
    receiver = PeiReceiver(PeiDialect(words="replay"), book, PeiCalls())
    for event in events:
        if event.way == "#":
            yield event.at, "#", event.data.decode("utf-8", "replace")
            continue
        now = event.at.timestamp()
        if event.way == ">":
            words = event.data.split(b"\r")[0].strip().decode("ascii", "replace")
            at.lost()
            if words.startswith("AT") and words.isprintable() and words.isascii():
                at.start(Command(text=words, free=True, timeout_s=1e9), now)
            text = " ".join(event.data.decode("ascii", "replace").split("\r\n"))
            yield event.at, ">", "".join(c if c.isprintable() else "␚" for c in text)
            continue
        for output in at.feed(event.data, now):
            yield event.at, "<", _words(output)
            if isinstance(output, Unsolicited) and driver == "tetra-pei":
                for heard in receiver.line(output, now).events:
                    yield event.at, "=", str(heard)


def _words(output: AtOutput) -> str:
    return str(output)
