"""The live line to a unit's terminal: what is new goes out, receipt and read marks come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from bridge.desk.order_parts import OrderParts
from bridge.desk.parts import Parts
from bridge.desk.tokens import Grant, bearer
from bridge.desk.unit_pages import COOKIE, signed_in
from bridge.domain.delivery import A, ChannelKind
from bridge.domain.journal import Json, iso
from bridge.domain.unit import Unit
from bridge.flows.terminals import TerminalLine

_log = structlog.get_logger(__name__)

SUBPROTOCOL = "bridge110.unit.v1"
BEAT_SECONDS = 5.0
SEND_SECONDS = 5.0
SIGNED_OUT, TOO_SLOW, POLICY, AGAIN, VERSION = 4001, 4008, 1008, 1013, 4010
CLIENTS = 2_000
MAX_TEXT = 1_000


class UnitSocket:
    """`/unit/events`. `{op: order|changed|beat}` goes out, `{op: received|read, attempt}` in."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open = 0

    async def connection(self, socket: WebSocket) -> None:
        """One terminal, from its first byte to its end."""
        offered = socket.scope.get("subprotocols", [])
        token = bearer(socket.headers.get("authorization")) or socket.cookies.get(COOKIE, "")
        who = signed_in({COOKIE: token}, self._parts)
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        code = 0
        if SUBPROTOCOL not in offered:
            code = VERSION
        elif who is None:
            code = SIGNED_OUT
        elif self._open >= CLIENTS:
            code = AGAIN
        if code or who is None or self._parts.orders is None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(code or SIGNED_OUT)
            return
        self._open += 1
        try:
            await self._serve(socket, self._parts.orders, *who)
        finally:
            self._open -= 1

    async def _serve(self, socket: WebSocket, here: OrderParts, grant: Grant, unit: Unit) -> None:
        line = here.terminals.attach(unit.id, grant.name)
        code = 1000
        try:
            for message in _waiting(here, unit):
                await _send(socket, message)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._out(socket, line, grant), name="terminal out")
                tasks.create_task(_in(socket, here, unit.id), name="terminal in")
        except* (WebSocketDisconnect, RuntimeError):
            code = 0
        except* _Over as over:
            code = next(one.code for one in over.exceptions if isinstance(one, _Over))
        finally:
            here.terminals.detach(line)
        if code:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(SEND_SECONDS):
                    await socket.close(code)

    async def _out(self, socket: WebSocket, line: TerminalLine, grant: Grant) -> None:
        while True:
            message: Any = {"op": "beat"}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    message = await line.next()
            if line.gone.is_set():
                raise _Over(TOO_SLOW)
            if not self._parts.tokens.valid(grant):
                raise _Over(SIGNED_OUT)
            await _send(socket, message)


class _Over(Exception):
    """We end this connection, with that code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


async def _in(socket: WebSocket, here: OrderParts, unit: str) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        op, attempt = _parsed(message.get("text"))
        if op == "received":
            await here.marks.received(attempt, unit)
        else:
            await here.marks.read(attempt, unit)


def _parsed(text: object) -> tuple[str, str]:
    """Raises _Over for anything that is no message of a terminal."""
    try:
        found = json.loads(text) if isinstance(text, str) and len(text) <= MAX_TEXT else None
    except (ValueError, RecursionError):
        found = None
    op = found.get("op") if isinstance(found, dict) else None
    attempt = found.get("attempt") if isinstance(found, dict) else None
    if op not in ("received", "read") or not isinstance(attempt, str) or len(attempt) > 64:
        raise _Over(POLICY)
    return op, attempt


async def _send(socket: WebSocket, message: Any) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await socket.send_text(json.dumps(dict(message), ensure_ascii=False))
    except TimeoutError as error:
        raise _Over(TOO_SLOW) from error


def _waiting(here: OrderParts, unit: Unit) -> list[dict[str, Json]]:
    """Orders on this terminal's wire that it may not have yet."""
    return [
        {"op": "order", "order": order.id, "attempt": one.id, "at": iso(order.created_at)}
        for order in here.orders.open_of(unit.id)
        for one in order.attempts.values()
        if one.channel is ChannelKind.TERMINAL
        and one.unit == unit.id
        and one.state in (A.SENDING, A.SENT)
    ]
