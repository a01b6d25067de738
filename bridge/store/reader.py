"""Reads for the command line and the interface: short, read-only, off the event loop.

Every call opens its own read-only connection and ends within a second (guard rule 8), so no
answer is older than the call. Lists come in pages: `limit` is the caller's, never a hidden cap.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import apsw

from bridge.domain.journal import Entry, Fact, Json, iso, parse_body, parse_iso
from bridge.domain.reconcile import ToldCall, Verdict
from bridge.flows.ports import Answer, Row, Table
from bridge.store.connection import open_reading
from bridge.store.prepare import Bindings
from bridge.store.session import ANSWER_LIFE, Head, entry_from
from bridge.store.sql import query

T = TypeVar("T")

PAGE = 1_000
"""Rows in a page when the caller does not say."""

_ROWS: Mapping[Table, str] = {
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
_OF_CASE: Mapping[Table, str] = {
    "case_file": "case_file_of_case",
    "call": "calls_of_case",
    "leg": "legs_of_case",
    "handoff": "handoffs_of_case",
    "order": "orders_of_case",
    "attempt": "attempts_of_case",
}


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case as lists show it. `opened_at` is the time of its first fact; entries from
    `created_seq` to `updated_seq` of the journal concern it."""

    row: Row
    opened_at: datetime
    created_seq: int
    updated_seq: int


