"""What clients send about orders: strict types, text without control characters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from bridge.desk.bodies import Body
from bridge.domain.attachment import MAX_FILES, NAME
from bridge.flows.order_desk import MAX_UNITS

UnitId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
ReportId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
FileName = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
Plain = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
Text = Annotated[
    str, Field(max_length=4000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]*$")
]
"""Words of several lines; no other control character."""
When = Annotated[AwareDatetime, Field(strict=False)]
Seconds = Annotated[int, Field(ge=60, le=30 * 86400)]
Kind = Literal["site", "command", "notice", "equipment", "inspection", "support"]


class Nothing(Body):
    """A service without arguments."""


class NewOrder(Body):
    """An order; with several units one order for each of them. What is empty is as the case says:
    class, words, place, category, the caller's name."""

    units: Annotated[list[UnitId], Field(min_length=1, max_length=MAX_UNITS)]
    kind: Kind = "site"
    klass: Literal["", "URGENT", "GENERAL"] = ""
    words: Text = ""
    place: Plain = ""
    category: Plain = ""
    squad: Plain = ""
    equipment: Plain = ""
    caller_name: Plain = ""
    role: Literal["", "指导", "参与"] = ""
    after_report: ReportId | None = None
    attachments: list[FileName] = Field(default_factory=list, max_length=MAX_FILES)
    green: bool = False
    drill: bool = False
    confirmed: bool = False
    copy_centre: bool = False
    arrival_limit_s: Seconds | None = None
    result_limit_s: Seconds | None = None


class Redirecting(Body):
    """Another fax number for one order, and why."""

    number: Annotated[str, Field(pattern=r"^\+?[0-9]{3,20}$")]
    reason: Plain


class TakingBack(Body):
    """One attempt of an order, and why it is taken back."""

    attempt: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\.[0-9]{1,6}$")]
    reason: Plain


class Acknowledging(Body):
    """`by`: who signed (needed on behalf of a unit); `reference`: already in hand under that."""

    by: Plain = ""
    in_hand: bool = False
    reference: Plain = ""


class Reporting(Body):
    """What the unit reports; `at`: when it happened."""

    kind: Literal["arrival", "progress", "result", "promise", "dispute"]
    text: Text = ""
    by: Plain = ""
    at: When | None = None
    promised_at: When | None = None
    equipment: Plain = ""
    delay_reason: Plain = ""


class PassingOn(Body):
    """To which unit, why, and on behalf of a unit who asked (LL-33)."""

    to: UnitId
    text: Text = ""
    by: Plain = ""


class DescribingCase(Body):
    """What is known of a case; what is left out stays as it is."""

    klass: Literal["POLICE", "URGENT", "GENERAL"] | None = None
    category: Plain | None = None
    grade: Annotated[int, Field(ge=1, le=4)] | None = None
    area: Plain | None = None
    place: Plain | None = None
    words: Text | None = None
    caller_name: Plain | None = None
    drill: bool | None = None


class StartingPlan(Body):
    """A special plan is started: its name, the unit that commands from now on, and when 110
    reported (LL-30)."""

    plan: Annotated[Plain, Field(min_length=1)]
    body: UnitId
    reported_at: When


class EndingPlan(Body):
    """Why 110 commands again."""

    reason: Text


class Cancelling(Body):
    """Why."""

    reason: Text


class Deciding(Body):
    """What the centre decided about an objection."""

    outcome: Literal["upheld", "rejected"]
    words: Text = ""


class Informing(Body):
    """Who has been told the result, and how (LU-18)."""

    who: Literal["centre", "citizen"]
    channel: Plain
