"""What is seen on the switch becomes facts, and sometimes acts. Pure.

Each thing seen is idempotent: seeing it again (an event, then the snapshot, then CEL) changes
nothing. Whether the citizen is with one, with many or with nobody is read from who is in which
bridge, never inferred from what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.domain.acts import (
    Act,
    Bring,
    Clear,
    DialThird,
    Hold,
    Private,
    Target,
    WithoutRadio,
)
from bridge.domain.call import Book, Call, Leg, Role
from bridge.domain.conversation import E, F, S
from bridge.domain.handoff import HE, CallOutcome, H
from bridge.domain.journal import Fact, Json
from bridge.domain.seen import (
    Accepted,
    Answered,
    AnySeen,
    Arrived,
    Born,
    Entered,
    Exited,
    Gone,
    Keyed,
    Noted,
    Rang,
    WantsCallback,
)
from bridge.domain.work import Work, leg_of

NORMAL = 16
NO_PERSON = 44
"""Q.850 cause of a radio's end where no person's own is known: never an ordinary goodbye."""

Targets = Callable[[str], "Target | None"]


def observe(
    book: Book,
    seen: AnySeen,
    *,
    case: str,
    targets: Targets,
    new_id: Callable[[], str],
    opens_case: bool = True,
) -> tuple[list[Fact], list[Act]]:
    """Facts and acts that follow from one thing seen.

    `case` is the case number for a call not known yet, `opens_case` whether it is a new one;
    `targets` finds a target by its id; `new_id` makes a fresh leg id. Things about unknown calls
    give nothing.
    """
    if isinstance(seen, Arrived):
        return _arrived(book, seen, case, opens_case), []
    call = book.calls.get(seen.call)
    if call is None:
        return [], []
    actor = "daemon" if seen.own else "switch"
    work = Work(book, call, seen.at, actor, learnt=seen.learnt, new_id=new_id)
    before, private_before = _with(call), _private(call)
    _HANDLERS[type(seen)](work, seen)
    _moved(work, before, private_before)
    _no_person_left(work, seen)
    _carry_out(work, seen, targets)
    return work.facts, work.acts


def _arrived(book: Book, seen: Arrived, case: str, opens_case: bool) -> list[Fact]:
    if seen.call in book.calls:
        return []
    data: dict[str, Json] = {
        "channel": seen.channel,
        "number": seen.number,
        "entry": seen.entry,
        "back": seen.back,
        "opens_case": opens_case,
    }
    made = Fact(
        "call.offered", seen.at, case, seen.call, seen.call, "switch", data, learnt_at=seen.learnt
    )
    book.apply(made)
    return [made]


def _born(work: Work, seen: Born) -> None:
    """A leg is there. One whose end was told before it came (it was given up while its call went
    out) lives until it is hung up, which is done at once: its handoff is over."""
    known = work.call.legs.get(seen.leg)
    if seen.leg == work.call.id:
        return
    if known is not None and known.channel and seen.channel in ("", known.channel):
        return
    if known is not None and not known.live:
        work.acts.append(Clear(work.call.id, seen.leg, seen.channel))
        if not work.call.live:
            return
        work.fact("leg.late", seen.leg)
    if seen.handoff and seen.handoff not in work.call.handoffs:
        _asked_by_key(work, seen.handoff, work.call.seat)
    work.fact(
        "call.originated",
        seen.leg,
        channel=seen.channel,
        role=seen.role.value,
        name=seen.name,
        number=seen.number,
        handoff=seen.handoff or (known.handoff if known else None),
    )


def _on_handoff(work: Work, leg: Leg, event: HE, cause: int = 0) -> None:
    handoff = work.call.handoffs.get(leg.handoff or "")
    if handoff is not None and handoff.leg == leg.id:
        work.handoff(handoff, event, cause)


def _rang(work: Work, seen: Rang) -> None:
    leg = leg_of(work.call, seen.leg)
    if leg is None or leg.alerting_at or not leg.live or leg.answered_at:
        return
    work.fact("call.delivered", leg.id, seat=leg.seat)
    _on_handoff(work, leg, HE.RINGING)
    if leg.role is Role.SEAT and not leg.handoff:
        work.event(E.SEAT_ALERTING)


def _answered(work: Work, seen: Answered) -> None:
    leg = leg_of(work.call, seen.leg)
    if leg is None or leg.answered_at or not leg.live:
        return
    work.fact("leg.answered", leg.id)
    _on_handoff(work, leg, HE.ANSWERED)


def _accepted(work: Work, seen: Accepted) -> None:
    leg = leg_of(work.call, seen.leg)
    if leg is not None:
        _on_handoff(work, leg, HE.ACCEPTED)


def _entered(work: Work, seen: Entered) -> None:
    leg = leg_of(work.call, seen.leg)
    if leg is None or leg.bridge == seen.bridge or not leg.live:
        return
    work.fact("call.established", leg.id, bridge=seen.bridge)


def _exited(work: Work, seen: Exited) -> None:
    leg = leg_of(work.call, seen.leg)
    if leg is None or leg.bridge != seen.bridge:
        return
    work.fact("leg.left", leg.id, bridge=seen.bridge)


def _gone(work: Work, seen: Gone) -> None:
    call, leg = work.call, leg_of(work.call, seen.leg)
    if leg is None or not leg.live:
        return
    never_joined = leg.joined_at is None
    work.fact("call.connectionCleared", leg.id, cause=seen.cause, seat=leg.seat)
    handoff = call.handoffs.get(leg.handoff or "")
    if handoff is not None and handoff.leg == leg.id:
        accepted = handoff.state in (H.ACCEPTED, H.JOINED, H.TAKEN)
        ending = call.state is S.ENDING
        event = HE.CALL_ENDED if ending else HE.PARTY_GONE if accepted else HE.FAILED
        work.handoff(handoff, event, seen.cause)
        if any(made.kind == "handoff.fallback" for made in work.facts):
            _try_fallback(work, leg)
    if leg.seat:
        _give_up_consulting(work, leg.seat, seen)
    if leg.id == call.id:
        wanted = _not_called_yet(call)
        work.event(E.CITIZEN_GONE)
        if wanted is not None:
            work.fact("call.connectionCleared", wanted.id, cause=38, seat=None)
        _clear_the_others(work)
    elif leg.role is Role.SEAT and never_joined and not _seat_rings(call):
        work.event(E.SEAT_GAVE_UP)
    elif leg.held:
        work.event(E.HELD_GONE)


def _give_up_consulting(work: Work, seat: str | None, seen: Gone | Noted) -> None:
    """The seat does not come to wait: the third it wanted to consult is not called any more."""
    leg = _not_called_yet(work.call)
    handoff = work.call.handoffs.get(leg.handoff or "") if leg is not None else None
    if leg is None or handoff is None or handoff.seat != seat:
        return
    work.fact("call.intends", intent=None)
    _gone(work, Gone(call=seen.call, at=seen.at, learnt=seen.learnt, leg=leg.id, cause=38))


def _not_called_yet(call: Call) -> Leg | None:
    """Whom a seat wants to consult, as long as no call to them is known."""
    intent = call.intent or {}
    leg = leg_of(call, str(intent.get("leg"))) if intent.get("kind") == "consult" else None
    return leg if leg is not None and leg.live and not leg.channel else None


def _clear_the_others(work: Work) -> None:
    """The citizen is gone: everything ends, also for those who are just being called."""
    for leg in work.call.legs.values():
        if leg.live and leg.id != work.call.id:
            work.acts.append(Clear(work.call.id, leg.id, leg.channel))


def _seat_rings(call: Call) -> bool:
    return any(leg.seat and leg.state == "alerting" for leg in call.legs.values())


def _try_fallback(work: Work, failed: Leg) -> None:
    intent: dict[str, Any] = dict(work.call.intent or {})
    intent["leg"] = work.new_id()
    work.fact("call.intends", intent=intent)
    work.fact(
        "call.originated",
        intent["leg"],
        channel="",
        role=failed.role.value,
        name=failed.name,
        number=failed.number,
        handoff=failed.handoff,
        dial=intent.get("fallback"),
    )
    work.wanted.append(F.DIAL_THIRD)


_ALONE = (E.CITIZEN_ALONE, E.CITIZEN_WAITS, E.CITIZEN_HELD)


def _is_late(call: Call, seen: Noted) -> bool:
    """The citizen was alone, and a snapshot has told since who is there now."""
    when = call.seen_at
    return call.citizen.bridge is not None and when is not None and seen.at < when


def _noted(work: Work, seen: Noted) -> None:
    call = work.call
    if seen.what in _ALONE and _is_late(call, seen):
        return
    leg = leg_of(call, seen.leg)
    if seen.what is E.PARTY_HELD and leg is not None and not leg.held:
        work.fact("call.held", leg.id)
    if seen.what is E.CITIZEN_HELD and not call.citizen.held:
        work.fact("call.held", call.id)
    if seen.what is E.GOODBYE and call.ended_by is None and call.live:
        by_seat = call.last_left == Role.SEAT.value
        by = CallOutcome.ENDED_BY_SEAT if by_seat else CallOutcome.ENDED_BY_PEER
        work.fact("call.ending", by=by.value)
    if seen.what is E.PHONE_STILL and (leg is None or leg not in call.others()):
        return
    if seen.what is E.PHONE_BACK and (call.intent or {}).get("kind") != "dead-phone":
        return
    if seen.what is E.CITIZEN_ALONE and call.live:
        work.fact("call.alone", call.id, cause=seen.cause)
    if seen.what is E.NOT_HELD:
        _give_up_consulting(work, leg.seat if leg else None, seen)
    if seen.what is E.NOT_ENDED and call.state is S.ENDING:
        work.fact("call.ending", by=None)
    if seen.what is E.CITIZEN_GONE and not call.live:
        _clear_the_others(work)
    work.event(seen.what)
    if seen.what is E.NOT_ENDED and call.state is S.PARTED:
        work.event(_company(call))


def _company(call: Call) -> E:
    """How many are with the citizen, as an event."""
    return {0: E.APART, 1: E.PAIR}.get(_with(call), E.MANY)


def _keyed(work: Work, seen: Keyed) -> None:
    call, leg = work.call, leg_of(work.call, seen.leg)
    if seen.handoff in call.handoffs:
        return
    _asked_by_key(work, seen.handoff, leg.seat if leg else None)


def _asked_by_key(work: Work, handoff: str, seat: str | None) -> None:
    """What the desk asks for is stored before it is done: a handoff not known is the key's."""
    switch, work.actor = work.actor, f"seat:{seat}" if seat else "seat"
    work.fact("handoff.requested", handoff, kind="key", target="12345", seat=seat, leave=False)
    work.actor = switch


