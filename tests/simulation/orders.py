"""Orders on the simulated loop: daemons that die, a disk that fails, duty phones that live on.

The flows, the telephone wire and the terminal wire are the real ones. The duty phones and
Asterisk's own log belong to the world: they know what really happened, and judge.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bridge.domain.call import Book
from bridge.domain.journal import Entry, Fact, Json
from bridge.domain.order import Order
from bridge.domain.order_book import OrderBook
from bridge.domain.order_state import O
from bridge.flows.ports import (
    OrderCall,
    PhoneSeen,
    StoreError,
    Transaction,
)
from bridge.flows.rows import rows_after
from tests.simulation.chance import Chance
from tests.simulation.daemon import SimClock
from tests.simulation.fax import FaxLine
from tests.simulation.loop import START, SimLoop, Spinning, in_life
from tests.simulation.order_life import Life
from tests.simulation.order_people import CASE, GIVEN, Office
from tests.simulation.ports import SimPorts
from tests.simulation.radio import Air
from tests.simulation.store import Disk

TROUBLE, REST = 240.0, 3600.0
"""Seconds in which things go wrong, and in which every order must come to a person or an alarm."""
SETTLED = 5.0
"""Seconds after a durable signature in which a dial under way may still go out."""
LOST = 0.15
"""Share of calls whose end nobody ever tells."""
KNOWN = ("attempt.failed", "attempt.withdrawn", "attempt.acknowledged")
FAULTS = (
    "kill", "kill", "kill", "power", "sync-fails", "disk-away", "disk-slow", "disk-full",
    "disk-stuck", "deaf", "ports",
)  # fmt: skip
STATES = tuple(state.value for state in O if state is not O.RESULT)
"""States in which an order is met; a result closes it in the same transaction."""


@dataclass
class Dialled:
    """One call that the switch really made."""

    call: OrderCall
    at: float
    pressed: str = ""
    ended_at: float | None = None


class OrderWorld:
    """One seed, with one more place where a fault likes to strike where `bias` names it."""

    def __init__(self, seed: int, bias: tuple[str, str] | None = None) -> None:
        self.chance = Chance(seed, bias)
        self.loop = SimLoop(self.chance.random)
        self.disk = Disk(self.chance)
        self.dialled: dict[str, Dialled] = {}
        self.ports = SimPorts(self.chance, self.loop)
        self.air, self.line = Air(self.ports), FaxLine(self.ports)
        self.ports.ways |= {"radio": self.air, "fax": self.line}
        self.log: list[PhoneSeen] = []
        self.broken = ""
        self.deaf = False
        self.lives = 0
        self.life: Life | None = None
        self.office = Office(self)
        self.met: Counter[tuple[str, str]] = Counter()
        """In which state of an order each fault struck, and how often."""
        self.chance.strike = self.strike

    def fail(self, words: str) -> None:
        self.broken = self.broken or f"{self.loop.time():.3f} s: {words}"

    def book(self) -> OrderBook:
        """The orders as the durable journal tells them."""
        book = OrderBook()
        for entry in self.disk.synced.journal:
            book.apply(entry.fact)
        return book

    def order(self, words: str) -> Order | None:
        """The order that was given with these words."""
        orders = self.book().orders.values()
        return next((order for order in orders if order.content["words"] == words), None)

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
        fault = fault if fault in FAULTS else "kill"
        for order in self.book().orders.values():
            self.met[order.state.value, fault] += 1
        lasts = self.chance.delay(0.3, 12.0)
        if fault == "power":
            self.kill()
            self.disk.power_cut()
        elif fault == "sync-fails":
            self.disk.failing_syncs = 1
        elif fault == "disk-away":
            self.disk.away = True
            self.loop.call_later(lasts, self.disk.heal, context=in_life(0))
        elif fault == "disk-full":
            self.disk.full = True
            self.loop.call_later(lasts, self.disk.heal, context=in_life(0))
        elif fault == "disk-stuck":
            self.disk.stuck_until = self.loop.time() + lasts
        elif fault == "disk-slow":
            self.disk.slow = 20.0
            self.loop.call_later(lasts, self.disk.heal, context=in_life(0))
        elif fault == "ports":
            self.ports.die()
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
        self._repeats(call, order, bool(queued[0].data.get("repeat")))
        over = self._last(order, "order.acknowledged", "order.cancelled", "order.closed")
        if over > self._last(order, "order.reminded") and self._now() > over + SETTLED:
            self.fail(f"{call.attempt} was dialled long after {order} was signed for or over")

    def _repeats(self, call: OrderCall, order: str, marked: bool) -> None:
        known = {
            entry.fact.subject for entry in self.disk.synced.journal if entry.fact.kind in KNOWN
        }
        since = self._last(order, "order.reminded")
        for other in self.dialled.values():
            same = other.call.attempt.startswith(f"{order}.") and other.call.dial == call.dial
            again = same and START + other.at >= since and other.call.attempt not in known
            if again and not marked:
                self.fail(f"{call.attempt}: {call.dial} was called about it already, and no mark")

    def _last(self, order: str, *kinds: str) -> float:
        """Second of the last such fact about an order; 0 where there is none."""
        found = [
            entry.fact.at.timestamp()
            for entry in self.disk.synced.journal
            if entry.fact.kind in kinds and entry.fact.subject == order
        ]
        return max(found, default=0.0)

    def _now(self) -> float:
        return SimClock(self.loop).now().timestamp()

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
        office = self.loop.create_task(self.office.run(), context=in_life(0))
        self.loop.create_task(self.air.noise(), context=in_life(0))
        until = self.loop.time() + TROUBLE
        while self.loop.time() < until:
            await asyncio.sleep(draw.random() * 60)
            if not self.broken:
                self.strike(draw.choice(FAULTS))
        self.chance.quiet = True
        self.disk.heal()
        self._hears()
        await office
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

    def _at_the_end(self) -> None:
        """Every order was signed for by whoever pressed a key, answered by radio or fax or was
        entered at the desk, or the centre has cancelled it, or its alarm is there; what was said of
        faxes and radio texts is what really happened."""
        if words := self.ports.judge(self.disk.synced.journal):
            self.fail(words)
        book, life = self.book(), self.life
        given = [order for order in book.orders.values() if not order.content.get("cancels")]
        if len(given) != len(GIVEN):
            self.fail(f"{len(given)} orders, {len(GIVEN)} were given")
        for order in book.orders.values():
            if order.state is O.CANCELLED:
                continue
            signs = self._signs(order.id)
            if signs and order.acknowledged is None:
                self.fail(f"{order.id}: the word of {signs} was lost")
            if order.acknowledged is not None and not signs and not self.air.signed(order.id):
                self.fail(f"{order.id} was signed for by nobody")
            if order.acknowledged is None:
                alarm = life.alarms.get(f"order.{order.id}", "") if life is not None else ""
                if order.state is not O.EXHAUSTED or not alarm:
                    self.fail(f"{order.id} is silent: {order.state.value}")

    def _signs(self, order: str) -> list[str]:
        """What proves that a person has signed for this order. An answer by radio that was shown to
        a person instead, as it came before anybody knew that the order had arrived, is none."""
        shown = {e.fact.subject for e in self.disk.synced.journal if e.fact.kind == "inbox.look"}
        pressed = [
            made.call.attempt
            for made in self.dialled.values()
            if made.pressed and made.call.attempt.startswith(f"{order}.")
        ]
        answers = [one.key for one in self.air.named(order) if one.key not in shown]
        desk = ["the desk"] if order in self.office.signed else []
        sheet = ["a sheet"] if order in self.line.signed() else []
        return pressed + answers + desk + sheet


def run_orders(seed: int, bias: tuple[str, str] | None = None) -> tuple[str, OrderWorld]:
    """Play one seed; gives what broke, or nothing."""
    world = OrderWorld(seed, bias)
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
