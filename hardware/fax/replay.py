"""A byte trace of a Class 1 call played again: the same modem, word for word, to our driver of
today. Tells where the driver would now say something else.

Pages that were sent are taken out of the trace itself, by our own receiver. Time is the trace's.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from hardware.fax.hdlc import Unshield, checked
from hardware.fax.modem import make_modem, probe
from hardware.fax.modem_at import ModemFault
from hardware.fax.page import Page
from hardware.fax.t30 import (
    Act,
    Answered,
    CarrierEnded,
    Done,
    Event,
    HangUp,
    Heard,
    Listen,
    Octets,
    Outcome,
    Receive,
    Speak,
    Untrained,
)
from hardware.fax.t30_frames import Fcf, decode_identity, parse_dcs, parse_dis, parse_frame
from hardware.fax.t30_receiver import Receiver
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.trace_words import Said, words_of
from hardware.fax.watch import Watch, unwatched
from hardware.fax.wire import WireGone
from hardware.trace import Traced

LONGEST_FRAME: Final = 200
"""Octets of a V.21 frame; what is longer is data of a fast carrier."""
SHOWN: Final = 40
"""Octets of a difference that are shown."""


class ReplayError(ValueError):
    """The trace has no Class 1 fax call that could be played again."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the driver said something else than in the trace."""

    at: datetime
    then: bytes
    now: bytes


@dataclass(frozen=True, slots=True)
class Replayed:
    """How the call went this time."""

    outcome: Outcome
    pages: int
    """Pages found in the trace, sent or received."""
    difference: Difference | None


class _Wait:
    def __await__(self) -> Generator[None, None, None]:
        yield


@dataclass
class ReplayWire:
    """The modem of the trace. Its answers come only after what they answered was written."""

    events: list[Traced]
    difference: Difference | None = None
    _at: int = 0
    _offset: int = 0
    _time: float = 0.0
    _start: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.events[0].at

    @property
    def ended(self) -> bool:
        """Nothing of the trace is left."""
        return self._at >= len(self.events)

    def coming(self) -> bytes:
        """What the driver wrote next in the trace."""
        return b"".join(e.data for e in self.events[self._at : self._at + 2] if e.way == ">")

    def now(self) -> float:
        return self._time

    async def write(self, data: bytes) -> None:
        for octet_at in range(len(data)):
            while not self.ended and self.events[self._at].way == "<":
                self._at += 1  # what nobody read
            if self.ended:
                raise WireGone("the trace is over")
            event = self.events[self._at]
            if event.data[self._offset] != data[octet_at]:
                then = event.data[self._offset : self._offset + SHOWN]
                self.difference = Difference(event.at, then, data[octet_at : octet_at + SHOWN])
                raise WireGone("another word than in the trace")
            self._clock(event)
            self._offset += 1
            if self._offset == len(event.data):
                self._at, self._offset = self._at + 1, 0
        await _Wait()

    async def read(self, seconds: float) -> bytes:
        await _Wait()
        if self.ended:
            raise WireGone("the trace is over")
        event = self.events[self._at]
        due = (event.at - self._start).total_seconds()
        if event.way == ">" or due > self._time + seconds:
            self._time += max(seconds, 0.001)
            return b""
        self._clock(event)
        self._at += 1
        return event.data

    async def drop_dtr(self) -> None:
        await _Wait()

    def _clock(self, event: Traced) -> None:
        self._time = max(self._time, (event.at - self._start).total_seconds())


