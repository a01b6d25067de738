"""The walk down the ladder: steps, repeats, waits, the end of it. Pure; time comes in.

A step that is over does not stop its running attempts: the next begins beside them. Only a
person's proof or the centre stops everything (orders sheet, section 3).
"""

from __future__ import annotations

from bridge.domain.delivery import A, ChannelKind, Progress
from bridge.domain.journal import Json, iso
from bridge.domain.ladder import NEXT_CONTACT, Step, steps_doc, wait_after
from bridge.domain.order import Attempt
from bridge.domain.order_state import OE, WANTS_PERSON, O, after, moves
from bridge.domain.order_work import Alarm, Look, Send, Withdraw, Work, stop_all

RESULT_LIMIT_S = 24 * 3600
"""A result is due within 24 hours (SB-15)."""
_DONE_WITH = frozenset({(ChannelKind.MAIL, A.SENT)})
"""The mail server has it; that was seen, and nobody can be asked for more."""
_RECEIPT = frozenset({A.DELIVERED, A.READ, A.ACKNOWLEDGED})


def dispatch(work: Work) -> None:
    """Send a draft: its ladder is fixed from now on, and the first step begins."""
    order = work.order
    unit = work.unit()
    steps = unit.ladder(order.klass, work.centre.local(work.now)) if unit else ()
    work.say(
        "order.dispatched",
        to=_next(work, OE.DISPATCH),
        round=1,
        ladder=steps_doc(steps),
    )
    begin_step(work, 0)


def remind(work: Work) -> None:
    """Walk the ladder again from its first step, as a reminder. One who has signed is told on the
    first step alone."""
    order = work.order
    unit = work.unit()
    steps = unit.ladder(order.klass, work.centre.local(work.now)) if unit else ()
    if order.state not in WANTS_PERSON:
        steps = steps[:1]
    stop_all(work)
    work.say(
        "order.reminded",
        to=_next(work, OE.REMIND),
        round=order.round + 1,
        ladder=steps_doc(steps),
        reminder=order.reminder + 1,
    )
    begin_step(work, 0)


def begin_step(work: Work, index: int) -> None:
    """Begin the first step from `index` on that has a way to somebody, or end the ladder."""
    order = work.order
    for place in range(index, len(order.ladder)):
        if _try_step(work, order.ladder[place], place):
            return
    if order.state in WANTS_PERSON:
        _exhaust(work)
    elif order.step_due is not None:
        work.say("order.step", step=len(order.ladder), due=None)


def _try_step(work: Work, step: Step, place: int) -> bool:
    unit = work.unit(step.to)
    ways = {channel: work.ways(channel, step.to) for channel in step.channels}
    if unit is None or not any(ways.values()):
        return False
    without: list[Json] = [channel.value for channel, way in ways.items() if not way]
    due = work.in_s(step.over_s)
    work.say("order.step", step=place, due=due, whom=step.to.value, without=without)
    for channel, way in ways.items():
        if way:
            work.queue(channel, unit, way, place)
    return True


def _exhaust(work: Work) -> None:
    """Never silence: an alarm, and the next contact where the ladder had not called it yet."""
    order = work.order
    unit = work.unit()
    name = unit.name if unit else order.unit
    if order.state is not O.EXHAUSTED:
        work.say("order.exhausted", to=_next(work, OE.LADDER_ENDED))
    elif order.step_due is not None:
        work.say("order.step", step=order.step, due=None)
    words = (
        f"指令 {order.id} 无人签收({name}),请人工联系 / "
        "nobody has signed for it: reach the unit by other means"
    )
    work.do(Alarm(alarm_of(order.id), words))
    called = any(a.unit != order.unit and a.round == order.round for a in order.attempts.values())
    if not called:
        _try_step(work, NEXT_CONTACT, len(order.ladder))


def alarm_of(order: str) -> str:
    """Name of the alarm that an order nobody signs for raises."""
    return f"order.{order}"


# What channels tell


def progress(work: Work, told: Progress) -> None:
    """A channel tells what became of an attempt. Late echoes say nothing new."""
    order = work.order
    attempt = order.attempts.get(told.attempt)
    if attempt is None or not moves(attempt.state, told.state):
        return
    retry_at: str | None = None
    if told.state is A.FAILED and _wanted(work, attempt):
        retry_at = _retry_at(work, attempt, told)
    work.say(
        f"attempt.{told.state.value}",
        attempt.id,
        cause=told.cause.value if told.cause else None,
        detail=told.detail[:500],
        retry_at=retry_at,
        measured=dict(told.data),
    )
    if told.state in _RECEIPT and attempt.unit == order.unit:
        start_clocks(work, f"{attempt.channel.value}:{told.state.value}")
    if told.state is A.UNKNOWN:
        work.do(Look(attempt.id))
    else:
        step_over_early(work)


def _wanted(work: Work, attempt: Attempt) -> bool:
    """Whether the order still needs this attempt's chain."""
    order = work.order
    return order.state in WANTS_PERSON and attempt.round == order.round and not attempt.stopping


