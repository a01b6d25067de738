"""The confirmation report of an attempt by fax, out of its record. Pure."""

from __future__ import annotations

from typing import Any, Final

from bridge.domain.delivery import A
from bridge.domain.order import Attempt, Order
from bridge.domain.paper import FaxReport

_ENDS: Final = (A.DELIVERED, A.UNKNOWN, A.FAILED, A.WITHDRAWN, A.EXPIRED)
"""What a machine may have said, the strongest first; a person's signature is no word of it."""


def fax_report(order: Order, attempt: Attempt, centre: str, picture: bytes) -> FaxReport:
    """What became of the attempt; `picture` is the TIFF that was sent."""
    ended = next((state for state in _ENDS if state.value in attempt.times), None)
    begun = A.SENDING if A.SENDING.value in attempt.times else A.QUEUED
    told: dict[str, Any] = attempt.data
    return FaxReport(
        attempt=attempt.id,
        order=order.id,
        case=order.case,
        unit_name=str(order.content.get("unit_name") or attempt.unit),
        number=str(told.get("number") or attempt.addresses[0]),
        outcome=(ended or begun).value,
        far_id=str(told.get("far_id") or ""),
        other_station=bool(told.get("other_station")),
        started_at=attempt.times.get(A.SENDING.value),
        ended_at=attempt.times.get(ended.value) if ended is not None else None,
        pages=int(told.get("pages") or 0),
        of=int(told.get("of") or 0),
        bps=int(told.get("bps") or 0),
        coding=str(told.get("coding") or ""),
        ecm=bool(told.get("ecm")),
        repeat=attempt.repeat,
        detail=attempt.detail,
        centre=centre,
        drill=bool(order.content.get("drill")),
        picture=picture,
    )
