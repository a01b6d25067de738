"""Orders at work: something was asked, told or due; decide, one transaction, then the effects.

Every order is decided about alone, in turn, on a copy that becomes the record once its facts are
durable. What channels tell is kept trying until it is stored, so a channel that has been answered
may let go of what it had. Effects run after the commit; after a crash they are found again from
the records (`restore`).
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo
from typing import Protocol

import structlog

from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress
from bridge.domain.due import Due
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact
from bridge.domain.onward import asks_again
from bridge.domain.order import Attempt, Order
from bridge.domain.order_book import OrderBook
from bridge.domain.order_ladder import alarm_of, nothing_known, on_time, progress, resume
from bridge.domain.order_state import O
from bridge.domain.order_work import Alarm, Centre, Effect, Look, Send, Withdraw, Work, job_of
from bridge.domain.unit import Unit
from bridge.flows.asked import settled, submitted
from bridge.flows.calls import Spawn
from bridge.flows.mailbox import Mailbox
from bridge.flows.ports import (
    ActError,
    Answer,
    Channel,
    Clock,
    Row,
    StoreError,
    StoreInvalid,
    Transaction,
)
from bridge.flows.recorder import Recorder
from bridge.flows.rows import order_rows

_log = structlog.get_logger(__name__)

AGAIN_SECONDS = 0.5
TICK_SECONDS = 1.0
"""Longest sleep of the clock, so that a stepped wall clock is noticed."""
TICK_MOST = 256
"""Orders that one tick begins to work on; the rest follow at once in the next."""


class OrderMemory(Protocol):
    """What flows read of stored orders."""

    async def orders_of_case(self, case: str) -> Sequence[Row]: ...

    async def order_facts(self, order: str) -> Sequence[Fact]: ...


@dataclass(frozen=True, slots=True)
class Site:
    """How this centre calls itself to units, and its zone (hours of ladders are local)."""

    centre: str
    centre_number: str
    zone: tzinfo


@dataclass(slots=True)
class _Turns:
    """Locks of orders and the sequence of acts of each attempt."""

    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    acts: dict[str, Mailbox] = field(default_factory=dict)


class Orders:
    """All open orders of this daemon. Implements the `progress` half of `ports.FromChannel`."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        clock: Clock,
        memory: OrderMemory,
        units: Mapping[str, Unit],
        site: Site,
        spawn: Spawn,
        alarm: Callable[[str, str], None],
    ) -> None:
        self.book = OrderBook()
        self.units = units
        self.channels: dict[ChannelKind, Channel] = {}
        self.of_unit: dict[str, set[str]] = {}
        """Open orders that each unit was told of: its own, and those it is the next contact of."""
        self.site = site
        self.clock = clock
        self.memory = memory
        self.due = Due()
        self._recorder = recorder
        self._spawn = spawn
        self._alarm = alarm
        self._turns = _Turns()
        self._unknown: dict[str, asyncio.Future[None]] = {}
        """Orders whose last commit nobody saw the end of, and that commit."""
        self._wake = asyncio.Event()

    def use(self, channel: Channel) -> None:
        """From now on there is this wire."""
        self.channels[channel.kind] = channel

    @property
    def centre(self) -> Centre:
        """What decisions need to know of the surroundings."""
        return Centre(
            self.units,
            frozenset(self.channels),
            self.site.centre,
            self.site.centre_number,
            lambda at: at.astimezone(self.site.zone),
        )

    # Deciding

    async def change(
        self,
        ident: str,
        decide: Callable[[Work], object],
        *,
        actor: str = "daemon",
        answer: Answer | None = None,
    ) -> Order:
        """Decide about one order, store it, begin the effects; a further `Work` that `decide` gives
        belongs to the same transaction. Raises Refused."""
        async with self._lock(ident):
            order = await self.find(ident)
            if order is None:
                raise Refused("no-such-order")
            work = Work(copy.deepcopy(order), self.centre, self.clock.now(), actor)
            more = decide(work)
            works = [work, more] if isinstance(more, Work) else [work]
            if work.facts or answer is not None:
                await self.keep(works, answer)
        for one in works:
            self.carry_out(one)
        return work.order

    async def keep(self, works: Sequence[Work], answer: Answer | None = None) -> None:
        """Store decisions as one transaction; then they are the records. Raises Refused."""
        facts = [fact for work in works for fact in work.facts]
        rows = [row for work in works for row in order_rows(work.order)] if facts else []
        transaction = Transaction(facts, rows, answer=answer, urgent=True)
        storing = submitted(self._recorder, transaction)
        try:
            await settled(storing)
        except Refused as refused:
            if refused.code == "outcome-unknown":
                self._unknown.update((work.order.id, storing) for work in works)
            raise
        for work in works:
            self._take(work.order)

    async def find(self, ident: str) -> Order | None:
        """The record of an order, open or not; from the store where memory has none or cannot be
        trusted after a commit whose outcome nobody saw."""
        storing = self._unknown.get(ident)
        if storing is not None or ident not in self.book.orders:
            if storing is not None:
                await asyncio.wait([storing])
            facts = await self.memory.order_facts(ident)
            self._unknown.pop(ident, None)
            book = OrderBook()
            for fact in facts:
                book.apply(fact)
            found = book.orders.get(ident)
            if found is not None and found.live:
                self._take(found)
            return found
        return self.book.orders[ident]

    def _take(self, order: Order) -> None:
        """This is the record now; memory lets go of what is over."""
        concerned = {order.unit, *(attempt.unit for attempt in order.attempts.values())}
        if order.live:
            self.book.orders[order.id] = order
        else:
            self.book.orders.pop(order.id, None)
            self._turns.locks.pop(order.id, None)
            for attempt in order.attempts:
                self._turns.acts.pop(attempt, None)
        for unit in concerned:
            told = self.of_unit.setdefault(unit, set())
            (told.add if order.live else told.discard)(order.id)
        self.due.set(order.id, order.next_due())
        self._wake.set()

    def _lock(self, ident: str) -> asyncio.Lock:
        return self._turns.locks.setdefault(ident, asyncio.Lock())

    def of(self, unit: str) -> list[Order]:
        """Open orders to a unit, drafts among them, oldest first."""
        known = (self.book.orders.get(ident) for ident in sorted(self.of_unit.get(unit, ())))
        return [order for order in known if order is not None]

    def open_of(self, unit: str) -> list[Order]:
        """Open orders that a unit was told of, oldest first."""
        return [order for order in self.of(unit) if order.state is not O.DRAFT]

    def attempt(self, ident: str) -> Attempt | None:
        """The record of an attempt of an open order, or None."""
        order = self.book.orders.get(ident.rpartition(".")[0])
        return order.attempts.get(ident) if order is not None else None

    # What channels tell

    async def progress(self, told: Progress) -> None:
        """Returns once the fact is durable; an attempt of an unknown order is no news."""
        order, _, _ = told.attempt.rpartition(".")
        await self.until_stored(order, lambda work: progress(work, told))
        if told.state in (A.FAILED, A.EXPIRED, A.WITHDRAWN):
            self._turns.acts.pop(told.attempt, None)

    async def until_stored(self, order: str, decide: Callable[[Work], object]) -> bool:
        """Decide and store, again and again while the store cannot write. False: no such order."""
        while True:
            try:
                await self.change(order, decide)
            except Refused as refused:
                if refused.code == "no-such-order":
                    _log.warning("order.unknown", order=order)
                    return False
                if refused.code not in ("store-cannot-write", "outcome-unknown"):
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            except StoreError as error:
                _log.warning("order.unreadable", order=order, reason=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return True

    # Effects

    def carry_out(self, work: Work) -> None:
        """Begin everything that was decided; nothing is waited for."""
        for effect in work.effects:
            if isinstance(effect, Alarm):
                self._alarm(effect.name, effect.words)
            else:
                self._spawn(self._effect(work.order, effect), f"{effect}")

    async def _effect(self, order: Order, effect: Effect) -> None:
        assert not isinstance(effect, Alarm)
        attempt = order.attempts[effect.attempt]
        channel = self.channels.get(attempt.channel)
        job = job_of(order, attempt, self.centre)
        if channel is None or job is None:
            await self._gone(attempt.id, "no such wire any more")
            return
        box = self._turns.acts.setdefault(attempt.id, Mailbox())
        match effect:
            case Send():
                await box.in_turn(lambda: self._send(channel, job))
            case Withdraw():
                await box.in_turn(lambda: channel.withdraw(attempt.id))
            case Look():
                await box.in_turn(lambda: self._look(channel, attempt.id, order.id))

    async def _send(self, channel: Channel, job: Job) -> None:
        try:
            await channel.send(job)
        except (OSError, ValueError, ActError) as error:
            _log.error("attempt.not_taken", attempt=job.attempt, reason=str(error))
            await self._gone(job.attempt, str(error))

    async def _gone(self, attempt: str, why: str) -> None:
        await self.progress(
            Progress(
                attempt=attempt, state=A.FAILED, at=self.clock.now(), cause=Cause.ERROR, detail=why
            )
        )

    async def _look(self, channel: Channel, attempt: str, order: str) -> None:
        found = await channel.look(attempt)
        if found is not None:
            await self.progress(found)
        else:
            await self.until_stored(
                order, lambda work: nothing_known(work, work.order.attempts[attempt])
            )

    # Time

    async def run(self) -> None:
        """Let time take effect, until cancelled."""
        while True:
            self._wake.clear()
            waits = self.tick()
            try:
                async with asyncio.timeout(waits):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def tick(self) -> float:
        """Begin everything that is due; seconds until there may be more. Costs nothing where
        nothing is due, however many orders are open."""
        now = self.clock.now()
        for ident in self.due.pop(now, TICK_MOST):
            self._spawn(self._on_time(ident), f"due {ident}")
        following = self.due.next()
        if following is None:
            return TICK_SECONDS
        return min(TICK_SECONDS, max(0.0, (following - now).total_seconds()))

    async def _on_time(self, ident: str) -> None:
        try:
            order = await self.change(ident, on_time)
        except (Refused, StoreError) as refused:
            _log.warning("order.not_on_time", order=ident, reason=str(refused))
            self.due.set(ident, self.clock.now() + timedelta(seconds=AGAIN_SECONDS))
        else:
            self.due.set(ident, order.next_due())

    # After a start

    def restore(self, facts: Iterable[Fact]) -> None:
        """Orders of an earlier life of the daemon that are not over."""
        book = OrderBook()
        for fact in facts:
            book.apply(fact)
        for order in book.live():
            self._take(order)

    def resume(self) -> None:
        """Send what was never begun, look at what was under way, raise again what is alarming.
        Call it once the wires are there."""
        now = self.clock.now()
        for order in list(self.book.live()):
            work = Work(order, self.centre, now)
            resume(work)
            if order.state is O.EXHAUSTED:
                words = f"指令 {order.id} 无人签收 / nobody has signed for it"
                work.do(Alarm(alarm_of(order.id), words))
            if (asks := asks_again(order)) is not None:
                work.do(asks)
            for name in order.overdue:
                work.do(Alarm(f"{alarm_of(order.id)}.{name}", f"指令 {order.id} 超时 / overdue"))
            self.carry_out(work)

    def alarm(self, name: str, words: str) -> None:
        """Something a person must look at; empty words: it is over."""
        self._alarm(name, words)

    async def note(self, fact: Fact, cursors: Mapping[str, str] | None = None) -> None:
        """A fact of the inbox that is no order's; durable when this returns. One that can never be
        stored, a fault of ours, is logged and let go: it must not stop the rest."""
        work = Transaction([fact], cursors=cursors or {}, urgent=True)
        while True:
            try:
                await self._recorder.commit(work)
            except StoreInvalid as error:
                _log.error("inbox.invalid", kind=fact.kind, reason=str(error))
                return
            except StoreError as error:
                _log.warning("inbox.not_stored", kind=fact.kind, reason=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    def by_source(self, channel: ChannelKind, source: str) -> Unit | None:
        """The one unit whose registered address this is, or None (also where two claim it)."""
        found = [unit for unit in self.units.values() if unit.registered(channel, source)]
        return found[0] if len(found) == 1 else None
