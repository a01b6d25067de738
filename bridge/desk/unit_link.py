"""The page behind a link in a mail: shows on GET, acts on POST alone (guard S16)."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from bridge.desk.problems import Problem, status_of
from bridge.desk.rest import parts_of
from bridge.desk.unit_form import fields_of, told_by
from bridge.desk.unit_view import Pages, order_values, said, sheet_for, take, too_many
from bridge.domain.delivery import ChannelKind, Received
from bridge.domain.errors import Refused
from bridge.wire.ack_link import TokenError, TokenExpired, check


def link_pages(router: APIRouter, pages: Pages) -> None:
    """The page behind a link in a mail: shows on GET, acts on POST alone (guard S16)."""

    @router.get("/ack/{token}")
    async def look(request: Request, token: str) -> Response:
        if not _within_rate(request, token):
            return too_many(pages)
        return await _linked(request, pages, token)

    @router.post("/ack/{token}")
    async def act(request: Request, token: str) -> Response:
        if not _within_rate(request, token):
            return too_many(pages)
        here = parts_of(request).orders
        try:
            if here is None:
                raise Refused("no-such-order")
            named = check(token, here.ack_keys, here.orders.clock.now())
            form = await fields_of(request)
            told = told_by(form, ChannelKind.MAIL, named.order, "邮件链接", here)
            await take(here, _by_link(told, named.attempt))
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
    sheet = sheet_for(here, order, unit, ChannelKind.MAIL)
    return pages.draw(
        "order.html",
        status_of(error) if error else 200,
        message=said(error),
        action=f"/ack/{token}",
        full=False,
        live=False,
        attempts=[],
        files=[],
        others=[],
        **order_values(order, sheet),
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


def _bad_link(pages: Pages, error: TokenError) -> Response:
    expired = isinstance(error, TokenExpired)
    words = "链接已过期 / the link has expired" if expired else "链接无效 / the link is not valid"
    return pages.draw("base.html", 410 if expired else 404, message=words)


def _by_link(told: Received, attempt: str) -> Received:
    return replace(told, attempt=attempt, key=f"ack:{attempt}:{told.says.value}:{told.key}")