class Reader:
    """Typed queries. All raise StoreError when there is no store, or no answer in a second."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def head(self, site: str) -> Head:
        """Last durable entry."""
        found = await self._all("head", {})
        return Head(site, int(str(found[0][0])), str(found[0][1])) if found else Head(site)

    async def entries_after(self, seq: int, limit: int = PAGE) -> Sequence[Entry]:
        """Journal entries in order, from the one after `seq`; 0 is the beginning."""
        return await self._entries("entries_after", {"seq": seq, "most": limit})

    async def entries_of_case(
        self, case: str, after: int = 0, limit: int = PAGE
    ) -> Sequence[Entry]:
        """Journal entries of one case in order, from the one after `after`."""
        return await self._entries(
            "entries_of_case", {"case_no": case, "seq": after, "most": limit}
        )

    async def cases(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        state: str | None = None,
        before: CaseLine | None = None,
        limit: int = PAGE,
    ) -> Sequence[CaseLine]:
        """Cases opened in [since, until), newest first; `before` is the last line of a page."""
        found = await self._all(
            "cases",
            {
                "since": iso(since) if since else None,
                "until": iso(until) if until else None,
                "state": state,
                "before_at": iso(before.opened_at) if before else None,
                "before_id": before.row.id if before else None,
                "most": limit,
            },
        )
        return [_case_line(values) for values in found]

    async def case(self, case: str) -> CaseLine | None:
        """One case, or None."""
        found = await self._all("case_by_id", {"id": case})
        return _case_line(found[0]) if found else None

    async def case_row(self, case: str) -> Row | None:
        """The present state of one case, or None."""
        line = await self.case(case)
        return line.row if line is not None else None

    async def rows(self, table: Table, after: str = "", limit: int = PAGE) -> Sequence[Row]:
        """Present states in order of id, from the one after `after`."""
        return [
            _row(table, values)
            for values in await self._all(_ROWS[table], {"after": after, "most": limit})
        ]

    async def rows_of_case(self, case: str) -> Sequence[Row]:
        """The case itself, its file, calls, legs, handoffs and orders, all of the same moment."""

        def read(connection: apsw.Connection) -> list[Row]:
            with connection:  # one transaction
                found = _fetch(connection, "case_by_id", {"id": case})
                rows = [_row("case", values[:4]) for values in found]
                for table, name in _OF_CASE.items():
                    found = _fetch(connection, name, {"case_no": case})
                    rows += [_row(table, values) for values in found]
            return rows

        return await self._read(read)

    async def live_calls(self, limit: int = 100 * PAGE) -> Sequence[Row]:
        """Calls whose state is not `cleared`; the default is far above what one Asterisk holds."""
        return [_row("call", values) for values in await self._all("live_calls", {"most": limit})]

    async def unclosed_calls(self, since: datetime, limit: int = PAGE) -> Sequence[Row]:
        """Calls of that time on that are over, and whose recording no life of ours has closed."""
        found = await self._all("unclosed_calls", {"since": iso(since), "most": limit})
        return [_row("call", values) for values in found]

    async def calls_since(self, since: datetime) -> Sequence[tuple[str, str]]:
        """Call and case of every call recorded from that time on, oldest first."""
        found = await self._all("calls_since", {"since": iso(since)})
        return [(str(call), str(case)) for call, case in found]

    async def orders_of_case(self, case: str) -> Sequence[Row]:
        """Orders of one case, in the order they were given."""
        return [_row("order", row) for row in await self._all("orders_of_case", {"case_no": case})]

    async def orders_on_record(self) -> Sequence[Row]:
        """Orders about which the recording of a call is not closed."""
        return [_row("order", row) for row in await self._all("orders_on_record", {})]

    async def order_facts(self, order: str) -> Sequence[Fact]:
        """Facts of one order, in order."""
        found = await self._all("facts_of_order", {"id": order})
        return [parse_body(str(text)) for _, text in found]

    async def facts_of_open_orders(self, after: int = 0, limit: int = PAGE) -> Sequence[Entry]:
        """Entries of the cases that have an order which is not over, after `after`."""
        return await self._entries("entries_of_open_orders", {"seq": after, "most": limit})

    async def orders(
        self, *, state: str | None = None, before: str | None = None, limit: int = PAGE
    ) -> Sequence[Row]:
        """Orders, newest first; `before` is the last id of a page."""
        bindings: Bindings = {"state": state, "before": before, "most": limit}
        return [_row("order", row) for row in await self._all("orders_newest", bindings)]

    async def orders_between(
        self, since: datetime, until: datetime, after: str | None = None, limit: int = PAGE
    ) -> Sequence[Row]:
        """Orders given in [since, until), oldest first; `after` is the last id of a page."""
        bindings: Bindings = {
            "since": iso(since),
            "until": iso(until),
            "after": after,
            "most": limit,
        }
        return [_row("order", row) for row in await self._all("orders_between", bindings)]

    async def case_file(self, case: str) -> Row | None:
        """What is known of a case beside its calls, or None."""
        found = await self._all("case_file_of_case", {"case_no": case})
        return _row("case_file", found[0]) if found else None

    async def commanded_files(self, after: str = "", limit: int = PAGE) -> Sequence[Row]:
        """Files of cases that a special plan concerns, in order of number."""
        found = await self._all("commanded_files", {"after": after, "most": limit})
        return [_row("case_file", values) for values in found]

    async def peer_cases(self, since: datetime) -> Sequence[Row]:
        """Shared cases that are not over, or were touched from that time on."""
        found = await self._all("peer_cases_at_hand", {"since": iso(since)})
        return [_row("peer_case", values) for values in found]

    async def calls_told(self, ids: Collection[str]) -> Mapping[str, ToldCall]:
        """What the journal has made of these calls; those it does not know are absent."""
        found = await self._all("calls_told", {"ids": json.dumps(list(ids))})
        return {told.id: told for told in map(_told, found)}

    async def calls_told_between(self, since: datetime, until: datetime) -> Mapping[str, ToldCall]:
        """The same, of every call that came in [since, until)."""
        bindings: Bindings = {"since": iso(since), "until": iso(until)}
        found = await self._all("calls_told_between", bindings)
        return {told.id: told for told in map(_told, found)}

    async def differences_since(self, since: datetime) -> Mapping[str, Verdict]:
        """The latest verdict recorded of each call that differed, by the call's id."""
        found = await self._all("differences_since", {"since": iso(since)})
        facts = [parse_body(str(text)) for (text,) in found]
        return {fact.subject or "": Verdict(str(fact.data["verdict"])) for fact in facts}

    async def cursor(self, name: str) -> str | None:
        """How far a file written by others has been read, or None."""
        found = await self._all("cursor", {"name": name})
        return str(found[0][0]) if found else None

    async def answer(self, key: str, now: datetime) -> Answer | None:
        """What the command with this key was answered in the last ten minutes, or None."""
        found = await self._all("answer", {"key": key, "oldest": iso(now - ANSWER_LIFE)})
        if not found:
            return None
        status, body = found[0]
        return Answer(key, int(str(status)), json.loads(str(body)))

    async def messages_waiting(self, channel: str) -> tuple[int, datetime | None]:
        """How many messages of a channel are not done, and when the oldest was due."""
        count, oldest = (await self._all("messages_waiting", {"channel": channel}))[0]
        return int(str(count)), parse_iso(str(oldest)) if oldest is not None else None

    async def _entries(self, name: str, bindings: Bindings) -> list[Entry]:
        def read(connection: apsw.Connection) -> list[Entry]:
            return [
                entry_from(str(site), int(str(seq)), str(text), str(prev), str(digest))
                for site, seq, text, prev, digest in _fetch(connection, name, bindings)
            ]

        return await self._read(read)

    async def _all(self, name: str, bindings: Bindings) -> list[tuple[apsw.SQLiteValue, ...]]:
        return await self._read(lambda connection: _fetch(connection, name, bindings))

    async def _read(self, read: Callable[[apsw.Connection], T]) -> T:
        def run() -> T:
            with open_reading(self._path) as connection:
                return read(connection)

        return await asyncio.to_thread(run)


def _fetch(
    connection: apsw.Connection, name: str, bindings: Bindings
) -> list[tuple[apsw.SQLiteValue, ...]]:
    return list(connection.execute(query(name), bindings))


def _row(table: Table, values: Sequence[object]) -> Row:
    number, case, state, doc = values
    fields: dict[str, Json] = json.loads(str(doc))
    return Row(table, str(number), str(case) if case is not None else None, str(state), fields)


def _told(values: Sequence[object]) -> ToldCall:
    ident, case, at, outcome, number, delivered = values
    ended = str(outcome) if outcome is not None else None
    when = parse_iso(str(at))
    return ToldCall(str(ident), str(case), when, bool(delivered), ended, str(number or ""))


def _case_line(values: Sequence[object]) -> CaseLine:
    return CaseLine(
        row=_row("case", values[:4]),
        opened_at=parse_iso(str(values[4])),
        created_seq=int(str(values[5])),
        updated_seq=int(str(values[6])),
    )
