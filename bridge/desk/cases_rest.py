"""REST of cases: what was written of them, who commands, and how long units took."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime

from bridge.desk import order_shapes
from bridge.desk.order_bodies import DescribingCase, EndingPlan, StartingPlan
from bridge.desk.order_parts import OrderParts, orders_of_case
from bridge.desk.order_services import OrderDo, may
from bridge.desk.orders_rest import parts_here
from bridge.desk.problems import Problem
from bridge.desk.rest import REFUSALS, Ident, Key, Who, parts_of
from bridge.desk.rights import GIVES_ORDERS, SEES_ORDERS
from bridge.desk.tokens import Grant
from bridge.domain.case_file import Description
from bridge.domain.delay import figures
from bridge.domain.errors import Refused
from bridge.domain.journal import Json, iso
from bridge.flows.case_desk import CaseDesk
from bridge.flows.ports import Answer, Row

LEADS = frozenset({"L"})
"""Handing the command over is the shift leader's."""
MOST_DAYS = 366
PAGE = 1_000
ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": order_shapes.CaseAccepted}
Moment = Annotated[AwareDatetime | None, Query()]


def cases() -> APIRouter:
    """Everything about cases that is no call's."""
    router = APIRouter(prefix="/api/v1", responses=REFUSALS)
    _services(router)

    @router.get("/cases/{case}", operation_id="showCase", response_model=order_shapes.CaseDoc)
    async def show(request: Request, who: Who, case: Ident) -> JSONResponse:
        may(who, SEES_ORDERS)
        desk = parts_of(request).cases
        known = await desk.known(case)
        if known is None:
            raise Refused("no-such-case")
        rows = await desk.memory.orders_of_case(case)
        return JSONResponse({**known, "case": case, **orders_of_case(rows)})

    @router.get("/delays", operation_id="showDelays", response_model=order_shapes.DelayList)
    async def delays(
        request: Request, who: Who, since: Moment = None, until: Moment = None
    ) -> JSONResponse:
        """Of orders given in [since, until), by default the last 31 days; drills left out."""
        may(who, SEES_ORDERS)
        here = parts_here(request)
        now = here.orders.clock.now()
        until = until or now
        since = since or until - timedelta(days=31)
        if not since < until <= since + timedelta(days=MOST_DAYS):
            words = f"after since, at most {MOST_DAYS} days"
            raise Problem("bad-request", errors=[{"place": "until", "words": words}])
        docs = [row.doc for row in await _between(here, since, until)]
        units: list[Json] = [*figures(docs, now)]
        return JSONResponse({"since": iso(since), "until": iso(until), "units": units})

    return router


async def _between(here: OrderParts, since: datetime, until: datetime) -> list[Row]:
    rows: list[Row] = []
    while page := await here.reads.orders_between(
        since, until, rows[-1].id if rows else None, PAGE
    ):
        rows += page
    return rows


def _services(router: APIRouter) -> None:
    @router.patch("/cases/{case}", operation_id="describeCase", **ACCEPTED)
    async def describe(
        request: Request, who: Who, key: Key, case: Ident, body: DescribingCase
    ) -> JSONResponse:
        async def work(desk: CaseDesk) -> Answer:
            said = Description(**body.model_dump())
            return await desk.describe(may(who, GIVES_ORDERS), case, said, key)

        return await _once(request, who, OrderDo("describeCase", key, case, body), work)

    @router.post("/cases/{case}/plan", operation_id="startSpecialPlan", **ACCEPTED)
    async def start(
        request: Request, who: Who, key: Key, case: Ident, body: StartingPlan
    ) -> JSONResponse:
        """A special plan is started: its body commands from now on (LL-30)."""

        async def work(desk: CaseDesk) -> Answer:
            asker = may(who, LEADS)
            return await desk.start_plan(asker, case, body.plan, body.body, body.reported_at, key)

        return await _once(request, who, OrderDo("startSpecialPlan", key, case, body), work)

    @router.post("/cases/{case}/plan/end", operation_id="endSpecialPlan", **ACCEPTED)
    async def end(
        request: Request, who: Who, key: Key, case: Ident, body: EndingPlan
    ) -> JSONResponse:
        async def work(desk: CaseDesk) -> Answer:
            return await desk.end_plan(may(who, LEADS), case, body.reason, key)

        return await _once(request, who, OrderDo("endSpecialPlan", key, case, body), work)


async def _once(
    request: Request,
    who: Grant,
    asked: OrderDo,
    work: Callable[[CaseDesk], Coroutine[Any, Any, Answer]],
) -> JSONResponse:
    parts = parts_of(request)
    answer = await parts.commands.once(who, asked, lambda: work(parts.cases))
    return JSONResponse(dict(answer.body), answer.status)
