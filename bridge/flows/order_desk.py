"""What the centre asks of orders: give, confirm, sign on behalf, remind, cancel, decide.

Every request has a key; its answer is stored with its facts, so the same key gets the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bridge.domain.attachment import NAME
from bridge.domain.code import DIGITS, make_code
from bridge.domain.delivery import ChannelKind, Received, Says
from bridge.domain.errors import Refused
from bridge.domain.journal import Json
from bridge.domain.ladder import GENERAL
from bridge.domain.onward import ask_onward
from bridge.domain.order import Order
from bridge.domain.order_decide import (
    cancel,
    confirm,
    create,
    decide_dispute,
    informed,
    report,
    send_reminder,
)
from bridge.domain.order_state import O
from bridge.domain.order_work import Work
from bridge.domain.redirect import redirect_fax
from bridge.domain.take_back import take_back
from bridge.flows.orders import Orders
from bridge.flows.ports import Answer

POLICE = "POLICE"
UNDIVERTED = frozenset({"POL", "FIR", "MED"})
"""Kinds of matters that one click does not divert: police, fire, medical (LU-15)."""
MAX_UNITS = 200
"""Units of one group call."""
CODE_TRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAsk:
    """An order to be given; one for each of `units` (SB-12, YJ-25).

    `copy`: the same words go to the centre as a notice (LU-16). `after_report`: the report that
    led to it, `role` 指导 or 参与 (SB-14). What is empty comes from the case. `forward_of`: a
    report handed to whoever commands (LL-30); `cancels`: the order that is told to be off.
    """

    case: str
    units: tuple[str, ...]
    kind: str
    klass: str = ""
    words: str = ""
    place: str = ""
    category: str = ""
    squad: str = ""
    equipment: str = ""
    caller_name: str = ""
    role: str = ""
    after_report: str | None = None
    attachments: tuple[str, ...] = ()
    forward_of: str = ""
    cancels: str = ""
    green: bool = False
    drill: bool = False
    confirmed: bool = False
    copy: bool = False
    arrival_limit_s: int | None = None
    result_limit_s: int | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: name of the sign-in, and the seat they sit at."""

    name: str
    seat: str | None = None


