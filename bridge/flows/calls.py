"""The use cases of a call: something was seen, or somebody asks for something.

Event in, decide, one transaction, effects. What was asked for is durable before the first act;
what was seen is recorded behind the call and never holds it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

import structlog

from bridge.domain.acts import (
    Act,
    Bring,
    Clear,
    Command,
    DialLeader,
    DialSeat,
    DialThird,
    Hold,
    Target,
)
from bridge.domain.agent import AE, AgentAct, agent_event, queue_mends
from bridge.domain.call import Book, Call, Leg, Role, draft_of
from bridge.domain.conversation import E, S
from bridge.domain.decide import decide
from bridge.domain.errors import Refused
from bridge.domain.handoff import UNSEEN, CallOutcome
from bridge.domain.journal import Fact
from bridge.domain.observe import is_over, observe
from bridge.domain.seen import AnySeen, Arrived, Gone, Noted, Seen
from bridge.flows.cases import CaseNumbers
from bridge.flows.doubts import Doubts
from bridge.flows.mailbox import Mailbox
from bridge.flows.ports import (
    ActRefused,
    ActUnknown,
    Answer,
    Clock,
    StoreError,
    StoreUnknown,
    Switch,
    Transaction,
)
from bridge.flows.recorder import Recorder
from bridge.flows.rows import rows_after

_log = structlog.get_logger(__name__)

RINGS = timedelta(seconds=5)
"""A telephone that was not answered rang for longer: 10 s or 15 s in the plan."""
COMMIT_SECONDS = 3.0
"""A request that is not stored by then is refused; the call goes on meanwhile."""


HANGS_UP = frozenset({E.LEAVE, E.CLEAR_PARTY, E.CANCEL, E.CLEAR_CALL})
"""Services that may use the store's reserve when its disk is full."""


class Spawn(Protocol):
    """Start a task in the daemon's task group; nothing is started and forgotten."""

    def __call__(self, work: Coroutine[Any, Any, object], name: str) -> None: ...


