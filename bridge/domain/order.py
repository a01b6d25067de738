"""The record of an order, its attempts, reports and clocks: what follows from the facts.

`OrderBook.apply` is the only place where these records change; the deciding flow, what the desk is
shown and `db rebuild` are all folds of the same facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.domain.delivery import A, Cause, ChannelKind
from bridge.domain.journal import Fact, Json, parse_iso
from bridge.domain.ladder import Step, steps_from
from bridge.domain.order_state import ENDED, UNDER_WAY, O

KEYS_KEPT = 200
"""Keys of received things remembered of one order, so that a repeat is harmless."""


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
        had = {report.says for report in self.reports}
        found = []
        later = self.state in (O.ARRIVED, O.RESULT, O.CLOSED)
        if later and self.content.get("arrival_limit_s") and "arrived" not in had:
            found.append("arrival")
        arrivals = [report for report in self.reports if report.says == "arrived"]
        if arrivals and all(report.incomplete for report in arrivals):
            found.append("situation")
        return tuple(found)

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


class OrderBook:
    """Orders as their facts leave them."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}

    def apply(self, fact: Fact) -> None:
        """Let one fact take effect. Facts of unknown kind change nothing (newer journals)."""
        if fact.kind == "order.created":
            self._created(fact)
            return
        order = self.orders.get(order_of(fact) or "")
        if order is None:
            return
        group, _, name = fact.kind.partition(".")
        if group == "attempt":
            _attempt(order, name, fact)
        elif fact.kind in _ON_ORDER:
            _ON_ORDER[fact.kind](order, fact)

    def _created(self, fact: Fact) -> None:
        data: Mapping[str, Any] = fact.data
        if fact.subject is None or fact.case is None or fact.subject in self.orders:
            return
        self.orders[fact.subject] = Order(
            id=fact.subject,
            case=fact.case,
            unit=data["unit"],
            code=data["code"],
            content=data["content"],
            created_at=fact.at,
            actor=fact.actor,
            seat=data.get("seat"),
            confirmation_asked=bool(data.get("confirmation_asked")),
        )

    def live(self) -> Iterator[Order]:
        """Orders that are not over."""
        return (order for order in list(self.orders.values()) if order.live)


GROUPS = frozenset({"order", "attempt", "clock", "report"})
"""First words of the facts that are an order's."""


def order_of(fact: Fact) -> str | None:
    """The order that a fact is about: its subject, or the one that an attempt's data name."""
    found = fact.data.get("order") if not fact.kind.startswith("order.") else fact.subject
    return str(found) if found else None


def _moved(order: Order, fact: Fact) -> None:
    to = fact.data.get("to")
    if isinstance(to, str):
        order.state = O(to)
    order.times.setdefault(fact.kind.partition(".")[2], fact.at)