@dataclass(slots=True)
class OrderDesk:
    """Services of orders for seats and programs. `case_of` gives what is known of a case or None;
    `number` a random number below ten millions; `copy_to` the unit that stands for the centre."""

    orders: Orders
    case_of: Callable[[str], Awaitable[Mapping[str, Json] | None]]
    number: Callable[[], int]
    copy_to: str | None = None
    held_elsewhere: Callable[[str], bool] = lambda _: False
    """Whether another desk has accepted the case: it gives the orders then (LY-16)."""
    files_beside: Callable[[str], AbstractSet[str]] = lambda _: frozenset()
    """Files of the case that another desk has attached; they may go with an order too."""
    _creating: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, who: Asker, ask: OrderAsk, key: str) -> Answer:
        """Give orders: all of them or none. Raises Refused."""
        case = await self.case_of(ask.case)
        if case is None:
            raise Refused("no-such-case")
        ask = _filled(ask, case)
        if not ask.words.strip():
            raise Refused("nothing-to-say")
        if ask.copy and _police_or_such(ask):
            raise Refused("not-for-diversion")
        if not ask.forward_of and self.held_elsewhere(ask.case):  # news, no order of ours
            raise Refused("case-with-other-desk")
        if ask.after_report is not None:
            await self._check_report(ask.case, ask.after_report)
        async with self._creating:
            rows = await self.orders.memory.orders_of_case(ask.case)
            known = files_of_case(case, [row.doc for row in rows]) | self.files_beside(ask.case)
            if not set(ask.attachments) <= known:
                raise Refused("no-such-attachment")
            count = len(rows)
            works: list[Work] = []
            for unit in dict.fromkeys(ask.units):
                content = _content(ask, case)
                works.append(self._create(who, ask, content, unit, count + len(works) + 1))
            if ask.copy and self.copy_to is not None and self.copy_to not in ask.units:
                first: list[Json] = [work.order.id for work in works]
                content = {**_content(ask, case), "kind": "notice", "copy_of": first}
                works.append(self._create(who, ask, content, self.copy_to, count + len(works) + 1))
            answer = Answer(key, 202, {"orders": [_line(work.order) for work in works]})
            await self.orders.keep(works, answer)
        for work in works:
            self.orders.carry_out(work)
        return answer

    def _create(
        self, who: Asker, ask: OrderAsk, content: Mapping[str, Json], unit: str, number: int
    ) -> Work:
        ident = f"{ask.case}-{number:02d}"
        return self._made(who, ask.case, unit, ident, content, confirmed=ask.confirmed)

    def _made(
        self,
        who: Asker,
        case: str,
        unit: str,
        ident: str,
        content: Mapping[str, Json],
        *,
        confirmed: bool = False,
    ) -> Work:
        return create(
            self.orders.centre,
            self.orders.clock.now(),
            who.name,
            ident=ident,
            case=case,
            unit=unit,
            code=self._code(unit),
            seat=who.seat,
            content=content,
            confirmed=confirmed,
        )

    def _code(self, unit: str) -> str:
        """No two open orders of one unit have the same code."""
        taken = {order.code for order in self.orders.of(unit)}
        for _ in range(CODE_TRIES):
            code = make_code(self.number() % 10**DIGITS)
            if code not in taken:
                return code
        raise Refused("store-cannot-write")  # the source of chance is broken

    async def _check_report(self, case: str, ident: str) -> None:
        order = await self.orders.find(ident.rpartition("-r")[0])
        if order is None or order.case != case or all(r.id != ident for r in order.reports):
            raise Refused("no-such-report")

    # Of one order

    async def confirm(self, who: Asker, order: str, key: str) -> Answer:
        """Confirm a site order to a tier-3 unit (LL-43), or one that a unit passes on (LL-33)."""
        return await self._do(who, order, key, confirm)

    async def remind(self, who: Asker, order: str, key: str) -> Answer:
        """Remind the unit (催办)."""
        return await self._do(who, order, key, send_reminder)

    async def cancel(self, who: Asker, order: str, reason: str, key: str) -> Answer:
        """Cancel, with a reason; in the same transaction a unit that was told of the order is told
        of this too, and one that wanted to pass it on is told that it stays."""
        found = await self.orders.find(order)
        if found is None:
            raise Refused("no-such-order")
        case = await self.case_of(found.case) or {}
        async with self._creating:
            count = len(await self.orders.memory.orders_of_case(found.case))

            def decide(work: Work) -> Work | None:
                cancel(work, reason)
                ask = _off(work.order, reason)
                if ask is None:
                    return None
                return self._create(who, ask, _content(ask, case), ask.units[0], count + 1)

            answer = Answer(key, 202, {"order": order})
            await self.orders.change(order, decide, actor=who.name, answer=answer)
        return answer

    async def onward(
        self, who: Asker, order: str, to: str, words: str, key: str, *, unit: str | None, by: str
    ) -> Answer:
        """A unit asks that another takes over (LL-33): an order that waits for the centre's
        confirmation. `unit`: whose sign-in it is; None: a call-taker asks on its behalf and names
        the person. Raises Refused."""
        if unit is None:
            if not by.strip():
                raise Refused("name-missing")
            by = f"{by}({who.name}代录)"
        found = await self.orders.find(order)
        if found is None:
            raise Refused("no-such-order")
        if unit is not None and found.unit != unit:
            raise Refused("not-your-unit")
        async with self._creating:
            count = len(await self.orders.memory.orders_of_case(found.case))
            new = f"{found.case}-{count + 1:02d}"

            def decide(work: Work) -> Work:
                content = ask_onward(work, to, words, by or who.name, new)
                return self._made(who, found.case, to, new, content)

            answer = Answer(key, 202, {"order": new})
            await self.orders.change(order, decide, actor=who.name, answer=answer)
        return answer

    async def redirect(self, who: Asker, order: str, number: str, reason: str, key: str) -> Answer:
        """The order's fax goes to another number."""
        return await self._do(who, order, key, lambda work: redirect_fax(work, number, reason))

    async def take_back(
        self, who: Asker, order: str, attempt: str, reason: str, key: str
    ) -> Answer:
        """One attempt of the order is taken back; the order goes on."""
        return await self._do(who, order, key, lambda work: take_back(work, attempt, reason))

    async def decide(self, who: Asker, order: str, outcome: str, words: str, key: str) -> Answer:
        """Decide a dispute (LU-20)."""
        return await self._do(who, order, key, lambda work: decide_dispute(work, outcome, words))

    async def informed(self, who: Asker, order: str, whom: str, channel: str, key: str) -> Answer:
        """The centre or the citizen knows the result (LU-18)."""
        return await self._do(who, order, key, lambda work: informed(work, whom, channel))

    async def on_behalf(
        self, who: Asker, order: str, says: Says, person: str, key: str, **more: str | datetime
    ) -> Answer:
        """A call-taker enters what a person at the unit said by word of mouth; names the person.
        Raises Refused("name-missing")."""
        if not person.strip():
            raise Refused("name-missing", "")
        found = await self.orders.find(order)
        if found is None:
            raise Refused("no-such-order")
        told = _told(who, self.orders.clock.now(), says, person, key, more)
        unit = found.unit
        by = f"{person}({who.name}代录)"
        return await self._do(
            who, order, key, lambda work: report(work, told, by=by, unit=unit, proof="seat")
        )

    async def _do(
        self, who: Asker, order: str, key: str, decide: Callable[[Work], object]
    ) -> Answer:
        answer = Answer(key, 202, {"order": order})
        await self.orders.change(order, decide, actor=who.name, answer=answer)
        return answer


