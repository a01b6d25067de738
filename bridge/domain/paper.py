"""What papers say and what they are once made, as plain values.

The order's own paper is made of `delivery.OrderSheet`. Times are UTC-aware; limits are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class PaperKind(StrEnum):
    """The papers of the bridge."""

    ORDER = "order"
    NOTICE = "notice"
    CALLBACK = "callback"
    RECEIPT = "receipt"
    FAX = "fax"


class PaperError(ValueError):
    """A paper cannot be made; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSheet:
    """Supervision notice 督办通知单: an order whose limit has passed (LU-22).

    `list_number` counts how often the notice has been repeated, from 1.
    """

    number: str
    order: str
    case: str
    unit_name: str
    place: str = ""
    words: str = ""
    category: str = ""
    ordered_at: datetime
    due_at: datetime
    issued_at: datetime
    list_number: int = 1
    demand: str = ""
    centre: str = ""
    centre_number: str = ""
    drill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackSheet:
    """Call-back register form 回访登记表, one per call-back (YJ-55, YJ-56).

    The three answers are True (满意), False (不满意) or None (not answered); `outcome` is
    answered, no-answer, declined or no-number.
    """

    number: str
    case: str
    caller_name: str = ""
    caller_number: str = ""
    place: str = ""
    words: str = ""
    unit_name: str = ""
    result: str = ""
    attitude: bool | None = None
    speed: bool | None = None
    level: bool | None = None
    outcome: str = "answered"
    said: str = ""
    asked_at: datetime
    asked_by: str = ""
    centre: str = ""
    drill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptSheet:
    """Handoff receipt 移交回执: who now answers for the matter, and since when."""

    handoff: str
    case: str
    from_desk: str
    to_desk: str
    caller_number: str = ""
    place: str = ""
    words: str = ""
    category: str = ""
    requested_at: datetime
    accepted_at: datetime | None = None
    accepted_by: str = ""
    ticket: str = ""
    seat: str = ""
    centre: str = ""
    drill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxReport:
    """Confirmation report 发送报告 of one fax: what became of it, and the picture that was sent.

    `outcome` is delivered, unknown, failed, withdrawn or queued/sending while it goes on; `bps` 0:
    nothing was agreed. `other_station`: the far machine calls itself by another number than the one
    dialled. `picture` is the TIFF that was sent; empty where no copy is kept.
    """

    attempt: str
    order: str
    case: str
    unit_name: str
    number: str
    outcome: str
    far_id: str = ""
    other_station: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    pages: int = 0
    of: int = 0
    bps: int = 0
    coding: str = ""
    ecm: bool = False
    repeat: bool = False
    detail: str = ""
    centre: str = ""
    drill: bool = False
    picture: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A paper made: `tiff` as a fax line carries it, `pdf` and `html` for screens, plain `text`."""

    kind: PaperKind
    name: str
    """Of files: small letters, digits, hyphens; without suffix."""
    title: str
    pages: int
    tiff: bytes
    pdf: bytes
    html: str
    text: str
