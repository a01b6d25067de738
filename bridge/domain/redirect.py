"""An order's fax goes to another number, by a person's decision. Pure."""

from __future__ import annotations

from typing import Final

from bridge.domain.delivery import A, ChannelKind
from bridge.domain.errors import Refused
from bridge.domain.order import Attempt
from bridge.domain.order_state import OPEN, possible
from bridge.domain.order_work import Withdraw, Work

_NOTHING_SENT: Final = frozenset({A.QUEUED, A.FAILED, A.WITHDRAWN, A.EXPIRED})
"""An attempt in one of these has certainly left no copy."""


def redirect_fax(work: Work, number: str, reason: str) -> None:
    """What waits for the unit's own numbers is taken back, a page on the line is finished; the
    sheet goes to `number`, and tries that follow go there too. Raises Refused: reason-missing,
    wrong-state, no-such-channel, no-such-unit."""
    order = work.order
    if not reason.strip():
        raise Refused("reason-missing", order.state.value)
    if order.state not in OPEN:
        raise Refused("wrong-state", order.state.value, possible(order.state))
    if ChannelKind.FAX not in work.centre.channels:
        raise Refused("no-such-channel", order.state.value)
    unit = work.unit()
    if unit is None:
        raise Refused("no-such-unit", order.state.value)
    before = [a for a in order.attempts.values() if a.channel is ChannelKind.FAX]
    for attempt in before:
        _stop(work, attempt)
    work.say("order.redirected", channel=ChannelKind.FAX.value, number=number, reason=reason)
    copies = any(attempt.state not in _NOTHING_SENT for attempt in before)
    work.queue(ChannelKind.FAX, unit, (number,), max(order.step, 0), repeat=copies)


def _stop(work: Work, attempt: Attempt) -> None:
    if attempt.state in (A.QUEUED, A.SENDING):
        if not attempt.stopping:
            work.say("attempt.stopping", attempt.id)
        work.do(Withdraw(attempt.id))
