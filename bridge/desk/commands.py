"""Services asked for, by whichever door: rights, idempotency, the flow, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog

from bridge.desk.once import Once
from bridge.desk.problems import Problem
from bridge.desk.rights import check_command, seat_for
from bridge.desk.tokens import Grant
from bridge.domain.acts import Command, Target
from bridge.domain.agent import AE
from bridge.domain.call import live_calls
from bridge.domain.conversation import E
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json
from bridge.flows.calls import Calls, Spawn
from bridge.flows.causes import LEADS_TO
from bridge.flows.ports import Answer, Clock
from bridge.flows.subscription import Event, Subscription
from bridge.flows.view import View

_log = structlog.get_logger(__name__)

WAIT_MAX = 10.0
"""Longest `?wait=`, seconds."""
NEEDS_TARGET = frozenset({E.THREE_WAY, E.TRANSFER, E.CONSULT})

Mode = Literal["listen", "whisper", "barge", "talk"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One service of a call with its arguments, as a client named them."""

    service: E
    key: str
    call: str | None = None
    leg: str | None = None
    seat: str | None = None
    to: str | None = None
    mode: Mode | None = None
    on: bool = True
    confirm: bool = False


@dataclass(frozen=True, slots=True)
class AgentAsk:
    """One service of an agent."""

    event: AE
    key: str
    seat: str
    agent: str = ""
    role: str = ""
    reason: str = ""