def _wants_callback(work: Work, seen: WantsCallback) -> None:
    if not work.call.callback:
        work.fact("call.callback", number=work.call.number, reason="waited")


_HANDLERS: dict[type, Callable[[Work, Any], None]] = {
    Born: _born,
    Rang: _rang,
    Answered: _answered,
    Accepted: _accepted,
    Entered: _entered,
    Exited: _exited,
    Gone: _gone,
    Noted: _noted,
    Keyed: _keyed,
    WantsCallback: _wants_callback,
}


def _with(call: Call) -> int:
    return len(call.others())


def _private(call: Call) -> bool:
    """A seat and another talk in a bridge without the citizen."""
    return any(
        leg.seat and leg.bridge and leg.bridge != call.citizen.bridge and call.companions(leg)
        for leg in call.legs.values()
    )


def _moved(work: Work, before: int, private_before: bool) -> None:
    """Turn a change of who is with whom into events, and settle who answers for the matter."""
    call = work.call
    if not call.live:
        return
    now, private = _with(call), _private(call)
    if private and (not private_before or call.state is S.HELD):
        _joined_handoffs(work)
        work.event(E.PRIVATE)
    by_desk = call.ended_by == CallOutcome.ENDED_BY_DESK  # all go, who joins meanwhile too
    clearing = call.state is S.ENDING and (before > 0 or by_desk)
    if min(now, 2) != min(before, 2) and not clearing:
        work.event(_company(call))
    if now != before:
        _joined_handoffs(work)
        work.responsibility()


