"""What radio and message drivers tell their owner, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from hardware.radio.lip import Position


class Stage(StrEnum):
    """What is known of a message we sent. None of these proves a person (orders sheet, 1)."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    """The network or the air took it: no proof of delivery."""
    DELIVERED = "delivered"
    """The addressed terminal has it."""
    READ = "read"
    """Somebody opened it, as the terminal says."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """We did not see the outcome; a later report still counts."""


class Why(StrEnum):
    """Why a message failed; the words of an order's ladder."""

    NOT_REGISTERED = "not-registered"
    QUEUE_FULL = "queue-full"
    BAD_ADDRESS = "bad-address"
    TOO_LONG = "too-long"
    REFUSED = "refused"
    OFFLINE = "offline"
    BUSY = "busy"
    DEVICE_GONE = "device-gone"
    CONGESTION = "congestion"
    NO_ANSWER = "no-answer"
    REJECTED = "rejected"
    VOICE_ANSWERED = "voice-answered"
    TRAINING_FAILED = "training-failed"
    CUT = "cut"
    NOT_CONFIRMED = "not-confirmed"
    WITHDRAWN = "withdrawn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message with the owner's `key` came to `stage`. `stored`: the network keeps it because
    the terminal is away."""

    key: str
    stage: Stage
    why: Why | None = None
    detail: str = ""
    stored: bool = False
    data: Mapping[str, str | int | bool] = field(default_factory=dict)
    """What was measured of it."""


@dataclass(frozen=True, slots=True)
class TextIn:
    """A text came. `token` is given back to `acknowledge` once it is stored, None where nothing
    is to be acknowledged; `whole` is false where parts were missing."""

    source: str
    target: str
    text: str
    token: str | None = None
    immediate: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True)
class UnreadableIn:
    """Somebody sent what cannot be shown as text: a person must look. `token` as in TextIn."""

    source: str
    data: bytes
    why: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class StatusIn:
    """A status number came. `network`: the network's own acknowledgement, not the set's."""

    source: str
    target: str
    value: int
    network: bool = False


@dataclass(frozen=True, slots=True)
class LocationIn:
    """A radio told where it is."""

    source: str
    position: Position


@dataclass(frozen=True, slots=True)
class EmergencyIn:
    """An emergency button was pressed; `how` is status, location or call."""

    source: str
    how: str


@dataclass(frozen=True, slots=True)
class RawIn:
    """Something came that is not ours to read; shown while it happens."""

    source: str
    data: bytes
    why: str


@dataclass(frozen=True, slots=True)
class FaxPageIn:
    """A page came by fax. `document` names what came in one call; `whole` is false where the call
    was cut or the page could not be kept, `tiff` empty then."""

    source: str
    document: str
    page: int
    of: int
    whole: bool
    tiff: bytes
    spool: str = ""
    """The file in which it is kept until it is in the journal; empty: in none."""


@dataclass(frozen=True, slots=True)
class PagesConfirmed:
    """The far end has confirmed so many pages of the job `key`: `document` (its digest, hex) to
    `number`."""

    key: str
    pages: int
    of: int
    number: str
    document: str


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is now known of a number, for its next call after a restart."""

    number: str
    known: Mapping[str, str | int | bool | Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class FaxBoard:
    """The modems (`hardware.fax.board`), the faxes that wait in their order, and why nothing is
    sent; None: it is."""

    modems: Sequence[Mapping[str, Any]]
    waiting: Sequence[Mapping[str, Any]]
    paused: str | None


@dataclass(frozen=True, slots=True)
class CallChange:
    """A voice call changed: `state` is calling, ringing, connected, talking (we), listening,
    waiting, idle or ended; `peer` talks or called, `cause` says why it ended or was denied."""

    call: int
    state: str
    peer: str = ""
    group: str = ""
    cause: str = ""
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """May the gateway be used, and how does it hear its network? `dbm` None: unknown."""

    usable: bool
    words: str
    dbm: int | None = None


RadioEvent = (
    Delivery
    | TextIn
    | UnreadableIn
    | StatusIn
    | LocationIn
    | EmergencyIn
    | RawIn
    | FaxPageIn
    | PagesConfirmed
    | Learnt
    | FaxBoard
    | CallChange
    | Health
)


class Emit(Protocol):
    """Where a driver tells; called on the loop, must not block."""

    def __call__(self, event: RadioEvent, /) -> None: ...


class RadioRefused(Exception):
    """The driver does not take the message; nothing was sent. `why` is for the ladder."""

    def __init__(self, why: Why, words: str) -> None:
        super().__init__(words)
        self.why = why
