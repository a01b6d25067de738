"""Commits groups of jobs on the one writing connection, and finds out what became of them.

Runs in the writer thread and knows no event loop. What it promises: a job's outcome is its value,
an error that says it has not happened, or StoreUnknown; and every entry that is in the journal is
handed out for publication once, in order, however its commit ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import apsw

from bridge.domain.journal import Entry
from bridge.flows.ports import StoreError, StoreFull, StoreUnknown
from bridge.store.connection import StoreRefused, abandon
from bridge.store.outcome import is_certain_in_commit, not_done
from bridge.store.session import Head, Session, entry_from
from bridge.store.space import Room, Space
from bridge.store.sql import query

PAGE = 1_000
"""Entries read at a time when catching up."""

Opener: TypeAlias = Callable[[], tuple[apsw.Connection, Head]]


@dataclass(slots=True)
class Job:
    """Something to do inside a group: whole or not at all, apart from its neighbours."""

    act: Callable[[Session], object]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no value."""

    error: Exception


@dataclass(slots=True)
class Result:
    """What became of a group: `outcomes` in the order of its jobs, `entries` now durable."""

    outcomes: list[object | Failure] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def _unknown(words: str, outcome: object) -> StoreUnknown:
    made = outcome if isinstance(outcome, list) else []
    return StoreUnknown(words, [entry for entry in made if isinstance(entry, Entry)])


class GroupFailed(Exception):
    """The whole group has certainly not happened; `error` is what its jobs are told."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(str(error))
        self.error = error


class Committer:
    """The connection that writes, its journal head, and the way back after an error."""

    def __init__(
        self, opener: Opener, path: Path, space: Space, now: Callable[[], datetime]
    ) -> None:
        self._opener = opener
        self._wal = path.with_name(path.name + "-wal")
        self._space = space
        self._now = now
        self._connection: apsw.Connection | None
        self._connection, self.head = opener()
        self._why = ""
        self.room = Room(free=0, total=0, reserve=False)
        self.wal_bytes = 0
        self.measure()

    @property
    def broken(self) -> str:
        """Why nothing can be written at present; empty when all is well."""
        return self._why

    def commit(self, jobs: Sequence[Job]) -> Result:
        """Write `jobs` in one synced transaction."""
        result = self.recover()
        if self._connection is None:
            error = StoreError(f"the store is away: {self._why}")
            result.outcomes = [Failure(error) for _ in jobs]
            return result
        if self._space.urgent_only:
            self.measure()
        refused = StoreFull("the disk of the store is full; only orders and hang-ups are written")
        may = [job.urgent or not self._space.urgent_only for job in jobs]
        allowed = [job for job, ok in zip(jobs, may, strict=True) if ok]
        outcomes = iter(self._commit_with_reserve(allowed, result))
        result.outcomes = [next(outcomes) if ok else Failure(refused) for ok in may]
        return result

    def recover(self) -> Result:
        """Open the database again after an error; hand out what was decided but never shown."""
        result = Result()
        if self._connection is not None:
            return result
        try:
            self._connection, head = self._opener()
            result.entries = self._entries_since(self.head.seq)
        except (apsw.Error, OSError, StoreRefused) as error:
            self._drop(str(error))
            return result
        self.head, self._why = head, ""
        return result

    def idle(self) -> Result:
        """Nothing waits: come back after an error."""
        return self.recover()

    def measure(self) -> None:
        """See what room is left and how long the WAL is; a disk that cannot say has none."""
        try:
            self.room = self._space.look()
            self.wal_bytes = self._wal.stat().st_size if self._wal.exists() else 0
        except OSError:
            self.room = Room(free=0, total=0, reserve=False)

    def close(self) -> None:
        """Close the connection; SQLite empties the WAL on the way. Raises apsw.Error."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _commit_with_reserve(self, jobs: list[Job], result: Result) -> list[object | Failure]:
        try:
            return self._commit_group(jobs, result)
        except GroupFailed as failed:
            told: list[object | Failure] = [Failure(failed.error) for _ in jobs]
            urgent = [job for job in jobs if job.urgent]
            full = isinstance(failed.error, StoreFull)
        if not (full and urgent and self._connection is not None and self._space.spend()):
            return told
        try:
            again = iter(self._commit_group(urgent, result))
        except GroupFailed as failed:
            return [Failure(failed.error) for _ in jobs]
        return [next(again) if job.urgent else old for job, old in zip(jobs, told, strict=True)]

    def _commit_group(self, jobs: Sequence[Job], result: Result) -> list[object | Failure]:
        """Raises GroupFailed when nothing of the group has happened."""
        if not jobs:
            return []
        assert self._connection is not None
        session = Session(self._connection, self.head, self._now())
        try:
            session.run("begin")
            outcomes = [self._part(session, job) for job in jobs]
        except apsw.Error as error:
            raise GroupFailed(self._give_up(self._connection, error)) from error
        try:
            session.run("commit")
        except apsw.Error as error:
            if is_certain_in_commit(error, self._connection.system_errno):
                raise GroupFailed(self._give_up(self._connection, error)) from error
            return self._look_again(session, outcomes, error, result)
        self.head = session.head
        result.entries += session.entries
        return outcomes

    @staticmethod
    def _part(session: Session, job: Job) -> object | Failure:
        try:
            return session.part(job.act)
        except apsw.Error as error:
            if not session.connection.in_transaction or isinstance(error, apsw.FullError):
                raise
            if isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
                raise
            return Failure(not_done(error))
        except Exception as error:  # noqa: BLE001 - told to who asked, who knows what to do
            return Failure(error)

    def _give_up(self, connection: apsw.Connection, error: apsw.Error) -> StoreError:
        """Undo a group that has not happened. Only a lack of room or a lock leaves us open."""
        told = not_done(error, connection.system_errno)
        try:
            if connection.in_transaction:
                connection.execute(query("rollback"))
        except apsw.Error as worse:
            self._drop(str(worse))
        if not isinstance(told, StoreFull) and not isinstance(error, apsw.BusyError):
            self._drop(str(told))
        return told

    def _look_again(
        self,
        session: Session,
        outcomes: list[object | Failure],
        error: apsw.Error,
        result: Result,
    ) -> list[object | Failure]:
        """The sync failed: the group may have happened. Open anew, sync, and read what is there.

        A new connection's checkpoint writes what it finds a second time and syncs it, so what can
        be read after it is durable, and what cannot be read is gone (guard finding 3).
        """
        self._drop(str(error))
        expected = session.entries[-1] if session.entries else None
        late = self.recover()
        result.entries += late.entries
        if self._connection is not None and expected is not None:
            if any(entry.hash == expected.hash for entry in late.entries):
                return outcomes
            told = StoreError(f"the sync failed, the work has not happened ({error})")
            return [old if isinstance(old, Failure) else Failure(told) for old in outcomes]
        words = f"the sync failed, the work may have happened ({error})"
        return [
            old if isinstance(old, Failure) else Failure(_unknown(words, old)) for old in outcomes
        ]

    def _entries_since(self, seq: int) -> list[Entry]:
        assert self._connection is not None
        found: list[Entry] = []
        while True:
            bindings = {"seq": seq + len(found), "most": PAGE}
            page = [
                entry_from(*row)
                for row in self._connection.execute(query("entries_after"), bindings)
            ]
            found += page
            if len(page) < PAGE:
                return found

    def _drop(self, why: str) -> None:
        connection, self._connection, self._why = self._connection, None, why
        if connection is not None:
            try:
                abandon(connection)
            except apsw.Error as error:
                self._why = f"{why}; {error}"
