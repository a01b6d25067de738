"""A disk that loses what was not synced, and the store's writer on it, without thread or SQLite.

`Disk` outlives daemons: `now` is what a reader of the file sees, `synced` what a power cut leaves.
`SimStore` is one daemon's store with the manners of `bridge/store`: groups, three outcomes of a
commit, publication on completion, recovery after a failed sync. The real one is held against real
power cuts in `tests/store`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from bridge.domain.journal import GENESIS, Entry, Json, iso, link
from bridge.flows.ports import (
    Answer,
    Claimed,
    Message,
    Row,
    StoreError,
    StoreFull,
    StoreInvalid,
    StoreRepeat,
    StoreUnknown,
    Table,
    Transaction,
)
from bridge.store.outbox import LEASE
from bridge.store.prepare import prepare
from bridge.store.session import ANSWER_LIFE
from tests.simulation.chance import Chance
from tests.simulation.loop import SimLoop, in_life

SITE = "simulated"
GROUP = 64
IDLE_S = 0.2
"""So often a store that is away looks whether its disk is back."""
WORLD = in_life(0)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A row of the outbox."""

    id: int
    message: Message
    leased_until: datetime | None = None
    attempts: int = 0
    done: bool = False


@dataclass(slots=True)
class Tables:
    """Everything one file holds."""

    journal: list[Entry] = field(default_factory=list)
    rows: dict[tuple[Table, str], Row] = field(default_factory=dict)
    outbox: dict[str, Outgoing] = field(default_factory=dict)
    answers: dict[str, tuple[Answer, datetime]] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Tables:
        return Tables(
            list(self.journal),
            dict(self.rows),
            dict(self.outbox),
            dict(self.answers),
            dict(self.cursors),
        )

    @property
    def head(self) -> tuple[int, str]:
        last = self.journal[-1] if self.journal else None
        return (last.seq, last.hash) if last else (0, GENESIS)


Op = Callable[[Tables], object]


class Disk:
    """One file, and how well the disk under it is."""

    def __init__(self, chance: Chance) -> None:
        self.synced = Tables()
        self.now = Tables()
        self.log: list[Op] = []
        self.failing_syncs = 0
        self.away = False
        self.full = False
        self.slow = 1.0
        self.stuck_until = 0.0
        self._chance = chance

    def write(self, op: Op) -> object:
        """Do it in the file; it is not synced. Raises what `op` raises, then nothing is done."""
        result = op(self.now)
        self.log.append(op)
        return result

    def sync(self) -> None:
        """All that was written is durable."""
        for op in self.log:
            op(self.synced)
        self.log.clear()

    def lose(self, kept: int) -> None:
        """Only the first `kept` unsynced writes are there any more."""
        del self.log[kept:]
        self.sync()
        self.now = self.synced.copy()

    def power_cut(self) -> None:
        """What was not synced survives up to some write, as in a WAL."""
        self.lose(self._chance.random.randint(0, len(self.log)))
        self.heal()

    def heal(self) -> None:
        self.failing_syncs, self.away, self.full = 0, False, False
        self.slow, self.stuck_until = 1.0, 0.0


@dataclass(slots=True, eq=False)
class Job:
    """One thing to do in a group, and who waits for it."""

    op: Op
    urgent: bool
    future: asyncio.Future[Any]
    outcome: object = None


