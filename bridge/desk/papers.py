"""Papers to look at: an order's sheet, and the report of a fax. What leaves the house is printed
through `printed.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from bridge.desk.orders_rest import OrderId, parts_here
from bridge.desk.problems import Problem
from bridge.desk.rest import REFUSALS, Who
from bridge.desk.rights import GIVES_ORDERS
from bridge.domain.crossing import sheet_of
from bridge.domain.delivery import ChannelKind, OrderSheet
from bridge.domain.errors import Refused
from bridge.domain.fax_report import fax_report
from bridge.domain.paper import (
    CallbackSheet,
    FaxReport,
    NoticeSheet,
    Paper,
    PaperError,
    ReceiptSheet,
)

Form = Annotated[Literal["pdf", "tiff", "png", "html", "text"], Query()]
AttemptId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}\.[0-9]{1,6}$")]
Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Words = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$")]
Sheet = OrderSheet | NoticeSheet | CallbackSheet | ReceiptSheet | FaxReport
MakePaper = Callable[[Any], Awaitable[Paper]]

MEDIA = {
    "pdf": "application/pdf",
    "tiff": "image/tiff",
    "png": "image/png",
    "html": "text/html",
    "text": "text/plain",
}


def papers(
    make: MakePaper,
    png: Callable[[bytes], bytes],
    sent: Callable[[str], bytes],
) -> APIRouter:
    """The routes. `make` makes a paper off the event loop, `png` a picture of its TIFF; `sent`
    reads the TIFF that an attempt by fax sent, empty where no copy is kept."""
    router = APIRouter(prefix="/api/v1", responses=REFUSALS)

    @router.get("/orders/{order}/sheet", operation_id="orderSheet", response_class=Response)
    async def sheet(request: Request, who: Who, order: OrderId, form: Form = "pdf") -> Response:
        """The sheet as it goes by fax, with the closing code."""
        if who.role not in GIVES_ORDERS:
            raise Refused("not-allowed")
        orders = parts_here(request).orders
        found = await parts_here(request).order(order)
        unit = orders.units.get(found.unit)
        if unit is None:
            raise Refused("no-such-unit")
        said = sheet_of(
            found,
            unit,
            ChannelKind.FAX,
            centre=orders.site.centre,
            centre_number=orders.site.centre_number,
        )
        return await _made(make, said, form, png)

    @router.get(
        "/orders/{order}/attempts/{attempt}/report",
        operation_id="faxReport",
        response_class=Response,
    )
    async def report(
        request: Request, who: Who, order: OrderId, attempt: AttemptId, form: Form = "pdf"
    ) -> Response:
        """What became of a fax, with the picture of its first page (发送报告)."""
        if who.role not in GIVES_ORDERS:
            raise Refused("not-allowed")
        orders = parts_here(request).orders
        found = await parts_here(request).order(order)
        tried = found.attempts.get(attempt)
        if tried is None or tried.channel is not ChannelKind.FAX:
            raise Refused("no-such-attempt")
        picture = await asyncio.to_thread(sent, attempt)
        said = fax_report(found, tried, orders.site.centre, picture)
        return await _made(make, said, form, png)

    return router


async def _made(
    make: MakePaper, sheet: Sheet, form: str, png: Callable[[bytes], bytes]
) -> Response:
    try:
        paper = await make(sheet)
    except PaperError as error:
        raise Problem("bad-request", errors=[{"place": "", "words": str(error)}]) from error
    data: Any
    if form == "png":
        data = await asyncio.to_thread(png, paper.tiff)
    else:
        data = getattr(paper, form)
    name = f"{paper.name}.{'txt' if form == 'text' else form}"
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return Response(data, media_type=MEDIA[form], headers=headers)
