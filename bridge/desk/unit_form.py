"""What people at a unit fill in and press, read with bounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fastapi import Request

from bridge.desk.order_parts import OrderParts
from bridge.desk.problems import Problem
from bridge.desk.unit_words import SAYS
from bridge.domain.delivery import ChannelKind, Received

MAX_WORDS = 2_000
MAX_LINE = 64
MAX_NOTE = 200


async def fields_of(request: Request) -> dict[str, str]:
    """Fields of a posted form, text only."""
    form = await request.form(max_files=0, max_fields=20)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def told_by(
    form: Mapping[str, str], channel: ChannelKind, order: str, user: str, here: OrderParts
) -> Received:
    """What was pressed. Raises Problem("bad-request")."""
    says = SAYS.get(form.get("says", ""))
    if says is None:
        raise Problem("bad-request")
    person = plain(form.get("person", ""), MAX_LINE)
    return Received(
        channel=channel,
        source=user,
        at=here.orders.clock.now(),
        key=f"page:{order}:{form.get('key', '')[:64]}",
        says=says,
        order=order,
        words=plain(form.get("words", ""), MAX_WORDS, lines=True),
        person=person or user,
        reference=plain(form.get("reference", ""), MAX_LINE),
        equipment=plain(form.get("equipment", ""), MAX_NOTE),
        delay_reason=plain(form.get("delay_reason", ""), MAX_NOTE),
        promised_at=_when(form.get("promised_at", ""), here),
    )


def plain(text: str, most: int, *, lines: bool = False) -> str:
    """Text of a field without control characters. Raises Problem("bad-request")."""
    text = text.replace("\r\n", "\n")
    whole = text.replace("\n", "") if lines else text
    if len(text) > most or not (whole.isprintable() or not whole):
        raise Problem("bad-request")
    return text.strip()


def _when(text: str, here: OrderParts) -> datetime | None:
    """A time as a browser's field gives it: local to the centre. Raises Problem."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem("bad-request") from error
    return found if found.tzinfo else found.replace(tzinfo=here.orders.site.zone)