def _no_person_left(work: Work, seen: AnySeen) -> None:
    """Only radio groups are with the citizen: they leave as the last person did, by the same
    cause, and the plan says goodbye or looks for a seat as ever."""
    call, others = work.call, work.call.others()
    if not isinstance(seen, Entered | Gone) or not others or call.persons():
        return
    if not call.live or call.state is S.ENDING:
        return
    cause = seen.cause if isinstance(seen, Gone) else 0
    if cause == NORMAL:
        work.acts.append(WithoutRadio(call.id, call.channel))
    for leg in others:
        work.acts.append(Clear(call.id, leg.id, leg.channel, cause or NO_PERSON))


def _joined_handoffs(work: Work) -> None:
    call = work.call
    for handoff in list(call.handoffs.values()):
        leg = leg_of(call, handoff.leg)
        if leg is None or not leg.bridge or handoff.state in (H.JOINED, H.TAKEN, H.ENDED):
            continue
        if call.companions(leg):
            work.handoff(handoff, HE.JOINED)
    for handoff in list(call.handoffs.values()):
        if handoff.leave and handoff.state is H.JOINED and _with(call) >= 2:
            seat = call.seat_leg(handoff.seat)
            if seat is not None and seat.bridge:
                work.acts.append(Clear(call.id, seat.id, seat.channel))


