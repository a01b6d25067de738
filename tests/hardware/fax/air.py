"""A telephone line between two T.30 sessions, in virtual time: no modem, no waiting.

Half duplex as the real one: what is sent while the other side does not listen for it is lost, a
fast carrier must be awaited when its training begins. `Fault`s are taken from a list, one for each
thing that is sent, so that any order of them can be tried.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from hardware.fax.t30 import (
    Act,
    Answered,
    CarrierEnded,
    Cause,
    Done,
    Event,
    Garbled,
    HangUp,
    Heard,
    Listen,
    Lost,
    Octets,
    Quiet,
    Receive,
    Report,
    Session,
    Speak,
    Train,
    Transmit,
    Untrained,
)

PAUSE = 0.08
PREAMBLE = 1.0
READY = 0.11
"""How much later than the pause a receiver may be ready (fax sheet, 8.1)."""
V21 = 300.0


class Fault(Enum):
    """What happens to one frame, or to one fast carrier."""

    NONE = "none"
    LOST = "lost"
    DAMAGED = "damaged"
    REPEATED = "repeated"
    LATE = "late"
    CUT = "cut"
    """The line is cut while it is sent."""


@dataclass
class Station:
    """One session and the act it has under way."""

    session: Session
    air: Air
    peer: Station = field(init=False)
    act: Act | None = None
    began: float = 0.0
    turn: int = 0
    """Counts acts: what was planned for an earlier one is void."""
    reports: list[Report] = field(default_factory=list)

    def tell(self, event: Event) -> None:
        """Give an event to the session and begin the act it asks for."""
        for item in self.session.step(event, self.air.now):
            if isinstance(item, Speak | Listen | Train | Transmit | Receive | HangUp):
                self._begin(item)
            else:
                self.reports.append(item)

    def later(self, seconds: float, event: Event) -> None:
        """An event for the act under way, unless another has begun by then."""
        turn = self.turn
        self.air.at(seconds, lambda: self.tell(event) if turn == self.turn else None)

    def _begin(self, act: Act) -> None:
        self.act, self.began = act, self.air.now
        self.turn += 1
        match act:
            case Speak(frames):
                self.later(self.air.speak(self, frames), Done())
            case Train(rate):
                octets = bytes(rate.tcf_octets)
                self.later(self.air.carry(self, rate.training, 1.39, rate.bps, octets), Done())
            case Transmit(rate, long, octets):
                number, seconds = (rate.training, 1.39) if long else (rate.data, 0.14)
                self.later(self.air.carry(self, number, seconds, rate.bps, octets), Done())
            case Listen(seconds):
                self._listen_until(seconds, Quiet())
            case Receive(_, _, seconds):
                self._listen_until(seconds, Untrained())
            case HangUp():
                self.air.hung_up(self)

    def _listen_until(self, seconds: float, end: Event) -> None:
        """T.30: a timer stops for a signal that has begun to arrive."""
        turn = self.turn

        def over() -> None:
            if turn != self.turn:
                return
            busy = self.air.busy_until(self.peer)
            if busy > self.air.now and isinstance(self.act, Listen):
                self.air.at(busy - self.air.now + 0.05, over)
            else:
                self.tell(end)

        self.air.at(max(seconds, 0.01), over)


class Air:
    """The line and its clock."""

    def __init__(self, faults: Iterable[Fault] = (), *, late: float = 1.0, tells_end: bool = True):
        self.now = 0.0
        self.steps = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._faults: Iterator[Fault] = iter(faults)
        self._late = late
        self._tells_end = tells_end
        self._busy: dict[int, float] = {}

    def call(self, sender: Session, receiver: Session, limit: float = 8000.0) -> None:
        """Play one call to its end. Raises AssertionError when it does not end in time."""
        one, other = Station(sender, self), Station(receiver, self)
        one.peer, other.peer = other, one
        self.stations = (one, other)
        one.tell(Answered())
        self.at(0.5, lambda: other.tell(Answered()))
        while self._queue:
            self.now, _, do = heapq.heappop(self._queue)
            assert self.now < limit, "the call does not end"
            do()
        assert sender.outcome is not None
        assert receiver.outcome is not None
        assert isinstance(one.act, HangUp)
        assert isinstance(other.act, HangUp)

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Do it so many seconds from now."""
        self.steps += 1
        assert self.steps < 100_000, "no end of events"
        heapq.heappush(self._queue, (self.now + seconds, next(self._count), do))

    def busy_until(self, station: Station) -> float:
        """When what the station has on the line is over."""
        return self._busy.get(id(station), 0.0)

    def _fault(self) -> Fault:
        return next(self._faults, Fault.NONE)

    def _cut(self) -> None:
        for station in self.stations:
            if not isinstance(station.act, HangUp):
                station.tell(Lost(Cause.LINE_CUT))

    def hung_up(self, station: Station) -> None:
        """The other side may or may not learn that this one is gone."""
        self._busy[id(station)] = 0.0
        peer = station.peer
        if self._tells_end:
            self.at(1.0, lambda: peer.tell(Lost(Cause.LINE_CUT)))

    def speak(self, speaker: Station, frames: tuple[bytes, ...]) -> float:
        """Put V.21 frames on the line; how long they take."""
        peer = speaker.peer
        at = PAUSE
        start = self.now + at

        def preamble() -> None:
            if isinstance(peer.act, Receive):
                peer.tell(Untrained())

        self.at(at + 0.3, preamble)
        at += PREAMBLE
        for frame in frames:
            begin = at
            at += (len(frame) + 3) * 8 * 1.05 / V21
            self._deliver(speaker, frame, self.now + begin, at)
        self._busy[id(speaker)] = max(self._busy.get(id(speaker), 0.0), self.now + at)
        assert start < self.now + at
        return at

    def _deliver(self, speaker: Station, frame: bytes, began: float, at: float) -> None:
        peer = speaker.peer
        turn = speaker.turn

        def hear(event: Event, *, joined: bool = True) -> None:
            fresh = peer.began <= began or not joined
            if isinstance(peer.act, Listen) and fresh and speaker.turn >= turn:
                peer.tell(event)

        match self._fault():
            case Fault.NONE:
                self.at(at, lambda: hear(Heard(frame)))
            case Fault.DAMAGED:
                self.at(at, lambda: hear(Garbled()))
            case Fault.REPEATED:
                self.at(at, lambda: hear(Heard(frame)))
                self.at(at + 0.3, lambda: hear(Heard(frame), joined=False))
            case Fault.LATE:
                self.at(at + self._late, lambda: hear(Heard(frame), joined=False))
            case Fault.CUT:
                self.at(at, self._cut)
            case Fault.LOST:
                pass

    def carry(
        self, sender: Station, number: int, training: float, bps: int, octets: bytes
    ) -> float:
        """Put a fast carrier on the line; how long it takes."""
        peer = sender.peer
        seconds = PAUSE + training + len(octets) * 8 / bps
        self._busy[id(sender)] = max(self._busy.get(id(sender), 0.0), self.now + seconds)
        fault = self._fault()
        waiting: list[int] = []

        def begin() -> None:
            act = peer.act
            if isinstance(act, Receive) and fault is not Fault.LOST:
                wanted = act.rate.training if act.long_training else act.rate.data
                if wanted == number:
                    peer.turn += 1  # its timer stops: the carrier is there
                    waiting.append(peer.turn)
                else:
                    peer.tell(Untrained())

        def end() -> None:
            if waiting and waiting[0] == peer.turn:
                middle = len(octets) // 2
                received = octets
                if fault in (Fault.DAMAGED, Fault.REPEATED):
                    received = _damaged(octets)
                if fault is Fault.LATE:
                    received = octets[: max(middle, len(octets) - 700)]
                peer.tell(Octets(received))
                if waiting[0] == peer.turn:
                    peer.tell(CarrierEnded())

        self.at(PAUSE + READY, begin)
        if fault is Fault.CUT:
            self.at(seconds / 2, self._cut)
        else:
            self.at(seconds, end)
        return seconds


def _damaged(octets: bytes) -> bytes:
    """Two bursts of 22 ms at 14400 bit/s; no second of a training check is left between them."""
    whole = bytearray(octets)
    for at in (len(octets) // 2, len(octets) * 3 // 4):
        whole[at : at + 40] = b"\x55" * len(whole[at : at + 40])
    return bytes(whole)
