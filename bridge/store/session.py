"""Writes one prepared transaction inside the open transaction of a group.

The session carries the head of the journal forward while a group is written. Nothing here syncs,
and nothing here is true before the group's commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import apsw

from bridge.domain.journal import GENESIS, Entry, Fact, iso, link, parse_body
from bridge.flows.ports import StoreInvalid, StoreRepeat
from bridge.store.prepare import Bindings, Prepared
from bridge.store.sql import query

ANSWER_LIFE = timedelta(minutes=10)
"""How long the answer to a command is remembered (guard rule 3)."""

ANSWERS_KEPT = 100_000
"""Most answers remembered; beyond, the oldest go (166 commands/s for ten minutes)."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a site's journal: publish it outside the machine, and a cut tail shows."""

    site: str
    seq: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.site} {self.seq} {self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Inverse of `str`. Raises ValueError on anything else."""
        parts = text.split()
        if len(parts) != 3 or not parts[1].isdecimal() or len(parts[2]) != len(GENESIS):
            raise ValueError(f"a journal head is 'site seq hash', not {text!r}")
        return cls(parts[0], int(parts[1]), parts[2])


class Session:
    """One group being written: the connection, the head so far, the entries so far."""

    def __init__(self, connection: apsw.Connection, head: Head, now: datetime) -> None:
        self.connection = connection
        self.head = head
        self.now = now
        self.entries: list[Entry] = []

    def run(
        self, name: str, bindings: Bindings | None = None
    ) -> list[tuple[apsw.SQLiteValue, ...]]:
        """Run a named query and give all its rows."""
        return list(self.connection.execute(query(name), bindings or {}))

    def part(self, act: Callable[[Session], object]) -> object:
        """Do `act` whole or not at all, leaving what the group did before it untouched."""
        head, count = self.head, len(self.entries)
        self.connection.execute(query("begin_part"))
        try:
            result = act(self)
        except Exception:
            self.head = head
            del self.entries[count:]
            if self.connection.in_transaction:  # a full or failing disk ends the whole group
                self.connection.execute(query("undo_part"))
                self.connection.execute(query("keep_part"))
            raise
        self.connection.execute(query("keep_part"))
        return result

    def append(self, fact: Fact, text: str) -> Entry:
        """Add one fact at the end of the journal."""
        seq, prev = self.head.seq + 1, self.head.hash
        entry = Entry(self.head.site, seq, fact, prev, link(prev, self.head.site, seq, text))
        self.connection.execute(
            query("append_entry"),
            {
                "seq": seq,
                "site": entry.site,
                "at": iso(fact.at),
                "kind": fact.kind,
                "case_no": fact.case,
                "call": fact.call,
                "subject": fact.subject,
                "body": text,
                "prev": prev,
                "hash": entry.hash,
            },
        )
        self.head = Head(entry.site, seq, entry.hash)
        self.entries.append(entry)
        return entry


def write(session: Session, work: Prepared) -> Sequence[Entry]:
    """Write facts, states, messages, answer and cursors of one transaction.

    Raises StoreRepeat when the command was answered before, StoreInvalid when a message key stands
    for something else, apsw.ConstraintError when the schema refuses.
    """
    if work.answer is not None:
        _put_answer(session, work.answer)
    entries = [session.append(fact, text) for fact, text in work.facts]
    for row in work.rows:
        dated = entries[row.place]
        times: Bindings = {"at": iso(dated.fact.at), "seq": entries[-1].seq}
        session.run(row.query, row.bindings | times)
    for message in work.messages:
        _put_message(session, message)
    for cursor in work.cursors:
        session.run("put_cursor", cursor)
    return entries


def holds(session: Session, entries: Sequence[Entry]) -> bool:
    """Whether the journal has each of these entries, as they are."""
    return all(session.run("hash_at", {"seq": one.seq}) == [(one.hash,)] for one in entries)


def _put_answer(session: Session, answer: Bindings) -> None:
    oldest = iso(session.now - ANSWER_LIFE)
    session.run("forget_answer", {"key": answer["key"], "oldest": oldest})
    session.run("forget_old_answers", {"oldest": oldest})
    session.run("forget_overflowing_answers", {"kept": ANSWERS_KEPT - 1})
    try:
        session.run("put_answer", answer | {"at": iso(session.now)})
    except apsw.ConstraintError as error:
        raise StoreRepeat(f"the command with key {answer['key']} was answered before") from error


def _put_message(session: Session, message: Bindings) -> None:
    session.run("put_message", message)
    if session.connection.changes():
        return
    stored = session.run("message_by_key", {"key": message["key"]})
    if stored != [(message["channel"], message["body"])]:
        raise StoreInvalid(f"message key {message['key']} already stands for another message")


def read_head(connection: apsw.Connection, site: str) -> Head:
    """Last entry as the connection sees it; the empty head when there is none."""
    for seq, digest in connection.execute(query("head")):
        return Head(site, int(seq), str(digest))
    return Head(site)


def entry_from(site: str, seq: int, text: str, prev: str, digest: str) -> Entry:
    """An entry as stored. Raises ValueError or KeyError when `text` is not a fact."""
    return Entry(site, seq, parse_body(text), prev, digest)