def _carry_out(work: Work, seen: AnySeen, targets: Targets) -> None:
    """Acts that the tables want after something was seen (commands have their own, decide.py)."""
    call = work.call
    leg = leg_of(call, getattr(seen, "leg", None))
    for wanted in work.wanted:
        if wanted is F.BRING_SEAT and leg is not None and leg.live:
            work.acts.append(Bring(call.id, leg.channel))
        elif wanted is F.SOUND_FOR_DEAD_PHONE and leg is not None:
            work.fact("call.intends", intent={"kind": "dead-phone", "leg": leg.id})
            work.fact("leg.still", leg.id)
            work.acts.append(Hold(call.id, call.channel, leg.channel))
        elif wanted is F.GO_ON and leg is not None:
            _go_on(work, leg, targets)
        elif wanted is F.DIAL_THIRD:
            _dial_by_intent(work, None, targets, fallback=True)


def _go_on(work: Work, seat: Leg, targets: Targets) -> None:
    """The seat waits now: go on with what it intends."""
    call, intent = work.call, dict(work.call.intent or {})
    if intent.get("kind") == "consult":
        handoff = call.handoffs.get(str(intent.get("handoff")))
        leg = leg_of(call, str(intent.get("leg")))
        if handoff is None or handoff.state is H.ENDED:
            work.acts.append(Bring(call.id, seat.channel))
        elif leg is not None and leg.initiated_at and not leg.channel:
            _dial_by_intent(work, seat.channel, targets)
    elif intent.get("kind") == "alternate":
        third = leg_of(call, str(intent.get("leg")))
        if third is not None and third.live:
            work.acts.append(Private(call.id, third.channel, seat.channel))
        else:
            work.acts.append(Bring(call.id, seat.channel))


def _dial_by_intent(
    work: Work, private_with: str | None, targets: Targets, *, fallback: bool = False
) -> None:
    call, intent = work.call, dict(work.call.intent or {})
    target = targets(str(intent.get("target")))
    if target is None:
        return
    if fallback and intent.get("kind") == "consult":
        seat = call.seat_leg(call.seat)
        private_with = seat.channel if seat else None
    work.acts.append(
        DialThird(
            call.id,
            call.channel,
            str(intent["leg"]),
            str(intent.get("handoff") or intent.get("fallback_for")),
            target,
            call.number,
            private_with,
            fallback,
        )
    )


def is_over(call: Call) -> bool:
    """Every leg of a cleared call is gone too: nothing more can be seen of it."""
    return call.state is S.CLEARED and all(not leg.live for leg in call.legs.values())
