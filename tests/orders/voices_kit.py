"""The flow of recordings on one life of orders, with an archive that only notes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bridge.domain.journal import Json
from bridge.flows.order_voices import Leg, OrderVoices
from bridge.flows.ports import ActUnknown
from tests.orders.order_kit import Kit

WHOLE: dict[str, Json] = {"tracks": [{"file": "x.wav", "sha256": "0" * 64}], "missing": []}
Closed = list[tuple[str, list[Leg]]]


@asynccontextmanager
async def voices_of(
    kit: Kit, found: Mapping[str, Json] | None = None, up: set[str] | None = None
) -> AsyncIterator[tuple[OrderVoices, Closed]]:
    """The flow on one life of orders; what it had closed. `up`: None means that nobody knows."""
    closed: Closed = []

    async def close(call: str, legs: Sequence[Leg]) -> Mapping[str, Json]:
        closed.append((call, list(legs)))
        return {"call": call, **(WHOLE if found is None else found)}

    async def there() -> set[str]:
        if up is None:
            raise ActUnknown("the link is down")
        return up

    def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
        kit.tasks.create_task(work, name=f"work:{name}")

    yield OrderVoices(kit.orders, close, there, spawn), closed