class SimStore:
    """`flows.ports.Store`, the outbox and the reads of one daemon's life."""

    def __init__(
        self,
        disk: Disk,
        chance: Chance,
        loop: SimLoop,
        life: int,
        now: Callable[[], datetime],
        publish: Callable[[Sequence[Entry]], None],
    ) -> None:
        self.disk = disk
        self.chance = chance
        self.loop = loop
        self.now = now
        self.publish = publish
        self.dead = False
        self.away = ""
        self.reader = Reader(self)
        self.on_restored: Callable[[Sequence[Entry]], None] = lambda entries: None
        self._context = in_life(life)
        self._queue: deque[Job] = deque()
        self.busy = False
        self._idle_planned = False
        self._published = 0

    # Opening

    async def open(self) -> None:
        """Make durable what an earlier life left (guard rule 7). Raises StoreError."""
        await asyncio.sleep(self.chance.delay(0.002, 0.05))
        if self.disk.away:
            raise StoreError("the disk failed")
        self.sync_at_start()
        self._published = self.disk.now.head[0]

    def sync_at_start(self) -> None:
        self.disk.sync()

    # Writing

    async def commit(self, work: Transaction) -> Sequence[Entry]:
        """As `ports.Store.commit`."""
        prepared = prepare(work)
        moment = self.now()
        found: Sequence[Entry] = await self.submit(
            lambda tables: _write(tables, work, [text for _, text in prepared.facts], moment),
            urgent=work.urgent,
        )
        return found

    async def happened(self, entries: Sequence[Entry]) -> bool:
        """As `ports.Store.happened`."""

        def act(tables: Tables) -> bool:
            return all(
                entry.seq <= len(tables.journal) and tables.journal[entry.seq - 1] == entry
                for entry in entries
            )

        return bool(await self.submit(act, urgent=True))

    async def submit(self, op: Op, *, urgent: bool = False) -> Any:
        """Do `op` in the next group and give its value, synced."""
        job = Job(op, urgent, self.loop.create_future())
        self._queue.append(job)
        self.chance.maybe("store.queued")
        self._go_on()
        return await job.future

    def _go_on(self) -> None:
        if not self.busy and self._queue and not self.dead:
            self.busy = True
            self.loop.call_later(self.chance.delay(1e-4, 2e-3), self._round, context=WORLD)

    def _round(self) -> None:
        if self.dead:
            return
        group = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
        entries = self._recover() if self.away else []
        if self.away:
            for job in group:
                job.outcome = StoreError(f"the store is away: {self.away}")
            self._later(0.001, group, entries)
            return
        for job in group:
            job.outcome = self._do(job)
            entries += _entries(job.outcome)
        self.written(group, entries)
        self.chance.maybe("store.written")
        if not self.dead:
            delay = self.chance.delay(1e-3, 8e-3) * self.disk.slow
            self.loop.call_later(delay, self._sync, group, entries, context=WORLD)

    def written(self, group: list[Job], entries: list[Entry]) -> None:
        """In the file, not synced: nobody may be told yet."""

    def _do(self, job: Job) -> object:
        if self.disk.full and not job.urgent:
            return StoreFull("no space left on the disk of the store")
        try:
            return self.disk.write(job.op)
        except StoreError as error:
            return error

    def _sync(self, group: list[Job], entries: list[Entry]) -> None:
        if self.dead:
            return
        if self.disk.stuck_until > self.loop.time():
            self.loop.call_at(self.disk.stuck_until, self._sync, group, entries, context=WORLD)
            return
        if self.disk.failing_syncs or self.disk.away:
            self.disk.failing_syncs = max(0, self.disk.failing_syncs - 1)
            entries = self._look_again(group)
        else:
            self.disk.sync()
        self.chance.maybe("store.synced")
        if not self.dead:
            self._later(0.0, group, entries)

    def _look_again(self, group: list[Job]) -> list[Entry]:
        """The sync failed: open anew and read what is there (guard finding 3)."""
        self.away = "the sync failed"
        found = self._recover()
        there = {entry.seq: entry.hash for entry in found}
        for job in group:
            if isinstance(job.outcome, StoreError):
                continue
            made = _entries(job.outcome)
            if self.away:
                job.outcome = StoreUnknown("the sync failed, it may have happened", made)
            elif any(there.get(entry.seq) != entry.hash for entry in made) or not made:
                job.outcome = StoreError("the sync failed, the work has not happened")
        return found

    def _recover(self) -> list[Entry]:
        """Open again if the disk lets us; what is decided and was never shown."""
        if self.disk.away:
            self._idle_later()
            return []
        kept = self.chance.random.choice((0, len(self.disk.log)))
        self.disk.lose(kept)
        self.away = ""
        return self.found_again()

    def found_again(self) -> list[Entry]:
        """Entries in the file that nobody was told of."""
        return list(self.disk.now.journal[self._published :])

    def _idle(self) -> None:
        self._idle_planned = False
        if self.dead or not self.away:
            return
        if self.busy:
            self._idle_later()
            return
        self.busy = True
        self._later(0.0, [], self._recover())

    def _idle_later(self) -> None:
        """As the real one: it finds out by itself that its disk is back."""
        if not self._idle_planned:
            self._idle_planned = True
            self.loop.call_later(IDLE_S, self._idle, context=WORLD)

    def _later(self, delay: float, group: list[Job], entries: list[Entry]) -> None:
        self.loop.call_later(delay, self._settle, group, entries, context=self._context)

    # In the daemon's life again

    def _settle(self, group: list[Job], entries: list[Entry]) -> None:
        self.busy = False
        self.tell(group, entries)
        self.chance.maybe("store.told")
        self._go_on()

    def tell(self, group: list[Job], entries: list[Entry]) -> None:
        """Publish, then wake who waits."""
        self.show(entries)
        for job in group:
            wake(job)

    def show(self, entries: list[Entry]) -> None:
        """Publish what is durable."""
        if entries:
            self._published = max(self._published, entries[-1].seq)
            self.publish(entries)

    # The outbox, as bridge/store/outbox.py

    async def claim(self, channel: str, now: datetime, most: int = 16) -> Sequence[Claimed]:
        """Take due messages for the time of a lease."""

        def act(tables: Tables) -> tuple[Claimed, ...]:  # a list would be entries of the journal
            due = [
                out
                for out in tables.outbox.values()
                if out.message.channel == channel
                and not out.done
                and out.message.due_at <= now
                and (out.leased_until is None or out.leased_until <= now)
            ]
            due.sort(key=lambda out: (out.message.due_at, out.id))
            return tuple(_claimed(tables, self.leased(out, now)) for out in due[:most])

        found: tuple[Claimed, ...] = await self.submit(act)
        if found:
            self.chance.maybe("outbox.claimed")
        return found

    def leased(self, out: Outgoing, now: datetime) -> Outgoing:
        return replace(out, leased_until=now + LEASE, attempts=out.attempts + 1)

    async def done(self, message: Claimed, now: datetime) -> bool:
        """The message arrived."""
        return await self._by_lease(message, done=True, leased_until=None)

    async def failed(self, message: Claimed, error: str, due_at: datetime) -> bool:
        """The attempt failed; again at `due_at`."""
        return await self._by_lease(message, due_at=due_at, leased_until=None)

    async def _by_lease(self, message: Claimed, **changes: Any) -> bool:
        def act(tables: Tables) -> bool:
            out = tables.outbox.get(message.key)
            if out is None or out.done or out.attempts != message.lease:
                return False
            given = dict(changes)
            due_at = given.pop("due_at", None)
            told = replace(out.message, due_at=due_at) if due_at else out.message
            tables.outbox[message.key] = replace(out, message=told, **given)
            return True

        return bool(await self.submit(act))


