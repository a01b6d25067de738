"""What somebody asked for becomes facts and acts, or a refusal. Pure.

The conversation's table says whether a service is possible in the present state; here its
conditions are looked at and its acts get their arguments. Facts are stored before the first act.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.domain.acts import (
    Act,
    Bring,
    Clear,
    Command,
    DialLeader,
    DialSeat,
    DialThird,
    Hold,
    HoldThird,
    Mute,
)
from bridge.domain.call import Book, Call, Leg, Role
from bridge.domain.conversation import COMMANDS, E, F, G, Go, S, step
from bridge.domain.errors import Refused
from bridge.domain.handoff import CallOutcome
from bridge.domain.journal import Fact, Json
from bridge.domain.seen import Seen
from bridge.domain.work import Work, leg_of

_KIND = {E.THREE_WAY: "three-way", E.TRANSFER: "transfer", E.CONSULT: "consult"}


def decide(book: Book, command: Command, now: Seen) -> tuple[list[Fact], list[Act]]:
    """Facts to store and acts to carry out after that. `now` carries call and time.

    Raises Refused (code, state, what is possible); then nothing has changed in `book`.
    """
    call = book.calls.get(command.call)
    if call is None:
        raise Refused("no-such-call", "", ())
    found = step(call.state, command.service)
    if not isinstance(found, Go):
        code = getattr(found, "code", "wrong-state")
        raise Refused(code, call.state.value, possible(call))
    for need in found.needs:
        if not _HOLDS[need](call, command):
            raise Refused(need.value, call.state.value, possible(call))
    target = command.target
    if command.service is E.TRANSFER and target is not None and target.role is Role.RADIO:
        raise Refused("group-takes-no-call", call.state.value, possible(call))
    work = Work(book, call, now.at, actor=command.actor)
    work.fact(
        "call.service",
        command.seat,
        service=command.service.value,
        role=command.role,
        agent=command.agent,
        duty=command.duty,
        key=command.key,
        target=command.target.id if command.target else None,
        leg=command.leg,
        mode=command.mode,
    )
    effects = list(found.effects)
    pending = call.called()
    if F.CLEAR_OWN in effects and pending is not None and len(call.others()) < 2:
        effects = [F.LEAVE_LATER]
    for effect in effects:
        _EFFECTS[effect](work, command)
    if found.state is not None:
        work.move(found.state, command.service)
    return work.facts, work.acts


def possible(call: Call) -> tuple[str, ...]:
    """Services that the table allows in the present state, by their CSTA names."""
    allowed = (e for e in E if e in COMMANDS and isinstance(step(call.state, e), Go))
    return tuple(sorted(e.value for e in allowed))


def _own(call: Call, command: Command) -> Leg | None:
    return call.seat_leg(command.seat)


def _may_leave(call: Call, command: Command) -> bool:
    return command.confirm or call.called() is not None or len(call.persons()) >= 2


_HOLDS: dict[G, Callable[[Call, Command], bool]] = {
    G.NOBODY_CALLED: lambda call, _: call.called() is None,
    G.SOMEBODY_CALLED: lambda call, _: call.called() is not None,
    G.OTHERS_STAY: _may_leave,
    G.OWN_LEG: lambda call, command: _own(call, command) is not None,
    G.NOT_IN_CALL: lambda call, command: _own(call, command) is None,
    G.NAMED_LEG: lambda call, command: (leg := leg_of(call, command.leg)) is not None and leg.live,
    G.CONFIRMED: lambda _, command: command.confirm,
}


def _request(work: Work, command: Command) -> None:
    """The handoff and its leg, durable before anything rings."""
    target = command.target
    assert target is not None, "the desk names a target for every call to a third"
    kind = _KIND[command.service]
    leave = command.service is E.TRANSFER
    work.fact(
        "handoff.requested",
        command.new_handoff,
        kind=kind,
        target=target.id,
        seat=command.seat,
        leave=leave,
    )
    intent: dict[str, Json] = {
        "kind": kind,
        "target": target.id,
        "handoff": command.new_handoff,
        "leg": command.new_leg,
    }
    if target.fallback:
        intent["fallback_for"] = command.new_handoff
        intent["fallback"] = target.fallback
    work.fact("call.intends", intent=intent)
    work.fact(
        "call.originated",
        command.new_leg,
        channel="",
        role=target.role.value,
        name=target.name,
        number="",
        handoff=command.new_handoff,
        dial=target.dial,
    )


def _dial_third(work: Work, command: Command) -> None:
    _request(work, command)
    assert command.target is not None
    work.acts.append(
        DialThird(
            work.call.id,
            work.call.channel,
            command.new_leg,
            command.new_handoff,
            command.target,
            work.call.number,
        )
    )


def _dial_private(work: Work, command: Command) -> None:
    _request(work, command)
    _hold(work, command)


def _hold_citizen(work: Work, command: Command) -> None:
    call = work.call
    third = _third(call)
    kind = "alternate" if command.service is E.ALTERNATE else "hold"
    work.fact("call.intends", intent={"kind": kind, "leg": third.id if third else None})
    _hold(work, command)


def _hold(work: Work, command: Command) -> None:
    own = _own(work.call, command)
    assert own is not None
    work.acts.append(Hold(work.call.id, work.call.channel, own.channel))


def _third(call: Call) -> Leg | None:
    """The consulted party: the newest living leg that is neither the citizen nor a queue's seat."""
    thirds = [leg for leg in call.legs.values() if leg.live and leg.handoff]
    return thirds[-1] if thirds else None