def _retry_at(work: Work, attempt: Attempt, told: Progress) -> str | None:
    """When the chain tries again; another number of the unit is tried at once."""
    if told.cause is None:
        return None
    chain = work.order.chain(attempt)
    failed = 1 + sum(one.state is A.FAILED and one.cause is told.cause for one in chain)
    seconds = wait_after(attempt.channel, told.cause, failed)
    if seconds is None:
        return None
    if told.retry_at is not None:
        return iso(max(told.retry_at, work.now))
    step = _step_of(work, attempt)
    ways = work.ways(attempt.channel, step.to)
    return work.in_s(0 if len(chain) < len(ways) else seconds)


def _step_of(work: Work, attempt: Attempt) -> Step:
    ladder = work.order.ladder
    return ladder[attempt.step] if attempt.step < len(ladder) else NEXT_CONTACT


def step_over_early(work: Work) -> None:
    """Begin the next step at once where nothing of the present one can still succeed."""
    order = work.order
    if order.state not in WANTS_PERSON or order.step_due is None:
        return
    mine = [a for a in order.attempts.values() if (a.round, a.step) == (order.round, order.step)]
    if all(not one.under_way and one.retry_at is None for one in mine):
        begin_step(work, order.step + 1)


def nothing_known(work: Work, attempt: Attempt) -> None:
    """The live state was looked at and tells nothing: once more with the mark, then the next wire
    (guard rule 4, for orders). What a machine has confirmed stays so."""
    order = work.order
    if attempt.state in _RECEIPT:
        return
    if attempt.under_way:
        work.say("attempt.unknown", attempt.id, detail="nobody saw its outcome")
    elif attempt.state is not A.UNKNOWN or attempt.followed:
        return
    unit = work.centre.units.get(attempt.unit)
    if unit is not None and not attempt.repeat and _wanted(work, attempt):
        work.queue(
            attempt.channel,
            unit,
            attempt.addresses,
            attempt.step,
            after=attempt,
            number=attempt.number + 1,
            repeat=True,
        )
    elif order.state in WANTS_PERSON and attempt.step == order.step:
        step_over_early(work)


def resume(work: Work) -> None:
    """After a start: attempts that were never begun are sent, others are looked at, but for those
    of which machines have nothing more to say."""
    for attempt in work.order.attempts.values():
        if attempt.stopping:
            if attempt.under_way:
                work.do(Withdraw(attempt.id))
        elif attempt.state is A.QUEUED:
            work.do(Send(attempt.id))
        elif (attempt.channel, attempt.state) in _DONE_WITH:
            continue
        elif attempt.under_way or (attempt.state is A.UNKNOWN and not attempt.followed):
            work.do(Look(attempt.id))


# What time does


def on_time(work: Work) -> None:
    """Everything that is due by now: repeats, the end of the step, clocks."""
    order = work.order
    for attempt in list(order.attempts.values()):
        if attempt.retry_at is not None and attempt.retry_at <= work.now:
            _retry(work, attempt)
    if order.step_due is not None and order.step_due <= work.now:
        begin_step(work, order.step + 1)
    for clock in list(order.clocks.values()):
        if clock.running and clock.due <= work.now:
            work.say("clock.missed", clock=clock.name, limit_s=clock.limit_s)
            words = f"指令 {order.id} 超时({clock.name}) / overdue: {clock.name}"
            work.do(Alarm(f"{alarm_of(order.id)}.{clock.name}", words))


def _retry(work: Work, attempt: Attempt) -> None:
    step = _step_of(work, attempt)
    unit = work.unit(step.to)
    ways = work.ways(attempt.channel, step.to)
    if not set(attempt.addresses) <= set(ways):  # where a person has redirected it
        ways = attempt.addresses
    if unit is None or not ways:
        work.say("attempt.failed", attempt.id, detail="no address any more")
        return
    number = attempt.number + 1
    turn = (number - 1) % len(ways)
    addresses = ways[turn:] + ways[:turn]
    unseen = any(one.state is A.UNKNOWN or one.repeat for one in work.order.chain(attempt))
    work.queue(
        attempt.channel,
        unit,
        addresses,
        attempt.step,
        after=attempt,
        number=number,
        repeat=unseen,
    )


def start_clocks(work: Work, start: str) -> None:
    """Clocks run from the proven receipt of the order (AMB-01); each starts once."""
    order = work.order
    limits = {
        "arrival": order.content.get("arrival_limit_s"),
        "result": order.content.get("result_limit_s") or RESULT_LIMIT_S,
    }
    for name, limit in limits.items():
        if limit and name not in order.clocks:
            work.say("clock.started", clock=name, limit_s=limit, start=start, due=work.in_s(limit))


def _next(work: Work, event: OE) -> str:
    following = after(work.order.state, event)
    assert following is not None, f"{event.name} in {work.order.state}"
    return following.value
