"""REST of papers that leave the house: print once, keep, print the same again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, Field

from bridge.desk.attachments import stored
from bridge.desk.bodies import Body
from bridge.desk.order_bodies import Text
from bridge.desk.order_services import OrderDo, may
from bridge.desk.problems import Problem
from bridge.desk.rest import REFUSALS, Ident, Key, Who, parts_of
from bridge.desk.rights import GIVES_ORDERS
from bridge.domain.paper import PaperError
from bridge.flows.order_desk import Asker
from bridge.flows.paper_desk import PaperDesk
from bridge.flows.ports import Answer

PaperId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,64}-[NHR][0-9]{2,4}$")]
Form = Annotated[Literal["pdf", "tiff", "html", "text"], Query()]
Named = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
When = Annotated[AwareDatetime, Field(strict=False)]


class NoticeForm(Body):
    """A supervision notice 督办通知单 about an order that is overdue; `due_at` only where the
    record has no limit that ran out."""

    kind: Literal["notice"]
    order: Named
    demand: Text = ""
    due_at: When | None = None


class CallbackForm(Body):
    """A call-back register form 回访登记表: what the caller answered."""

    kind: Literal["callback"]
    case: Named
    attitude: bool | None = None
    speed: bool | None = None
    level: bool | None = None
    outcome: Literal["answered", "no-answer", "declined", "no-number"] = "answered"
    said: Text = ""
    asked_at: When


class ReceiptForm(Body):
    """The receipt 移交回执 of a handing-over to another desk."""

    kind: Literal["receipt"]
    case: Named
    handoff: Named


class PaperLine(BaseModel):
    """One paper that was printed, and the files that are kept of it."""

    paper: str
    kind: Literal["notice", "callback", "receipt"]
    title: str
    pages: int
    files: dict[str, str]
    by: str
    at: str


class PaperList(BaseModel):
    """Papers of one case, in order."""

    papers: list[PaperLine]


Filled = Annotated[NoticeForm | CallbackForm | ReceiptForm, Field(discriminator="kind")]


def printed(desk: PaperDesk) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", responses=REFUSALS)

    @router.post("/papers", operation_id="printPaper", status_code=201, response_model=PaperLine)
    async def print_it(request: Request, who: Who, key: Key, body: Filled) -> JSONResponse:
        """Made of the record, kept, and numbered; fetch it by its number."""

        async def work() -> Answer:
            asker = may(who, GIVES_ORDERS)
            try:
                return await _printed(desk, asker, body, key)
            except PaperError as error:
                raise Problem("bad-request", errors=[{"place": "", "words": str(error)}]) from error

        about = body.order if isinstance(body, NoticeForm) else body.case
        asked = OrderDo("printPaper", key, about, body)
        answer = await parts_of(request).commands.once(who, asked, work)
        return JSONResponse(dict(answer.body), answer.status)

    @router.get("/cases/{case}/papers", operation_id="listPapers", response_model=PaperList)
    async def listed(request: Request, who: Who, case: Ident) -> JSONResponse:
        may(who, GIVES_ORDERS)
        return JSONResponse({"papers": await desk.listed(case)})

    @router.get("/papers/{paper}", operation_id="reprintPaper", response_class=Response)
    async def again(request: Request, who: Who, paper: PaperId, form: Form = "pdf") -> Response:
        """The very octets that were printed."""
        may(who, GIVES_ORDERS)
        return await stored(parts_of(request), paper, await desk.file(paper, form), inline=True)

    return router


async def _printed(desk: PaperDesk, who: Asker, body: Any, key: str) -> Answer:
    if isinstance(body, NoticeForm):
        return await desk.notice(who, body.order, body.demand, body.due_at, key)
    if isinstance(body, CallbackForm):
        answers = body.model_dump(exclude={"kind", "case"})
        return await desk.callback(who, body.case, answers, key)
    return await desk.receipt(who, body.case, body.handoff, key)
