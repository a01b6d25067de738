"""The durable memory of one site: what flows and the composition root see of this package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge.domain.journal import Entry
from bridge.flows.ports import Transaction
from bridge.store.committer import Committer
from bridge.store.open import Options, WriteLock, open_with_reserve
from bridge.store.outbox import Outbox
from bridge.store.prepare import prepare
from bridge.store.reader import Reader
from bridge.store.session import Head, holds, write
from bridge.store.space import Room, Space
from bridge.store.writer import Writer

WAL_ALARM_BYTES = 64 * 1024 * 1024
"""A WAL above this means that a reader does not end or the disk cannot follow (guard 3.3)."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the desk and the watchdog need to know.

    `finished_at`: monotonic second of the last finished round, done or failed: it stands still
    only when the disk hangs or the thread is dead. `away`: why nothing can be written, or empty.
    """

    finished_at: float
    away: str
    waiting: int
    room: Room
    wal_bytes: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """Stable names of what somebody should look at, worst first."""
        found = {
            "store-away": bool(self.away),
            "store-reserve-used": not self.room.reserve,
            "store-space-low": self.room.low,
            "store-wal-large": self.wal_bytes > WAL_ALARM_BYTES,
        }
        return tuple(name for name, there in found.items() if there)


class SqliteStore:
    """State, journal and outbox in one SQLite file. Implements `bridge.flows.ports.Store`."""

    def __init__(self, path: Path, committer: Committer, writer: Writer) -> None:
        self.path = path
        self.reader = Reader(path)
        self.outbox = Outbox(writer)
        self._committer = committer
        self._writer = writer

    async def commit(self, work: Transaction) -> Sequence[Entry]:
        """Store all of `work`, synced; see `ports.Store.commit`."""
        prepared = prepare(work)
        return await self._writer.submit(
            lambda session: write(session, prepared), urgent=work.urgent, size=prepared.size
        )

    async def happened(self, entries: Sequence[Entry]) -> bool:
        """Whether entries of a StoreUnknown are there; see `ports.Store.happened`."""
        return await self._writer.submit(lambda session: holds(session, entries), urgent=True)

    def head(self) -> Head:
        """Last published entry: written to the journal of the system, peers and paper hourly."""
        return self._writer.head

    def health(self) -> Health:
        """As it stands now; costs no disk access."""
        return Health(
            finished_at=self._writer.finished_at,
            away=self._committer.broken,
            waiting=self._writer.waiting,
            room=self._committer.room,
            wal_bytes=self._committer.wal_bytes,
        )

    async def wait_ended(self) -> None:
        """For the task group: raises when the writer or a publication failed unexpectedly."""
        await self._writer.wait_ended()


@asynccontextmanager
async def open_store(
    path: Path,
    *,
    site: str,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
    publish: Callable[[Sequence[Entry]], None],
    options: Options | None = None,
) -> AsyncIterator[SqliteStore]:
    """Open the store of `site`, checked and synced (guard rule 7), and close it at the end.

    `publish` is called on the event loop with every committed group, in order. What was decided
    before this start is read with `store.reader.entries_after`.
    Raises StoreRefused when the file must not be used as it is, apsw.Error when the disk fails.
    """
    options = options or Options()
    lock = WriteLock(path)
    try:
        space = Space(path, options.ballast_bytes)
        committer = await asyncio.to_thread(
            lambda: Committer(
                lambda: open_with_reserve(path, site, options, space), path, space, now
            )
        )
        writer = Writer(committer, publish, monotonic, options)
        try:
            yield SqliteStore(path, committer, writer)
        finally:
            await writer.close()
    finally:
        lock.release()
