"""One run of a daemon's orders: the real flows, telephone wire and terminal wire, on a simulated
store and exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

from bridge.app.orders import Post
from bridge.channels.phone import PhoneChannel
from bridge.channels.radio import GatewayChannel, GatewayPost
from bridge.channels.terminal import TerminalChannel
from bridge.domain.delivery import ChannelKind
from bridge.domain.journal import Entry, Fact, Json
from bridge.domain.ladder import URGENT, Step
from bridge.domain.order_book import GROUPS, order_of
from bridge.domain.unit import Unit
from bridge.flows.fax_desk import RULES_CURSOR, FaxDesk
from bridge.flows.order_desk import OrderDesk
from bridge.flows.order_inbox import TRIES_CURSOR, Inbox
from bridge.flows.orders import Orders, Site
from bridge.flows.ports import ActRefused, ActUnknown, OrderCall, Row, StoreError
from bridge.flows.recorder import Recorder
from bridge.flows.terminals import Terminals
from tests.channels.test_phone import Quiet
from tests.domain.order_story import BANK, HOUSING, WATER
from tests.simulation.daemon import SimClock
from tests.simulation.fax import SimFax, SimPages, paper, policy
from tests.simulation.order_people import CASE
from tests.simulation.store import SimStore

if TYPE_CHECKING:
    from tests.simulation.orders import OrderWorld

ROADS = Unit(
    id="roads",
    name="市政道桥",
    tier=1,
    users=("roads-1",),
    ssi=("1002", "1003"),
    fax=("7003", "7004"),
    ladders={
        URGENT: (
            Step((ChannelKind.RADIO, ChannelKind.FAX), 90),
            Step((ChannelKind.TERMINAL,), 60),
        )
    },
    deputy="housing",
)
"""Out of doors: reached by radio and fax first."""
UNITS = {unit.id: unit for unit in (WATER, HOUSING, BANK, ROADS)}


@dataclass
class Reads:
    """The reads of orders, as bridge/store/reader.py has them."""

    store: SimStore

    async def _journal(self) -> list[Entry]:
        await asyncio.sleep(self.store.chance.delay(1e-4, 2e-3))
        if self.store.disk.away:
            raise StoreError("the store cannot be read")
        return self.store.disk.now.journal

    async def orders_of_case(self, case: str) -> Sequence[Row]:
        await self._journal()
        rows = self.store.disk.now.rows.items()
        return [row for (table, _), row in rows if table == "order" and row.case == case]

    async def order_facts(self, order: str) -> Sequence[Fact]:
        return [one.fact for one in await self._journal() if order_of(one.fact) == order]

    async def facts(self) -> list[Fact]:
        journal = await self._journal()
        return [one.fact for one in journal if one.fact.kind.partition(".")[0] in GROUPS]


class Phones:
    """`flows.ports.Phones` of one life: the exchange of the world, with faults between."""

    def __init__(self, world: OrderWorld) -> None:
        self._world = world

    async def call(self, call: OrderCall) -> None:
        chance = self._world.chance
        await asyncio.sleep(chance.delay(1e-3, 0.05))
        chance.maybe("action.received")
        if not chance.quiet and chance.random.random() < 0.05:
            raise ActRefused("switch-down", "not sent")
        self._world.dial(call)
        chance.maybe("action.done")
        if not chance.quiet and chance.random.random() < 0.05:
            raise ActUnknown("no answer")

    async def hang_up(self, attempt: str) -> None:
        await asyncio.sleep(0.01)
        self._world.hang_up(attempt, 16)

    async def stored(self, attempt: str, counted: bool) -> None:
        await asyncio.sleep(0.01)

    async def is_up(self, attempt: str) -> bool:
        await asyncio.sleep(0.05)
        made = self._world.dialled.get(attempt)
        return made is not None and made.ended_at is None


@dataclass
class Life:
    """One run of the daemon's orders."""

    world: OrderWorld
    number: int
    alarms: dict[str, str] = field(default_factory=dict)
    phone: PhoneChannel | None = None
    desk: OrderDesk | None = None
    orders: Orders | None = None

    async def run(self) -> None:
        world = self.world
        clock = SimClock(world.loop)
        self.store = SimStore(
            world.disk, world.chance, world.loop, self.number, clock.now, world.published
        )
        await self.store.open()
        recorder = Recorder(self.store, lambda _: None)
        reads = Reads(self.store)
        async with asyncio.TaskGroup() as group:

            def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
                group.create_task(work, name=name)

            orders = Orders(
                recorder=recorder,
                clock=clock,
                memory=reads,
                units=UNITS,
                site=Site("中心", "7110", UTC),
                spawn=spawn,
                alarm=self.alarms.__setitem__,
            )
            orders.restore(await reads.facts())
            inbox = Inbox(orders, await self.store.reader.cursor(TRIES_CURSOR))
            post = Post(orders, inbox)
            self._wires(orders, post, clock, spawn)
            rules = await self.store.reader.cursor(RULES_CURSOR)
            desk = FaxDesk(recorder, clock, post, self.alarms.__setitem__, rules, _no_modems)
            ports, shown = world.ports, policy(lambda: desk.rules)
            orders.use(SimFax(ports, paper, desk, clock, shown))
            orders.use(GatewayChannel(ChannelKind.RADIO, ports, post, clock))
            told = GatewayPost(desk)
            told.fax = SimPages(desk)
            group.create_task(recorder.run())
            group.create_task(ports.serve(told))
            assert self.phone is not None
            for seen in world.log:
                self.phone.see(replace(seen, learnt=True))
            orders.resume()
            group.create_task(orders.run())

            async def case_of(case: str) -> dict[str, Json] | None:
                return {"caller": "13800138000"} if case == CASE else None

            self.desk = OrderDesk(orders, case_of, lambda: world.chance.random.randrange(10**7))
            self.orders = orders
            await asyncio.Event().wait()

    def _wires(
        self, orders: Orders, post: Post, clock: SimClock, spawn: Callable[..., None]
    ) -> None:
        self.phone = PhoneChannel(
            Phones(self.world),
            post,
            Quiet(),
            now=clock.now,
            spawn=spawn,
            seat_of=lambda _: "",
            lines=8,
        )
        terminal = TerminalChannel(
            Terminals(),
            post,
            attempt_of=orders.attempt,
            user_unit=lambda _: None,
            alarm=self.alarms.__setitem__,
            now=clock.now,
            spawn=spawn,
        )
        orders.use(terminal)
        orders.use(self.phone)


async def _no_modems(_: Mapping[str, str]) -> None:
    """Nothing is paused here."""
