"""The order by radio of a played case: given while the citizen is on the line, read by the set in
the field, signed by its status 到场."""

from __future__ import annotations

from typing import Final

from bridge.lab.desk_client import DeskClient
from bridge.lab.radios import UNIT

WORDS: Final = "解放路12号门前水管爆裂,路面积水,请速到场关阀抢修并回告"
ORDER_S: Final = 15.0
"""Deadline of the arrival; on the air it takes two seconds."""


async def give(desk: DeskClient, case: str) -> str:
    """Give the order; its number. Raises RuntimeError or OSError."""
    body = {"units": [UNIT], "words": WORDS}
    answer = await desk.must("POST", f"cases/{case}/orders", body)
    return str(answer["orders"][0]["order"])


async def arrived(desk: DeskClient, order: str) -> None:
    """Until the unit is on the spot. Raises TimeoutError."""

    async def look() -> bool:
        found = await desk.must("GET", f"orders/{order}")
        return bool(found["state"] == "arrived")

    await desk.wait_for(look, ORDER_S, f"{order} arrived")
