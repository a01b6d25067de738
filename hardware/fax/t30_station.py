"""What the two ends of a T.30 session share: how an event is taken, the wait for frames, the end.

A station is in one state. Its tables say what follows an act that is carried out and which frames
are answered while it listens; what is in no table is passed over. Pure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from hardware.fax import t30_limits as limits
from hardware.fax.t30 import (
    Cancelled,
    Cause,
    Done,
    Ended,
    Event,
    Garbled,
    HangUp,
    Heard,
    Listen,
    Lost,
    Outcome,
    Quiet,
    Speak,
    Step,
)
from hardware.fax.t30_frames import (
    Chosen,
    Fcf,
    Frame,
    build_frame,
    decode_identity,
    encode_identity,
    parse_frame,
)

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Tables(Generic[S]):
    """The states of a station, and what follows in each."""

    first: S
    """Nothing was said or heard yet."""
    last: S
    """DCN is being said."""
    ended: S
    after: Mapping[S, Callable[[Any, float], Step]]
    """What follows when the act of a state is carried out."""
    answers: Mapping[S, Mapping[int, Callable[[Any, Frame, float], Step]]]
    """Where a station listens: the final frames it takes there, and what they lead to."""


class Station(ABC, Generic[S]):
    """The calling or the called station."""

    CALLS: ClassVar[bool]
    """This station has called: its frames carry X = 1 (T.30, 5.3.6.1)."""
    FAR_ID: ClassVar[Fcf]
    """The frame in which the far station names itself."""

    def __init__(self, identity: str, tables: Tables[S]) -> None:
        self.state = tables.first
        self.outcome: Outcome | None = None
        self._tables = tables
        self._identity = encode_identity(identity)
        self._started: float | None = None
        self._until = 0.0
        self._heard = 0
        self._far_id = ""
        self._chosen: Chosen | None = None

    def step(self, event: Event, now: float) -> Step:
        """Take one event, answer with what is to be done."""
        tables = self._tables
        if self.state is tables.ended:
            return ()
        if self._started is None:
            self._started = now
        listens = self.state in tables.answers
        match event:
            case Lost(cause):
                return self._end(self._why_lost(cause), say_dcn=False)
            case Cancelled():
                return self._end(Cause.CANCELLED)
            case _ if now - self._started > limits.CALL_SECONDS:
                return self._end(Cause.TOO_LONG)
            case Done() if self.state is tables.last:
                return self._hang_up()
            case Done() if (after := tables.after.get(self.state)) is not None:
                return after(self, now)
            case Quiet() if listens:
                return self._nothing_heard(now)
            case Garbled() if listens:
                return self._go_on_listening(now)
            case Heard(octets) if listens:
                return self._hear(parse_frame(octets), now)
            case _:
                return self._other(event, now)

    @property
    def far_id(self) -> str:
        """What the far station calls itself; empty where it has not said."""
        return self._far_id

    # What is this station's own

    @abstractmethod
    def _other(self, event: Event, now: float) -> Step:
        """An event that only this station takes; nothing for any other."""

    @abstractmethod
    def _nothing_heard(self, now: float) -> Step:
        """The time to listen is over."""

    @abstractmethod
    def _outcome_of(self, cause: Cause) -> Outcome:
        """How the session ends, as far as it has come."""

    def _why_lost(self, cause: Cause) -> Cause:
        return cause

    # Frames

    def _hear(self, frame: Frame | None, now: float) -> Step:
        if frame is None:
            return self._go_on_listening(now)
        if not frame.final:
            if frame.fcf == self.FAR_ID and not (self.CALLS and frame.x):
                self._far_id = decode_identity(frame.fif)
            return ()
        if frame.fcf == Fcf.DIS and frame.x:  # DTC: there is nothing to be polled here
            return self._end(Cause.POLLED)
        answer = self._tables.answers[self.state].get(frame.fcf)
        return self._go_on_listening(now) if answer is None else answer(self, frame, now)

    def _go_on_listening(self, now: float) -> Step:
        """What was heard is not meant for us: the rest of the time is still there."""
        self._heard += 1
        if self._heard > limits.RESPONSES:
            return self._end(Cause.BAD_PROTOCOL)
        if now >= self._until:
            return self._nothing_heard(now)
        return (Listen(self._until - now),)

    def _listen(self, state: S, seconds: float, now: float) -> Step:
        self.state, self._until, self._heard = state, now + seconds, 0
        return (Listen(seconds),)

    def _frame(self, fcf: Fcf, fif: bytes = b"") -> bytes:
        return build_frame(fcf, fif, x=self.CALLS)

    def _with_identity(self, name: Fcf, identity: str, frame: bytes) -> tuple[bytes, ...]:
        """A command, after our identity where we have one."""
        if not identity:
            return (frame,)
        return build_frame(name, self._identity, x=self.CALLS, final=False), frame

    @property
    def _now_chosen(self) -> Chosen:
        assert self._chosen is not None  # no training and no page before DCS
        return self._chosen

    # Phase E

    def _end(self, cause: Cause, *, say_dcn: bool = True) -> Step:
        if self.outcome is not None:  # while DCN is said
            return self._hang_up()
        self.outcome = self._outcome_of(cause)
        if not say_dcn or self.state is self._tables.first:
            return (Ended(self.outcome), *self._hang_up())
        self.state = self._tables.last
        return (Ended(self.outcome), Speak((self._frame(Fcf.DCN),)))

    def _hang_up(self) -> Step:
        self.state = self._tables.ended
        return (HangUp(),)
