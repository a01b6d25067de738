"""Snapshots: SnapshotCall, SnapshotDevice and what a client needs to know besides."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from bridge.desk import shapes
from bridge.desk.rest import REFUSALS, Ident, SeatId, Who, parts_of
from bridge.desk.rights import SEES_FAX, check_sees_seats, may_see
from bridge.domain.acts import Target
from bridge.domain.errors import Refused
from bridge.domain.journal import Json

READ: dict[int | str, dict[str, Any]] = {
    status: REFUSALS[status] for status in (400, 401, 403, 404, 429)
}


def reads() -> APIRouter:
    """Everything that can be looked at."""
    router = APIRouter(prefix="/api/v1", responses=READ)

    @router.get("/health", response_model=shapes.Health)
    async def health(request: Request) -> JSONResponse:
        """For monitors, without a token: no call and no number is in it."""
        return JSONResponse(parts_of(request).health())

    @router.get("/snapshot", operation_id="Snapshot", response_model=shapes.Snapshot)
    async def snapshot(request: Request, who: Who) -> JSONResponse:
        check_sees_seats(who)
        parts, boards = parts_of(request), who.role in SEES_FAX
        made = parts.view.snapshot(lambda call: may_see(who, call), parts.seats, boards=boards)
        return JSONResponse(made)

    @router.get("/calls", response_model=shapes.CallList)
    async def calls(request: Request, who: Who) -> JSONResponse:
        check_sees_seats(who)
        return JSONResponse({"calls": parts_of(request).view.calls(lambda c: may_see(who, c))})

    @router.get("/calls/{call}", operation_id="SnapshotCall", response_model=shapes.CallDoc)
    async def one_call(request: Request, who: Who, call: Ident) -> JSONResponse:
        view = parts_of(request).view
        record = view.book.calls.get(call)
        if record is None or not may_see(who, record):
            raise Refused("no-such-call")
        return JSONResponse(view.call(call))

    @router.get("/seats", response_model=shapes.SeatList)
    async def seats(request: Request, who: Who) -> JSONResponse:
        check_sees_seats(who)
        parts = parts_of(request)
        return JSONResponse({"seats": parts.view.seats(parts.seats)})

    @router.get("/seats/{seat}", operation_id="SnapshotDevice", response_model=shapes.SeatDoc)
    async def one_seat(request: Request, who: Who, seat: SeatId) -> JSONResponse:
        check_sees_seats(who)
        parts = parts_of(request)
        if seat not in parts.seats:
            raise Refused("no-such-seat")
        return JSONResponse(parts.view.seat(seat))

    @router.get("/targets", response_model=shapes.TargetList)
    async def targets(request: Request, who: Who) -> JSONResponse:
        check_sees_seats(who)
        found = parts_of(request).targets.values()
        return JSONResponse({"targets": [_target(target) for target in found]})

    return router


def _target(target: Target) -> dict[str, Json]:
    return {
        "id": target.id,
        "title": target.title,
        "role": target.role.value,
        "accept": target.accept,
        "ring_timeout": target.ring_timeout,
    }
