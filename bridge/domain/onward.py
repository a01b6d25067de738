"""Passing an order on from the unit that has it to another.

The first receiver accepts, takes the necessary measures, and only then passes on, during the
matter (事中) or after its own part (事后); it stays responsible until a person at the other unit
has accepted (首接负责, LL-32, LL-33). A unit asks; the centre orders (LL-26). Pure.
"""

from __future__ import annotations

from typing import Any, Final

from bridge.domain.errors import Refused
from bridge.domain.journal import Json
from bridge.domain.order import Order
from bridge.domain.order_state import OPEN, O, possible
from bridge.domain.order_work import Alarm, Work

DURING: Final = "事中"
AFTER: Final = "事后"
_MEASURES: Final = frozenset({"arrived", "progress", "result"})
_KEPT_BACK: Final = frozenset(
    {"unit_name", "squad", "arrival_limit_s", "role", "copy_of", "forward_of", "onward"}
)
"""Members of the content that are the first unit's own."""


def ask_onward(work: Work, to: str, words: str, by: str, new_order: str) -> dict[str, Json]:
    """The unit asks that `to` takes over; gives the content of the order that waits for the
    centre's word. Raises Refused: not-accepted-yet, no-measure, same-unit, already-passed-on,
    no-such-unit, wrong-state."""
    order = work.order
    if to not in work.centre.units:
        raise Refused("no-such-unit")
    if order.state is O.CANCELLED:
        raise Refused("wrong-state", order.state.value, possible(order.state))
    if order.acknowledged is None:
        raise Refused("not-accepted-yet", order.state.value)
    measures = [one for one in order.reports if one.says in _MEASURES and one.words.strip()]
    if not measures:
        raise Refused("no-measure", order.state.value)
    if to == order.unit:
        raise Refused("same-unit", order.state.value)
    if to in order.passed_on:
        raise Refused("already-passed-on", order.state.value)
    stage = DURING if order.state in OPEN else AFTER
    work.say("order.onward", whom=to, stage=stage, words=words, by=by, new_order=new_order)
    work.do(Alarm(alarm_of(new_order), _asks(order.unit, to, new_order)))
    onward: dict[str, Json] = {
        "order": order.id,
        "from": order.unit,
        "stage": stage,
        "words": words,
        "by": by,
    }
    kept = {name: value for name, value in order.content.items() if name not in _KEPT_BACK}
    return {**kept, "after_report": measures[-1].id, "onward": onward}


def alarm_of(order: str) -> str:
    """Name of the alarm about an onward order that waits for the centre."""
    return f"onward.{order}"


def asks_again(order: Order) -> Alarm | None:
    """The alarm of an onward order that still waits after a start."""
    onward: Any = order.content.get("onward")
    if order.state is not O.DRAFT or not onward:
        return None
    return Alarm(alarm_of(order.id), _asks(onward["from"], order.unit, order.id))


def _asks(unit: str, to: str, order: str) -> str:
    return f"{unit} 请求移交给 {to},请确认或取消指令 {order} / confirm or cancel this onward order"
