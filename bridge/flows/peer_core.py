"""The store of shared cases: one change after the other, each whole, known once it is durable."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

import structlog

from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json, iso
from bridge.domain.peer import Answered, PeerBook, PeerCase
from bridge.domain.shared_case import (
    SharedCase,
    as_doc,
    counted,
    digest,
    merge,
)
from bridge.domain.territory import Territory
from bridge.flows.calls import Spawn
from bridge.flows.peer_words import Asking, Described, Peer, answer_of
from bridge.flows.ports import Answer, Clock, Message, Row, StoreError, Transaction
from bridge.flows.rows import peer_row

_log = structlog.get_logger(__name__)

T = TypeVar("T")

KEPT: Final = timedelta(days=2)
"""Cases that are over stay in memory so long after the last touch."""


class Recorder(Protocol):
    """Where decisions are stored."""

    def commit(self, work: Transaction) -> Awaitable[None]: ...


class PeerCore:
    """What this desk and the platforms do to shared cases, in turn."""

    def __init__(
        self,
        *,
        site: str,
        centre: str,
        peers: Mapping[str, Peer],
        recorder: Recorder,
        clock: Clock,
        spawn: Spawn,
        poke: Callable[[str], None],
        tell_link: Callable[[str, str], None],
    ) -> None:
        self.peers = dict(peers)
        self.book = PeerBook()
        self._site = site
        self._centre = centre
        self._recorder = recorder
        self._clock = clock
        self._spawn = spawn
        self._poke = poke
        self._tell_link = tell_link
        self._turn = asyncio.Lock()
        self._arrived: dict[str, asyncio.Event] = {}
        self.described: Callable[[str], Awaitable[Described | None]] = _nothing
        """What this desk has written of a case of its own, by number."""
        self.territory = Territory()
        self.came: Callable[[PeerCase], None] = lambda record: None
        """A document has come in and is durable."""

    def restore(self, rows: Iterable[Row]) -> None:
        """What an earlier life of the daemon left."""
        for row in rows:
            self.book.restore(row.id, row.case, row.doc)

    async def _own(
        self,
        change: Callable[[datetime], SharedCase | None],
        *,
        number: str | None,
        also: Sequence[str] = (),
        ask: Asking | None = None,
    ) -> SharedCase | None:
        """A change of ours: stored with its messages, then known, then on its way."""
        return await self._unbroken(lambda: self._own_in_turn(change, number, also, ask))

    async def _own_in_turn(
        self,
        change: Callable[[datetime], SharedCase | None],
        number: str | None,
        also: Sequence[str],
        ask: Asking | None,
    ) -> SharedCase | None:
        async with self._turn:
            now = self._clock.now()
            case = change(now)
            if case is None:
                return None
            record = self.book.cases.get(case.id)
            to = [*dict.fromkeys([*(record.queued if record else ()), *also])]
            data: dict[str, Json] = {"doc": as_doc(case), "to": list(to)}
            actor = ask.actor if ask is not None else "daemon"
            fact = Fact("peer.case", now, number, None, case.id, actor, data)
            answer = Answer(ask.key, 202, answer_of(case)) if ask is not None else None
            await self._commit(fact, to, now, answer)
            return case

    async def _unbroken(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work to its end though whoever waits for it gives up: what is stored is known
        here too, and the next change begins after it. Raises what `work` raises of ours."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                done.set_result(await work())
            except (Refused, StoreError) as error:
                done.set_exception(error)
                done.exception()  # a waiter that has gone away leaves no complaint
            finally:
                if not done.done():
                    done.cancel()

        running = run()
        self._spawn(running, "shared case")
        if inspect.getcoroutinestate(running) == inspect.CORO_CLOSED:
            raise StoreError("the daemon is stopping")
        return await asyncio.shield(done)

    async def _commit(
        self, fact: Fact, to: Sequence[str], now: datetime, answer: Answer | None = None
    ) -> None:
        """The fact, the row as it will be, a message for each platform; applied once durable."""
        draft = PeerBook()
        record = self.book.cases.get(fact.subject or "")
        if record is not None:
            row = peer_row(record)
            draft.restore(row.id, row.case, row.doc)
        draft.apply(fact)
        after = draft.cases[fact.subject or ""]
        messages = [_message(peer, after.case, now) for peer in to]
        await self._recorder.commit(Transaction([fact], [peer_row(after)], messages, answer))
        self.book.apply(fact)
        for peer in to:
            self._poke(peer)

    # In: what a platform sends

    async def receive(
        self, peer: str, key: str, case: SharedCase, body_hash: str, signed_at: datetime
    ) -> Answered:
        """Take in a document; the same post again gets the same answer.

        Raises Refused("key-reused") for the same id with other octets, and StoreError and its
        kinds where it could not be stored.
        """
        return await self._unbroken(lambda: self._take_in(peer, key, case, body_hash, signed_at))

    async def _take_in(
        self, peer: str, key: str, case: SharedCase, body_hash: str, signed_at: datetime
    ) -> Answered:
        async with self._turn:
            now = self._clock.now()
            known = self.book.answered(peer, key, now)
            if known is not None:
                if known.body_hash != body_hash:
                    raise Refused("key-reused")
                return known
            record = self.book.cases.get(case.id)
            local = record.case if record is not None else None
            incoming = counted(case, local, signed_at, peer)
            both = merge(local, incoming) if local is not None else incoming
            after = digest(both)
            same = after == digest(incoming)
            queued = record.queued if record is not None else {}
            to = [
                other
                for other in dict.fromkeys([*queued, peer])
                if queued.get(other) != after and not (other == peer and same)
            ]
            answer: dict[str, Json] = {
                "case": both.id,
                "revision": both.revision,
                "digest": after,
                "received_at": iso(now),
            }
            delay = max(0, round(1000 * (now - incoming.changed_at).total_seconds()))
            data: dict[str, Json] = {
                "doc": as_doc(both),
                "to": list(to),
                "from": peer,
                "same": same,
                "key": key,
                "body_hash": body_hash,
                "answer": answer,
                "delay_ms": min(delay, 10**9),
            }
            number = record.number if record is not None else None
            fact = Fact("peer.case", now, number, None, both.id, f"peer:{peer}", data)
            await self._commit(fact, to, now)
            self.came(self.book.cases[both.id])
            return Answered(peer, key, now, body_hash, answer)

    # What the worker tells

    async def delivered(self, peer: str, ident: str, taken: str, since: datetime) -> None:
        """The platform has taken the document whose digest is `taken`."""
        await self._unbroken(lambda: self._note_delivered(peer, ident, taken, since))

    async def _note_delivered(self, peer: str, ident: str, taken: str, since: datetime) -> None:
        now = self._clock.now()
        delay = max(0, round(1000 * (now - since).total_seconds()))
        record = self.book.cases.get(ident)
        if record is None:
            return
        data: dict[str, Json] = {"peer": peer, "digest": taken, "delay_ms": delay}
        fact = Fact("peer.delivered", now, record.number, None, ident, "daemon", data)
        async with self._turn:
            draft = PeerBook()
            row = peer_row(record)
            draft.restore(row.id, row.case, row.doc)
            draft.apply(fact)
            await self._recorder.commit(Transaction([fact], [peer_row(draft.cases[ident])]))
            self.book.apply(fact)
        arrived = self._arrived.get(record.case.handoff.id)
        if arrived is not None:
            arrived.set()
        self.book.forget_old(now - KEPT)

    async def link(self, peer: str, words: str) -> None:
        """The way to a platform is gone (why), or is back (empty words)."""
        line = self.book.line(peer)
        if bool(line.away) == bool(words):
            return
        kind = "peer.away" if words else "peer.back"
        fact = Fact(kind, self._clock.now(), None, None, peer, "daemon", {"words": words})
        self.book.apply(fact)
        self._tell_link(peer, words)
        try:
            await self._recorder.commit(Transaction([fact]))
        except StoreError as error:
            _log.error("peer.link_not_stored", peer=peer, reason=str(error))

    def status(self) -> list[dict[str, Json]]:
        """Every link: state, counters, delays in each direction (LY-02, LY-10)."""
        made: list[dict[str, Json]] = []
        for peer in self.peers.values():
            line = self.book.line(peer.id)
            made.append(
                {
                    "peer": peer.id,
                    "title": peer.title,
                    "url": peer.url,
                    "dial": peer.dial,
                    "state": "down" if line.away else "up",
                    "words": line.away,
                    "since": iso(line.since) if line.since else None,
                    "sent": line.sent,
                    "received": line.received,
                    "out_ms": line.out_ms,
                    "out_worst_ms": line.out_worst_ms,
                    "in_ms": line.in_ms,
                    "in_worst_ms": line.in_worst_ms,
                    "aliases": [alias.number for alias in peer.aliases],
                }
            )
        return made


async def _nothing(_: str) -> Described | None:
    return None


def _message(peer: str, case: SharedCase, now: datetime) -> Message:
    """One post. The same document for the same platform is the same message."""
    taken = digest(case)
    key = hashlib.sha256(f"{peer}\n{case.id}\n{taken}".encode()).hexdigest()[:40]
    body: dict[str, Json] = {
        "doc": as_doc(case),
        "case": case.id,
        "digest": taken,
        "since": iso(now),
    }
    return Message(channel_of(peer), f"peer-{key}", body, now)


def channel_of(peer: str) -> str:
    """The outbox channel of a platform."""
    return f"platform.{peer}"
