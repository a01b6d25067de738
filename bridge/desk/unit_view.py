"""What the pages of a unit are made of: templates, the words of an order, what crossed."""

from __future__ import annotations

import asyncio
import secrets
from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment
from starlette.responses import Response

from bridge.desk.order_parts import OrderParts
from bridge.desk.problems import Problem
from bridge.desk.tokens import Grant
from bridge.desk.unit_words import STATES, order_lines, order_story
from bridge.domain.crossing import sheet_of
from bridge.domain.delivery import ChannelKind, Received
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json
from bridge.domain.order import Order
from bridge.domain.order_state import OPEN, O
from bridge.domain.unit import Unit

STORED_SECONDS = 12.0
"""Longest wait of a page for the commit of what was pressed."""
_PAGES = ("base.html", "sign_in.html", "orders.html", "order.html")


def page_text(name: str) -> str:
    return resources.files("bridge.desk").joinpath("unit", name).read_text(encoding="utf-8")


def _shown_plainly(value: object) -> object:
    """Control and direction characters as a sign of their own; line ends stay."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(one if one.isprintable() or one == "\n" else "␛" for one in value)


class Pages:
    """Draws the pages. Text is always escaped, and what acts on it is shown (guard S10)."""

    def __init__(self) -> None:
        loader = DictLoader({name: page_text(name) for name in _PAGES})
        self._environment = Environment(loader=loader, autoescape=True, finalize=_shown_plainly)

    def draw(self, name: str, status: int = 200, **values: Any) -> Response:
        """A page as an answer."""
        html = self._environment.get_template(name).render(**values)
        return Response(html, status, media_type="text/html; charset=utf-8")


def too_many(pages: Pages) -> Response:
    return pages.draw("base.html", 429, message="请求过于频繁,请稍候 / too many requests")


def sheet_for(here: OrderParts, order: Order, unit: Unit, channel: ChannelKind) -> Any:
    centre = here.orders.centre
    return sheet_of(order, unit, channel, centre=centre.name, centre_number=centre.number)


def order_values(order: Order, sheet: Any) -> dict[str, Any]:
    words = {"arrival": "到场", "situation": "现场情况"}
    return {
        "sheet": sheet,
        "lines": order_lines(sheet),
        "story": order_story(order),
        "state_words": STATES[order.state],
        "signed": order.acknowledged is not None,
        "open": order.state in OPEN,
        "can_pass": order.acknowledged is not None and order.state is not O.CANCELLED,
        "missing": [words[name] for name in order.missing],
        "key": secrets.token_hex(12),
    }


async def shown(
    here: OrderParts, grant: Grant, unit: Unit, order: Order | None, names: tuple[str, ...]
) -> None:
    """What crossed to whom, by the names of fields (SB-34); shown once it is durable."""
    fields: list[Json] = [*names]
    listed = [one.id for one in here.orders.open_of(unit.id)] if order is None else [order.id]
    orders: list[Json] = [*listed]
    data: dict[str, Json] = {"unit": unit.id, "orders": orders, "fields": fields}
    case = order.case if order is not None else None
    now = here.orders.clock.now()
    async with asyncio.timeout(STORED_SECONDS):
        await here.orders.note(Fact("audit.shown", now, case, None, None, grant.name, data))


async def take(here: OrderParts, told: Received) -> None:
    """Durable when this returns. Raises Refused."""
    try:
        async with asyncio.timeout(STORED_SECONDS):
            await here.inbox.take(told)
    except TimeoutError as error:
        raise Refused("store-cannot-write") from error


def said(error: Refused | Problem | None) -> str:
    if error is None:
        return ""
    if isinstance(error, Refused):
        return f"{error.title} / {error.detail}"
    return "请求有误,请检查填写内容 / please check what was filled in"
