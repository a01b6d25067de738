"""What an order's ladder asks of a channel, and what a channel tells of it, as plain values.

Channels (terminal, phone, radio, fax, sms, mail) carry an order to a unit and bring back what
machines and people say. What a machine says is never a person's acknowledgement (orders sheet,
sections 1 and 2; guard rule 23).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class ChannelKind(StrEnum):
    """The wires of an order."""

    TERMINAL = "terminal"
    PHONE = "phone"
    RADIO = "radio"
    SMS = "sms"
    FAX = "fax"
    MAIL = "mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSheet:
    """What an order says, as it may cross to the unit: fields kept back are None (SB-34).

    `order` is the order's number, `code` its closing code (eight digits). Limits are seconds.
    `kind` is site, command, notice, equipment, inspection or support; `klass` URGENT or GENERAL.
    """

    order: str
    code: str
    kind: str
    klass: str
    case: str
    unit: str
    unit_name: str
    squad: str = ""
    role: str = ""
    place: str = ""
    words: str = ""
    category: str = ""
    equipment: str = ""
    caller_number: str | None = None
    caller_name: str | None = None
    centre: str = ""
    centre_number: str = ""
    issued_at: datetime
    arrival_limit_s: int | None = None
    result_limit_s: int | None = None
    green: bool = False
    drill: bool = False
    repeat: bool = False
    reminder: int = 0
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt: carry this sheet to these addresses of the unit on one channel.

    `attempt` is its idempotency key: the same attempt is never carried out twice. The first of
    `addresses` is this try's turn.
    """

    attempt: str
    channel: ChannelKind
    sheet: OrderSheet
    addresses: Sequence[str]
    number: int = 1
    urgent: bool = False


class A(StrEnum):
    """States of an attempt (orders sheet, section 1)."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    ACKNOWLEDGED = "acknowledged"
    FAILED = "failed"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why an attempt failed; the waits of the ladder depend on it (orders sheet, section 3)."""

    BUSY = "busy"
    NO_ANSWER = "no-answer"
    CONGESTION = "congestion"
    REJECTED = "rejected"
    MACHINE = "machine"
    NOT_A_PERSON = "not-a-person"
    VOICE_ANSWERED = "voice-answered"
    TRAINING_FAILED = "training-failed"
    CUT = "cut"
    NOT_REGISTERED = "not-registered"
    QUEUE_FULL = "queue-full"
    OFFLINE = "offline"
    DEFERRED = "deferred"
    REFUSED = "refused"
    BAD_ADDRESS = "bad-address"
    TOO_LONG = "too-long"
    NOT_CONFIRMED = "not-confirmed"
    DEVICE_GONE = "device-gone"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A channel tells what became of an attempt. `detail` is for people; `retry_at` only where
    the far side named a time (mail 4xx); `data` is what the channel measured."""

    attempt: str
    state: A
    at: datetime
    cause: Cause | None = None
    detail: str = ""
    retry_at: datetime | None = None
    data: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


class Says(StrEnum):
    """What somebody at a unit reports."""

    SIGN = "sign"
    IN_HAND = "in-hand"
    ARRIVED = "arrived"
    PROGRESS = "progress"
    RESULT = "result"
    PROMISE = "promise"
    DISPUTE = "dispute"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Something came back over a wire.

    `source` is the address it came from as the channel knows it (number, SSI, mail address,
    terminal user); `unit` only where the channel has proven it (signed-in user, PIN); `code` as
    given by the sender, unchecked. `automatic` marks what a machine wrote. `key` makes a repeat
    harmless. `equipment` is what came along, `delay_reason` why it took long. `attachments` are
    file names in the store of documents.
    """

    channel: ChannelKind
    source: str
    at: datetime
    key: str
    says: Says
    unit: str | None = None
    order: str | None = None
    attempt: str | None = None
    code: str | None = None
    words: str = ""
    person: str = ""
    reference: str = ""
    equipment: str = ""
    delay_reason: str = ""
    promised_at: datetime | None = None
    automatic: bool = False
    attachments: Sequence[str] = ()
