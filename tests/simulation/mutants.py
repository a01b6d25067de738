"""Planted bugs: each is a way to break a promise, and the simulation must find every one.

A mutant exchanges one thing of the real code, or of the ports that the simulation stands for, while
its runs last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from bridge.app.calls import CallService
from bridge.asterisk.acts import Acts
from bridge.asterisk.errors import OutcomeUnknown
from bridge.asterisk.lag_watch import LagWatch
from bridge.asterisk.service import SwitchService
from bridge.asterisk.session import Session
from bridge.desk.once import Once
from bridge.domain import observe
from bridge.domain.acts import DialThird, Mute
from bridge.domain.agent import AgentAct, queue_mends
from bridge.domain.handoff import UNSEEN
from bridge.domain.journal import Entry
from bridge.domain.seen import AnySeen, Arrived, Born, Gone
from bridge.flows import outbox
from bridge.flows.calls import Calls
from bridge.flows.ports import ActRefused, ActUnknown, StoreError
from bridge.flows.reconcile import Reconciliation
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room
from tests.simulation.store import Job, Outgoing, SimStore
from tests.simulation.world import Kinds, Outcome, run

Patch = tuple[object, str, Any]
"""Owner, name, and what stands in its place."""

# The store


class AckBeforeSync(SimStore):
    """Tells and shows what is only written."""

    def written(self, group: list[Job], entries: list[Entry]) -> None:
        told = list(entries)
        entries.clear()
        self.loop.call_soon(self.tell, group, told, context=self._context)


class PublishFromWaiter(SimStore):
    """Whoever waited for the commit publishes it; who does not wait any more, does not."""

    def show(self, entries: list[Entry]) -> None:
        if entries:
            self._published = max(self._published, entries[-1].seq)

    async def commit(self, work: Any) -> Any:
        entries = await super().commit(work)
        if entries:
            self.publish(entries)
        return entries


class NoSyncAtStart(SimStore):
    """Reads what a killed writer left unsynced, and shows it."""

    def sync_at_start(self) -> None:
        pass


class NotShownAgain(SimStore):
    """After a failed sync, entries that are there are not published."""

    def found_again(self) -> list[Entry]:
        super().found_again()
        self._published = self.disk.now.head[0]
        return []


class DoneWhenTaken(SimStore):
    """A message is noted as done when it is taken, not when it has arrived."""

    def leased(self, out: Outgoing, now: datetime) -> Outgoing:
        return replace(out, done=True, attempts=out.attempts + 1)


class NoLease(SimStore):
    """A message that was taken is nobody else's, and nobody's when its taker dies."""

    def leased(self, out: Outgoing, now: datetime) -> Outgoing:
        return replace(out, leased_until=now + timedelta(days=1), attempts=out.attempts + 1)


# Recorder


class _AtTheEnd(deque[Any]):
    def extendleft(self, items: Iterable[Any], /) -> None:
        self.extend(reversed(list(items)))


def _disordered(self: Recorder, *given: Any) -> None:
    _init_recorder(self, *given)
    self._waiting = _AtTheEnd()


_init_recorder = Recorder.__init__


async def _as_if_done(self: Recorder, unknown: Any) -> None:
    return None


async def _as_if_failed(self: Recorder, unknown: Any) -> StoreError:
    return StoreError("failed")


# Calls


async def _store_later(self: Calls, work: Any, *_: Any) -> None:
    self._recorder.record(work)


async def _never_find_out(self: Calls, done: Any, name: str, late: Any) -> None:
    self._doubts.refused(name)


_one = Calls._one


async def _refused_mute_ends_the_leg(self: Calls, act: Any, *, asked: bool) -> None:
    if not isinstance(act, Mute):
        await _one(self, act, asked=asked)
        return
    try:
        await self._switch.carry_out(act)
    except ActRefused:
        self.see(Gone(call=act.call, at=self._clock.now(), leg=act.leg, cause=38))
    except ActUnknown:
        pass


_see = Calls.see


def _absent_is_undialled(self: Calls, seen: AnySeen) -> None:
    """A leg missing from the snapshot was never dialled: dial it."""
    call = self.book.calls.get(seen.call)
    if isinstance(seen, Gone) and seen.cause == UNSEEN and call is not None and call.live:
        leg = call.legs.get(seen.leg)
        handoff = call.handoffs.get(leg.handoff or "") if leg else None
        target = self.targets.get(handoff.target) if handoff else None
        if leg is not None and handoff is not None and target is not None and leg.live:
            again = DialThird(call.id, call.channel, f"{leg.id}-2", handoff.id, target, call.number)
            self._spawn(self._carry_out(call.case, [again]), "again")
    _see(self, seen)


def _one_at_a_time(self: Calls, seen: AnySeen) -> None:
    """A hidden cap: whoever calls while another does is nobody's."""
    lost: set[str] = self.__dict__.setdefault("lost", set())
    if isinstance(seen, Arrived) and seen.call not in self.book.calls and self.book.calls:
        lost.add(seen.call)
    if seen.call not in lost:
        _see(self, seen)