def replay(events: Sequence[Traced], watch: Watch = unwatched) -> Replayed:
    """Play the first call of a trace again. Raises ReplayError."""
    kept = [event for event in events if event.way != "#" and event.data]
    if not kept:
        raise ReplayError("记录为空 / the trace is empty")
    said = list(words_of(kept))
    number = next((s.words[4:] for s in said if s.words.startswith("ATDT")), None)
    answers = any(s.words == "ATA" for s in said)
    if number is None and not answers:
        raise ReplayError("记录中没有呼叫 / no call in the trace")
    wire = ReplayWire(kept)
    sender, pages = _what_was_sent(kept) if number is not None else (SenderSettings(), [])
    receiver = ReceiverSettings(identity=_identity(said, ">", Fcf.CSI))
    if number is not None and not pages:
        raise ReplayError("记录中没有完整页面 / no whole page was sent in the trace")

    async def work() -> tuple[Outcome, int]:
        known = await probe(wire)
        if known.fax_class != "1":
            raise ReplayError(f"不是 Class 1 / the modem is used in class {known.fax_class}")
        modem = make_modem(wire, known, watch)
        await modem.initialise()
        if number is not None:
            while not wire.coming().startswith(b"ATDT"):
                await modem.wait_ring(0.1)
            return await modem.send(number, pages, sender), len(pages)
        while not await modem.wait_ring(0.1):
            pass
        outcome, received = await modem.receive(receiver)
        return outcome, len(received)

    try:
        outcome, count = _run(work())
    except (WireGone, ModemFault) as error:
        if wire.difference is None:
            raise ReplayError(
                f"记录中的调制解调器中途消失 / the trace ends early: {error}"
            ) from error
        raise ReplayError(
            f"{wire.difference.at.isoformat()}: 初始化与记录不同 / before the call the driver "
            f"said {wire.difference.now!r}, in the trace {wire.difference.then!r}"
        ) from error
    return Replayed(outcome, count, wire.difference)


def _run(work: Any) -> tuple[Outcome, int]:
    while True:
        try:
            work.send(None)
        except StopIteration as done:
            outcome: tuple[Outcome, int] = done.value
            return outcome


def _identity(said: list[Said], way: str, fcf: Fcf) -> str:
    found = next((s.words for s in said if s.way == way and s.words.startswith(fcf.name)), "")
    return found.partition("'")[2].rstrip("'")


def _what_was_sent(events: list[Traced]) -> tuple[SenderSettings, list[Page]]:
    """Settings and pages of a call that we made, heard by our own receiver."""
    receiver = Receiver(ReceiverSettings())
    act: Act | None = None
    now, agreed = 0.0, False

    def tell(event: Event) -> None:
        nonlocal act, now
        now += 0.1
        for item in receiver.step(event, now):
            if isinstance(item, Speak | Listen | Receive | HangUp):
                act = item
        if isinstance(act, Speak):
            act = None
            tell(Done())

    settings, can_ecm = SenderSettings(), True
    tell(Answered())
    for way, data in _streams(events):
        frame = parse_frame(checked(data) or data) if len(data) < LONGEST_FRAME else None
        if frame is None:
            if way == ">" and isinstance(act, Receive):
                tell(Octets(data))
                tell(CarrierEnded())
            continue
        if way == "<":
            dis = parse_dis(frame.fif) if frame.fcf == Fcf.DIS else None
            can_ecm = dis.ecm if dis is not None else can_ecm
            continue
        if frame.fcf == Fcf.TSI:
            settings = replace(settings, identity=decode_identity(frame.fif))
        if frame.fcf == Fcf.DCS and (dcs := parse_dcs(frame.fif)) is not None and not agreed:
            agreed = True
            ecm = dcs.ecm or not can_ecm
            settings = replace(settings, ecm=ecm, max_bps=dcs.rate.bps)
        if isinstance(act, Receive):
            tell(Untrained())
        tell(Heard(data))
    pages = [page.page() for page in receiver.pages if page.confirmed]
    return settings, pages


def _streams(events: list[Traced]) -> list[tuple[str, bytes]]:
    """Shielded data of both sides, in order; command lines and result codes are left out."""
    found: list[tuple[str, bytes]] = []
    waiting = {">": b"", "<": b""}
    for event in events:
        data = waiting[event.way] + event.data
        while data:
            if data[:1] in b"\r\n":
                data = data[1:]
                continue
            line, end, rest = data.partition(b"\r")
            if end and line.isascii() and line.decode().isprintable():
                data = rest
                continue
            unshield = Unshield()
            octets = unshield.feed(data)
            if not unshield.ended:
                break
            found.append((event.way, octets))
            data = unshield.rest
        waiting[event.way] = data
    return found
