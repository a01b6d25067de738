"""The orders of one case together: who is responsible, what was passed on, whether all is done.

Pure; reads orders as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.domain.journal import Json
from bridge.domain.order_state import O


def _counts(doc: Mapping[str, Any]) -> bool:
    """Copies, forwarded reports and news of a cancelling make nobody responsible."""
    content = doc["content"]
    return not any(content.get(name) for name in ("copy_of", "forward_of", "cancels"))


def first_receiver(docs: Sequence[Mapping[str, Any]]) -> str | None:
    """The unit that an order of the case was first proven to have reached (LL-32). None while none
    has. A clock's start is the proof of receipt (AMB-01)."""
    reached = [
        (clock["started_at"], doc["unit"])
        for doc in docs
        if _counts(doc)
        for clock in doc["clocks"].values()
    ]
    return min(reached)[1] if reached else None


def responsible(docs: Sequence[Mapping[str, Any]]) -> str | None:
    """The first receiver, or whoever has accepted an onward order from the one before."""
    now = first_receiver(docs)
    accepted = [doc for doc in docs if doc["acknowledged"] and doc["content"].get("onward")]
    for doc in sorted(accepted, key=lambda doc: str(doc["acknowledged"]["at"])):
        if doc["content"]["onward"]["from"] == now:
            now = doc["unit"]
    return now


def handed_on(rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Iterator[dict[str, Json]]:
    """Each onward handing-over among orders (id, state, doc): stage, times, whether accepted."""
    for ident, state, doc in rows:
        onward = doc["content"].get("onward")
        if onward:
            signed = doc["acknowledged"] or {}
            yield {
                "order": ident,
                "state": state,
                "from_order": onward["order"],
                "from": onward["from"],
                "to": doc["unit"],
                "stage": onward["stage"],
                "words": onward["words"],
                "by": onward["by"],
                "requested_at": doc["created_at"],
                "sent_at": doc["times"].get("dispatched"),
                "accepted_at": signed.get("at"),
            }


def complete(docs: Sequence[Mapping[str, Any]]) -> bool:
    """Every order has its result, and centre and citizen have been told of it (LU-18). A case
    without orders is not."""
    counted = [doc for doc in docs if _counts(doc) and doc["state"] != O.CANCELLED]
    return bool(counted) and all(
        doc["state"] == O.CLOSED and doc["centre_informed"] and doc["citizen_informed"]
        for doc in counted
    )
