"""REST: commands and snapshots under /api/v1, by the CSTA names of softphone sheet 7.3.

A route reads its body into a type, asks one flow, answers. GET never changes anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse

from bridge.desk import shapes
from bridge.desk.bodies import Acting, Intruding, LoggingOn, Muting, Setting, Third
from bridge.desk.commands import WAIT_MAX, AgentAsk, Ask, Reply
from bridge.desk.parts import Parts
from bridge.desk.problems import MEDIA_TYPE, Problem
from bridge.desk.services import SET
from bridge.desk.tokens import Grant, bearer
from bridge.domain.agent import AE
from bridge.domain.conversation import E

Ident = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
SeatId = Annotated[str, Path(pattern=r"^[A-Za-z0-9]{1,16}$")]
Wait = Annotated[float, Query(ge=0, le=WAIT_MAX, description="seconds")]
KeyHeader = Annotated[
    str | None, Header(alias="Idempotency-Key", pattern=r"^[A-Za-z0-9_:.-]{8,128}$")
]

WITH_TARGET = {"three-way": E.THREE_WAY, "transfer": E.TRANSFER, "consult": E.CONSULT}
PLAIN = {
    "alternate": E.ALTERNATE,
    "reconnect": E.RECONNECT,
    "conference": E.CONFERENCE,
    "hold": E.HOLD,
    "retrieve": E.RETRIEVE,
    "join": E.JOIN,
    "cancel": E.CANCEL,
}
"""Services whose only argument is the seat."""


def parts_of(request: Request) -> Parts:
    """What the routes use."""
    parts: Parts = request.app.state.parts
    return parts


async def signed_in(request: Request) -> Grant:
    """The grant behind the bearer token. Raises Problem: no-token, too-many."""
    parts = parts_of(request)
    grant = parts.tokens.grant(bearer(request.headers.get("authorization")))
    if grant is None:
        raise Problem("no-token")
    if not parts.rates.take(grant.name):
        raise Problem("too-many")
    return grant


async def command_key(key: KeyHeader = None) -> str:
    """Every command has one. Raises Problem("key-missing")."""
    if key is None:
        raise Problem("key-missing")
    return key


Who = Annotated[Grant, Depends(signed_in)]
Key = Annotated[str, Depends(command_key)]


def _problem(what: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ProblemDoc"}
    return {"description": what, "content": {MEDIA_TYPE: {"schema": schema}}}


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: _problem("bad request"),
    401: _problem("no valid token"),
    403: _problem("not allowed, or not your seat"),
    404: _problem("no such call, leg, seat or target"),
    408: _problem("the body came too late"),
    409: _problem("wrong state: with the state and what is possible there"),
    413: _problem("body too large"),
    415: _problem("body is not JSON"),
    422: _problem("key used for something else"),
    423: _problem("the call belongs to another seat"),
    429: _problem("too many requests"),
    502: _problem("the switch refused"),
    503: _problem("switch or store away"),
    504: _problem("outcome unknown: never repeat blindly, look at the call"),
}
COMMAND: dict[int | str, dict[str, Any]] = {
    200: {"model": shapes.CallDoc, "description": "came about within ?wait= seconds"},
    **REFUSALS,
}
ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": shapes.Accepted}
AGENT: dict[str, Any] = {"status_code": 202, "response_model": shapes.AgentAccepted}


def _answer(reply: Reply) -> JSONResponse:
    return JSONResponse(reply.body, reply.status)


def agents() -> APIRouter:
    """Set Agent State."""
    router = APIRouter(prefix="/api/v1/seats/{seat}/agent", responses=REFUSALS)

    @router.put("", operation_id="LogOn", **AGENT)
    async def log_on(
        request: Request, who: Who, key: Key, seat: SeatId, body: LoggingOn
    ) -> JSONResponse:
        ask = AgentAsk(AE.LOG_ON, key, seat, body.agent, body.role)
        return _answer(await parts_of(request).commands.agent(who, ask))

    @router.patch("", operation_id="SetAgentState", **AGENT)
    async def set_state(
        request: Request, who: Who, key: Key, seat: SeatId, body: Setting
    ) -> JSONResponse:
        ask = AgentAsk(SET[body.state], key, seat, reason=body.reason)
        return _answer(await parts_of(request).commands.agent(who, ask))

    @router.delete("", operation_id="LogOff", **AGENT)
    async def log_off(request: Request, who: Who, key: Key, seat: SeatId) -> JSONResponse:
        ask = AgentAsk(AE.LOG_OFF, key, seat)
        return _answer(await parts_of(request).commands.agent(who, ask))

    return router


Endpoint = Callable[..., Awaitable[JSONResponse]]


def _with_target(service: E) -> Endpoint:
    async def endpoint(
        request: Request, who: Who, key: Key, call: Ident, body: Third, wait: Wait = 0.0
    ) -> JSONResponse:
        ask = Ask(service, key, call, seat=body.seat, to=body.to)
        return _answer(await parts_of(request).commands.call(who, ask, wait))

    return endpoint


def _plain(service: E) -> Endpoint:
    async def endpoint(
        request: Request,
        who: Who,
        key: Key,
        call: Ident,
        body: Acting | None = None,
        wait: Wait = 0.0,
    ) -> JSONResponse:
        ask = Ask(service, key, call, seat=body.seat if body else None)
        return _answer(await parts_of(request).commands.call(who, ask, wait))

    return endpoint


def services() -> APIRouter:
    """The services of a call."""
    router = APIRouter(prefix="/api/v1", responses=COMMAND)
    kinds: tuple[tuple[Mapping[str, E], Callable[[E], Endpoint]], ...] = (
        (WITH_TARGET, _with_target),
        (PLAIN, _plain),
    )
    for paths, make in kinds:
        for path, service in paths.items():
            name = service.value.partition(" ")[0]
            router.add_api_route(
                f"/calls/{{call}}/{path}",
                make(service),
                methods=["POST"],
                operation_id=name,
                **ACCEPTED,
            )
    _other_services(router)
    return router


def _other_services(router: APIRouter) -> None:
    """What names a leg, needs confirmation, or is for leaders."""

    @router.post("/calls/{call}/intrude", operation_id="IntrudeCall", **ACCEPTED)
    async def intrude(
        request: Request, who: Who, key: Key, call: Ident, body: Intruding, wait: Wait = 0.0
    ) -> JSONResponse:
        ask = Ask(E.INTRUDE, key, call, seat=body.seat, mode=body.mode)
        return _answer(await parts_of(request).commands.call(who, ask, wait))

    @router.delete("/calls/{call}", operation_id="ClearCall", **ACCEPTED)
    async def clear_call(
        request: Request, who: Who, key: Key, call: Ident, confirm: bool = False, wait: Wait = 0.0
    ) -> JSONResponse:
        ask = Ask(E.CLEAR_CALL, key, call, confirm=confirm)
        return _answer(await parts_of(request).commands.call(who, ask, wait))

    @router.delete("/legs/{leg}", operation_id="ClearConnection", **ACCEPTED)
    async def clear_leg(
        request: Request, who: Who, key: Key, leg: Ident, confirm: bool = False, wait: Wait = 0.0
    ) -> JSONResponse:
        ask = Ask(E.CLEAR_PARTY, key, leg=leg, confirm=confirm)
        return _answer(await parts_of(request).commands.call(who, ask, wait))

    @router.put("/legs/{leg}/mute", operation_id="SetMicrophoneMute", **ACCEPTED)
    async def mute(
        request: Request, who: Who, key: Key, leg: Ident, body: Muting, wait: Wait = 0.0
    ) -> JSONResponse:
        ask = Ask(E.MUTE, key, leg=leg, seat=body.seat, on=body.on)
        return _answer(await parts_of(request).commands.call(who, ask, wait))
