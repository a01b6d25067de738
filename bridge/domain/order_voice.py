"""What is recorded of telephone calls about an order. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bridge.domain.journal import Json, iso
from bridge.domain.order import Order
from bridge.domain.order_work import Work


def is_recorded(order: Order, call: str) -> bool:
    """Whether the recording of that call was closed."""
    return any(found["call"] == call for found in order.recordings)


def on_record(work: Work, call: str, leg: str, since: datetime) -> None:
    """Leg `leg` of the call has a track since then; said once."""
    if leg in work.order.on_record.get(call, ()) or is_recorded(work.order, call):
        return
    work.say("order.onRecord", call=call, leg=leg, since=iso(since))


def recorded(work: Work, call: str, found: Mapping[str, Json]) -> None:
    """The recording of the call is closed: its tracks and their hashes, or why there are none."""
    if call in work.order.on_record:
        work.say("order.recorded", **{**found, "call": call})