def _dispatched(order: Order, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    order.ladder = steps_from(data["ladder"])
    order.round, order.step = int(data["round"]), -1
    order.reminder = int(data.get("reminder", 0))
    for attempt in order.attempts.values():
        attempt.retry_at = None
    _moved(order, fact)


def _step(order: Order, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    order.step = int(data["step"])
    order.step_due = parse_iso(data["due"]) if data.get("due") else None


def _exhausted(order: Order, fact: Fact) -> None:
    order.exhausted_at = fact.at
    order.step_due = None
    _moved(order, fact)


def _acknowledged(order: Order, fact: Fact) -> None:
    if order.acknowledged is None:
        order.acknowledged = {"at": fact.at.isoformat(), **_less(fact.data, "to", "key")}
    _moved(order, fact)
    _stopped(order, fact)


def _stopped(order: Order, fact: Fact) -> None:
    order.step_due = None
    for attempt in order.attempts.values():
        attempt.retry_at = None
    _remember(order, fact)


def _in_hand(order: Order, fact: Fact) -> None:
    order.in_hand = str(fact.data.get("reference") or "")
    _remember(order, fact)


def _disputed(order: Order, fact: Fact) -> None:
    order.disputed = True
    order.dispute = {"at": fact.at.isoformat(), **_less(fact.data, "key")}
    _remember(order, fact)


def _dispute_decided(order: Order, fact: Fact) -> None:
    order.disputed = False
    order.dispute = {**(order.dispute or {}), "decided": dict(fact.data)}


def _cancelled(order: Order, fact: Fact) -> None:
    order.cancelled = {"at": fact.at.isoformat(), "by": fact.actor, **_less(fact.data, "to")}
    _moved(order, fact)
    _stopped(order, fact)


def _informed(order: Order, fact: Fact) -> None:
    mark: dict[str, Json] = {"at": fact.at.isoformat(), "channel": fact.data.get("channel")}
    if fact.data.get("who") == "citizen":
        order.citizen_informed = mark
    else:
        order.centre_informed = mark


def _reported(order: Order, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    order.reports.append(
        Report(
            id=data["report"],
            says=data["says"],
            at=parse_iso(data["happened_at"]),
            told_at=fact.at,
            by=data["by"],
            unit=data["unit"],
            channel=data["channel"],
            words=data.get("words", ""),
            incomplete=bool(data.get("incomplete")),
            equipment=data.get("equipment", ""),
            promised_at=parse_iso(data["promised_at"]) if data.get("promised_at") else None,
            reference=data.get("reference", ""),
            attachments=tuple(data.get("attachments", ())),
        )
    )
    _moved(order, fact)
    _remember(order, fact)


def _clock_started(order: Order, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    order.clocks[data["clock"]] = OrderClock(
        name=data["clock"],
        limit_s=int(data["limit_s"]),
        start=data["start"],
        started_at=fact.at,
        due=parse_iso(data["due"]),
    )


def _clock_met(order: Order, fact: Fact) -> None:
    order.clocks[str(fact.data["clock"])].met_at = parse_iso(str(fact.data["met_at"]))


def _clock_missed(order: Order, fact: Fact) -> None:
    order.clocks[str(fact.data["clock"])].missed_at = fact.at


def _remember(order: Order, fact: Fact) -> None:
    key = fact.data.get("key")
    if isinstance(key, str) and key:
        order.keys.append(key)
        del order.keys[:-KEYS_KEPT]


def _less(data: Mapping[str, Json], *names: str) -> dict[str, Json]:
    return {name: value for name, value in data.items() if name not in names}


_ON_ORDER: dict[str, Callable[[Order, Fact], None]] = {
    "order.dispatched": _dispatched,
    "order.reminded": _dispatched,
    "order.step": _step,
    "order.exhausted": _exhausted,
    "order.acknowledged": _acknowledged,
    "order.inHand": _in_hand,
    "order.disputed": _disputed,
    "order.disputeDecided": _dispute_decided,
    "order.cancelled": _cancelled,
    "order.reported": _reported,
    "order.informed": _informed,
    "order.closed": _moved,
    "clock.started": _clock_started,
    "clock.met": _clock_met,
    "clock.missed": _clock_missed,
}


def _attempt(order: Order, name: str, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    ident = fact.subject or ""
    if name == "queued":
        order.attempts.setdefault(ident, _queued(ident, data))
        before = order.attempts.get(data.get("after") or "")
        if before is not None:
            before.retry_at = None
            before.followed = True
    attempt = order.attempts.get(ident)
    if attempt is None:
        return
    if name == "stopping":
        attempt.stopping = True
        return
    if name not in A._value2member_map_:
        return
    attempt.state = A(name)
    attempt.times.setdefault(name, fact.at)
    attempt.cause = Cause(data["cause"]) if data.get("cause") else attempt.cause
    attempt.detail = data.get("detail") or attempt.detail
    attempt.data.update(data.get("measured") or {})
    attempt.retry_at = parse_iso(data["retry_at"]) if data.get("retry_at") else None


def _queued(ident: str, data: Mapping[str, Any]) -> Attempt:
    return Attempt(
        id=ident,
        channel=ChannelKind(data["channel"]),
        unit=data["unit"],
        addresses=tuple(data["addresses"]),
        round=int(data["round"]),
        step=int(data["step"]),
        number=int(data["number"]),
        repeat=bool(data.get("repeat")),
        crossed=tuple(data["crossed"]),
    )
