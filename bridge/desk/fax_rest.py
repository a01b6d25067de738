"""REST of the fax desk: the modem board, what is paused, which numbers are not dialled."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from bridge.desk import shapes
from bridge.desk.bodies import Body
from bridge.desk.order_bodies import Plain
from bridge.desk.rest import REFUSALS, Key, Who, parts_of
from bridge.desk.rights import RUNS_FAX, SEES_FAX
from bridge.desk.tokens import Grant
from bridge.domain.errors import Refused
from bridge.flows.fax_desk import FaxDesk
from bridge.flows.ports import Answer
from bridge.flows.view import View

Modem = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{0,64}$")]
"""As on the board; empty for all sending."""
FaxNumber = Annotated[str, Field(pattern=r"^\+?[0-9]{3,20}$")]


class Pausing(Body):
    """A modem, or all sending, and why."""

    modem: Modem = ""
    reason: Plain


class Resuming(Body):
    """A modem, or all sending."""

    modem: Modem = ""


class Blocking(Body):
    """A number, and why it is not dialled any more."""

    number: FaxNumber
    reason: Plain


class Unblocking(Body):
    """A number."""

    number: FaxNumber


@dataclass(frozen=True, slots=True)
class FaxDo:
    """One service of the fax desk, as it was asked for: a repeat is known by it."""

    event: str
    key: str
    about: str
    body: str


def faxes(desk: FaxDesk, view: View) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1/fax", responses=REFUSALS)

    @router.get("", operation_id="faxBoard", response_model=shapes.FaxDoc)
    async def board(who: Who) -> JSONResponse:
        if who.role not in SEES_FAX:
            raise Refused("not-allowed")
        rules = desk.rules
        blocked = [{"number": one, "reason": why} for one, why in sorted(rules.blocked.items())]
        paused = [{"modem": one, "reason": why} for one, why in sorted(rules.paused.items())]
        boards = list(view.boards.values())
        return JSONResponse({"boards": boards, "blocked": blocked, "paused": paused})

    async def do(
        request: Request,
        who: Grant,
        asked: FaxDo,
        work: Callable[[], Coroutine[Any, Any, Answer]],
    ) -> JSONResponse:
        async def allowed() -> Answer:
            if who.role not in RUNS_FAX:
                raise Refused("not-allowed")
            return await work()

        answer = await parts_of(request).commands.once(who, asked, allowed)
        return JSONResponse(dict(answer.body), answer.status)

    @router.post("/pause", operation_id="pauseFax", response_model=shapes.FaxDone)
    async def pause(request: Request, who: Who, key: Key, body: Pausing) -> JSONResponse:
        asked = FaxDo("pauseFax", key, body.modem, repr(body))
        return await do(
            request, who, asked, lambda: desk.pause(who.name, body.modem, body.reason, key)
        )

    @router.post("/resume", operation_id="resumeFax", response_model=shapes.FaxDone)
    async def resume(request: Request, who: Who, key: Key, body: Resuming) -> JSONResponse:
        asked = FaxDo("resumeFax", key, body.modem, repr(body))
        return await do(request, who, asked, lambda: desk.resume(who.name, body.modem, key))

    @router.post("/block", operation_id="blockFax", response_model=shapes.FaxDone)
    async def block(request: Request, who: Who, key: Key, body: Blocking) -> JSONResponse:
        asked = FaxDo("blockFax", key, body.number, repr(body))
        return await do(
            request, who, asked, lambda: desk.block(who.name, body.number, body.reason, key)
        )

    @router.post("/unblock", operation_id="unblockFax", response_model=shapes.FaxDone)
    async def unblock(request: Request, who: Who, key: Key, body: Unblocking) -> JSONResponse:
        asked = FaxDo("unblockFax", key, body.number, repr(body))
        return await do(request, who, asked, lambda: desk.unblock(who.name, body.number, key))

    return router
