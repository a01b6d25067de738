"""An order told step by step to the pure domain: what was asked, what channels and people told."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.domain.code import make_code
from bridge.domain.delivery import A, Cause, ChannelKind, Progress, Received, Says
from bridge.domain.journal import Fact
from bridge.domain.order import Attempt, Order
from bridge.domain.order_book import OrderBook
from bridge.domain.order_decide import create, report
from bridge.domain.order_ladder import nothing_known, on_time, progress
from bridge.domain.order_state import O
from bridge.domain.order_work import Alarm, Centre, Effect, Send, Withdraw, Work
from bridge.domain.unit import Unit

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
WATER = Unit(
    id="water",
    name="市供水集团",
    tier=1,
    duty_phone=("PJSIP/6001", "PJSIP/6002"),
    leader_phone=("PJSIP/6003",),
    users=("water-1",),
    ssi=("1001",),
    fax=("7002",),
    mail=("duty@water.example",),
    deputy="housing",
)
HOUSING = Unit(id="housing", name="住建局", tier=1, duty_phone=("PJSIP/6004",), users=("h-1",))
BANK = Unit(id="bank", name="人民银行", tier=3, users=("bank-1",))
SILENT = Unit(id="silent", name="无通道单位")
UNITS = {unit.id: unit for unit in (WATER, HOUSING, BANK, SILENT)}
ALL = frozenset(ChannelKind)
_keys = itertools.count()


def centre(channels: frozenset[ChannelKind] = ALL) -> Centre:
    return Centre(UNITS, channels, "指挥中心", "7110", lambda at: at)


def content(**more: Any) -> dict[str, Any]:
    return {"kind": "site", "klass": "GENERAL", "words": "水管爆裂", "place": "解放路1号", **more}


@dataclass
class OrderStory:
    """One order; each step is decided, applied as facts and kept."""

    order: Order
    centre: Centre
    now: datetime = START
    facts: list[Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]

    def state(self) -> O:
        """The order's state; a method, since each look may find another."""
        return self.order.state

    def missing(self) -> tuple[str, ...]:
        return self.order.missing

    def overdue(self) -> tuple[str, ...]:
        return self.order.overdue

    def do(self, decide: Callable[[Work], object], after_s: float = 0) -> list[Effect]:
        """Let `decide` work on it `after_s` seconds later; gives the effects."""
        self.now += timedelta(seconds=after_s)
        work = Work(copy.deepcopy(self.order), self.centre, self.now)
        decide(work)
        for fact in work.facts:
            book = OrderBook()
            book.orders[self.order.id] = self.order
            book.apply(fact)
        assert work.order == self.order, "the record is the fold of the facts"
        self.facts += work.facts
        self.effects += work.effects
        return work.effects

    def tell(
        self, attempt: str, *states: A, cause: Cause | None = None, after_s: float = 0, **more: Any
    ) -> list[Effect]:
        made: list[Effect] = []
        for state in states:
            self.now += timedelta(seconds=after_s)
            told = Progress(attempt=attempt, state=state, at=self.now, cause=cause, **more)
            made += self.do(lambda work, told=told: progress(work, told))  # type: ignore[misc]
        return made

    def fail(self, attempt: str, cause: Cause) -> list[Effect]:
        return self.tell(attempt, A.SENDING, A.FAILED, cause=cause)

    def due(self) -> list[Effect]:
        """Go to the next due time and let it take effect."""
        when = self.order.next_due()
        assert when is not None, "nothing is due"
        return self.do(on_time, max(0.0, (when - self.now).total_seconds()))

    def unknown(self, attempt: str) -> list[Effect]:
        return self.do(lambda work: nothing_known(work, work.order.attempts[attempt]))

    def says(
        self,
        says: Says,
        channel: ChannelKind = ChannelKind.TERMINAL,
        *,
        by: str = "张三",
        unit: str = "water",
        **more: Any,
    ) -> list[Effect]:
        more.setdefault("key", f"key-{next(_keys)}")
        told = Received(channel=channel, source="x", at=self.now, says=says, **more)
        return self.do(lambda work: report(work, told, by=by, unit=unit, proof="test"))

    def attempt(self, number: int) -> Attempt:
        return self.order.attempts[f"{self.order.id}.{number}"]

    def sent(self) -> list[tuple[str, str]]:
        """(channel, unit) of every attempt, in order."""
        return [(a.channel.value, a.unit) for a in self.order.attempts.values()]


def begin(unit: str = "water", around: Centre | None = None, **more: Any) -> OrderStory:
    """A new order at START."""
    around = around or centre()
    work = create(
        around,
        START,
        "lab-8001",
        ident="20261124-0001-01",
        case="20261124-0001",
        unit=unit,
        code=make_code(1234567),
        seat="8001",
        content=content(**more),
    )
    return OrderStory(work.order, around, facts=list(work.facts), effects=list(work.effects))


def sends(effects: list[Effect]) -> list[str]:
    return [effect.attempt for effect in effects if isinstance(effect, Send)]


def withdrawn(effects: list[Effect]) -> set[str]:
    return {effect.attempt for effect in effects if isinstance(effect, Withdraw)}


def alarms(effects: list[Effect]) -> list[Alarm]:
    return [effect for effect in effects if isinstance(effect, Alarm)]