class Calls:
    """All live calls and seats of this daemon."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        switch: Switch,
        clock: Clock,
        numbers: CaseNumbers,
        targets: Mapping[str, Target],
        new_id: Callable[[], str],
        spawn: Spawn,
        wrap_up: timedelta,
        on_over: Callable[[Call], None],
    ) -> None:
        self.book = Book()
        self.targets = dict(targets)
        self._recorder = recorder
        self._switch = switch
        self._clock = clock
        self._numbers = numbers
        self._new_id = new_id
        self._spawn = spawn
        self._wrap_up = wrap_up
        self._on_over = on_over
        self._boxes: dict[str, Mailbox] = {}
        self._seat_boxes: dict[str, Mailbox] = {}
        self._doubts = Doubts()
        self.before_dial: Callable[[DialThird], Awaitable[None]] | None = None
        """Waited for before a third is dialled; must be short and must not raise."""
        self.look_again: Callable[[], None] = lambda: None
        """Asks for a snapshot: something seen could not be kept."""
        self.begin: Callable[[Sequence[Act]], None] = lambda acts: None
        """May begin, beside the commit, what rings nobody; `give_up` when the commit failed."""
        self.give_up: Callable[[Sequence[Act]], None] = lambda acts: None

    # What is seen

    def see(self, seen: AnySeen) -> None:
        """Take in one thing seen on the switch. Never blocks."""
        call, opens = self.book.calls.get(seen.call), False
        if call is not None:
            case = call.case
        elif isinstance(seen, Arrived):
            case, opens = self._numbers.number_for(seen)
        else:
            return
        box = self._box(case)
        box.post(lambda: self._seen(seen, case, opens))
        if box.overflowed:
            box.overflowed = False
            self.look_again()

    def _seen(self, seen: AnySeen, case: str, opens: bool) -> None:
        facts, acts = observe(
            self.book,
            seen,
            case=case,
            targets=self.targets.get,
            new_id=self._new_id,
            opens_case=opens,
        )
        agent_facts = self._agents_after(facts)
        if facts or agent_facts:
            made = [*facts, *agent_facts]
            self._record(made)
        if acts:
            self._spawn(self._carry_out(case, acts), f"acts of {case}")
        call = self.book.calls.get(seen.call)
        if call is not None and is_over(call) and isinstance(seen, Gone):
            self._on_over(call)

    # What is asked for

    async def ask(self, command: Command) -> Answer:
        """Carry out a service: decide, store, act. Raises Refused."""
        call = self.book.calls.get(command.call)
        if call is None:
            raise Refused("no-such-call")
        box = self._box(call.case)
        acts = await box.ask(lambda: self._decide(command))
        await self._carry_out(call.case, acts, asked=True)
        return Answer(command.key, 202, {"call": command.call, "handoff": command.new_handoff})

    async def _decide(self, command: Command) -> list[Act]:
        call = self.book.calls.get(command.call)
        if call is None:
            raise Refused("no-such-call")
        draft = Book()
        draft.calls[call.id] = draft_of(call)
        draft.cases = self.book.cases
        facts, acts = decide(draft, command, Seen(call=call.id, at=self._clock.now()))
        answer = Answer(command.key, 202, {"call": command.call, "handoff": command.new_handoff})
        urgent = command.service in HANGS_UP
        work = Transaction(facts, rows_after(draft, facts), answer=answer, urgent=urgent)
        if not self._box(call.case).acting:  # an earlier act might undo it
            self.begin(acts)
        try:
            await self._store(work, call.id, draft, lambda: self._call_came_late(call.id, facts))
        except Refused:
            self.give_up(acts)
            raise
        for fact in facts:
            self.book.apply(fact)
        return acts

    async def _store(
        self, work: Transaction, name: str, draft: Book, late: Callable[[], None]
    ) -> None:
        """Store a request about call or seat `name`; `draft` has its facts. Raises Refused.
        `late` is called when it was stored after all, though nobody waits any more."""
        if name in self._doubts:
            raise Refused("outcome-unknown")
        try:
            done = self._recorder.submit(work)
            async with asyncio.timeout(COMMIT_SECONDS):
                await asyncio.shield(done)
        except TimeoutError as error:
            self._doubts.open(name, draft)
            self._spawn(self._find_out(done, name, late), f"open request about {name}")
            raise Refused("outcome-unknown") from error
        except StoreUnknown as error:
            raise Refused("outcome-unknown") from error
        except StoreError as error:
            raise Refused("store-cannot-write") from error

    async def _find_out(
        self, done: asyncio.Future[None], name: str, late: Callable[[], None]
    ) -> None:
        try:
            await done
        except StoreError:
            self._doubts.refused(name)
            return
        late()

    def _call_came_late(self, ident: str, facts: Sequence[Fact]) -> None:
        """It is in the journal and was shown, and its acts were not done: the legs it asked for
        never come, the end it asked for does not either."""
        call = self._doubts.stored(ident).calls[ident]
        forgotten = ident not in self.book.calls
        self.book.calls[ident] = call
        self.note(Fact("call.storedLate", self._clock.now(), call.case, ident, actor="daemon"))
        for fact in facts:
            leg = call.legs.get(fact.subject or "")
            if fact.kind == "call.originated" and leg is not None:
                self.never_seen(call, leg)
        asked = any(fact.kind == "call.ending" for fact in facts)
        if asked and call.ended_by == CallOutcome.ENDED_BY_DESK:  # else it ends by itself meanwhile
            self.not_ended(ident)
        if forgotten and is_over(call):
            self._box(call.case).post(lambda: self.forget(call))

    def note(self, fact: Fact) -> None:
        """Record something that is no event of a conversation, in the order of its case or seat."""
        about_seat = fact.kind.startswith(("agent.", "seat.")) and fact.subject
        if fact.case:
            self._box(fact.case).post(lambda: self._noted(fact))
        elif about_seat:
            self._seat_box(about_seat).post(lambda: self._noted(fact))
        else:
            self._noted(fact)

    def _noted(self, fact: Fact) -> None:
        self.book.apply(fact)
        self._record([fact])

    def _record(self, facts: Sequence[Fact]) -> None:
        """These facts have taken effect: they are stored as soon as can be."""
        self._doubts.recorded(facts)
        self._recorder.record(Transaction(facts, rows_after(self.book, facts)))

    # Acts

    async def _carry_out(self, case: str, acts: Sequence[Act], *, asked: bool = False) -> None:
        async def work() -> None:
            for act in acts:
                await self._one(act, asked=asked)

        await self._box(case).in_turn(work)

    async def _one(self, act: Act, *, asked: bool) -> None:
        """Do one act. A leg that could not be called is a leg that has ended; one that has ended
        before it could be called is not called any more."""
        if isinstance(act, DialThird) and self.before_dial is not None:
            await self.before_dial(act)
        if isinstance(act, DialThird | DialSeat | DialLeader) and self._is_over(act.call, act.leg):
            self.give_up([act])
            if asked:
                raise Refused("outcome-unknown")
            return
        try:
            await self._switch.carry_out(act)
        except ActRefused as error:
            _log.warning("act.refused", act=type(act).__name__, call=act.call, reason=str(error))
            if isinstance(act, DialThird) and asked:
                self._withdrawn(act, error.code)
            if isinstance(act, DialThird | DialSeat | DialLeader):
                at = self._clock.now()
                self.see(Gone(call=act.call, at=at, leg=act.leg, cause=38, own=True))
            if isinstance(act, Hold):
                self._not_held(act)
            if asked and not isinstance(act, Clear | Bring):
                raise Refused(error.code) from error
        except ActUnknown as error:
            _log.error("act.unknown", act=type(act).__name__, call=act.call, reason=str(error))
            self.look_again()
            if asked and isinstance(act, DialThird):
                raise Refused("outcome-unknown") from error

    def _is_over(self, ident: str, leg: str) -> bool:
        call = self.book.calls.get(ident)
        found = call.legs.get(leg) if call is not None else None
        return found is not None and not found.live

    def _withdrawn(self, act: DialThird, code: str) -> None:
        """Whoever asked is told that it was not done: no second way to the third is tried."""
        call = self.book.calls.get(act.call)
        if call is None:
            return
        fact = Fact("call.intends", self._clock.now(), call.case, call.id, data={"intent": None})
        if code == "third-already-called":
            fact = replace(fact, kind="handoff.cancelled", subject=act.handoff, data={})
        self.note(replace(fact, actor="daemon"))

    def _not_held(self, act: Hold) -> None:
        call = self.book.calls.get(act.call)
        holder = [leg for leg in call.legs.values() if leg.channel == act.holder] if call else []
        for leg in holder[:1]:
            at = self._clock.now()
            self.see(Noted(call=act.call, at=at, what=E.NOT_HELD, leg=leg.id, own=True))

    def not_ended(self, call: str) -> bool:
        """The citizen is there though the call was to be ended, and nobody is ending it: it goes
        on. False: acts of the case are under way, so nothing can be said yet."""
        found = self.book.calls.get(call)
        if found is None or found.state is not S.ENDING:
            return True
        if self._box(found.case).busy:
            return False
        at = self._clock.now()
        self.see(Noted(call=call, at=at, what=E.NOT_ENDED, leg=call, own=True))
        return True

    def never_seen(self, call: Call, leg: Leg) -> None:
        """After a snapshot: a leg we asked for is nowhere, nor was its end seen."""
        self.see(
            Gone(
                call=call.id,
                at=self._clock.now(),
                learnt=self._clock.now(),
                leg=leg.id,
                cause=UNSEEN,
                own=True,
            )
        )

    # Seats

    async def agent(
        self,
        seat: str,
        event: AE,
        *,
        actor: str,
        key: str,
        agent: str = "",
        role: str = "",
        reason: str = "",
    ) -> Answer:
        """A service of an agent: log on, ready, not ready … Raises Refused."""
        about = {"actor": actor, "agent": agent, "role": role, "reason": reason}
        box = self._seat_box(seat)
        acts = await box.ask(lambda: self._decide_agent(seat, event, key, about))
        await self._tell_queue(acts)
        return Answer(key, 202, {"seat": seat})

    async def _decide_agent(
        self, seat: str, event: AE, key: str, about: dict[str, str]
    ) -> list[AgentAct]:
        draft = Book()
        if seat in self.book.seats:
            draft.seats[seat] = copy(self.book.seats[seat])
        at = self._clock.now()
        facts, acts = agent_event(draft, seat, event, at=at, wrap_up=self._wrap_up, **about)
        work = Transaction(facts, rows_after(draft, facts), answer=Answer(key, 202, {"seat": seat}))
        await self._store(work, seat, draft, lambda: self._seat_came_late(seat))
        for fact in facts:
            self.book.apply(fact)
        return acts

    def _seat_came_late(self, seat: str) -> None:
        """Its acts were not done, and may be the wrong ones by now: the queue is compared."""
        self.book.seats[seat] = self._doubts.stored(seat).seats[seat]
        self.note(Fact("seat.storedLate", self._clock.now(), subject=seat, actor="daemon"))
        self.look_again()

    def agent_seen(self, seat: str, event: AE) -> None:
        """Something a seat's telephone did; while a request of the seat is stored, after it."""
        self._seat_box(seat).post(lambda: self._agent_seen(seat, event))

    def _agent_seen(self, seat: str, event: AE) -> None:
        facts = self._agent_event(seat, event)
        if facts:
            self._record(facts)

    def _agent_event(self, seat: str, event: AE) -> list[Fact]:
        facts, acts = agent_event(
            self.book, seat, event, at=self._clock.now(), wrap_up=self._wrap_up
        )
        if acts:
            self._spawn(self._tell_queue(acts), f"queue member {seat}")
        return facts

    def _agents_after(self, facts: Sequence[Fact]) -> list[Fact]:
        """What the legs of seats mean for their agents."""
        out: list[Fact] = []
        for fact in facts:
            call = self.book.calls.get(fact.call or "")
            leg = call.legs.get(fact.subject or "") if call else None
            if leg is None or leg.role is not Role.SEAT or leg.seat is None:
                continue
            event = _AGENT_EVENTS.get(fact.kind)
            if fact.kind == "call.connectionCleared":
                event = AE.NO_ANSWER if _unanswered(leg) else AE.CLEARED
            if event is None:
                continue
            if self._seat_box(leg.seat).lock.locked():
                self.agent_seen(leg.seat, event)
            else:
                out += self._agent_event(leg.seat, event)
        return out

    async def _tell_queue(self, acts: Sequence[AgentAct]) -> None:
        """Acts of one seat, after those decided earlier and before those decided later."""
        if acts:
            await self._seat_box(acts[0].seat).in_turn(partial(self._tell_in_turn, acts))

    async def _tell_in_turn(self, acts: Sequence[AgentAct]) -> None:
        for act in acts:
            try:
                await self._switch.agent(act)
            except (ActRefused, ActUnknown) as error:
                # the snapshot after the next login compares queue and seats (`members`)
                _log.warning("agent.act_failed", act=act.what, seat=act.seat, reason=str(error))

    def members(self, members: Mapping[str, bool]) -> None:
        """The queue's seats, True where paused: what it was not told is told now."""
        of_seat: dict[str, list[AgentAct]] = {}
        for act in queue_mends(self.book, members):
            of_seat.setdefault(act.seat, []).append(act)
        for seat, acts in of_seat.items():
            self._spawn(self._tell_queue(acts), f"queue member {seat}")

    # House-keeping

    def _box(self, case: str) -> Mailbox:
        return self._boxes.setdefault(case, Mailbox())

    def _seat_box(self, seat: str) -> Mailbox:
        return self._seat_boxes.setdefault(seat, Mailbox())

    def forget(self, call: Call) -> None:
        """The call is over and its recording closed: memory lets it go."""
        self.book.forget(call.id)
        if all(other.case != call.case for other in self.book.calls.values()):
            self._boxes.pop(call.case, None)


def _unanswered(leg: Leg) -> bool:
    """The telephone rang and its agent did not take the call. Not so where somebody else took it
    or the citizen left: then it ends with 26, 16 or, cut short, with no cause at all."""
    if leg.joined_at is not None or leg.cause in (26, 16):
        return False
    began, ended = leg.initiated_at, leg.cleared_at
    return bool(leg.cause) or began is None or ended is None or ended - began >= RINGS


_AGENT_EVENTS = {
    "call.delivered": AE.ALERTING,
    "call.established": AE.CONNECTED,
}
