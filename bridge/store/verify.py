"""Proves a journal from its first entry to its last, and names the place of the first fault.

The chain shows every edit. What it cannot show alone is a tail that was cut off: for that a head
published earlier (system journal, peer, paper) is held against the file (guard rule 27).
Processor-bound: run it in a process of its own, never in the daemon's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from bridge.domain.journal import Fact, body, iso, link, parse_body
from bridge.flows.ports import StoreError
from bridge.store.connection import open_reading
from bridge.store.pages import first_bad_page
from bridge.store.session import Head
from bridge.store.sql import query

PAGE = 5_000
"""Entries read under one lock; between pages the daemon may empty its WAL."""

Progress = Callable[[int, int], None]
"""Told (entries proved, entries in all)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is not as it was written. `seq` is None when the file itself is bad."""

    seq: int | None
    what: str

    def __str__(self) -> str:
        return f"entry {self.seq}: {self.what}" if self.seq is not None else self.what


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was proved: `head` is the last good entry, `fault` the first bad place, or None."""

    head: Head
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Line:
    """One journal line as stored, nothing believed yet."""

    seq: int
    site: str
    at: str
    kind: str
    case_no: str | None
    call: str | None
    subject: str | None
    body: str
    prev: str
    hash: str


def verify(
    path: Path,
    published: Sequence[Head] = (),
    progress: Progress | None = None,
    *,
    at_rest: bool = False,
) -> Verdict:
    """Prove the journal in `path`, and that it still contains every head in `published`.

    `at_rest` says that nobody writes the file: it is then read without touching its directory.
    Raises StoreError when there is no file to read; a damaged one is a Verdict with a fault.
    """
    head = Head("")
    wanted = {one.seq: one for one in published}
    try:
        with open_reading(path, None, at_rest=at_rest) as connection:
            if str(connection.pragma("checksum_verification")) != "1":
                return Verdict(head, Fault(None, "page 1 was changed: page checksums are off"))
            total = _last_seq(connection)
            while lines := _page(connection, head.seq):
                for line in lines:
                    fault = _fault(line, head) or _not_published(line, wanted.get(line.seq))
                    if fault is not None:
                        return Verdict(head, Fault(line.seq, fault))
                    head = Head(line.site, line.seq, line.hash)
                if progress is not None:
                    progress(head.seq, total)
            damage = _file_fault(connection)
    except StoreError as error:
        if not path.is_file():
            raise
        return Verdict(head, Fault(None, f"after entry {head.seq}: {_bad_page(path)}{error}"))
    if damage is not None:
        return Verdict(head, Fault(None, f"{_bad_page(path)}{damage}"))
    return Verdict(head, _cut_tail(head, wanted))


def _bad_page(path: Path) -> str:
    found = first_bad_page(path)
    return f"{found} was changed: " if found else ""


def _fault(line: Line, head: Head) -> str | None:
    """What is wrong with a line that should follow `head`; None when it is as written."""
    if line.seq != head.seq + 1:
        return f"entries {head.seq + 1} to {line.seq - 1} are missing"
    if head.seq and line.site != head.site:
        return f"site is {line.site!r}, the entry before has {head.site!r}"
    if line.prev != head.hash:
        return "does not continue the entry before it: one of the two was changed"
    if link(line.prev, line.site, line.seq, line.body) != line.hash:
        return "text and hash do not belong together: one of them was changed"
    try:
        fact = parse_body(line.body)
        rewritten = body(fact)
    except (ValueError, KeyError, TypeError) as error:
        return f"is not a fact: {error}"
    if rewritten != line.body:
        return "is not written as this program writes facts"
    return _column_fault(line, fact)


def _column_fault(line: Line, fact: Fact) -> str | None:
    columns = {
        "at": (line.at, iso(fact.at)),
        "kind": (line.kind, fact.kind),
        "case_no": (line.case_no, fact.case),
        "call": (line.call, fact.call),
        "subject": (line.subject, fact.subject),
    }
    for name, (stored, true) in columns.items():
        if stored != true:
            return f"column {name} says {stored!r}, the fact says {true!r}"
    return None


def _not_published(line: Line, published: Head | None) -> str | None:
    if published is None or (published.site, published.hash) == (line.site, line.hash):
        return None
    return f"is another than the one published as head ({published})"


def _cut_tail(head: Head, wanted: dict[int, Head]) -> Fault | None:
    beyond = [one for one in wanted.values() if one.seq > head.seq]
    if not beyond:
        return None
    last = max(beyond, key=lambda one: one.seq)
    return Fault(
        head.seq + 1,
        f"entries {head.seq + 1} to {last.seq} were cut off: the head {last} was published",
    )


def _file_fault(connection: apsw.Connection) -> str | None:
    """Everything else in the file: pages, indexes, tables."""
    faults = [str(line) for (line,) in connection.execute(query("check_thoroughly"))]
    return None if faults == ["ok"] else "; ".join(faults)


def _last_seq(connection: apsw.Connection) -> int:
    found = list(connection.execute(query("head")))
    return int(str(found[0][0])) if found else 0


def _page(connection: apsw.Connection, after: int) -> list[Line]:
    rows = connection.execute(query("journal_lines"), {"seq": after, "most": PAGE})
    return [
        Line(
            int(str(seq)),
            str(site),
            str(at),
            str(kind),
            _maybe(case_no),
            _maybe(call),
            _maybe(subject),
            str(text),
            str(prev),
            str(digest),
        )
        for seq, site, at, kind, case_no, call, subject, text, prev, digest in rows
    ]


def _maybe(value: object) -> str | None:
    return None if value is None else str(value)
