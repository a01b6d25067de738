"""Services of orders by name: the same for REST and the WebSocket (softphone sheet 7.3, escape).

Each reads nothing but its body, checks the right and asks one flow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from bridge.desk.bodies import Body, DoOrder, faults
from bridge.desk.commands import Ask, Commands
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
from bridge.desk.order_parts import OrderParts
from bridge.desk.problems import Problem
from bridge.desk.rights import GIVES_ORDERS
from bridge.desk.tokens import Grant
from bridge.domain.conversation import E
from bridge.domain.delivery import ChannelKind, Received, Says
from bridge.domain.errors import Refused
from bridge.domain.journal import Json
from bridge.flows.order_desk import Asker, OrderAsk
from bridge.flows.ports import Answer

_ON_BEHALF: Final = frozenset({"T", "L", "P"})
_SAYS: Final[Mapping[str, Says]] = {
    "arrival": Says.ARRIVED,
    "progress": Says.PROGRESS,
    "result": Says.RESULT,
    "promise": Says.PROMISE,
    "dispute": Says.DISPUTE,
}


@dataclass(frozen=True, slots=True)
class OrderDo:
    """One service as it was asked for: a repeat is known by it."""

    event: str
    key: str
    about: str
    body: Body


@dataclass(frozen=True, slots=True)
class OrderService:
    """`about`: what its path and its arguments name; `body`: everything else it takes."""

    about: Literal["case", "order"]
    body: type[Body]
    do: Callable[[OrderParts, Grant, str, Any, str], Awaitable[Answer]]


def may(grant: Grant, roles: frozenset[str]) -> Asker:
    """Who asks. Raises Refused("not-allowed")."""
    if grant.role not in roles:
        raise Refused("not-allowed")
    return Asker(grant.name, grant.seat)


async def order_service(
    commands: Commands, here: OrderParts | None, who: Grant, asked: OrderDo
) -> Answer:
    """Carry it out, once for its key. Raises Refused or Problem; `no-such-order` also where this
    desk gives no orders."""
    service = ORDER_SERVICES[asked.event]

    async def work() -> Answer:
        if here is None:
            raise Refused("no-such-order")
        return await service.do(here, who, asked.about, asked.body, asked.key)

    answer = await commands.once(who, asked, work)
    if here is not None and isinstance(asked.body, NewOrder) and asked.body.copy_centre:
        return await _along(commands, here, who, asked, asked.body, answer)
    return answer


async def _along(
    commands: Commands,
    here: OrderParts,
    who: Grant,
    asked: OrderDo,
    body: NewOrder,
    answer: Answer,
) -> Answer:
    """One click: the seat's call goes along to the first unit whose profile says so (LU-15). What
    becomes of it never undoes the order."""
    units = [here.orders.units[unit] for unit in body.units if unit in here.orders.units]
    unit = next((unit for unit in units if unit.call_along), None)
    call = commands.call_with(asked.about, who.seat)
    if unit is None or call is None:
        return answer
    along: dict[str, Json] = {"unit": unit.id, "call": call, "to": unit.call_along, "refused": None}
    ask = Ask(E.THREE_WAY, f"{asked.key}-along", call=call, seat=who.seat, to=unit.call_along)
    if not commands.is_with(call, unit.call_along):
        try:
            await commands.call(who, ask)
        except (Refused, Problem) as error:
            along["refused"] = error.code
    return Answer(answer.key, answer.status, {**answer.body, "along": along})


def by_name(message: DoOrder) -> OrderDo:
    """The service that a message of the WebSocket asks for. Raises Problem("bad-request")."""
    service = ORDER_SERVICES[message.service]
    args = dict(message.args)
    about = getattr(message, service.about)
    if about is None:
        wrong: dict[str, Json] = {"place": service.about, "words": "this service needs it"}
        raise Problem("bad-request", errors=[wrong])
    try:
        body = service.body.model_validate(args)
    except ValidationError as error:
        found: list[Any] = faults([dict(one) for one in error.errors()])
        raise Problem("bad-request", errors=found) from error
    return OrderDo(message.service, message.id, about, body)


# The services


async def _create(here: OrderParts, who: Grant, case: str, body: NewOrder, key: str) -> Answer:
    fields = body.model_dump(exclude={"units", "copy_centre", "attachments"})
    ask = OrderAsk(
        case=case,
        units=tuple(body.units),
        copy=body.copy_centre,
        attachments=tuple(body.attachments),
        **fields,
    )
    return await here.desk.send(may(who, GIVES_ORDERS), ask, key)


async def _confirm(here: OrderParts, who: Grant, order: str, _: Nothing, key: str) -> Answer:
    return await here.desk.confirm(may(who, GIVES_ORDERS), order, key)


async def _remind(here: OrderParts, who: Grant, order: str, _: Nothing, key: str) -> Answer:
    return await here.desk.remind(may(who, GIVES_ORDERS), order, key)


async def _cancel(here: OrderParts, who: Grant, order: str, body: Cancelling, key: str) -> Answer:
    return await here.desk.cancel(may(who, GIVES_ORDERS), order, body.reason, key)


async def _redirect(
    here: OrderParts, who: Grant, order: str, body: Redirecting, key: str
) -> Answer:
    asker = may(who, GIVES_ORDERS)
    return await here.desk.redirect(asker, order, body.number, body.reason, key)


async def _take_back(
    here: OrderParts, who: Grant, order: str, body: TakingBack, key: str
) -> Answer:
    asker = may(who, GIVES_ORDERS)
    return await here.desk.take_back(asker, order, body.attempt, body.reason, key)


async def _decide(here: OrderParts, who: Grant, order: str, body: Deciding, key: str) -> Answer:
    asker = may(who, frozenset({"L"}))
    return await here.desk.decide(asker, order, body.outcome, body.words, key)


async def _informed(here: OrderParts, who: Grant, order: str, body: Informing, key: str) -> Answer:
    return await here.desk.informed(may(who, GIVES_ORDERS), order, body.who, body.channel, key)


async def _acknowledge(
    here: OrderParts, who: Grant, order: str, body: Acknowledging, key: str
) -> Answer:
    says = Says.IN_HAND if body.in_hand else Says.SIGN
    return await _said(here, who, order, says, key, by=body.by, reference=body.reference)


async def _report(here: OrderParts, who: Grant, order: str, body: Reporting, key: str) -> Answer:
    names = ("at", "promised_at", "equipment", "delay_reason")
    more = {name: getattr(body, name) for name in names if getattr(body, name)}
    says = _SAYS[body.kind]
    return await _said(here, who, order, says, key, by=body.by, words=body.text, **more)


async def _pass_on(here: OrderParts, who: Grant, order: str, body: PassingOn, key: str) -> Answer:
    unit = here.unit_of(who)
    asker = Asker(who.name, who.seat) if unit else may(who, GIVES_ORDERS)
    return await here.desk.onward(asker, order, body.to, body.text, key, unit=unit, by=body.by)


async def _said(
    here: OrderParts, who: Grant, order: str, says: Says, key: str, *, by: str, **more: Any
) -> Answer:
    """What a unit says, by itself or through a call-taker who names the person."""
    unit = here.unit_of(who)
    if unit is None:
        return await here.desk.on_behalf(may(who, _ON_BEHALF), order, says, by, key, **more)
    if not here.theirs(await here.order(order), unit):
        raise Refused("not-your-unit")
    at = more.pop("at", None) or here.orders.clock.now()
    await here.inbox.take(
        Received(
            channel=ChannelKind.TERMINAL,
            source=who.name,
            at=at,
            key=f"rest:{key}",
            says=says,
            unit=unit,
            order=order,
            person=by or who.name,
            **more,
        )
    )
    return Answer(key, 202, {"order": order})


ORDER_SERVICES: Final[Mapping[str, OrderService]] = {
    "createOrder": OrderService("case", NewOrder, _create),
    "confirmSiteOrder": OrderService("order", Nothing, _confirm),
    "remindOrder": OrderService("order", Nothing, _remind),
    "cancelOrder": OrderService("order", Cancelling, _cancel),
    "redirectFax": OrderService("order", Redirecting, _redirect),
    "takeBackAttempt": OrderService("order", TakingBack, _take_back),
    "decideDispute": OrderService("order", Deciding, _decide),
    "noteInformed": OrderService("order", Informing, _informed),
    "acknowledgeOrder": OrderService("order", Acknowledging, _acknowledge),
    "reportOrder": OrderService("order", Reporting, _report),
    "passOnOrder": OrderService("order", PassingOn, _pass_on),
}
"""By the names that the REST contract gives them too."""