def _entries(outcome: object) -> list[Entry]:
    found = outcome if isinstance(outcome, list) else []
    return [one for one in found if isinstance(one, Entry)]


def wake(job: Job) -> None:
    """Tell who waits for a job what became of it."""
    if job.future.done():
        return
    if isinstance(job.outcome, Exception):
        job.future.set_exception(job.outcome)
        job.future.exception()
    else:
        job.future.set_result(job.outcome)


def _claimed(tables: Tables, out: Outgoing) -> Claimed:
    tables.outbox[out.message.key] = out
    message = out.message
    return Claimed(out.id, message.key, message.channel, message.body, message.due_at, out.attempts)


def _write(
    tables: Tables, work: Transaction, texts: Sequence[str], moment: datetime
) -> list[Entry]:
    """One transaction, whole or not at all."""
    answer = work.answer
    if answer is not None:
        known = tables.answers.get(answer.key)
        if known is not None and known[1] >= moment - ANSWER_LIFE:
            raise StoreRepeat(f"the command with key {answer.key} was answered before")
    for message in work.messages:
        other = tables.outbox.get(message.key)
        if other is not None and other.message.body != message.body:
            raise StoreInvalid(f"message key {message.key} already stands for another message")
    if answer is not None:
        tables.answers[answer.key] = (answer, moment)
    made: list[Entry] = []
    seq, prev = tables.head
    for fact, text in zip(work.facts, texts, strict=True):
        seq += 1
        entry = Entry(SITE, seq, fact, prev, link(prev, SITE, seq, text))
        prev = entry.hash
        made.append(entry)
    tables.journal += made
    for row in work.rows:
        tables.rows[row.table, row.id] = row
    for message in work.messages:
        if message.key not in tables.outbox:
            tables.outbox[message.key] = Outgoing(len(tables.outbox) + 1, message)
    tables.cursors.update(work.cursors)
    return made


class Reader:
    """The reads that a start needs, as bridge/store/reader.py has them."""

    def __init__(self, store: SimStore) -> None:
        self._store = store

    async def tables(self) -> Tables:
        await asyncio.sleep(self._store.chance.delay(1e-4, 2e-3))
        if self._store.disk.away:
            raise StoreError("the store cannot be read")
        return self._store.disk.now

    async def answer(self, key: str, now: datetime) -> Answer | None:
        found = (await self.tables()).answers.get(key)
        return found[0] if found and found[1] >= now - ANSWER_LIFE else None

    async def cursor(self, name: str) -> str | None:
        return (await self.tables()).cursors.get(name)

    async def rows(self, table: Table) -> list[Row]:
        tables = await self.tables()
        return [row for (kind, _), row in sorted(tables.rows.items()) if kind == table]

    async def live_calls(self) -> list[Row]:
        return [row for row in await self.rows("call") if row.state != "cleared"]

    async def unclosed_calls(self, since: datetime) -> list[Row]:
        rows = [row for row in await self.rows("call") if row.state == "cleared"]
        old = iso(since)
        return [
            row
            for row in rows
            if row.doc.get("recording") is None and str(row.doc.get("offered_at")) >= old
        ]

    async def entries_of_case(self, case: str, after: int = 0) -> list[Entry]:
        journal = (await self.tables()).journal
        found = [entry for entry in journal if entry.fact.case == case and entry.seq > after]
        self._store.on_restored(found)
        return found

    async def calls_since(self, since: datetime) -> list[tuple[str, str]]:
        rows = [row for row in await self.rows("call") if row.case]
        rows.sort(key=lambda row: (str(row.doc.get("offered_at")), row.id))
        old = iso(since)
        return [
            (row.id, str(row.case)) for row in rows if str(row.doc.get("offered_at") or "~") >= old
        ]


Plain = tuple[str, str | None, str, Mapping[str, Json]]


def plain(row: Row) -> Plain:
    """A row without its table, for comparing."""
    return row.id, row.case, row.state, row.doc
