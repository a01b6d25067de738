"""What notices, call-back forms and receipts say: the record's own words, beside what is newly
asked or answered. Pure; reads records as they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bridge.domain.errors import Refused
from bridge.domain.journal import parse_iso
from bridge.domain.order import Order
from bridge.domain.order_state import O, possible
from bridge.domain.paper import CallbackSheet, NoticeSheet, ReceiptSheet
from bridge.domain.shared_case import SharedCase


def overdue_since(order: Order, now: datetime) -> datetime | None:
    """When the first limit of the order that has not been met, or a promise, ran out; else None."""
    ended = order.state in (O.RESULT, O.CLOSED)
    late = [
        clock.due
        for clock in order.clocks.values()
        if clock.met_at is None and clock.due <= now and not ended
    ]
    promised = [one.promised_at for one in order.reports if one.promised_at]
    if promised and promised[-1] <= now and not ended:
        late.append(promised[-1])
    return min(late, default=None)


def notice_of(
    order: Order,
    *,
    number: str,
    count: int,
    now: datetime,
    centre: str,
    centre_number: str,
    demand: str,
    due_at: datetime | None,
) -> NoticeSheet:
    """A supervision notice about an order that is overdue (LU-22); `due_at` only where the record
    has no limit that ran out. Raises Refused: wrong-state, not-overdue."""
    sent = order.times.get("dispatched")
    if sent is None or order.state in (O.CANCELLED, O.CLOSED):
        raise Refused("wrong-state", order.state.value, possible(order.state))
    due = overdue_since(order, now) or due_at
    if due is None:
        raise Refused("not-overdue", order.state.value)
    content: Mapping[str, Any] = order.content
    return NoticeSheet(
        number=number,
        order=order.id,
        case=order.case,
        unit_name=content.get("unit_name") or order.unit,
        place=content.get("place") or "",
        words=content.get("words") or "",
        category=content.get("category") or "",
        ordered_at=sent,
        due_at=due,
        issued_at=now,
        list_number=count,
        demand=demand,
        centre=centre,
        centre_number=centre_number,
        drill=bool(content.get("drill")),
    )


def callback_of(
    case: Mapping[str, Any],
    orders: Sequence[Mapping[str, Any]],
    answers: Mapping[str, Any],
    *,
    ident: str,
    number: str,
    asked_by: str,
    centre: str,
) -> CallbackSheet:
    """The register form of one call-back: the caller and the matter from the case, unit and result
    from the order that closed last (YJ-55, YJ-56)."""
    ended = [doc for doc in orders if any(one["says"] == "result" for one in doc["reports"])]
    last = max(ended, key=lambda doc: str(doc["times"].get("closed", "")), default=None)
    results = [one["words"] for one in last["reports"] if one["says"] == "result"] if last else []
    return CallbackSheet(
        number=number,
        case=ident,
        caller_name=case.get("caller_name") or "",
        caller_number=case.get("caller") or "",
        place=case.get("place") or "",
        words=case.get("words") or "",
        unit_name=(last["content"].get("unit_name") or last["unit"]) if last else "",
        result=results[-1] if results else "",
        asked_by=asked_by,
        centre=centre,
        drill=bool(case.get("drill")),
        **answers,
    )


def receipt_of(
    case: Mapping[str, Any],
    handoff: Mapping[str, Any] | None,
    shared: SharedCase | None,
    *,
    ident: str,
    case_number: str,
    to_desk: str,
    centre: str,
) -> ReceiptSheet:
    """Who answers for the matter now: by the handoff of a call, and by the document that the other
    desk shares. Raises Refused("no-such-handoff") where neither knows it."""
    part = shared.handoff if shared is not None and shared.handoff.id == ident else None
    times: Mapping[str, str] = handoff["times"] if handoff is not None else {}
    requested = times.get("requested")
    asked = parse_iso(requested) if requested else part.requested_at if part else None
    if asked is None:
        raise Refused("no-such-handoff")
    said = part.accepted_at if part else None
    accepted = parse_iso(times["accepted"]) if "accepted" in times else said
    return ReceiptSheet(
        handoff=ident,
        case=case_number,
        from_desk=centre,
        to_desk=to_desk,
        caller_number=case.get("caller") or "",
        place=case.get("place") or "",
        words=case.get("words") or "",
        category=case.get("category") or "",
        requested_at=asked,
        accepted_at=accepted,
        accepted_by=part.by if part else "",
        ticket=shared.ticket if part and shared else "",
        seat=(handoff.get("seat") if handoff else None) or "",
        centre=centre,
        drill=bool(case.get("drill")),
    )