def _let_go(self: Calls, seen: AnySeen) -> None:
    """A call in ten is let go, however often it is told."""
    if not (isinstance(seen, Arrived) and seen.call.endswith("1")):
        _see(self, seen)


async def _compares_nothing(self: Reconciliation) -> None:
    """The reckoning stands still."""


# Link and switch

_originate = Acts._originate


async def _dials_again(self: Acts, call: str, citizen: str, leg: str, *rest: Any) -> None:
    try:
        await _originate(self, call, citizen, leg, *rest)
    except OutcomeUnknown:
        await asyncio.sleep(0.05)
        while not self._link.state.usable:
            await asyncio.sleep(0.05)
        await _originate(self, call, citizen, f"{leg}-2", *rest)


async def _consults_beside_the_key(self: Acts, citizen: str) -> None:
    pass


async def _no_lock(self: Acts, act: Any) -> None:
    pass


async def _always_pong(self: Session) -> bool:
    return True


def _no_judge(self: LagWatch, *_: Any) -> None:
    pass


async def _no_snapshot(self: SwitchService) -> None:
    buffered, self._buffer = self._buffer or [], None
    for event in buffered:
        self._event(event)


def _not_buffered(self: SwitchService, event: Any) -> None:
    if self._buffer is None:
        self._event(event)


async def _no_cel(self: SwitchService, learnt: Any) -> None:
    pass


def _no_members(self: Calls, members: Any) -> None:
    pass


def _late_acts_are_done(self: Calls, seat: str) -> None:
    """The queue is told what was asked for, whatever has become of the seat since."""
    record = self.book.seats[seat] = self._doubts.stored(seat).seats[seat]
    what: Any = "unpause" if record.state == "ready" else "pause"
    self._spawn(self._tell_queue([AgentAct("pause", seat)]), what)


async def _seats_one_after_another(self: Calls, acts: Any) -> None:
    for act in acts:
        await self._seat_box(act.seat).in_turn(partial(self._tell_in_turn, [act]))


def _members_together(self: Calls, members: Any) -> None:
    self._spawn(self._tell_queue(queue_mends(self.book, members)), "queue members")


def _late_leg_stays_ended(work: Any, seen: Any) -> None:
    known = work.call.legs.get(seen.leg)
    if known is None or known.live:
        _born(work, seen)


_born = observe._born


def _never_hurries(self: Recorder) -> None:
    pass


# Desk and start


async def _work_of_the_waiter(self: Once, key: str, what: Any, work: Any) -> Any:
    return await work()


async def _restores_nothing(self: CallService) -> None:
    pass


def _closes_nothing(self: Room) -> None:
    pass


async def _sends_blindly(self: outbox.Courier, message: Any) -> None:
    """Notes a message as done whatever the receiver says."""
    try:
        async with asyncio.timeout(outbox.SEND_SECONDS):
            await self._send(message)
    except (outbox.NotDelivered, TimeoutError):
        pass
    await self._outbox.done(message, self._clock.now())


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug: a store in place of SimStore, or functions in place of real ones.

    `bias` names the place and the fault that bring it to light soonest; `words` stand in what is
    found, where it must be found in its own way.
    """

    name: str
    bias: tuple[str, str] | None = None
    store: type[SimStore] = SimStore
    patches: tuple[Patch, ...] = ()
    words: str = ""

    @contextmanager
    def planted(self) -> Iterator[Kinds]:
        """While this lasts, runs have the bug."""
        with patched(self.patches):
            yield Kinds(store=self.store, bias=self.bias)

    def find(self, seeds: int) -> Outcome | None:
        """The first run that finds it; None when `seeds` of them do not."""
        with self.planted() as kinds:
            for seed in range(1, seeds + 1):
                outcome = run(seed, kinds)
                if outcome.broken and outcome.broken.endswith(self.words):
                    return outcome
        return None


@contextmanager
def patched(patches: Iterable[Patch]) -> Iterator[None]:
    """While this lasts, each owner has the other thing by that name."""
    with ExitStack() as stack:
        for owner, name, other in patches:
            stack.enter_context(patch.object(owner, name, other))
        yield


_ALARMED = "not in the journal: call the number back"
"""The daemon's own reckoning has found it, within the rest of a run, and alarms."""

