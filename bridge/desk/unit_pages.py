"""The unit's terminal: plain pages that work without scripts and on a telephone.

A page shows what may cross to the unit and nothing else. What a person who signed in was shown is
journaled; a mail's link shows what the mail has already said, and only what is pressed there is
journaled. GET never acts; forms are posted from our own origin with a strict cookie.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

from bridge.desk.attachments import download, files_of, kept, room_for, uploaded
from bridge.desk.order_parts import OrderParts
from bridge.desk.problems import Problem, status_of
from bridge.desk.rest import parts_of
from bridge.desk.tokens import Grant
from bridge.desk.unit_form import MAX_LINE, MAX_WORDS, fields_of, plain, told_by
from bridge.desk.unit_link import link_pages
from bridge.desk.unit_view import (
    Pages,
    order_values,
    page_text,
    said,
    sheet_for,
    shown,
    take,
    too_many,
)
from bridge.desk.unit_words import STATES
from bridge.domain.crossing import crossed
from bridge.domain.delivery import ChannelKind, Says
from bridge.domain.errors import Refused
from bridge.domain.order import Order
from bridge.domain.unit import Unit
from bridge.flows.order_desk import Asker
from bridge.flows.ports import StoreError

_log = structlog.get_logger(__name__)

COOKIE = "unit"
WITH_FILES = frozenset({Says.ARRIVED, Says.PROGRESS, Says.RESULT, Says.PROMISE})
"""What is a report, which files can go with."""
_FILES = {"unit.js": "text/javascript", "unit.css": "text/css"}


def unit_pages() -> APIRouter:
    """Routes of the terminal and of links in mails."""
    pages = Pages()
    router = APIRouter(include_in_schema=False, route_class=_while_stored(pages))
    _files(router)
    _sign_in(router, pages)
    _terminal(router, pages)
    link_pages(router, pages)
    return router


def _while_stored(pages: Pages) -> type[APIRoute]:
    """Routes that answer 503 with a page where the store can neither read nor journal."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inner = super().get_route_handler()

            async def handler(request: Request) -> Response:
                try:
                    return await inner(request)
                except (StoreError, TimeoutError) as error:
                    _log.warning("unit.store_away", reason=f"{type(error).__name__}: {error}")
                    refused = Refused("store-cannot-write")
                    return pages.draw("base.html", status_of(refused), message=said(refused))

            return handler

    return Route


def _files(router: APIRouter) -> None:
    for name, kind in _FILES.items():
        text = page_text(name)

        async def file(text: str = text, kind: str = kind) -> Response:
            return Response(text, media_type=f"{kind}; charset=utf-8")

        router.add_api_route(f"/unit/{name}", file, methods=["GET"])


def signed_in(cookies: Mapping[str, str], parts: Any) -> tuple[Grant, Unit] | None:
    """Who sits at this terminal: sign-in and unit of the cookie's token, or None."""
    here: OrderParts | None = parts.orders
    grant: Grant | None = parts.tokens.grant(cookies.get(COOKIE, ""))
    if here is None or grant is None:
        return None
    unit = here.orders.units.get(here.unit_of(grant) or "")
    return (grant, unit) if unit is not None else None


def _sign_in(router: APIRouter, pages: Pages) -> None:
    @router.post("/unit/sign-in")
    async def sign_in(request: Request) -> Response:
        form = await fields_of(request)
        token = form.get("token", "")
        if signed_in({COOKIE: token}, parts_of(request)) is None:
            return pages.draw("sign_in.html", 401, message="令牌无效 / the token is not valid")
        answer = RedirectResponse("/unit", 303)
        secure = request.headers.get("origin", "").startswith("https://")
        answer.set_cookie(
            COOKIE, token, httponly=True, samesite="strict", path="/unit", secure=secure
        )
        return answer

    @router.post("/unit/sign-out")
    async def sign_out() -> Response:
        answer = RedirectResponse("/unit", 303)
        answer.delete_cookie(COOKIE, path="/unit")
        return answer


