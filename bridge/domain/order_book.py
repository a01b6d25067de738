"""Orders as the fold of their facts.

`OrderBook.apply` is the only place where these records change; the deciding flow, what the desk is
shown and `db rebuild` are all folds of the same facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bridge.domain.delivery import A, Cause, ChannelKind
from bridge.domain.journal import Fact, Json, parse_iso
from bridge.domain.ladder import steps_from
from bridge.domain.order import Attempt, Order, OrderClock, Report
from bridge.domain.order_state import O

KEYS_KEPT = 200
"""Keys of received things remembered of one order, so that a repeat is harmless."""


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


def _onward(order: Order, fact: Fact) -> None:
    order.passed_on.append(str(fact.data["whom"]))


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


def _redirected(order: Order, fact: Fact) -> None:
    for attempt in order.attempts.values():
        if attempt.channel.value == fact.data.get("channel"):
            attempt.retry_at = None


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
            delay_reason=data.get("delay_reason", ""),
            promised_at=parse_iso(data["promised_at"]) if data.get("promised_at") else None,
            reference=data.get("reference", ""),
            attachments=tuple(data.get("attachments", ())),
        )
    )
    _moved(order, fact)
    _remember(order, fact)


def _on_record(order: Order, fact: Fact) -> None:
    data: Mapping[str, Any] = fact.data
    order.on_record.setdefault(data["call"], {})[data["leg"]] = data["since"]


def _recorded(order: Order, fact: Fact) -> None:
    order.on_record.pop(str(fact.data["call"]), None)
    order.recordings.append(dict(fact.data))


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
    "order.onward": _onward,
    "order.disputed": _disputed,
    "order.disputeDecided": _dispute_decided,
    "order.cancelled": _cancelled,
    "order.reported": _reported,
    "order.informed": _informed,
    "order.redirected": _redirected,
    "order.closed": _moved,
    "order.onRecord": _on_record,
    "order.recorded": _recorded,
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
        attempt.detail = data.get("detail") or attempt.detail
        attempt.retry_at = None
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
