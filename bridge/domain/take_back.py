"""One attempt of an order is taken back, by a person's decision; the order itself goes on. Pure."""

from __future__ import annotations

from typing import Final

from bridge.domain.delivery import A
from bridge.domain.errors import Refused
from bridge.domain.order_ladder import step_over_early
from bridge.domain.order_state import OPEN, possible
from bridge.domain.order_work import Withdraw, Work

_CAN_STOP: Final = frozenset({A.QUEUED, A.SENDING, A.SENT})


def take_back(work: Work, attempt: str, reason: str) -> None:
    """What waits is not sent, what rings is hung up (a modem that dials finishes its call), a page
    on the line is finished, a try that was due does not come; where nothing of the step
    is left, the next one begins. Raises Refused: reason-missing, no-such-attempt, wrong-state."""
    order = work.order
    if not reason.strip():
        raise Refused("reason-missing", order.state.value)
    found = order.attempts.get(attempt)
    if found is None:
        raise Refused("no-such-attempt", order.state.value)
    waits = found.retry_at is not None
    if order.state not in OPEN or found.stopping or not (found.state in _CAN_STOP or waits):
        raise Refused("wrong-state", found.state.value, possible(order.state))
    work.say("attempt.stopping", attempt, detail=reason)
    if found.under_way:
        work.do(Withdraw(attempt))
    else:
        step_over_early(work)