def _terminal(router: APIRouter, pages: Pages) -> None:
    @router.get("/unit")
    async def listed(request: Request) -> Response:
        parts = parts_of(request)
        who = signed_in(request.cookies, parts)
        if who is None or parts.orders is None:
            return pages.draw("sign_in.html")
        grant, unit = who
        if not parts.rates.take(grant.name):
            return too_many(pages)
        lines = [_line(order, unit, parts.orders) for order in parts.orders.orders.open_of(unit.id)]
        await shown(parts.orders, grant, unit, None, ("order", "words", "place"))
        return pages.draw(
            "orders.html", orders=lines, unit_name=unit.name, user=grant.name, live=True
        )

    @router.get("/unit/orders/{order}")
    async def one(request: Request, order: str) -> Response:
        return await _page(request, pages, order)

    @router.post("/unit/orders/{order}/say")
    async def say(request: Request, order: str) -> Response:
        parts = parts_of(request)
        who = signed_in(request.cookies, parts)
        if who is None or parts.orders is None:
            return pages.draw("sign_in.html", 401)
        grant, unit = who
        try:
            if not parts.rates.take(grant.name):
                raise Problem("too-many")
            found = await parts.orders.order(order) if len(order) <= MAX_LINE else None
            if found is None or not parts.orders.theirs(found, unit.id):
                raise Refused("not-your-unit")
            form, contents = await uploaded(request)
            if form.get("says") == "pass-on":
                await _pass_on(parts.orders, grant, unit, found, form)
                return RedirectResponse(f"/unit/orders/{order}", 303)
            told = told_by(form, ChannelKind.TERMINAL, order, grant.name, parts.orders)
            if contents and told.says not in WITH_FILES:
                raise Refused("attachment-needs-report")
            room_for(found, len(contents))
            names = await kept(parts.files, contents)
            await take(parts.orders, replace(told, unit=unit.id, attachments=names))
        except (Refused, Problem) as error:
            return await _page(request, pages, order, error)
        return RedirectResponse(f"/unit/orders/{order}", 303)

    @router.get("/unit/orders/{order}/files/{name}")
    async def file(request: Request, order: str, name: str) -> Response:
        """A file of the order that may cross to the unit, or that the unit itself has sent."""
        parts = parts_of(request)
        who = signed_in(request.cookies, parts)
        if who is None or parts.orders is None:
            return pages.draw("sign_in.html", 401)
        grant, unit = who
        if not parts.rates.take(grant.name):
            return too_many(pages)
        found = await parts.orders.orders.find(order) if len(order) <= MAX_LINE else None
        theirs = found is not None and parts.orders.theirs(found, unit.id)
        if found is None or not theirs or name not in _files_for(parts.orders, found, unit):
            return pages.draw("base.html", 404, message="没有这个附件 / no such attachment")
        await shown(parts.orders, grant, unit, found, (f"attachment:{name}",))
        try:
            return await download(parts, found.id, name)
        except Refused as error:
            return pages.draw("base.html", status_of(error), message=said(error))


async def _pass_on(
    here: OrderParts, grant: Grant, unit: Unit, order: Order, form: Mapping[str, str]
) -> None:
    """The unit asks that another takes over (LL-33). Raises Refused or Problem."""
    words = plain(form.get("words", ""), MAX_WORDS, lines=True)
    person = plain(form.get("person", ""), MAX_LINE)
    to, key = form.get("to", ""), f"page:{order.id}:{form.get('key', '')[:64]}"
    asker = Asker(grant.name)
    by = person or grant.name
    await here.desk.onward(asker, order.id, to, words, key, unit=unit.id, by=by)


def _files_for(here: OrderParts, order: Order, unit: Unit) -> list[str]:
    sheet = sheet_for(here, order, unit, ChannelKind.TERMINAL)
    return [*sheet.attachments, *files_of(order, unit.id)]


async def _page(
    request: Request, pages: Pages, ident: str, error: Refused | Problem | None = None
) -> Response:
    parts = parts_of(request)
    who = signed_in(request.cookies, parts)
    here = parts.orders
    if who is None or here is None:
        return pages.draw("sign_in.html", 401 if error else 200)
    grant, unit = who
    if error is None and not parts.rates.take(grant.name):
        return too_many(pages)
    order = await here.orders.find(ident) if len(ident) <= MAX_LINE else None
    if order is None or not here.theirs(order, unit.id):
        return pages.draw("orders.html", 404, orders=[], message="没有这条指令 / no such order")
    sheet = sheet_for(here, order, unit, ChannelKind.TERMINAL)
    await shown(here, grant, unit, order, (*crossed(sheet), "units"))
    attempts = [
        one.id
        for one in order.attempts.values()
        if one.channel is ChannelKind.TERMINAL and one.unit == unit.id and one.under_way
    ]
    return pages.draw(
        "order.html",
        status_of(error) if error else 200,
        message=said(error),
        action=f"/unit/orders/{order.id}/say",
        full=True,
        live=True,
        attempts=attempts,
        unit_name=unit.name,
        user=grant.name,
        files=[
            (f"/unit/orders/{order.id}/files/{name}", f"附件 {place}.{name.rpartition('.')[2]}")
            for place, name in enumerate(_files_for(here, order, unit), 1)
        ],
        others=[(one.id, one.name) for one in here.orders.units.values() if one.id != unit.id],
        **order_values(order, sheet),
    )


def _line(order: Order, unit: Unit, here: OrderParts) -> dict[str, Any]:
    sheet = sheet_for(here, order, unit, ChannelKind.TERMINAL)
    return {
        "order": order.id,
        "state": order.state.value,
        "state_words": STATES[order.state],
        "urgent": order.klass == "URGENT",
        "drill": sheet.drill,
        "overdue": bool(order.overdue),
        "place": sheet.place,
        "words": sheet.words,
    }