def _off(order: Order, reason: str) -> OrderAsk | None:
    """The notice that an order is off, to whoever was told of it. News that an order is off can be
    taken back, but makes no news of its own."""
    onward = order.content.get("onward")
    if order.content.get("cancels"):
        return None
    if order.round > 0:
        unit, words = order.unit, f"指令 {order.id} 已取消:{reason}"
    elif isinstance(onward, dict):
        unit = str(onward["from"])
        words = f"移交未获同意,指令 {onward['order']} 仍由你单位办理:{reason}"
    else:
        return None
    return OrderAsk(
        case=order.case,
        units=(unit,),
        kind="notice",
        klass=str(order.content["klass"]),
        words=words,
        cancels=order.id,
        drill=bool(order.content.get("drill")),
    )


def _told(
    who: Asker, now: datetime, says: Says, person: str, key: str, more: Mapping[str, object]
) -> Received:
    at, promised = more.get("at"), more.get("promised_at")
    return Received(
        channel=ChannelKind.PHONE,
        source=f"seat:{who.seat or who.name}",
        at=at if isinstance(at, datetime) else now,
        key=key,
        says=says,
        words=str(more.get("words", "")),
        person=person,
        reference=str(more.get("reference", "")),
        equipment=str(more.get("equipment", "")),
        delay_reason=str(more.get("delay_reason", "")),
        promised_at=promised if isinstance(promised, datetime) else None,
    )


def files_of_case(case: Mapping[str, Any], orders: Sequence[Mapping[str, Any]]) -> set[str]:
    """Files that the desk put to the case, and those that units sent with reports about it."""
    reports = (report for doc in orders for report in doc["reports"])
    sent = {str(name) for report in reports for name in report["attachments"]}
    return {name for name in sent if NAME.fullmatch(name)} | set(case.get("attachments") or ())


def _filled(ask: OrderAsk, case: Mapping[str, Json]) -> OrderAsk:
    """What the seat left out is as the case says; a drill's orders are a drill's (SB-42)."""
    names = ("klass", "words", "place", "category", "caller_name")
    left_out = [name for name in names if not getattr(ask, name)]
    found: dict[str, Any] = {name: str(case.get(name) or "") for name in left_out}
    found["klass"] = ask.klass or found.get("klass") or GENERAL
    return replace(ask, **found, drill=ask.drill or bool(case.get("drill")))


def _police_or_such(ask: OrderAsk) -> bool:
    """Matters that stay with police dispatch, 119 and 120 (LU-15, AMB-28)."""
    return ask.klass == POLICE or ask.category.partition(".")[0] in UNDIVERTED


def _content(ask: OrderAsk, case: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "kind": ask.kind,
        "klass": ask.klass,
        "words": ask.words,
        "place": ask.place,
        "category": ask.category,
        "squad": ask.squad,
        "equipment": ask.equipment,
        "caller_number": case.get("caller") or None,
        "caller_name": ask.caller_name or None,
        "role": ask.role,
        "attachments": [*ask.attachments],
        "forward_of": ask.forward_of,
        "cancels": ask.cancels,
        "after_report": ask.after_report,
        "green": ask.green,
        "drill": ask.drill,
        "arrival_limit_s": ask.arrival_limit_s,
        "result_limit_s": ask.result_limit_s,
    }


def _line(order: Order) -> dict[str, Json]:
    return {
        "order": order.id,
        "unit": order.unit,
        "state": order.state.value,
        "confirmation_asked": order.confirmation_asked and order.state is O.DRAFT,
    }