MUTANTS = (
    Mutant("ack-before-sync", store=AckBeforeSync),
    Mutant("publish-from-the-waiter", ("store.written", "disk-away"), store=PublishFromWaiter),
    Mutant("no-sync-at-restart", ("store.written", "kill"), store=NoSyncAtStart),
    Mutant(
        "not-published-after-a-failed-sync", ("store.written", "disk-away"), store=NotShownAgain
    ),
    Mutant("message-done-when-taken", store=DoneWhenTaken),
    Mutant("message-without-lease", ("outbox.claimed", "kill"), store=NoLease),
    Mutant(
        "message-done-whatever-is-said", patches=((outbox.Courier, "_deliver", _sends_blindly),)
    ),
    Mutant(
        "facts-out-of-order",
        ("store.queued", "disk-full"),
        patches=((Recorder, "__init__", _disordered),),
    ),
    Mutant(
        "unknown-taken-for-done",
        ("store.written", "disk-away"),
        patches=((Recorder, "_find_out", _as_if_done),),
    ),
    Mutant(
        "unknown-taken-for-failed",
        ("store.written", "disk-away"),
        patches=((Recorder, "_find_out", _as_if_failed),),
    ),
    Mutant("answered-before-stored", patches=((Calls, "_store", _store_later),)),
    Mutant(
        "late-commit-ignored",
        ("store.queued", "disk-stuck"),
        patches=((Calls, "_find_out", _never_find_out),),
    ),
    Mutant(
        "refused-mute-ends-the-leg",
        ("action.received", "party-goes"),
        patches=((Calls, "_one", _refused_mute_ends_the_leg),),
    ),
    Mutant(
        "absent-leg-dialled-again",
        ("originate.done", "half-open-in"),
        patches=((Calls, "see", _absent_is_undialled),),
    ),
    Mutant(
        "queue-not-compared", ("action.received", "cut"), patches=((Calls, "members", _no_members),)
    ),
    Mutant(
        "late-request-tells-the-queue",
        ("store.queued", "disk-stuck"),
        patches=((Calls, "_seat_came_late", _late_acts_are_done),),
    ),
    Mutant(
        "seats-told-one-after-another",
        ("snapshot.begun", "late"),
        patches=(
            (Calls, "_tell_queue", _seats_one_after_another),
            (Calls, "members", _members_together),
        ),
    ),
    Mutant(
        "urgent-work-overtakes",
        ("store.queued", "disk-full"),
        patches=((Recorder, "_hurry", _never_hurries),),
    ),
    Mutant(
        "late-leg-stays-ended",
        ("originate.received", "party-goes"),
        patches=((observe, "_HANDLERS", {**observe._HANDLERS, Born: _late_leg_stays_ended}),),
    ),
    Mutant("consults-beside-the-key", patches=((Acts, "_no_key_calls", _consults_beside_the_key),)),
    Mutant(
        "originate-sent-again",
        ("originate.done", "cut"),
        patches=((Acts, "_originate", _dials_again),),
    ),
    Mutant("no-lock-on-the-third", patches=((Acts, "_lock", _no_lock),)),
    Mutant(
        "no-heartbeat",
        patches=((Session, "_pong", _always_pong), (LagWatch, "judge", _no_judge)),
    ),
    Mutant("no-canary", ("event.sent", "deaf"), patches=((LagWatch, "judge", _no_judge),)),
    Mutant("no-snapshot-after-login", patches=((SwitchService, "_resync", _no_snapshot),)),
    Mutant(
        "events-lost-during-snapshot",
        ("snapshot.begun", "party-goes"),
        patches=((SwitchService, "event", _not_buffered),),
    ),
    Mutant(
        "what-happened-away-not-read",
        ("action.done", "cut"),
        patches=((SwitchService, "_from_cel", _no_cel),),
    ),
    Mutant(
        "waiter-takes-its-work-along",
        ("store.synced", "client-goes"),
        patches=((Once, "do", _work_of_the_waiter),),
    ),
    Mutant("restart-with-an-empty-book", patches=((CallService, "restore", _restores_nothing),)),
    Mutant(
        "open-recordings-stay-open",
        ("store.synced", "kill"),
        patches=((Room, "close_those_over", _closes_nothing),),
    ),
    Mutant("calls-capped", patches=((Calls, "see", _one_at_a_time),), words=_ALARMED),
    Mutant("call-let-go", patches=((Calls, "see", _let_go),), words=_ALARMED),
    Mutant(
        "reckoning-stands-still",
        patches=((Calls, "see", _let_go), (Reconciliation, "round", _compares_nothing)),
        words=", and no alarm",
    ),
)
"""Where a bug was once real, the simulation has found it: refused-mute-ends-the-leg,
late-commit-ignored, unknown-taken-for-done, queue-not-compared, open-recordings-stay-open,
late-request-tells-the-queue, seats-told-one-after-another, urgent-work-overtakes,
late-leg-stays-ended, consults-beside-the-key."""
