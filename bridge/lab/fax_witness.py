"""What the unit's fax machine printed and sent back, beside the daemon's journal and its copies."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridge.lab.fax_play import FaxPlayed
from bridge.lab.witness import Fact, Record, when
from hardware.fax.page import PageError, read_tiff

CONFIRMED: Final = "SUCCESS 1"
"""What a machine says when all of its one page was confirmed."""
TAKEN_S: Final = 10.0
"""From the end of a call until what it brought is read, on a loaded machine."""
NEAR_S: Final = 8.0
"""The machine has the page before the farewells of the call, after which it is called delivered."""


def fax_facts(fax: FaxPlayed, faxes: Path, record: Record) -> list[Fact]:
    """The facts of an order by fax. Blocks; small files."""
    delivered = record.at("attempt.delivered")
    printed = fax.printed_at or None
    same = bool(fax.printed) and fax.printed in _copies(faxes / "sent", fax.order)
    back = fax.returned_at or None
    result = record.at("order.reported", says="result", channel="fax")
    confirmed = fax.returned == CONFIRMED
    return [
        Fact(
            "指令由传真机打印,与发出的逐点相同",
            "the fax machine prints the order, pel by pel as it was sent",
            f"{when(record.clock, printed)} {len(fax.printed)} p.",
            f"{when(record.clock, delivered)} delivered",
            same and _soon(printed, delivered, NEAR_S),
        ),
        Fact(
            "回传的指令单勾选 处置完毕:指令办结",
            "the sheet faxed back with 'result' ticked closes its order",
            f"{when(record.clock, back)} {fax.returned or '-'}",
            when(record.clock, result),
            confirmed and _soon(result, back, TAKEN_S),
        ),
    ]


def _soon(one: float | None, other: float | None, within: float) -> bool:
    return one is not None and other is not None and abs(one - other) <= within


def _copies(sent: Path, order: str) -> list[object]:
    """What went out for the order, one for each try."""
    found: list[object] = []
    for file in sorted(sent.glob(f"sent-{order}.*.tif")):
        try:
            found.append(read_tiff(file))
        except PageError:
            continue
    return found
