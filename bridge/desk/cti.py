"""The CTI WebSocket `/cti`: snapshot, numbered events, and the same commands as REST.

A message with `type` is an event, one with `op` belongs to the dialogue. Each client has its own
bounded queue; one that does not keep up is dropped and comes back to a snapshot, so that the
others never wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from bridge.desk.bodies import Do, DoOrder, Hello, Subscribe, faults
from bridge.desk.commands import Reply
from bridge.desk.guard import deny
from bridge.desk.order_services import ORDER_SERVICES, by_name, order_service
from bridge.desk.parts import Parts
from bridge.desk.problems import Problem, document
from bridge.desk.rights import SEES_FAX, SEES_SEATS, may_hear, may_see
from bridge.desk.services import carry_out
from bridge.desk.tokens import Grant, bearer
from bridge.domain.errors import Refused
from bridge.flows.subscription import Event, Subscription
from bridge.flows.view import dumps

_log = structlog.get_logger(__name__)

SUBPROTOCOL = "bridge110.cti.v1"
HEARTBEAT_SECONDS = 5.0
HELLO_SECONDS = 5.0
SEND_SECONDS = 10.0
"""A client that takes nothing for so long is too slow."""
CLOSE_SECONDS = 2.0
CLIENTS = 500
"""Connections at a time: 30 seats, boards and other desks many times over."""
BAD_MESSAGES = 20
"""So many messages that cannot be read end the connection."""

SIGNED_OUT, TOO_SLOW, VERSION, POLICY, AGAIN = 4001, 4008, 4010, 1008, 1013


class _Close(Exception):
    """End this connection with a code of sheet 7.4."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class Topics:
    """What a client wants to hear; links and alarms are for everybody."""

    names: set[str]

    def want(self, event: Event) -> bool:
        """Whether one of the topics names this event."""
        if "*" in self.names or (event.call is None and event.seat is None):
            return True
        return any(
            value is not None and (f"{kind}:{value}" in self.names or f"{kind}:*" in self.names)
            for kind, value in (("seat", event.seat), ("case", event.case), ("call", event.call))
        )


