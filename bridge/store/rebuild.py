"""Builds the state tables again from the facts alone and compares (`db rebuild --check`).

What a fact does to the state is the domain's: `replay` is passed in. Run it on a backup or in a
process of its own: it reads everything under one lock, so that journal and tables belong together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import apsw

from bridge.domain.journal import Fact, Json, parse_body
from bridge.flows.ports import Row, StoreError, Table
from bridge.store.connection import open_reading
from bridge.store.sql import query

PAGE = 5_000

Replay = Callable[[Iterable[Fact]], Iterable[Row]]
"""The domain's reading of a journal: every state that follows from it, the last one of a record
counts."""

_ROWS: dict[Table, str] = {
    "case": "case_rows",
    "call": "call_rows",
    "leg": "leg_rows",
    "handoff": "handoff_rows",
    "seat": "seat_rows",
    "order": "order_rows",
    "attempt": "attempt_rows",
    "case_file": "case_file_rows",
    "peer_case": "peer_case_rows",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One record that is not what the journal says. A missing side is None."""

    table: Table
    id: str
    field: str
    stored: Json
    replayed: Json

    def __str__(self) -> str:
        return (
            f"{self.table} {self.id}: {self.field} is {self.stored!r}, "
            f"by the journal {self.replayed!r}"
        )


def check(path: Path, replay: Replay) -> Sequence[Difference]:
    """Every difference between the state tables and the journal, in order of table and id.

    Raises StoreError when the file cannot be read or an entry is no fact.
    """
    with open_reading(path, None) as connection, connection:  # one transaction: one moment
        stored = {
            (row.table, row.id): row
            for table in get_args(Table)
            for row in _rows(connection, table)
        }
        replayed = {(row.table, row.id): row for row in replay(_facts(connection))}
    differences: list[Difference] = []
    for key in sorted(stored.keys() | replayed.keys()):
        differences += _compare(stored.get(key), replayed.get(key))
    return differences


def _compare(stored: Row | None, replayed: Row | None) -> Iterator[Difference]:
    if stored is None or replayed is None:
        row = stored or replayed
        assert row is not None
        yield Difference(
            row.table,
            row.id,
            "row",
            stored.state if stored else None,
            replayed.state if replayed else None,
        )
        return
    pairs: dict[str, tuple[Json, Json]] = {
        "case": (stored.case, replayed.case),
        "state": (stored.state, replayed.state),
    }
    true = json.loads(json.dumps(dict(replayed.doc)))
    for name in sorted(stored.doc.keys() | true.keys()):
        pairs[f"doc.{name}"] = (stored.doc.get(name), true.get(name))
    for field, (left, right) in pairs.items():
        if left != right:
            yield Difference(stored.table, stored.id, field, left, right)


def _facts(connection: apsw.Connection) -> Iterator[Fact]:
    seq = 0
    while True:
        page = list(connection.execute(query("entries_after"), {"seq": seq, "most": PAGE}))
        for _, number, text, _, _ in page:
            seq = int(str(number))
            try:
                yield parse_body(str(text))
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(f"entry {seq} is not a fact ({error}); run db verify") from error
        if len(page) < PAGE:
            return


def _rows(connection: apsw.Connection, table: Table) -> Iterator[Row]:
    after = ""
    while page := list(connection.execute(query(_ROWS[table]), {"after": after, "most": PAGE})):
        for number, case, state, doc in page:
            after = str(number)
            yield Row(
                table, after, None if case is None else str(case), str(state), json.loads(str(doc))
            )
