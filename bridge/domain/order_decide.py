"""What the centre asks for and what people at a unit report. Pure; refusals are `Refused`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bridge.domain.delivery import Received, Says
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json, iso
from bridge.domain.onward import alarm_of as onward_alarm
from bridge.domain.order import Order
from bridge.domain.order_book import OrderBook
from bridge.domain.order_ladder import alarm_of, dispatch, remind, start_clocks
from bridge.domain.order_state import EVENT_OF, OE, O, after, possible
from bridge.domain.order_work import Alarm, Centre, Work, stop_all

KINDS = ("site", "command", "notice", "equipment", "inspection", "support")
"""Order types (SB-09, SB-27); only `site` runs an arrival clock."""
SUPPORT = frozenset({"SUP.02", "SUP.07", "SUP.08", "SUP.09"})
"""What units of tier 3 are asked for: publicity, logistics, resettlement, advice (SB-27)."""
ROLES = ("指导", "参与")
"""Role of a further unit ordered after a report (SB-14)."""


def create(
    centre: Centre,
    now: datetime,
    actor: str,
    *,
    ident: str,
    case: str,
    unit: str,
    code: str,
    seat: str | None,
    content: Mapping[str, Json],
    confirmed: bool = False,
) -> Work:
    """A new order, dispatched at once; a site order to a tier-3 unit and one that another unit
    passes on wait for confirmation (LL-43, SB-26, LL-33). Raises Refused: no-such-unit,
    support-type-missing."""
    known = centre.units.get(unit)
    if known is None:
        raise Refused("no-such-unit")
    if content["kind"] == "support" and known.tier == 3 and content.get("category") not in SUPPORT:
        raise Refused("support-type-missing")
    asks = bool(content.get("onward")) or (content["kind"] == "site" and known.tier == 3)
    limit = content.get("arrival_limit_s") or known.arrival_limit(str(content["kind"]))
    data: dict[str, Json] = {
        "unit": unit,
        "code": code,
        "seat": seat,
        "content": {**content, "unit_name": known.name, "arrival_limit_s": limit},
        "confirmation_asked": asks,
    }
    book = OrderBook()
    made = Fact("order.created", now, case, None, ident, actor, data)
    book.apply(made)
    work = Work(book.orders[ident], centre, now, actor)
    work.facts.append(made)
    if not asks or confirmed:
        dispatch(work)
    return work


def confirm(work: Work) -> None:
    """The centre confirms a draft: it is sent."""
    _must(work.order, OE.DISPATCH)
    work.do(Alarm(onward_alarm(work.order.id), ""))
    dispatch(work)


def cancel(work: Work, reason: str) -> None:
    """Only the centre cancels, and says why. Raises Refused."""
    if not reason.strip():
        raise Refused("reason-missing", work.order.state.value)
    to = _must(work.order, OE.CANCEL)
    stop_all(work)
    work.say("order.cancelled", to=to.value, reason=reason)
    work.do(Alarm(onward_alarm(work.order.id), ""))
    _calm(work)


def send_reminder(work: Work) -> None:
    """Walk the ladder again. Raises Refused."""
    _must(work.order, OE.REMIND)
    remind(work)


def decide_dispute(work: Work, outcome: str, words: str) -> None:
    """The centre decides an objection (LU-20). Raises Refused."""
    if not work.order.disputed:
        raise Refused("no-dispute", work.order.state.value)
    work.say("order.disputeDecided", outcome=outcome, words=words, by=work.actor)


def informed(work: Work, who: str, channel: str) -> None:
    """The centre or the citizen has been told the result (LU-18)."""
    if work.order.state not in (O.RESULT, O.CLOSED):
        raise Refused("wrong-state", work.order.state.value, possible(work.order.state))
    work.say("order.informed", who=who, channel=channel)


def report(work: Work, told: Received, *, by: str, unit: str, proof: str) -> None:
    """A person of `unit`, called `by`, says something about this order; `proof` tells how that is
    known. The first such thing signs for the order, whatever else it says."""
    order = work.order
    if told.key in order.keys:
        return
    if order.state in (O.CANCELLED, O.CLOSED, O.RESULT):
        work.say(
            "order.lateReport",
            says=told.says.value,
            by=by,
            words=told.words,
            unit=unit,
            channel=told.channel.value,
            state=order.state.value,
            attachments=[*told.attachments],
        )
        return
    event = EVENT_OF.get(told.says)
    if event is None or after(order.state, event) is None:
        raise Refused("wrong-state", order.state.value, possible(order.state))
    _sign(work, told, by, unit, proof)
    if told.says is Says.IN_HAND:
        work.say("order.inHand", reference=told.reference, by=by, key=told.key)
    elif told.says is Says.DISPUTE:
        work.say("order.disputed", words=told.words, by=by, unit=unit, key=told.key)
    elif told.says is not Says.SIGN:
        _report(work, told, by, unit)
    if told.says is Says.ARRIVED:
        _met(work, "arrival", told)
    if told.says is Says.RESULT:
        _met(work, "result", told)
        missing: list[Json] = [*order.missing]
        work.say("order.closed", to=_must(order, OE.CLOSE).value, missing=missing)


def _sign(work: Work, told: Received, by: str, unit: str, proof: str) -> None:
    order = work.order
    stop_all(work, signed=told.attempt)
    if order.acknowledged is not None and told.says is not Says.SIGN:
        return
    to = after(order.state, OE.SIGNED)
    assert to is not None
    work.say(
        "order.acknowledged",
        to=to.value,
        by=by,
        unit=unit,
        channel=told.channel.value,
        proof=proof,
        attempt=told.attempt,
        again=order.acknowledged is not None,
        key=told.key if told.says is Says.SIGN else None,
    )
    start_clocks(work, "signed")
    _calm(work)


def _report(work: Work, told: Received, by: str, unit: str) -> None:
    order = work.order
    attachments: list[Json] = [*told.attachments]
    to = after(order.state, EVENT_OF[told.says])
    assert to is not None
    work.say(
        "order.reported",
        to=to.value,
        report=f"{order.id}-r{len(order.reports) + 1}",
        says=told.says.value,
        happened_at=iso(told.at),
        by=by,
        unit=unit,
        channel=told.channel.value,
        words=told.words,
        incomplete=told.says is Says.ARRIVED and not told.words.strip(),
        promised_at=iso(told.promised_at) if told.promised_at else None,
        reference=told.reference,
        equipment=told.equipment,
        delay_reason=told.delay_reason,
        attachments=attachments,
        key=told.key,
    )


def _met(work: Work, name: str, told: Received) -> None:
    clock = work.order.clocks.get(name)
    if clock is not None and clock.met_at is None:
        late = max(0.0, (told.at - clock.due).total_seconds())
        work.say("clock.met", clock=name, met_at=iso(told.at), late_s=late)
        work.do(Alarm(f"{alarm_of(work.order.id)}.{name}", ""))


def _calm(work: Work) -> None:
    if work.order.exhausted_at is not None:
        work.do(Alarm(alarm_of(work.order.id), ""))


def _must(order: Order, event: OE) -> O:
    to = after(order.state, event)
    if to is None:
        raise Refused("wrong-state", order.state.value, possible(order.state))
    return to
