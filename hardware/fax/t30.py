"""What a T.30 session says to the one who has the modem, and hears from it. Pure.

The session is half duplex: at any time exactly one act is under way (speak, listen, train,
transmit, receive). The driver carries it out and tells its events; the session answers with the
next act, with reports for people, or with nothing, which means: go on with the act under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hardware.fax.rates import Rate
from hardware.fax.t30_frames import Chosen


@dataclass(frozen=True, slots=True)
class Speak:
    """Send V.21 frames, in one carrier; the last one is marked final. Ends with Done."""

    frames: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Listen:
    """Hear V.21 frames for so many seconds, or until one that is final. Ends with Heard(final),
    or with Quiet."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Train:
    """Pause, then the training check at this speed. Ends with Done."""

    rate: Rate


@dataclass(frozen=True, slots=True)
class Transmit:
    """Pause, then page data at this speed. Ends with Done."""

    rate: Rate
    long_training: bool
    octets: bytes


@dataclass(frozen=True, slots=True)
class Receive:
    """Receive a fast carrier, at once. Ends with CarrierEnded or Untrained."""

    rate: Rate
    long_training: bool
    seconds: float
    """Until the carrier must be there."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """The session is over."""


Act = Speak | Listen | Train | Transmit | Receive | HangUp


@dataclass(frozen=True, slots=True)
class Answered:
    """The line is open; a caller hears, an answerer speaks."""


@dataclass(frozen=True, slots=True)
class Done:
    """Speak, Train or Transmit is carried out."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A V.21 frame with a good check, without it."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Garbled:
    """A V.21 frame with a bad check."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """The time to listen is over."""


@dataclass(frozen=True, slots=True)
class Octets:
    """Data of the fast carrier, as far as it has come."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CarrierEnded:
    """The fast carrier has ended."""


@dataclass(frozen=True, slots=True)
class Untrained:
    """No fast carrier came, or the modem could not follow it, or it hears V.21 instead."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The call has ended under us: line cut, modem gone."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A person ends the call."""


Event = (
    Answered | Done | Heard | Garbled | Quiet | Octets | CarrierEnded | Untrained | Lost | Cancelled
)


class Result(StrEnum):
    """What became of the document as a whole."""

    DELIVERED = "delivered"
    """Every page was confirmed by the far end."""
    UNCONFIRMED = "unconfirmed"
    """A page and its post-page message were sent, no answer told what became of it."""
    NOT_DELIVERED = "not delivered"
    """At least one page has certainly not been taken."""


class Cause(StrEnum):
    """Why a session ended; for retries and for people."""

    DONE = "done"
    BUSY = "busy"
    NO_ANSWER = "no answer"
    NO_FAX = "no fax answers"
    NO_DIALTONE = "no dial tone"
    NUMBER_BLOCKED = "modem refuses the number"
    CANNOT_RECEIVE = "far end cannot receive"
    POLLED = "far end asked to be sent a document"
    NOT_TRAINED = "no speed works"
    NO_RESPONSE = "no response to a command"
    NO_PAGE_RESPONSE = "no response after the page"
    REJECTED = "far end did not take the page"
    BAD_PROTOCOL = "far end breaks the protocol"
    FAR_DISCONNECTED = "far end ended the session"
    LINE_CUT = "call ended by the line"
    TOO_LARGE = "too large"
    TOO_LONG = "call too long"
    CANCELLED = "cancelled"
    MODEM = "modem fault"
    GLARE = "a call comes in"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended."""

    result: Result
    cause: Cause
    pages: int
    """Sent: pages confirmed, from the first one on. Received: pages confirmed by us."""
    may_have_copies: bool = False
    """The far end may hold pages that were not confirmed: a repeat is a possible duplicate."""
    chosen: Chosen | None = None
    """The last settings agreed on."""
    far_id: str = ""
    """What the far station calls itself."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """Settings were chosen; a training check follows."""

    chosen: Chosen
    far_id: str


@dataclass(frozen=True, slots=True)
class PageStarted:
    """A page, or a block of it, is on the line."""

    page: int
    """From 1."""
    octets: int


@dataclass(frozen=True, slots=True)
class PageConfirmed:
    """The far end has confirmed the page, or we have."""

    page: int


@dataclass(frozen=True, slots=True)
class PageAgain:
    """The page, or part of it, has to be sent again."""

    page: int
    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The outcome; the last thing a session says besides DCN and HangUp."""

    outcome: Outcome


Report = Agreed | PageStarted | PageConfirmed | PageAgain | Ended
Step = tuple[Act | Report, ...]


class Session(Protocol):
    """A sender or a receiver."""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on."""

    def step(self, event: Event, now: float) -> Step:
        """Take one event. `now` is monotonic, in seconds."""
