"""The unit's terminal: plain pages that work without scripts and on a telephone.

A page shows what may cross to the unit and nothing else. What a person who signed in was shown is
journaled; a mail's link shows what the mail has already said, and only what is pressed there is
journaled. GET never acts; forms are posted from our own origin with a strict cookie.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
from importlib import resources
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from jinja2 import DictLoader, Environment
from starlette.responses import RedirectResponse, Response

from bridge.desk.attachments import download, files_of, kept, room_for, uploaded
from bridge.desk.order_parts import OrderParts
from bridge.desk.problems import Problem, status_of
from bridge.desk.rest import parts_of
from bridge.desk.tokens import Grant
from bridge.desk.unit_words import SAYS, STATES, order_lines, order_story
from bridge.domain.crossing import crossed, sheet_of
from bridge.domain.delivery import ChannelKind, Received, Says
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json
from bridge.domain.order import Order
from bridge.domain.order_state import OPEN, O
from bridge.domain.unit import Unit
from bridge.flows.order_desk import Asker
from bridge.flows.ports import StoreError
from bridge.wire.ack_link import TokenError, TokenExpired, check

_log = structlog.get_logger(__name__)

COOKIE = "unit"
STORED_SECONDS = 12.0
"""Longest wait of a page for the commit of what was pressed."""
MAX_WORDS = 2_000
MAX_LINE = 64
MAX_NOTE = 200
WITH_FILES = frozenset({Says.ARRIVED, Says.PROGRESS, Says.RESULT, Says.PROMISE})
"""What is a report, which files can go with."""
_PAGES = ("base.html", "sign_in.html", "orders.html", "order.html")
_FILES = {"unit.js": "text/javascript", "unit.css": "text/css"}


def _text(name: str) -> str:
    return resources.files("bridge.desk").joinpath("unit", name).read_text(encoding="utf-8")


class Pages:
    """Draws the pages. Text is always escaped, and what acts on it is shown (guard S10)."""

    def __init__(self) -> None:
        loader = DictLoader({name: _text(name) for name in _PAGES})
        self._environment = Environment(loader=loader, autoescape=True, finalize=_shown_plainly)

    def draw(self, name: str, status: int = 200, **values: Any) -> Response:
        """A page as an answer."""
        html = self._environment.get_template(name).render(**values)
        return Response(html, status, media_type="text/html; charset=utf-8")


def _shown_plainly(value: object) -> object:
    """Control and direction characters as a sign of their own; line ends stay."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(one if one.isprintable() or one == "\n" else "␛" for one in value)


def unit_pages() -> APIRouter:
    """Routes of the terminal and of links in mails."""
    pages = Pages()
    router = APIRouter(include_in_schema=False, route_class=_while_stored(pages))
    _files(router)
    _sign_in(router, pages)
    _terminal(router, pages)
    _link(router, pages)
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
                    return pages.draw("base.html", status_of(refused), message=_said(refused))

            return handler

    return Route


def _files(router: APIRouter) -> None:
    for name, kind in _FILES.items():
        text = _text(name)

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
        form = await _form(request)
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
            return _too_many(pages)
        lines = [_line(order, unit, parts.orders) for order in parts.orders.orders.open_of(unit.id)]
        await _shown(parts.orders, grant, unit, None, ("order", "words", "place"))
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
            told = _told(form, ChannelKind.TERMINAL, order, grant.name, parts)
            if contents and told.says not in WITH_FILES:
                raise Refused("attachment-needs-report")
            room_for(found, len(contents))
            names = await kept(parts.files, contents)
            await _take(parts.orders, replace(told, unit=unit.id, attachments=names))
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
            return _too_many(pages)
        found = await parts.orders.orders.find(order) if len(order) <= MAX_LINE else None
        theirs = found is not None and parts.orders.theirs(found, unit.id)
        if found is None or not theirs or name not in _files_for(parts.orders, found, unit):
            return pages.draw("base.html", 404, message="没有这个附件 / no such attachment")
        await _shown(parts.orders, grant, unit, found, (f"attachment:{name}",))
        try:
            return await download(parts, found.id, name)
        except Refused as error:
            return pages.draw("base.html", status_of(error), message=_said(error))


async def _pass_on(
    here: OrderParts, grant: Grant, unit: Unit, order: Order, form: Mapping[str, str]
) -> None:
    """The unit asks that another takes over (LL-33). Raises Refused or Problem."""
    words = _plain(form.get("words", ""), MAX_WORDS, lines=True)
    person = _plain(form.get("person", ""), MAX_LINE)
    to, key = form.get("to", ""), f"page:{order.id}:{form.get('key', '')[:64]}"
    asker = Asker(grant.name)
    by = person or grant.name
    await here.desk.onward(asker, order.id, to, words, key, unit=unit.id, by=by)


def _files_for(here: OrderParts, order: Order, unit: Unit) -> list[str]:
    sheet = _sheet(here, order, unit, ChannelKind.TERMINAL)
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
        return _too_many(pages)
    order = await here.orders.find(ident) if len(ident) <= MAX_LINE else None
    if order is None or not here.theirs(order, unit.id):
        return pages.draw("orders.html", 404, orders=[], message="没有这条指令 / no such order")
    sheet = _sheet(here, order, unit, ChannelKind.TERMINAL)
    await _shown(here, grant, unit, order, crossed(sheet))
    attempts = [
        one.id
        for one in order.attempts.values()
        if one.channel is ChannelKind.TERMINAL and one.unit == unit.id and one.under_way
    ]
    return pages.draw(
        "order.html",
        status_of(error) if error else 200,
        message=_said(error),
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
        **_order_values(order, sheet),
    )


