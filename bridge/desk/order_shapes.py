"""What clients are answered about orders, cases and units: shapes of the published contract."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from bridge.desk.shapes import Time


class OrderAccepted(BaseModel):
    """A service of an order, durable; what comes of it is told as events."""

    order: str


class OrderGiven(BaseModel):
    """One order that was given; a draft that asks for confirmation has not been sent."""

    order: str
    unit: str
    state: str
    confirmation_asked: bool


class CallAlong(BaseModel):
    """The seat's call that goes along with a one-click order; `refused`: why it does not."""

    unit: str
    call: str
    to: str
    refused: str | None


class OrdersAccepted(BaseModel):
    """One order for each unit."""

    orders: list[OrderGiven]
    along: CallAlong | None = None


class OrderLine(BaseModel):
    """指令, in a list."""

    order: str
    case: str
    unit: str
    unit_name: str | None
    state: str
    kind: str
    klass: str
    words: str
    place: str | None
    category: str | None
    drill: bool | None
    green: bool | None
    created_at: str
    acknowledged_by: str | None
    disputed: bool
    confirmation_asked: bool
    missing: list[str]


class OrderList(BaseModel):
    """Orders, newest first."""

    orders: list[OrderLine]


class OnwardDoc(BaseModel):
    """An order that a unit passed on (事中 or 事后), and whether a person there has accepted."""

    order: str
    state: str
    from_order: str
    to: str
    stage: Literal["事中", "事后"]
    words: str
    by: str
    requested_at: str
    sent_at: Time
    accepted_at: Time


class OrdersOfCase(OrderList):
    """Orders of one case; the unit that one of them reached first, and who is responsible now:
    that unit, or the one that accepted an onward order from it (LL-32, LL-33). `complete`: every
    result is there and has been told to centre and citizen (LU-18)."""

    first_receiver: str | None
    responsible: str | None
    onward: list[OnwardDoc]
    complete: bool


class CommandDoc(BaseModel):
    """Who commands a case: 110, or the body of a special plan (LL-28 to LL-30)."""

    mode: Literal["direct", "early", "special"]
    holder: str
    since: Time
    by: str
    plan: str
    body: str
    reported_at: Time
    orders: list[str]
    why: str


class CaseDoc(OrdersOfCase):
    """求助件: what its first call told, what was written of it, who commands, its orders. `desk`:
    the desk that its area selects (LY-12)."""

    case: str
    caller: str
    entry: str
    opened_at: str
    desk: str
    klass: str
    category: str
    grade: int | None
    area: str
    place: str
    words: str
    caller_name: str
    drill: bool
    attachments: list[str]
    described_at: Time
    described_by: str
    command: CommandDoc
    commands: list[CommandDoc]


class CaseAccepted(BaseModel):
    """What was written of a case is durable; how it is commanded now."""

    case: str
    command: Literal["direct", "early", "special"]


class Attached(BaseModel):
    """A file that is kept: its name here, by which orders of the case may carry it."""

    case: str
    attachment: str


class DelayList(BaseModel):
    """Delay figures of units over some days; reasons are shown and never deducted (YJ-46)."""

    since: str
    until: str
    units: list[dict[str, Any]]


class AttemptDoc(BaseModel):
    """One try on one channel."""

    id: str
    channel: str
    unit: str
    addresses: list[str]
    number: int
    repeat: bool
    state: str
    cause: str | None
    detail: str
    retry_at: Time
    stopping: bool
    crossed: list[str]
    times: dict[str, str]


class ReportDoc(BaseModel):
    """What the unit reported; when it happened and when we were told."""

    id: str
    says: str
    at: str
    told_at: str
    by: str
    unit: str
    channel: str
    words: str
    incomplete: bool
    equipment: str
    delay_reason: str
    promised_at: Time
    attachments: list[str]


class ClockDoc(BaseModel):
    """A limit that runs, and from what."""

    name: str
    limit_s: int
    start: str
    started_at: str
    due: str
    met_at: Time
    missed_at: Time


class OrderDoc(BaseModel):
    """指令 with its attempts, reports and clocks, and the services possible now."""

    id: str
    case: str
    unit: str
    state: str
    kind: str
    klass: str
    words: str
    code: str | None = None
    attempts: list[AttemptDoc]
    reports: list[ReportDoc]
    clocks: list[ClockDoc]
    overdue: list[str]
    missing: list[str]
    measured: dict[str, float | None]
    possible: list[str]
    disputed: bool
    recordings: list[dict[str, Any]]
    passed_on: list[str]


class WireDoc(BaseModel):
    """One wire of a unit and how it was when last looked at."""

    channel: str
    addresses: list[str]
    checked_at: Time
    works: bool | None
    words: str


class UnitDoc(BaseModel):
    """联动单位."""

    unit: str
    name: str
    tier: int | None
    area: str
    squads: list[str]
    deputy: str | None
    can_call_in: bool
    open_orders: int
    wires: list[WireDoc]


class UnitList(BaseModel):
    """The directory."""

    units: list[UnitDoc]


class ChannelDoc(BaseModel):
    """One kind of wire."""

    channel: str
    there: bool
    units: int
    units_working: int
    attempts_running: int


class ChannelList(BaseModel):
    """Every kind of wire."""

    channels: list[ChannelDoc]
