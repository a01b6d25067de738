"""REST of orders, units and wires, by the services of softphone sheet 7.3 (escape: orders)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse

from bridge.desk import order_shapes
from bridge.desk.bodies import Body
from bridge.desk.order_bodies import (
    Acknowledging,
    Cancelling,
    Deciding,
    Informing,
    NewOrder,
    Nothing,
    PassingOn,
    Redirecting,
    Reporting,
    TakingBack,
)
from bridge.desk.order_parts import OrderParts, order_line, orders_of_case
from bridge.desk.order_services import OrderDo, may, order_service
from bridge.desk.rest import REFUSALS, Ident, Key, Who, parts_of
from bridge.desk.rights import GIVES_ORDERS, SEES_ORDERS
from bridge.desk.tokens import Grant
from bridge.domain.delivery import ChannelKind
from bridge.domain.errors import Refused
from bridge.domain.journal import Json
from bridge.flows.order_events import order_doc
from bridge.flows.unit_checks import unit_doc

PAGE = 100
MAX_PAGE = 1_000
OrderId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
UnitId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]

ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": order_shapes.OrderAccepted}


def parts_here(request: Request) -> OrderParts:
    """Orders of this desk. Raises Refused("no-such-order") where it gives none."""
    found = parts_of(request).orders
    if found is None:
        raise Refused("no-such-order")
    return found


async def _serve(
    request: Request, who: Grant, service: str, key: str, about: str, body: Body | None = None
) -> JSONResponse:
    parts = parts_of(request)
    asked = OrderDo(service, key, about, body or Nothing())
    answer = await order_service(parts.commands, parts.orders, who, asked)
    return JSONResponse(dict(answer.body), answer.status)


def orders() -> APIRouter:
    """Everything about orders."""
    router = APIRouter(prefix="/api/v1", responses=REFUSALS)
    _centre(router)
    _units_word(router)
    _reads(router)
    _directory(router)
    return router


def _centre(router: APIRouter) -> None:
    """What only the centre may do."""

    @router.post(
        "/cases/{case}/orders",
        operation_id="createOrder",
        status_code=202,
        response_model=order_shapes.OrdersAccepted,
    )
    async def create(
        request: Request, who: Who, key: Key, case: Ident, body: NewOrder
    ) -> JSONResponse:
        return await _serve(request, who, "createOrder", key, case, body)

    @router.post("/orders/{order}/confirm", operation_id="confirmSiteOrder", **ACCEPTED)
    async def confirm(request: Request, who: Who, key: Key, order: OrderId) -> JSONResponse:
        return await _serve(request, who, "confirmSiteOrder", key, order)

    @router.post("/orders/{order}/remind", operation_id="remindOrder", **ACCEPTED)
    async def remind(request: Request, who: Who, key: Key, order: OrderId) -> JSONResponse:
        return await _serve(request, who, "remindOrder", key, order)

    @router.post("/orders/{order}/cancel", operation_id="cancelOrder", **ACCEPTED)
    async def cancel(
        request: Request, who: Who, key: Key, order: OrderId, body: Cancelling
    ) -> JSONResponse:
        return await _serve(request, who, "cancelOrder", key, order, body)

    @router.post("/orders/{order}/redirect", operation_id="redirectFax", **ACCEPTED)
    async def redirect(
        request: Request, who: Who, key: Key, order: OrderId, body: Redirecting
    ) -> JSONResponse:
        return await _serve(request, who, "redirectFax", key, order, body)

    @router.post("/orders/{order}/take-back", operation_id="takeBackAttempt", **ACCEPTED)
    async def take_back(
        request: Request, who: Who, key: Key, order: OrderId, body: TakingBack
    ) -> JSONResponse:
        return await _serve(request, who, "takeBackAttempt", key, order, body)

    @router.post("/orders/{order}/dispute", operation_id="decideDispute", **ACCEPTED)
    async def decide(
        request: Request, who: Who, key: Key, order: OrderId, body: Deciding
    ) -> JSONResponse:
        return await _serve(request, who, "decideDispute", key, order, body)

    @router.post("/orders/{order}/informed", operation_id="noteInformed", **ACCEPTED)
    async def informed(
        request: Request, who: Who, key: Key, order: OrderId, body: Informing
    ) -> JSONResponse:
        return await _serve(request, who, "noteInformed", key, order, body)


def _units_word(router: APIRouter) -> None:
    """What a unit says, by itself or through a call-taker who names the person."""

    @router.post("/orders/{order}/acknowledge", operation_id="acknowledgeOrder", **ACCEPTED)
    async def acknowledge(
        request: Request, who: Who, key: Key, order: OrderId, body: Acknowledging
    ) -> JSONResponse:
        return await _serve(request, who, "acknowledgeOrder", key, order, body)

    @router.post("/orders/{order}/reports", operation_id="reportOrder", **ACCEPTED)
    async def report(
        request: Request, who: Who, key: Key, order: OrderId, body: Reporting
    ) -> JSONResponse:
        return await _serve(request, who, "reportOrder", key, order, body)

    @router.post("/orders/{order}/pass-on", operation_id="passOnOrder", **ACCEPTED)
    async def pass_on(
        request: Request, who: Who, key: Key, order: OrderId, body: PassingOn
    ) -> JSONResponse:
        """Another unit shall take over; the answer names the order that waits for confirmation."""
        return await _serve(request, who, "passOnOrder", key, order, body)


def _reads(router: APIRouter) -> None:
    @router.get("/orders", operation_id="listOrders", response_model=order_shapes.OrderList)
    async def listed(
        request: Request,
        who: Who,
        state: Annotated[str, Query(pattern=r"^[a-z]{1,16}$")] = "open",
        before: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
    ) -> JSONResponse:
        here = parts_here(request)
        may(who, SEES_ORDERS)
        wanted = None if state == "all" else state
        rows = await here.reads.orders(state=wanted, before=before, limit=limit)
        return JSONResponse({"orders": [order_line(row.doc, row.id, row.state) for row in rows]})

    @router.get("/cases/{case}/orders", response_model=order_shapes.OrdersOfCase)
    async def of_case(request: Request, who: Who, case: Ident) -> JSONResponse:
        here = parts_here(request)
        may(who, SEES_ORDERS)
        rows = await here.reads.orders_of_case(case)
        return JSONResponse(orders_of_case(rows))

    @router.get("/orders/{order}", operation_id="showOrder", response_model=order_shapes.OrderDoc)
    async def one(request: Request, who: Who, order: OrderId) -> JSONResponse:
        here = parts_here(request)
        may(who, SEES_ORDERS)
        found = await here.order(order)
        return JSONResponse(order_doc(found, code=who.role in GIVES_ORDERS))


def _directory(router: APIRouter) -> None:
    def document(here: OrderParts, ident: str) -> Json:
        unit = here.orders.units.get(ident)
        if unit is None:
            raise Refused("no-such-unit")
        checked = here.checks.results.get(ident, {})
        return unit_doc(unit, checked, len(here.orders.open_of(ident)))

    @router.get("/units", operation_id="listUnits", response_model=order_shapes.UnitList)
    async def units(request: Request, who: Who) -> JSONResponse:
        here = parts_here(request)
        may(who, SEES_ORDERS | {"E"})
        return JSONResponse({"units": [document(here, ident) for ident in here.orders.units]})

    @router.get("/units/{unit}", operation_id="showUnit", response_model=order_shapes.UnitDoc)
    async def unit(request: Request, who: Who, unit: UnitId) -> JSONResponse:
        here = parts_here(request)
        may(who, SEES_ORDERS | {"E"})
        return JSONResponse(document(here, unit))

    @router.post("/units/{unit}/test", operation_id="testUnit", response_model=order_shapes.UnitDoc)
    async def test(request: Request, who: Who, key: Key, unit: UnitId) -> JSONResponse:
        """Checks every wire of the unit now; nothing is rung or printed there."""
        here = parts_here(request)
        may(who, frozenset({"T", "L", "E"}))
        await here.checks.check(unit)
        return JSONResponse(document(here, unit))

    @router.get("/channels", operation_id="listChannels", response_model=order_shapes.ChannelList)
    async def channels(request: Request, who: Who) -> JSONResponse:
        here = parts_here(request)
        may(who, SEES_ORDERS | {"E"})
        return JSONResponse({"channels": [_channel(here, kind) for kind in ChannelKind]})


def _channel(here: OrderParts, kind: ChannelKind) -> Json:
    """One wire: whether this desk has it, how many units work over it, what runs on it now."""
    results = [found[kind] for found in here.checks.results.values() if kind in found]
    running = [
        attempt
        for order in here.orders.book.orders.values()
        for attempt in order.running()
        if attempt.channel is kind
    ]
    return {
        "channel": kind.value,
        "there": kind in here.orders.channels,
        "units": sum(bool(unit.addresses(kind)) for unit in here.orders.units.values()),
        "units_working": sum(not found.words for found in results),
        "attempts_running": len(running),
    }