class Cti:
    """All connections of `/cti`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._open = 0

    async def connection(self, socket: WebSocket) -> None:
        """One connection, from handshake to close."""
        token = bearer(socket.headers.get("authorization"))
        if token and self._parts.tokens.grant(token) is None:
            await deny(Problem("no-token"), socket.send)
            return
        offered: Sequence[str] = socket.scope["subprotocols"]
        await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        self._open += 1
        try:
            if SUBPROTOCOL not in offered:
                raise _Close(VERSION, f"subprotocol {SUBPROTOCOL} only")
            if self._open > CLIENTS:
                raise _Close(AGAIN, "too many connections")
            await self._talk(socket, token)
        except _Close as end:
            _log.info("cti.closed", code=end.code, reason=end.reason)
            with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await socket.close(end.code, end.reason)
        except WebSocketDisconnect:
            _log.debug("cti.left")
        finally:
            self._open -= 1

    async def _talk(self, socket: WebSocket, token: str) -> None:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = Hello.model_validate_json(await _text(socket))
        except (TimeoutError, ValidationError) as error:
            raise _Close(POLICY, "hello expected") from error
        grant = self._parts.tokens.grant(token or hello.token or "")
        if grant is None:
            _log.warning("desk.refused", code="no-token", service="hello")
            raise _Close(SIGNED_OUT, "no valid token")
        await _Session(socket, self._parts, grant, hello).run()


class _Session:
    """One signed-in connection."""

    def __init__(self, socket: WebSocket, parts: Parts, grant: Grant, hello: Hello) -> None:
        self._socket = socket
        self._parts = parts
        self._grant = grant
        self._hello = hello
        self._topics = Topics(set(hello.subscribe if hello.subscribe is not None else ["*"]))
        self._sent = 0
        self._bad = 0

    def _wants(self, event: Event) -> bool:
        return may_hear(self._grant, event) and self._topics.want(event)

    async def run(self) -> None:
        """Welcome, then events and commands until either side ends."""
        view = self._parts.view
        subscription = view.subscribe(self._wants)
        try:
            resume = self._hello.resume
            missed = view.since(resume.epoch, resume.seq) if resume else None
            self._sent = view.seq
            texts = [self._welcome(with_snapshot=missed is None)]
            texts += [event.text for event in missed or () if self._wants(event)]
            for text in texts:
                await self._send(text)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._events(subscription), name="cti events")
                tasks.create_task(self._messages(), name="cti messages")
                tasks.create_task(_too_slow(subscription), name="cti too slow")
        except* (_Close, WebSocketDisconnect) as ended:
            raise _first(ended) from None
        finally:
            view.unsubscribe(subscription)

    def _welcome(self, *, with_snapshot: bool) -> str:
        view, grant = self._parts.view, self._grant
        made: dict[str, Any] = {
            "op": "welcome",
            "epoch": view.epoch,
            "seq": view.seq,
            "now": view.time_now(),
            "heartbeat_s": HEARTBEAT_SECONDS,
            "name": grant.name,
            "role": grant.role,
            "seat": grant.seat,
        }
        if with_snapshot:
            seats: Collection[str] = self._parts.seats if grant.role in SEES_SEATS else ()
            made["snapshot"] = view.snapshot(
                lambda call: may_see(grant, call), seats, boards=grant.role in SEES_FAX
            )
        return dumps(made)

    async def _events(self, subscription: Subscription) -> None:
        view = self._parts.view
        loop = asyncio.get_running_loop()
        beat = loop.time() + HEARTBEAT_SECONDS
        while True:
            event = await subscription.next(max(0.0, beat - loop.time()))
            if event is not None:
                await self._send(event.text)
                self._sent = event.seq
            if loop.time() >= beat:
                beat = loop.time() + HEARTBEAT_SECONDS
                if not self._parts.tokens.valid(self._grant):
                    raise _Close(SIGNED_OUT, "the token is no longer valid")
                if not subscription.waiting:
                    self._sent = view.seq
                await self._send(view.heartbeat(self._sent))

    async def _messages(self) -> None:
        """Commands one after another: their order is the client's."""
        while True:
            text = await _text(self._socket)
            if not self._parts.rates.take(self._grant.name):
                await self._refuse(_ident(text), Problem("too-many"))
                continue
            try:
                message = _parse(text)
            except ValidationError as error:
                wrong: list[Any] = faults([dict(found) for found in error.errors()])
                await self._refuse(_ident(text), Problem("bad-request", errors=wrong))
                self._bad += 1
                if self._bad > BAD_MESSAGES:
                    raise _Close(POLICY, "too many messages that cannot be read") from error
                continue
            if isinstance(message, Do | DoOrder):
                await self._do(message)
            elif isinstance(message, Subscribe):
                change = self._topics.names.update
                if message.op == "unsubscribe":
                    change = self._topics.names.difference_update
                change(message.topics)

    async def _do(self, message: Do | DoOrder) -> None:
        try:
            reply = await self._carried_out(message)
        except (Refused, Problem) as error:
            await self._refuse(message.id, error)
        else:
            accepted = {"op": "accepted", "id": message.id, "status": reply.status}
            await self._send(dumps(accepted | {"answer": reply.body}))

    async def _carried_out(self, message: Do | DoOrder) -> Reply:
        parts = self._parts
        if isinstance(message, Do):
            return await carry_out(parts.commands, self._grant, message)
        asked = by_name(message)
        answer = await order_service(parts.commands, parts.orders, self._grant, asked)
        return Reply(answer.status, dict(answer.body))

    async def _refuse(self, ident: str | None, error: Refused | Problem) -> None:
        await self._send(dumps({"op": "refused", "id": ident, "problem": document(error)}))

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_text(text)
        except TimeoutError as error:
            raise _Close(TOO_SLOW, "too slow: come back for a snapshot") from error


async def _too_slow(subscription: Subscription) -> None:
    await subscription.wait_too_slow()
    raise _Close(TOO_SLOW, "too slow: come back for a snapshot")


async def _text(socket: WebSocket) -> str:
    """The next text message. Bytes are refused."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if not isinstance(text, str):
        raise _Close(POLICY, "text messages only")
    return text


def _parse(text: str) -> BaseModel:
    """A message of the client. Raises ValidationError."""
    kind: type[BaseModel] = Do
    if _member(text, "op") in ("subscribe", "unsubscribe"):
        kind = Subscribe
    elif _member(text, "service") in ORDER_SERVICES:
        kind = DoOrder
    return kind.model_validate_json(text)


def _member(text: str, name: str) -> object:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found.get(name) if isinstance(found, dict) else None


def _ident(text: str) -> str | None:
    """The `id` of a message that is refused; one that cannot be written back is left out."""
    found = _member(text, "id")
    return found[:128] if isinstance(found, str) and found.isprintable() else None


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    """What ended the session: our own reason before the client's leaving."""
    flat: list[Exception] = []
    for error in group.exceptions:
        flat += [_first(error)] if isinstance(error, BaseExceptionGroup) else [error]
    return next((error for error in flat if isinstance(error, _Close)), flat[0])
