"""The record of an order, its attempts, reports and clocks. `order_book` fills them from facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.domain.delivery import A, Cause, ChannelKind
from bridge.domain.journal import Json
from bridge.domain.ladder import Step
from bridge.domain.order_state import ENDED, UNDER_WAY, O


@dataclass(slots=True)
class Attempt:
    """One try on one channel. `chain` is its round, step and channel; `number` counts in it."""

    id: str
    channel: ChannelKind
    unit: str
    addresses: tuple[str, ...]
    round: int
    step: int
    number: int = 1
    repeat: bool = False
    state: A = A.QUEUED
    cause: Cause | None = None
    detail: str = ""
    retry_at: datetime | None = None
    stopping: bool = False
    followed: bool = False
    """Another try of its chain came after it."""
    crossed: tuple[str, ...] = ()
    times: dict[str, datetime] = field(default_factory=dict)
    data: dict[str, Json] = field(default_factory=dict)

    @property
    def chain(self) -> tuple[int, int, ChannelKind, str]:
        return self.round, self.step, self.channel, self.unit

    @property
    def under_way(self) -> bool:
        return self.state in UNDER_WAY


@dataclass(slots=True)
class Report:
    """Something the unit reported. `at`: when it happened; `told_at`: when we were told (LL-54)."""

    id: str
    says: str
    at: datetime
    told_at: datetime
    by: str
    unit: str
    channel: str
    words: str = ""
    incomplete: bool = False
    equipment: str = ""
    delay_reason: str = ""
    promised_at: datetime | None = None
    reference: str = ""
    attachments: tuple[str, ...] = ()


@dataclass(slots=True)
class OrderClock:
    """A limit that runs: arrival or result. `start` names what proved the receipt (AMB-01)."""

    name: str
    limit_s: int
    start: str
    started_at: datetime
    due: datetime
    met_at: datetime | None = None
    missed_at: datetime | None = None

    @property
    def running(self) -> bool:
        return self.met_at is None and self.missed_at is None


@dataclass(slots=True)
class Order:
    """One order to one unit (指令, SB-12). Content is fixed when it is created."""

    id: str
    case: str
    unit: str
    code: str
    content: Mapping[str, Any]
    created_at: datetime
    actor: str
    seat: str | None = None
    state: O = O.DRAFT
    confirmation_asked: bool = False
    ladder: tuple[Step, ...] = ()
    round: int = 0
    step: int = -1
    step_due: datetime | None = None
    reminder: int = 0
    exhausted_at: datetime | None = None
    acknowledged: dict[str, Json] | None = None
    in_hand: str | None = None
    passed_on: list[str] = field(default_factory=list)
    """Units that it was asked to be passed on to."""
    disputed: bool = False
    dispute: dict[str, Json] | None = None
    cancelled: dict[str, Json] | None = None
    centre_informed: dict[str, Json] | None = None
    citizen_informed: dict[str, Json] | None = None
    times: dict[str, datetime] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    clocks: dict[str, OrderClock] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    on_record: dict[str, dict[str, Json]] = field(default_factory=dict)
    """Calls about it whose recording is not closed yet: since when each leg has a track."""
    recordings: list[dict[str, Json]] = field(default_factory=list)
    """Closed recordings of such calls: tracks with their SHA-256, what is missing."""

    @property
    def kind(self) -> str:
        return str(self.content["kind"])

    @property
    def klass(self) -> str:
        return str(self.content["klass"])

    @property
    def live(self) -> bool:
        return self.state not in ENDED

    @property
    def overdue(self) -> tuple[str, ...]:
        """Clocks that were missed and have not been met since."""
        return tuple(c.name for c in self.clocks.values() if c.missed_at and not c.met_at)

    @property
    def missing(self) -> tuple[str, ...]:
        """Reports that the order should have by now and has not (SB-13, LL-54)."""
        arrivals = [report.incomplete for report in self.reports if report.says == "arrived"]
        return missing_reports(self.state, bool(self.content.get("arrival_limit_s")), arrivals)

    def running(self) -> list[Attempt]:
        """Attempts that a channel may still be carrying."""
        return [attempt for attempt in self.attempts.values() if attempt.under_way]

    def chain(self, attempt: Attempt) -> list[Attempt]:
        """All tries of the same chain."""
        return [other for other in self.attempts.values() if other.chain == attempt.chain]

    def next_due(self) -> datetime | None:
        """When time itself next changes something here; None: never."""
        dues = [a.retry_at for a in self.attempts.values() if a.retry_at is not None]
        dues += [clock.due for clock in self.clocks.values() if clock.running]
        if self.step_due is not None:
            dues.append(self.step_due)
        return min(dues, default=None) if self.live else None


def missing_reports(state: str, limited: bool, arrivals: Sequence[bool]) -> tuple[str, ...]:
    """What an order in that state lacks; `arrivals` says of each whether its situation is missing,
    `limited` whether the order has an arrival clock."""
    found = []
    if limited and not arrivals and state in (O.ARRIVED, O.RESULT, O.CLOSED):
        found.append("arrival")
    if arrivals and all(arrivals):
        found.append("situation")
    return tuple(found)
