"""Orders on the simulated loop: daemons that die, a disk that fails, duty phones that live on.

The flows, the telephone wire and the terminal wire are the real ones. The duty phones and
Asterisk's own log belong to the world: they know what really happened, and judge.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any, Literal

from bridge.app.orders import Post
from bridge.channels.phone import PhoneChannel
from bridge.channels.radio import GatewayPost
from bridge.channels.terminal import TerminalChannel
from bridge.domain.call import Book
from bridge.domain.errors import Refused
from bridge.domain.journal import Entry, Fact, Json
from bridge.domain.ladder import URGENT
from bridge.domain.order_book import GROUPS, OrderBook, order_of
from bridge.domain.order_state import O
from bridge.flows.fax_desk import RULES_CURSOR, FaxDesk
from bridge.flows.order_desk import Asker, OrderAsk, OrderDesk
from bridge.flows.order_inbox import TRIES_CURSOR, Inbox
from bridge.flows.orders import Orders, Site
from bridge.flows.ports import (
    ActRefused,
    ActUnknown,
    OrderCall,
    PhoneSeen,
    Row,
    StoreError,
    Transaction,
)
from bridge.flows.recorder import Recorder
from bridge.flows.rows import rows_after
from bridge.flows.terminals import Terminals
from tests.channels.test_phone import Quiet
from tests.domain.order_story import HOUSING, WATER
from tests.simulation.chance import Chance
from tests.simulation.daemon import SimClock
from tests.simulation.fax import SimFax, SimPorts, paper, policy
from tests.simulation.loop import SimLoop, Spinning, in_life
from tests.simulation.store import Disk, SimStore

CASE = "20260202-0001"
UNITS = {unit.id: unit for unit in (WATER, HOUSING)}
TROUBLE, REST = 240.0, 3600.0
"""Seconds in which things go wrong, and in which every order must come to a person or an alarm."""
SETTLED = 5.0
"""Seconds after a durable signature in which a dial under way may still go out."""
LOST = 0.15
"""Share of calls whose end nobody ever tells."""
KNOWN = ("attempt.failed", "attempt.withdrawn", "attempt.acknowledged")
FAULTS = ("kill", "kill", "kill", "power", "sync-fails", "disk-away", "disk-slow", "deaf")


@dataclass
class Dialled:
    """One call that the switch really made."""

    call: OrderCall
    at: float
    pressed: str = ""
    ended_at: float | None = None


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
            group.create_task(recorder.run())
            group.create_task(ports.serve(GatewayPost(desk)))
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


class OrderWorld:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.loop = SimLoop(self.chance.random)
        self.disk = Disk(self.chance)
        self.dialled: dict[str, Dialled] = {}
        self.ports = SimPorts(self.chance, self.loop)
        self.log: list[PhoneSeen] = []
        self.broken = ""
        self.deaf = False
        self.lives = 0
        self.life: Life | None = None
        self.chance.strike = self.strike

    def fail(self, words: str) -> None:
        self.broken = self.broken or f"{self.loop.time():.3f} s: {words}"

    # Lives

    def begin_life(self) -> None:
        self.lives += 1
        self.life = Life(self, self.lives)
        self.loop.create_task(self._live(self.life), context=in_life(self.lives))

    async def _live(self, life: Life) -> None:
        try:
            await life.run()
        except StoreError:
            self.loop.call_soon(self.kill, context=in_life(0))
        except BaseExceptionGroup as errors:
            ours = any(not isinstance(one, StoreError) for one in errors.exceptions)
            if ours and not self.loop.burying:
                self.fail(f"the daemon ended by itself: {errors.exceptions!r}")
            self.loop.call_soon(self.kill, context=in_life(0))

    def kill(self) -> None:
        if self.life is None:
            return
        life, self.life = self.life, None
        if hasattr(life, "store"):
            life.store.dead = True
        self.loop.kill(life.number)
        self.loop.call_later(0.1 + self.chance.delay(0, 4), self._again, context=in_life(0))

    def _again(self) -> None:
        if self.life is None:
            self.begin_life()

    def strike(self, fault: str) -> None:
        """Let it happen now; faults of the calls' simulation that mean nothing here are kills."""
        lasts = self.chance.delay(0.3, 12.0)
        if fault == "power":
            self.kill()
            self.disk.power_cut()
        elif fault == "sync-fails":
            self.disk.failing_syncs = 1
        elif fault == "disk-away":
            self.disk.away = True
            self.loop.call_later(lasts, self.disk.heal, context=in_life(0))
        elif fault == "disk-slow":
            self.disk.slow = 20.0
            self.loop.call_later(lasts, self.disk.heal, context=in_life(0))
        elif fault == "deaf":  # the link is down: nothing is seen until a snapshot, here a new life
            self.deaf = True
            self.loop.call_later(lasts, self._hears, context=in_life(0))
        else:
            self.kill()

    def _hears(self) -> None:
        self.deaf = False
        self.kill()

    # The exchange, which lives on

    def dial(self, call: OrderCall) -> None:
        """A call is really made: what happens to it is drawn here."""
        if call.attempt in self.dialled:
            self.fail(f"attempt {call.attempt} was dialled twice")
            return
        self._judge(call)
        self.dialled[call.attempt] = Dialled(call, self.loop.time())
        ending = self.chance.random.choice(("busy", "unanswered", "silent", "pressed", "rejected"))
        work = self._happens(call, ending)
        self.loop.create_task(work, context=in_life(0))

    def _judge(self, call: OrderCall) -> None:
        """Nobody hears an order a second time without the mark, unless the first try is known to
        have failed; and nothing is dialled that is not durable."""
        order = call.attempt.rpartition(".")[0]
        queued = [
            entry.fact
            for entry in self.disk.synced.journal
            if entry.fact.kind == "attempt.queued" and entry.fact.subject == call.attempt
        ]
        sending = [
            entry.fact
            for entry in self.disk.synced.journal
            if entry.fact.kind == "attempt.sending" and entry.fact.subject == call.attempt
        ]
        if not queued or not sending:
            self.fail(f"{call.attempt} was dialled before it was durable")
            return
        repeat = bool(queued[0].data.get("repeat"))
        known = {
            entry.fact.subject for entry in self.disk.synced.journal if entry.fact.kind in KNOWN
        }
        for other in self.dialled.values():
            same = other.call.attempt.startswith(f"{order}.") and other.call.dial == call.dial
            if same and other.call.attempt not in known and not repeat:
                self.fail(f"{call.attempt}: {call.dial} was called about it already, and no mark")
        signed = [
            entry.fact.at.timestamp()
            for entry in self.disk.synced.journal
            if entry.fact.kind == "order.acknowledged" and entry.fact.subject == order
        ]
        now = SimClock(self.loop).now().timestamp()
        if signed and now > signed[0] + SETTLED:
            self.fail(f"{call.attempt} was dialled long after {order} was signed for")

    async def _happens(self, call: OrderCall, ending: str) -> None:
        draw = self.chance.random
        attempt = call.attempt
        await asyncio.sleep(draw.random())
        if ending in ("busy", "rejected"):
            self.hang_up(attempt, 17 if ending == "busy" else 21)
            return
        self._seen(attempt, "rang")
        await asyncio.sleep(35.0 if ending == "unanswered" else 1 + draw.random() * 10)
        if ending == "unanswered" or not self._up(attempt):
            self.hang_up(attempt, 19)
            return
        self._seen(attempt, "answered")
        await asyncio.sleep(2 + draw.random() * 15)
        if ending == "pressed" and self._up(attempt):
            key = draw.choice("1135")
            self.dialled[attempt].pressed = key
            number = call.dial.removeprefix("PJSIP/")
            self._seen(attempt, "key", key=key, number=number)
            await asyncio.sleep(5.0)
        self.hang_up(attempt, 16)

    def _up(self, attempt: str) -> bool:
        return self.dialled[attempt].ended_at is None

    def hang_up(self, attempt: str, cause: int) -> None:
        made = self.dialled.get(attempt)
        if made is None or made.ended_at is not None:
            return
        made.ended_at = self.loop.time()
        self._seen(attempt, "ended", cause=cause)

    def _seen(
        self, attempt: str, what: Literal["rang", "answered", "key", "ended"], **more: Any
    ) -> None:
        at = SimClock(self.loop).now()
        seen = PhoneSeen(attempt=attempt, what=what, at=at, **more)
        lost = what == "ended" and not self.chance.quiet and self.chance.random.random() < LOST
        if what != "rang" and not lost:
            self.log.append(seen)
        life = self.life
        if life is not None and life.phone is not None and not self.deaf and not lost:
            phone = life.phone
            self.loop.call_later(
                self.chance.delay(1e-4, 0.02), phone.see, seen, context=in_life(life.number)
            )

    # The run

    def published(self, entries: Sequence[Entry]) -> None:
        journal = self.disk.synced.journal
        for entry in entries:
            if entry.seq > len(journal) or journal[entry.seq - 1].hash != entry.hash:
                self.fail(f"entry {entry.seq} {entry.fact.kind} is shown before it is synced")

    async def run(self) -> None:
        self._open_case()
        self.begin_life()
        draw = self.chance.random
        givers = [self.loop.create_task(self._give(n), context=in_life(0)) for n in range(3)]
        until = self.loop.time() + TROUBLE
        while self.loop.time() < until:
            await asyncio.sleep(draw.random() * 60)
            if not self.broken:
                self.strike(draw.choice(FAULTS))
        self.chance.quiet = True
        self.disk.heal()
        self._hears()
        await asyncio.gather(*givers)
        await asyncio.sleep(REST)
        self._at_the_end()

    def _open_case(self) -> None:
        book, clock = Book(), SimClock(self.loop)
        data: dict[str, Json] = {
            "channel": "PJSIP/trunk-00000001",
            "number": "13800138000",
            "entry": "110",
            "back": "",
        }
        fact = Fact("call.offered", clock.now(), CASE, "1770000000.1", None, "switch", data)
        book.apply(fact)
        work = Transaction([fact], rows_after(book, [fact]))
        for row in work.rows:
            self.disk.now.rows[row.table, row.id] = row
            self.disk.synced.rows[row.table, row.id] = row

    async def _give(self, number: int) -> None:
        """A call-taker gives an order; the same key again until it is known to be stored."""
        await asyncio.sleep(self.chance.random.random() * 60)
        key = f"key-{number}"
        ask = OrderAsk(case=CASE, units=("water",), kind="notice", klass=URGENT, words=str(number))
        while key not in self.disk.synced.answers:
            life = self.life
            if life is not None and life.desk is not None:
                self.loop.create_task(
                    _quietly(life.desk.send(Asker("s"), ask, key)), context=in_life(life.number)
                )
            await asyncio.sleep(5.0)

    def _at_the_end(self) -> None:
        """Every order was signed for by whoever pressed a key, or its alarm is there; what was said
        of faxes is what the far machines hold."""
        if words := self.ports.judge(self.disk.synced.journal):
            self.fail(words)
        book = OrderBook()
        for entry in self.disk.synced.journal:
            book.apply(entry.fact)
        if len(book.orders) != 3:
            self.fail(f"{len(book.orders)} orders, three were given")
        life = self.life
        for order in book.orders.values():
            pressed = [
                made.call.attempt
                for made in self.dialled.values()
                if made.pressed and made.call.attempt.startswith(f"{order.id}.")
            ]
            if pressed and order.acknowledged is None:
                self.fail(f"{order.id}: the key of {pressed} was lost")
            if not pressed and order.acknowledged is not None:
                self.fail(f"{order.id} was signed for by nobody")
            if order.acknowledged is None:
                alarm = life.alarms.get(f"order.{order.id}", "") if life is not None else ""
                if order.state is not O.EXHAUSTED or not alarm:
                    self.fail(f"{order.id} is silent: {order.state.value}")


