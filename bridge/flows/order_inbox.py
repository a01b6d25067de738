"""What came back from units: whose it is, what it is worth, which order it is about.

First the unit is known (sign-in, PIN, registered source), then the code is compared with that
unit's open orders. Five wrong tries close that way for an hour; proof by other ways still counts.
What is neither a proof nor a machine goes to a person: an alarm, and a line in the journal.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from bridge.domain.code import Tries, is_code, order_of_code
from bridge.domain.delivery import A, ChannelKind, Received, Says
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json
from bridge.domain.order import Attempt, Order
from bridge.domain.order_decide import report
from bridge.domain.order_state import O
from bridge.domain.proof import Verdict, judge
from bridge.domain.unit import VOICE, Unit
from bridge.flows.orders import AGAIN_SECONDS, Orders
from bridge.flows.ports import StoreError

_log = structlog.get_logger(__name__)

TRIES_CURSOR = "order.tries"
KEYS_KEPT = 10_000
"""Keys of received things that led to no order; a repeat of one is not shown again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of something received. `why` is a refusal's code where nothing came of it."""

    verdict: Verdict
    order: str | None = None
    why: str = ""


class Inbox:
    """Takes in what channels received. With `Orders` it is the `ports.FromChannel`."""

    def __init__(self, orders: Orders, tries: str | None = None) -> None:
        self._orders = orders
        self._tries = Tries.from_doc(json.loads(tries)) if tries else Tries()
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def take(self, told: Received) -> Taken:
        """Take in one thing; durable when this returns. Raises Refused where a page or a menu can
        say so: wrong-state, wrong-code, way-closed, no-such-order; StoreError where the order
        cannot be read."""
        attempt, order = await self._named(told)
        unit = self._unit(told, attempt)
        if told.channel is ChannelKind.RADIO and attempt is None and unit is not None:
            attempt, order = by_radio(self._orders.open_of(unit.id), told)
        verdict = judge(told, unit, attempt)
        if verdict is Verdict.CODE:
            order = await self._by_code(told, unit, order)
        elif verdict is not Verdict.PROVEN:
            await self._set_aside(told, verdict, unit)
            return Taken(verdict, order.id if order else None)
        if order is None:
            raise Refused("no-such-order")
        whose = unit.id if unit is not None else order.unit
        if order.unit != whose and all(a.unit != whose for a in order.attempts.values()):
            raise Refused("not-your-unit")
        by = told.person or told.source
        proof = verdict.name.lower()
        await self._orders.until_stored(
            order.id, lambda work: report(work, told, by=by, unit=whose, proof=proof)
        )
        if order.state is O.CANCELLED:
            raise Refused("order-cancelled")
        return Taken(verdict, order.id)

    async def received(self, told: Received) -> bool:
        """The same for channels: what is refused goes to a person. Whether it counted."""
        while True:
            try:
                taken = await self.take(told)
            except StoreError as error:  # an order that cannot be read now: nothing was done yet
                _log.warning("inbox.unreadable", key=told.key, reason=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            except Refused as refused:
                unit = self._orders.by_source(told.channel, told.source)
                await self._set_aside(told, Verdict.LOOK, unit, refused.code)
                return False
            else:
                return taken.verdict in (Verdict.PROVEN, Verdict.CODE)

    async def _named(self, told: Received) -> tuple[Attempt | None, Order | None]:
        ident = told.order
        if told.attempt is not None:
            ident = told.attempt.rpartition(".")[0]
        order = await self._orders.find(ident) if ident else None
        if order is None:
            return None, None
        return order.attempts.get(told.attempt or ""), order

    def _unit(self, told: Received, attempt: Attempt | None) -> Unit | None:
        """The unit a channel has proven, or whose registered address the source is."""
        if told.unit is not None:
            return self._orders.units.get(told.unit)
        if attempt is not None:
            unit = self._orders.units.get(attempt.unit)
            known = unit is not None and unit.registered(told.channel, told.source)
            return unit if known else None
        return self._orders.by_source(told.channel, told.source)

    async def _by_code(self, told: Received, unit: Unit | None, named: Order | None) -> Order:
        """The order of that code. Raises Refused: way-closed, wrong-code."""
        now = self._orders.clock.now()
        way = unit.id if unit is not None else f"{told.channel.value}:{told.source}"
        if self._tries.is_closed(way, now):
            raise Refused("way-closed")
        candidates = self._orders.open_of(unit.id) if unit is not None else []
        if unit is None and named is not None:
            candidates = [named]
        pairs = [(order.id, order.code) for order in candidates]
        found = order_of_code(told.code or "", pairs)
        if found is None:
            await self.wrong(way, told.channel)
            raise Refused("wrong-code")
        if way in self._tries.wrong:
            self._tries.note_right(way)
            await self._store_tries(Fact("code.right", now, subject=way))
        return next(order for order in candidates if order.id == found)

    def is_closed(self, way: str) -> bool:
        """Whether a way (unit or source) is closed after wrong codes or PINs."""
        return self._tries.is_closed(way, self._orders.clock.now())

    async def wrong(self, way: str, channel: ChannelKind) -> None:
        """A wrong code or PIN: counted, and the fifth within the hour closes the way."""
        now = self._orders.clock.now()
        data: dict[str, Json] = {"channel": channel.value}
        closes = self._tries.note_wrong(way, now)
        await self._store_tries(
            Fact("code.closed" if closes else "code.wrong", now, None, None, way, "inbox", data)
        )
        if closes:
            words = f"{way}: 办结码或口令连续错误,已关闭一小时 / wrong codes, closed for an hour"
            self._orders.alarm(f"code.{way}", words)

    async def _store_tries(self, fact: Fact) -> None:
        text = json.dumps(self._tries.as_doc())
        await self._orders.note(fact, {TRIES_CURSOR: text})

    async def _set_aside(
        self, told: Received, verdict: Verdict, unit: Unit | None, why: str = ""
    ) -> None:
        if told.key in self._seen:
            return
        self._seen[told.key] = None
        while len(self._seen) > KEYS_KEPT:
            self._seen.popitem(last=False)
        name = "automatic" if verdict is Verdict.MACHINE else "look"
        attachments: list[Json] = [*told.attachments]
        data: dict[str, Json] = {
            "channel": told.channel.value,
            "source": told.source,
            "unit": unit.id if unit else None,
            "order": told.order,
            "says": told.says.value,
            "words": told.words[:2000],
            "attachments": attachments,
            "why": why,
        }
        now = self._orders.clock.now()
        await self._orders.note(Fact(f"inbox.{name}", now, None, None, told.key, "inbox", data))
        if verdict is not Verdict.MACHINE:
            words = f"{told.channel.value} {told.source}: 收到待人工处理的反馈 / a person must look"
            self._orders.alarm(f"inbox.{told.key}", words)


def by_radio(orders: list[Order], told: Received) -> tuple[Attempt | None, Order | None]:
    """The attempt that a status or text answers, and its order: the one whose code it gives, else
    the newest that reached this set, else the unit. None where the code is of another order, and
    where a result may close the wrong one. What is keyed on an open channel has its code compared
    later."""
    if told.source.startswith(VOICE):
        return _newest(orders)
    if told.code is not None and is_code(told.code):
        named = order_of_code(told.code, [(order.id, order.code) for order in orders])
        return _newest([order for order in orders if order.id == named])
    here = [order for order in orders if _newest([order], told.source)[1] is not None]
    if told.says is Says.RESULT and len(here) != 1:
        return None, None
    return _newest(here, told.source) if here else _newest(orders)


def _newest(orders: list[Order], source: str = "") -> tuple[Attempt | None, Order | None]:
    """The attempt by radio that went out last of those that reached the unit; with `source`, that
    set of it."""
    reached = (A.SENT, A.DELIVERED, A.READ, A.UNKNOWN, A.ACKNOWLEDGED, A.WITHDRAWN)
    found = [
        (min(at for state, at in attempt.times.items() if state != A.QUEUED), attempt, order)
        for order in orders
        for attempt in order.attempts.values()
        if attempt.channel is ChannelKind.RADIO
        and attempt.state in reached
        and source in ("", attempt.addresses[0])
    ]
    if not found:
        return None, None
    _, attempt, order = max(found, key=lambda one: one[0])
    return attempt, order
