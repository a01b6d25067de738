"""The report line: a unit calls, says the order's code and its PIN, and reports.

First the unit is known by its PIN, then the code is compared with that unit's open orders; the
caller is told only that one of both was wrong. Wrong ones are counted with wrong codes of every
other way: five within an hour close it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bridge.domain.code import order_of_code
from bridge.domain.delivery import ChannelKind, Received, Says
from bridge.domain.errors import Refused
from bridge.domain.unit import Unit
from bridge.flows.order_inbox import Inbox
from bridge.flows.order_voices import UNIT_LEG, OrderVoices
from bridge.flows.orders import Orders

CALLERS_KEPT = 500
"""Calls on the report line at a time; above it the oldest must say its code again."""
PROMISED_HOUR = 18
"""A promise by telephone names a day: its end of business, local time."""

KEYS = {
    "1": Says.ARRIVED,
    "2": Says.PROGRESS,
    "3": Says.RESULT,
    "4": Says.PROMISE,
    "5": Says.DISPUTE,
}
Entered = Literal["ok", "wrong", "closed"]
Said = Literal["stored", "refused", "again"]


@dataclass(frozen=True, slots=True)
class _Caller:
    unit: str
    code: str
    number: str
    order: str


class ReportLine:
    """Answers the questions of the plan. `verify(hash, pin)` compares a PIN off the loop."""

    def __init__(
        self,
        orders: Orders,
        inbox: Inbox,
        verify: Callable[[str, str], Awaitable[bool]],
        voices: OrderVoices,
    ) -> None:
        self._orders = orders
        self._inbox = inbox
        self._verify = verify
        self._voices = voices
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    async def entered(self, call: str, number: str, code: str, pin: str) -> Entered:
        """Somebody on channel `call` has said code and PIN."""
        known = self._orders.by_source(ChannelKind.PHONE, number)
        way = known.id if known is not None else f"phone:{number}"
        if self._inbox.is_closed(way):
            return "closed"
        units = [known] if known is not None else list(self._orders.units.values())
        for unit in units:
            order = self._order(unit, code)
            if order is not None and await self._proves(unit, pin):
                if self._inbox.is_closed(unit.id):
                    return "closed"
                self._callers[call] = _Caller(unit.id, code, number, order)
                while len(self._callers) > CALLERS_KEPT:
                    self._callers.popitem(last=False)
                return "ok"
        await self._inbox.wrong(way, ChannelKind.PHONE)
        return "closed" if self._inbox.is_closed(way) else "wrong"

    def _order(self, unit: Unit, code: str) -> str | None:
        """The open order of the unit that has that code; compared in constant time."""
        pairs = [(order.id, order.code) for order in self._orders.open_of(unit.id)]
        return order_of_code(code, pairs)

    async def _proves(self, unit: Unit, pin: str) -> bool:
        return bool(unit.report_pin) and await self._verify(unit.report_pin, pin)

    async def said(self, call: str, key: str, date: str, file: str, at: datetime) -> Said:
        """What was reported on that call; durable when this is `stored`."""
        caller, says = self._callers.get(call), KEYS.get(key)
        if caller is None or says is None:
            return "again" if caller is None else "refused"
        promised = self._day(date, at) if says is Says.PROMISE else None
        if says is Says.PROMISE and promised is None:
            return "refused"
        told = Received(
            channel=ChannelKind.PHONE,
            source=caller.number,
            at=at,
            key=f"called-in:{call}:{key}:{file}:{date}",
            says=says,
            unit=caller.unit,
            code=caller.code,
            words=f"电话录音 {file}" if file else "",
            person=f"电话报告 {caller.number}",
            promised_at=promised,
            attachments=(file,) if file else (),
        )
        try:
            await self._inbox.take(told)
        except Refused:
            return "refused"
        return "stored"

    def _day(self, text: str, at: datetime) -> datetime | None:
        """The next such day, month and day in four digits; None where there is none."""
        local = at.astimezone(self._orders.site.zone)
        for year in (local.year, local.year + 1):
            try:
                day = local.replace(
                    year=year,
                    month=int(text[:2]),
                    day=int(text[2:]),
                    hour=PROMISED_HOUR,
                    minute=0,
                    second=0,
                    microsecond=0,
                )
            except ValueError:
                continue
            if day > local - timedelta(hours=PROMISED_HOUR):
                return day
        return None

    def heard(self, call: str, at: datetime) -> None:
        """From now on the voice of that caller is on record."""
        caller = self._callers.get(call)
        if caller is not None:
            self._voices.heard(caller.order, call, UNIT_LEG, at)

    def left(self, call: str, at: datetime) -> None:
        """That call is over."""
        self._callers.pop(call, None)
        self._voices.ended(call, at)