class Keyed(Protocol):
    """A service that is no call's and no agent's: known by its key and what was asked."""

    @property
    def event(self) -> str: ...

    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client is answered."""

    status: int
    body: dict[str, Json]


class Commands:
    """All services. `target_for(to, case)` finds whom `to` names, or None."""

    def __init__(
        self,
        calls: Calls,
        view: View,
        *,
        seats: Collection[str],
        target_for: Callable[[str, str], Target | None],
        new_id: Callable[[], str],
        clock: Clock,
        answers: Callable[[str], Awaitable[Answer | None]],
        spawn: Spawn,
        audit: Callable[[Fact], None],
    ) -> None:
        self._calls = calls
        self._view = view
        self._seats = seats
        self._target_for = target_for
        self._new_id = new_id
        self._clock = clock
        self._audit = audit
        self._once = Once(answers=answers, monotonic=clock.monotonic, spawn=spawn)

    async def call(self, grant: Grant, ask: Ask, wait: float = 0.0) -> Reply:
        """Carry out a service of a call. 202 when it is under way; with `wait` seconds 200 and
        the call as it is then, if it came about in that time. Raises Refused or Problem."""
        done = LEADS_TO[ask.service]
        wanted = self._view.subscribe(lambda e: e.command == ask.key and e.type in done)
        try:
            answer = await self._once_for(grant, ask, lambda: self._carry_out(grant, ask))
            return await self._after(answer, wanted, min(wait, WAIT_MAX))
        finally:
            self._view.unsubscribe(wanted)

    async def agent(self, grant: Grant, ask: AgentAsk) -> Reply:
        """Carry out a service of an agent; it is done and durable when this returns."""
        answer = await self._once_for(grant, ask, lambda: self._agent(grant, ask))
        return Reply(answer.status, dict(answer.body))

    async def once(
        self, grant: Grant, asked: Keyed, work: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        """Any other service, once for its key. Raises Refused or Problem, which are journaled."""
        try:
            return await self._once.do(asked.key, (grant.name, asked), work)
        except (Refused, Problem) as error:
            self.refused(grant, error, asked)
            raise

    async def _once_for(
        self, grant: Grant, ask: Ask | AgentAsk, work: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        try:
            return await self._once.do(ask.key, (grant.name, ask), work)
        except (Refused, Problem) as error:
            self.refused(grant, error, ask)
            raise

    async def _carry_out(self, grant: Grant, ask: Ask) -> Answer:
        ident = ask.call or self._call_of(ask.leg)
        call = self._calls.book.calls.get(ident)
        if call is None:
            raise Refused("no-such-leg" if ask.call is None else "no-such-call")
        seat = seat_for(grant, ask.seat, call, ask.service)
        if seat is not None and seat not in self._seats:
            raise Refused("no-such-seat")
        service = self._which_clear(ask, seat)
        check_command(grant, service, call, ask.leg)
        target = self._target_for(ask.to, call.case) if ask.to else None
        if service in NEEDS_TARGET and target is None:
            raise Refused("no-such-target")
        if service in (E.JOIN, E.INTRUDE) and seat is None:
            raise Problem("bad-request", errors=[{"place": "seat", "words": "which seat?"}])
        sitting = self._calls.book.seats.get(seat or "")
        return await self._calls.ask(
            Command(
                service=service,
                call=ident,
                actor=grant.name,
                role=grant.role,
                key=ask.key,
                seat=seat,
                target=target,
                leg=ask.leg,
                mode=ask.mode,
                on=ask.on,
                confirm=ask.confirm,
                new_leg=self._new_id(),
                new_handoff=self._new_id(),
                agent=sitting.agent if sitting else "",
                duty=sitting.role if sitting else "",
            )
        )

    def _which_clear(self, ask: Ask, seat: str | None) -> E:
        """ClearConnection of one's own leg is leaving; of another's, clearing that party."""
        if ask.service is not E.CLEAR_PARTY:
            return ask.service
        call = self._calls.book.calls[ask.call or self._call_of(ask.leg)]
        own = call.seat_leg(seat)
        return E.LEAVE if own is not None and own.id == ask.leg else E.CLEAR_PARTY

    def call_with(self, case: str, seat: str | None) -> str | None:
        """The live call of that case that the seat's telephone is in, or None."""
        found = (
            call.id
            for call in live_calls(self._calls.book)
            if call.case == case and call.seat_leg(seat) is not None
        )
        return next(found, None) if seat is not None else None

    def is_with(self, call: str, to: str) -> bool:
        """Whether whom `to` names is in that call, or is being called into it."""
        known = self._calls.book.calls[call]
        target = self._target_for(to, known.case)
        return target is not None and any(
            leg.live and leg.name == target.name for leg in known.legs.values()
        )

    def _call_of(self, leg: str | None) -> str:
        """The call that a leg belongs to; empty where it is in none."""
        found = (call.id for call in self._calls.book.calls.values() if leg in call.legs)
        return next(found, "")

    async def _agent(self, grant: Grant, ask: AgentAsk) -> Answer:
        if ask.seat not in self._seats:
            raise Refused("no-such-seat")
        seat_for(grant, ask.seat)
        return await self._calls.agent(
            ask.seat,
            ask.event,
            actor=grant.name,
            key=ask.key,
            agent=ask.agent,
            role=ask.role,
            reason=ask.reason,
        )

    async def _after(self, answer: Answer, wanted: Subscription, wait: float) -> Reply:
        event: Event | None = await wanted.next(wait) if wait > 0 else None
        ident = str(answer.body.get("call"))
        shown = self._view.call(ident) if event is not None else None
        return Reply(200, shown) if shown is not None else Reply(answer.status, dict(answer.body))

    def refused(self, grant: Grant | None, error: Refused | Problem, ask: object) -> None:
        """Every refusal is logged; those of somebody signed in are in the journal too."""
        who = grant.name if grant else None
        service = ask.service.value if isinstance(ask, Ask) else str(getattr(ask, "event", ask))
        about = ask.call if isinstance(ask, Ask) else getattr(ask, "seat", None)
        about = about or getattr(ask, "about", None)
        _log.warning("desk.refused", code=error.code, actor=who, service=service, about=about)
        if grant is None:
            return
        call = self._calls.book.calls.get(about or "") if isinstance(ask, Ask) else None
        data: dict[str, Json] = {
            "code": error.code,
            "service": service,
            "role": grant.role,
            "key": getattr(ask, "key", None),
        }
        self._audit(
            Fact(
                "audit.refused",
                self._clock.now(),
                case=call.case if call else None,
                call=call.id if call else None,
                subject=about,
                actor=grant.name,
                data=data,
            )
        )
