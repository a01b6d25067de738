"""Services by their CSTA names, as the WebSocket asks for them."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.desk.bodies import Args, Do
from bridge.desk.commands import NEEDS_TARGET, AgentAsk, Ask, Commands, Reply
from bridge.desk.problems import Problem
from bridge.desk.tokens import Grant
from bridge.domain.agent import AE
from bridge.domain.conversation import E

OF_CALL: Mapping[str, E] = {
    service.value: service
    for service in (
        E.THREE_WAY,
        E.TRANSFER,
        E.CONSULT,
        E.ALTERNATE,
        E.RECONNECT,
        E.CONFERENCE,
        E.HOLD,
        E.RETRIEVE,
        E.JOIN,
        E.INTRUDE,
        E.MUTE,
        E.CLEAR_CALL,
    )
} | {"ClearConnection": E.CLEAR_PARTY, "CancelCall": E.CANCEL}
OF_LEG = frozenset({E.CLEAR_PARTY, E.MUTE})
OF_AGENT = frozenset({"LogOn", "LogOff", "SetAgentState"})
SET = {
    "ready": AE.SET_READY,
    "notReady": AE.SET_NOT_READY,
    "workingAfterCall": AE.SET_AFTER_CALL,
}


async def carry_out(commands: Commands, grant: Grant, message: Do) -> Reply:
    """Do what the message asks for. Raises Refused or Problem."""
    if message.service in OF_AGENT:
        return await commands.agent(grant, _agent(message, grant))
    service = OF_CALL.get(message.service)
    if service is None:
        raise missing("service", f"one of {', '.join(sorted((*OF_CALL, *OF_AGENT)))}")
    return await commands.call(grant, _ask(service, message))


def _ask(service: E, message: Do) -> Ask:
    args = message.args
    if service in OF_LEG:
        _need(args, "leg")
    else:
        _need(args, "call")
    if service in NEEDS_TARGET:
        _need(args, "to")
    if service is E.INTRUDE:
        _need(args, "mode")
    return Ask(
        service,
        message.id,
        call=None if service in OF_LEG else args.call,
        leg=args.leg,
        seat=args.seat,
        to=args.to,
        mode=args.mode,
        on=args.on,
        confirm=args.confirm,
    )


def _agent(message: Do, grant: Grant) -> AgentAsk:
    args = message.args
    seat = args.seat or grant.seat
    if seat is None:
        raise missing("args.seat", "which seat?")
    if message.service == "LogOff":
        return AgentAsk(AE.LOG_OFF, message.id, seat)
    if message.service == "LogOn":
        if not args.agent:
            raise missing("args.agent", "who sits down?")
        return AgentAsk(AE.LOG_ON, message.id, seat, args.agent, args.role)
    if args.state is None:
        raise missing("args.state", "which state?")
    return AgentAsk(SET[args.state], message.id, seat, reason=args.reason)


def _need(args: Args, name: str) -> None:
    if getattr(args, name) is None:
        raise missing(f"args.{name}", "this service needs it")


def missing(place: str, words: str) -> Problem:
    """What the contract asks for and the message lacks."""
    return Problem("bad-request", errors=[{"place": place, "words": words}])