def _bring_seat(work: Work, command: Command) -> None:
    own = _own(work.call, command)
    if own is not None:
        work.fact("call.intends", intent=None)
        work.acts.append(Bring(work.call.id, own.channel))


def _hold_third(work: Work, command: Command) -> None:
    third, own = _third(work.call), _own(work.call, command)
    if third is not None and own is not None:
        work.acts.append(HoldThird(work.call.id, third.channel, own.channel))


def _bring_third(work: Work, command: Command) -> None:
    third = _third(work.call)
    if third is not None:
        work.acts.append(Bring(work.call.id, third.channel))


def _clear_third(work: Work, command: Command) -> None:
    call = work.call
    pending = call.called()
    if pending is not None:
        work.fact("handoff.cancelled", pending.id)
    third = leg_of(call, pending.leg) if pending else _third(call)
    if third is not None:
        work.acts.append(Clear(call.id, third.id, third.channel))


def _clear_own(work: Work, command: Command) -> None:
    own = _own(work.call, command)
    assert own is not None
    work.acts.append(Clear(work.call.id, own.id, own.channel))


def _leave_later(work: Work, command: Command) -> None:
    pending = work.call.called()
    assert pending is not None, "only with somebody being called"
    if not pending.leave:
        work.fact("handoff.leaveLater", pending.id)


def _clear_named(work: Work, command: Command) -> None:
    leg = leg_of(work.call, command.leg)
    assert leg is not None
    if leg.role is Role.CITIZEN:
        _clear_all(work, command)
        work.move(S.ENDING, E.CLEAR_CALL)
        return
    work.acts.append(Clear(work.call.id, leg.id, leg.channel))


def _clear_all(work: Work, command: Command) -> None:
    call = work.call
    if call.ended_by is None:
        work.fact("call.ending", by=CallOutcome.ENDED_BY_DESK.value)
    others = [leg for leg in call.legs.values() if leg.live and leg.id != call.id]
    work.acts.extend(Clear(call.id, leg.id, leg.channel) for leg in others)
    work.acts.append(Clear(call.id, call.id, call.channel))


def _dial_seat(work: Work, command: Command) -> None:
    call = work.call
    assert command.seat is not None
    name = f"seat-{command.seat}"
    work.fact(
        "call.originated", command.new_leg, channel="", role="seat", name=name, number=command.seat
    )
    work.acts.append(DialSeat(call.id, call.channel, command.new_leg, command.seat, call.number))


def _dial_leader(work: Work, command: Command) -> None:
    call, mode = work.call, command.mode or "listen"
    assert command.seat is not None
    spied = call.seat_leg(call.seat)
    if mode != "talk" and (spied is None or not spied.bridge):
        raise Refused("no-seat-to-listen-to", call.state.value, possible(call))
    work.fact(
        "call.originated",
        command.new_leg,
        channel="",
        role="leader",
        name=f"leader-{command.seat}",
        number=command.seat,
        mode=mode,
    )
    channel = spied.channel if spied and mode != "talk" else None
    work.acts.append(
        DialLeader(call.id, call.channel, command.new_leg, command.seat, mode, channel, call.number)
    )


def _set_mute(work: Work, command: Command) -> None:
    leg = leg_of(work.call, command.leg)
    assert leg is not None
    if not leg.channel:  # it is only about to be called
        raise Refused("no-such-leg", work.call.state.value, possible(work.call))
    work.fact("leg.muted", leg.id, on=command.on)
    work.acts.append(Mute(work.call.id, leg.id, leg.channel, command.on))


_EFFECTS: dict[F, Callable[[Work, Command], None]] = {
    F.DIAL_THIRD: _dial_third,
    F.DIAL_PRIVATE: _dial_private,
    F.HOLD_CITIZEN: _hold_citizen,
    F.BRING_SEAT: _bring_seat,
    F.HOLD_THIRD: _hold_third,
    F.BRING_THIRD: _bring_third,
    F.CLEAR_THIRD: _clear_third,
    F.CLEAR_OWN: _clear_own,
    F.LEAVE_LATER: _leave_later,
    F.CLEAR_NAMED: _clear_named,
    F.CLEAR_ALL: _clear_all,
    F.DIAL_SEAT: _dial_seat,
    F.DIAL_LEADER: _dial_leader,
    F.SET_MUTE: _set_mute,
}
