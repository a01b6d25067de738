"""How long a unit took with an order: measured always, late only where a limit was entered.

Reasons that a unit gives for a delay are kept and shown; nothing is deducted for them (YJ-46).
Drills are left out of the figures (SB-42). Pure; reads orders as they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any, Final

from bridge.domain.journal import Json, parse_iso

SPANS: Final = (
    "received_to_accepted_s",
    "accepted_to_arrival_s",
    "received_to_arrival_s",
    "arrival_to_report_s",
    "received_to_result_s",
)
"""What is measured of each order (LL-31, LL-53, LL-55, SB-13)."""
LATE: Final = ("arrival", "result")


def spans(doc: Mapping[str, Any]) -> dict[str, Json]:
    """The spans of one order in seconds, None while they have not ended."""
    received = min((parse_iso(one["started_at"]) for one in doc["clocks"].values()), default=None)
    accepted = parse_iso(doc["acknowledged"]["at"]) if doc["acknowledged"] else None
    arrival = next((one for one in doc["reports"] if one["says"] == "arrived"), None)
    result = next((one for one in doc["reports"] if one["says"] == "result"), None)
    arrived = parse_iso(arrival["at"]) if arrival else None
    told = parse_iso(arrival["told_at"]) if arrival else None
    ended = parse_iso(result["at"]) if result else None
    ends = (
        (received, accepted),
        (accepted, arrived),
        (received, arrived),
        (arrived, told),
        (received, ended),
    )
    return dict(zip(SPANS, (_span(*pair) for pair in ends), strict=True))


def _span(begin: datetime | None, end: datetime | None) -> float | None:
    if begin is None or end is None:
        return None
    return max(0.0, (end - begin).total_seconds())


def late(doc: Mapping[str, Any], name: str, now: datetime) -> float | None:
    """Seconds that an order is, or was, late against its limit; None where it has none."""
    clock = doc["clocks"].get(name)
    if clock is None:
        return None
    over = doc["cancelled"] and parse_iso(doc["cancelled"]["at"])
    end = parse_iso(clock["met_at"]) if clock["met_at"] else over or now
    return max(0.0, (end - parse_iso(clock["due"])).total_seconds())


def reasons(doc: Mapping[str, Any]) -> list[Json]:
    """What the unit said about its delay, report by report."""
    return [
        {"order": doc["id"], "report": one["id"], "words": one["delay_reason"]}
        for one in doc["reports"]
        if one.get("delay_reason")
    ]


def figures(docs: Sequence[Mapping[str, Any]], now: datetime) -> list[dict[str, Json]]:
    """One line a unit, in order of its id: orders that reached it, spans (count, median, longest),
    how many were late and by how much in all, and the reasons it gave."""
    units: dict[str, list[Mapping[str, Any]]] = {}
    for doc in docs:
        if not doc["content"].get("drill") and doc["times"].get("dispatched"):
            units.setdefault(doc["unit"], []).append(doc)
    return [_of_unit(unit, units[unit], now) for unit in sorted(units)]


def _of_unit(unit: str, docs: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Json]:
    found = [spans(doc) for doc in docs]
    spread: dict[str, Json] = {name: _spread([one[name] for one in found]) for name in SPANS}
    behind: dict[str, Json] = {}
    for name in LATE:
        over = [late(doc, name, now) or 0.0 for doc in docs]
        behind[f"late_{name}"] = sum(seconds > 0 for seconds in over)
        behind[f"late_{name}_s"] = sum(over)
    said: list[Json] = [reason for doc in docs for reason in reasons(doc)]
    name = docs[-1]["content"].get("unit_name") or unit
    head: dict[str, Json] = {
        "unit": unit,
        "name": name,
        "orders": len(docs),
        "in_hand": sum(doc["in_hand"] is not None for doc in docs),
        "passed_on": sum(bool(doc["passed_on"]) for doc in docs),
    }
    return {**head, **spread, **behind, "reasons": said}


def _spread(values: Sequence[Json]) -> Json:
    known = [float(str(value)) for value in values if value is not None]
    if not known:
        return {"count": 0, "median_s": None, "longest_s": None}
    return {"count": len(known), "median_s": median(known), "longest_s": max(known)}
