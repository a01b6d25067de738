"""Facts of cases shared with other platforms as CTI events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.domain.journal import Fact, Json

PEER_EVENTS = ("peer.case", "peer.delivered")


def peer_data(fact: Fact) -> dict[str, Json] | None:
    """The event's data, or None for a fact that is not shown as an event of its own."""
    data: Mapping[str, Any] = fact.data
    if fact.kind == "peer.case":
        doc = data["doc"]
        return {
            "id": fact.subject,
            "status": doc["status"],
            "from": data.get("from"),
            "to": list(data["to"]),
            "ticket": doc["ticket"],
            "document": doc,
        }
    if fact.kind == "peer.delivered":
        return {"id": fact.subject, "peer": data["peer"], "delay_ms": data["delay_ms"]}
    return None