async def _no_modems(_: Mapping[str, str]) -> None:
    """Nothing is paused here."""


async def _quietly(work: Coroutine[Any, Any, object]) -> None:
    """A request whose end is read from the disk; refused or unknown, it is made again."""
    with contextlib.suppress(Refused, StoreError):
        await work


def run_orders(seed: int) -> tuple[str, OrderWorld]:
    """Play one seed; gives what broke, or nothing."""
    world = OrderWorld(seed)
    asyncio.set_event_loop(world.loop)
    main = world.loop.create_task(world.run(), context=in_life(0))
    main.add_done_callback(lambda _: world.loop.stop())
    try:
        world.loop.run_forever()
        if main.done() and not main.cancelled() and main.exception() is not None:
            world.fail(f"the world failed: {main.exception()!r}")
        for words in world.loop.errors:
            world.fail(f"an error nobody saw: {words}")
    except Spinning as spinning:
        world.fail(str(spinning))
    finally:
        _bury(world.loop)
        asyncio.set_event_loop(None)
    return world.broken, world


def _bury(loop: SimLoop) -> None:
    loop.bury()
    for _ in range(20):
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        if not left:
            break
        for task in left:
            task.cancel()
        loop.call_later(1.0, loop.stop)
        loop.run_forever()
    loop.close()