def _link(router: APIRouter, pages: Pages) -> None:
    """The page behind a link in a mail: shows on GET, acts on POST alone (guard S16)."""

    @router.get("/ack/{token}")
    async def look(request: Request, token: str) -> Response:
        if not _within_rate(request, token):
            return _too_many(pages)
        return await _linked(request, pages, token)

    @router.post("/ack/{token}")
    async def act(request: Request, token: str) -> Response:
        if not _within_rate(request, token):
            return _too_many(pages)
        parts = parts_of(request)
        here = parts.orders
        try:
            if here is None:
                raise Refused("no-such-order")
            named = check(token, here.ack_keys, here.orders.clock.now())
            told = _told(await _form(request), ChannelKind.MAIL, named.order, "邮件链接", parts)
            await _take(here, _by_link(told, named.attempt))
        except TokenError as error:
            return _bad_link(pages, error)
        except (Refused, Problem) as error:
            return await _linked(request, pages, token, error)
        return await _linked(request, pages, token)


async def _linked(
    request: Request, pages: Pages, token: str, error: Refused | Problem | None = None
) -> Response:
    here = parts_of(request).orders
    if here is None:
        return _bad_link(pages, TokenError("no orders here"))
    try:
        named = check(token, here.ack_keys, here.orders.clock.now())
    except TokenError as wrong:
        return _bad_link(pages, wrong)
    order = await here.orders.find(named.order)
    unit = here.orders.units.get(named.unit)
    if order is None or unit is None or named.attempt not in order.attempts:
        return _bad_link(pages, TokenError("no such order"))
    sheet = _sheet(here, order, unit, ChannelKind.MAIL)
    return pages.draw(
        "order.html",
        status_of(error) if error else 200,
        message=_said(error),
        action=f"/ack/{token}",
        full=False,
        live=False,
        attempts=[],
        files=[],
        others=[],
        **_order_values(order, sheet),
    )


def _within_rate(request: Request, token: str) -> bool:
    """A good link has a rate of its own; who tries others has one by address."""
    parts = parts_of(request)
    here = parts.orders
    try:
        whose = check(token, here.ack_keys, here.orders.clock.now()).attempt if here else ""
    except TokenError:
        whose = ""
    client = request.client.host if request.client else ""
    return parts.rates.take(f"ack:{whose}" if whose else f"no-ack:{client}")


def _too_many(pages: Pages) -> Response:
    return pages.draw("base.html", 429, message="请求过于频繁,请稍候 / too many requests")


def _bad_link(pages: Pages, error: TokenError) -> Response:
    expired = isinstance(error, TokenExpired)
    words = "链接已过期 / the link has expired" if expired else "链接无效 / the link is not valid"
    return pages.draw("base.html", 410 if expired else 404, message=words)


# What is shown, what is said


def _sheet(here: OrderParts, order: Order, unit: Unit, channel: ChannelKind) -> Any:
    centre = here.orders.centre
    return sheet_of(order, unit, channel, centre=centre.name, centre_number=centre.number)


def _order_values(order: Order, sheet: Any) -> dict[str, Any]:
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


def _line(order: Order, unit: Unit, here: OrderParts) -> dict[str, Any]:
    sheet = _sheet(here, order, unit, ChannelKind.TERMINAL)
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


async def _shown(
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


async def _form(request: Request) -> dict[str, str]:
    """Fields of a posted form, text only."""
    form = await request.form(max_files=0, max_fields=20)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _told(
    form: Mapping[str, str], channel: ChannelKind, order: str, user: str, parts: Any
) -> Received:
    """What was pressed. Raises Problem("bad-request")."""
    says = SAYS.get(form.get("says", ""))
    if says is None:
        raise Problem("bad-request")
    person = _plain(form.get("person", ""), MAX_LINE)
    here: OrderParts = parts.orders
    return Received(
        channel=channel,
        source=user,
        at=here.orders.clock.now(),
        key=f"page:{order}:{form.get('key', '')[:64]}",
        says=says,
        order=order,
        words=_plain(form.get("words", ""), MAX_WORDS, lines=True),
        person=person or user,
        reference=_plain(form.get("reference", ""), MAX_LINE),
        equipment=_plain(form.get("equipment", ""), MAX_NOTE),
        delay_reason=_plain(form.get("delay_reason", ""), MAX_NOTE),
        promised_at=_when(form.get("promised_at", ""), here),
    )


def _plain(text: str, most: int, *, lines: bool = False) -> str:
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


def _by_link(told: Received, attempt: str) -> Received:
    return replace(told, attempt=attempt, key=f"ack:{attempt}:{told.says.value}:{told.key}")


async def _take(here: OrderParts, told: Received) -> None:
    """Durable when this returns. Raises Refused."""
    try:
        async with asyncio.timeout(STORED_SECONDS):
            await here.inbox.take(told)
    except TimeoutError as error:
        raise Refused("store-cannot-write") from error


def _said(error: Refused | Problem | None) -> str:
    if error is None:
        return ""
    if isinstance(error, Refused):
        return f"{error.title} / {error.detail}"
    return "请求有误,请检查填写内容 / please check what was filled in"
