"""What of an order crosses to a unit on which wire: an allow-list of fields (SB-34, LL-52).

The caller's number goes on the terminal, by phone and by fax; by radio, SMS and mail only where
the unit's record says so, as the caller's name everywhere and attachments on the terminal and by
mail. No recording and no other case is ever a field of a sheet.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from bridge.domain.delivery import ChannelKind, OrderSheet
from bridge.domain.order import Order
from bridge.domain.unit import Unit

NUMBER_CROSSES = frozenset({ChannelKind.TERMINAL, ChannelKind.PHONE, ChannelKind.FAX})
FILES_CROSS = frozenset({ChannelKind.TERMINAL, ChannelKind.MAIL})
PLAIN = (
    "squad",
    "role",
    "place",
    "words",
    "category",
    "equipment",
    "arrival_limit_s",
    "result_limit_s",
)
"""Fields of the content that cross to every unit on every wire."""
DRILL = "演练"
MAY_REPEAT = "可能重复"


def sheet_of(
    order: Order,
    unit: Unit,
    channel: ChannelKind,
    *,
    centre: str,
    centre_number: str,
    repeat: bool = False,
) -> OrderSheet:
    """The sheet of that order for that unit on that wire; what does not cross is None or empty."""
    content: Any = order.content
    number = channel in NUMBER_CROSSES or "caller_number" in unit.may_receive
    name = "caller_name" in unit.may_receive
    files = channel in FILES_CROSS and "attachments" in unit.may_receive
    return OrderSheet(
        order=order.id,
        code=order.code,
        kind=order.kind,
        klass=order.klass,
        case=order.case,
        unit=unit.id,
        unit_name=unit.name,
        caller_number=(content.get("caller_number") or None) if number else None,
        caller_name=(content.get("caller_name") or None) if name else None,
        centre=centre,
        centre_number=centre_number,
        issued_at=order.times.get("dispatched", order.created_at),
        green=bool(content.get("green")),
        drill=bool(content.get("drill")),
        repeat=repeat,
        reminder=order.reminder,
        attachments=tuple(content.get("attachments") or ()) if files else (),
        **{name: content[name] for name in PLAIN if content.get(name)},
    )


def crossed(sheet: OrderSheet) -> tuple[str, ...]:
    """Names of the fields that carry something: what the journal says has crossed."""
    return tuple(one.name for one in fields(sheet) if getattr(sheet, one.name))


def spoken_marks(sheet: OrderSheet) -> str:
    """What goes before the words on every wire: drill, reminder, may be a repeat."""
    marks = [DRILL] if sheet.drill else []
    marks += [f"催办第{sheet.reminder}次"] if sheet.reminder else []
    marks += [MAY_REPEAT] if sheet.repeat else []
    return "".join(f"【{mark}】" for mark in marks)
