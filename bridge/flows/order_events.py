"""Facts of orders as CTI events (softphone sheet 7.4): what each tells the desk.

A code never goes out as an event; who may hear an order's events, the door decides.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.domain.call import as_json
from bridge.domain.delay import spans
from bridge.domain.journal import Fact, Json, iso
from bridge.domain.order import Attempt, Order
from bridge.domain.order_state import possible

Data = dict[str, Json]


def _plain(*names: str) -> Callable[[Order, Fact], Data]:
    return lambda _order, fact: {name: fact.data.get(name) for name in names}


def _attempt(order: Order, fact: Fact) -> Data:
    attempt = order.attempts.get(fact.subject or "")
    return attempt_line(attempt) if attempt is not None else {}


def attempt_line(attempt: Attempt) -> Data:
    """An attempt in a few words, as lamps show it."""
    return {
        "attempt": attempt.id,
        "channel": attempt.channel.value,
        "whom": attempt.unit,
        "number": attempt.number,
        "attempt_state": attempt.state.value,
        "cause": attempt.cause.value if attempt.cause else None,
        "detail": attempt.detail,
        "repeat": attempt.repeat,
        "next_try_at": iso(attempt.retry_at) if attempt.retry_at else None,
    }


ORDER_EVENTS: dict[str, Callable[[Order, Fact], Data]] = {
    "order.created": _plain("confirmation_asked"),
    "order.dispatched": _plain("round"),
    "order.reminded": _plain("round", "reminder"),
    "order.step": _plain("step", "due", "whom"),
    "order.exhausted": _plain(),
    "order.acknowledged": _plain("by", "channel", "proof", "again"),
    "order.inHand": _plain("by", "reference"),
    "order.disputed": _plain("by", "words"),
    "order.disputeDecided": _plain("by", "outcome", "words"),
    "order.reported": _plain(
        "report",
        "says",
        "by",
        "channel",
        "words",
        "incomplete",
        "happened_at",
        "promised_at",
        "equipment",
        "delay_reason",
        "attachments",
    ),
    "order.onward": _plain("whom", "stage", "words", "by", "new_order"),
    "order.lateReport": _plain("says", "by", "channel", "words"),
    "order.informed": _plain("who", "channel"),
    "order.cancelled": _plain("reason"),
    "order.redirected": _plain("channel", "number", "reason"),
    "order.closed": _plain("missing"),
    "clock.started": _plain("clock", "limit_s", "start", "due"),
    "clock.met": _plain("clock", "met_at", "late_s"),
    "clock.missed": _plain("clock", "limit_s"),
    **{
        f"attempt.{name}": _attempt
        for name in (
            "queued",
            "sending",
            "sent",
            "delivered",
            "read",
            "acknowledged",
            "failed",
            "expired",
            "withdrawn",
            "unknown",
            "stopping",
        )
    },
}
"""Facts that are shown, and the members of their own; order, unit and state are in each."""


def order_data(order: Order, fact: Fact) -> tuple[str, Data] | None:
    """Type and data of the event for a fact that has taken effect on `order`, or None."""
    describe = ORDER_EVENTS.get(fact.kind)
    if describe is None:
        return None
    overdue: list[Json] = [*order.overdue]
    common: Data = {
        "order": order.id,
        "unit": order.unit,
        "state": order.state.value,
        "overdue": overdue,
        "disputed": order.disputed,
        "drill": bool(order.content.get("drill")),
    }
    return fact.kind, common | describe(order, fact)


def order_doc(order: Order, *, code: bool) -> Data:
    """An order as the desk sees it, with what is possible now; the code only where asked for."""
    doc = as_json(order)
    assert isinstance(doc, dict)
    measured = spans(doc)
    for name in ("keys", "step", "round", *(() if code else ("code",))):
        doc.pop(name)
    content = doc.pop("content")
    assert isinstance(content, dict)
    may: list[Json] = [*possible(order.state)]
    overdue: list[Json] = [*order.overdue]
    missing: list[Json] = [*order.missing]
    ladder: list[Json] = [
        {"channels": [c.value for c in step.channels], "over_s": step.over_s, "to": step.to.value}
        for step in order.ladder
    ]
    return {
        **content,
        **doc,
        "ladder": ladder,
        "attempts": [as_json(attempt) for attempt in order.attempts.values()],
        "reports": [as_json(report) for report in order.reports],
        "clocks": [as_json(clock) for clock in order.clocks.values()],
        "measured": measured,
        "overdue": overdue,
        "missing": missing,
        "possible": may,
    }
