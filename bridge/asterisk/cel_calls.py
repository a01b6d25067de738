"""The switch's own account of every call that came in, read along in its event log (CEL).

For the reckoning beside the journal (`domain.reconcile`); what a call's legs did is read in `cel`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from bridge.asterisk.cel import MAX_READ, Position, Row, read_rows
from bridge.asterisk.translate import CASE, number
from bridge.domain.reconcile import SwitchCall

ENTRIES: Final = frozenset({"from-trunk", "from-hotline"})
"""Contexts by which calls come in (dialplans/entry.conf)."""
MAX_CALLS: Final = 20_000
"""Calls looked at together: more than one Asterisk holds. Above it the oldest are let go and
counted; the report of the day has them."""
MAX_BRIDGES: Final = 20_000
"""Bridges remembered: those of an Asterisk that was killed never end."""


class Tally:
    """Calls from outside, as far as the rows taken so far tell."""

    def __init__(self, most: int | None = MAX_CALLS) -> None:
        self.calls: dict[str, SwitchCall] = {}
        self.let_go = 0
        """Calls dropped because there were too many."""
        self._most = most
        self._bridges: OrderedDict[str, set[str]] = OrderedDict()

    def take(self, rows: Iterable[Row]) -> list[str]:
        """Read on; the ids of calls that began in these rows."""
        began: list[str] = []
        for row in rows:
            if row.kind == "CHAN_START":
                if _came_in(row):
                    self._begin(row, began)
            elif row.user == "CASE":
                self._named(row, began)
            elif row.kind == "BRIDGE_ENTER":
                self._entered(row)
            elif row.kind == "BRIDGE_EXIT":
                self._exited(row)
            elif row.kind == "HANGUP" and row.unique in self.calls:
                call = self.calls[row.unique]
                call.ended_at = row.at
                call.cause = number(row.member("hangupcause"))
                call.source = row.member("hangupsource")
        return began

    def forget(self, call: str) -> None:
        """It has been settled."""
        self.calls.pop(call, None)

    def _begin(self, row: Row, began: list[str]) -> SwitchCall:
        while self._most is not None and len(self.calls) >= self._most:
            self.calls.pop(next(iter(self.calls)))
            self.let_go += 1
        call = self.calls[row.unique] = SwitchCall(row.unique, row.channel, row.at)
        began.append(row.unique)
        return call

    def _named(self, row: Row, began: list[str]) -> None:
        case, *rest = row.words
        if case == row.unique and CASE.match(case):
            call = self.calls.get(case) or self._begin(row, began)
            call.named = True
            call.number = rest[1] if len(rest) > 1 else ""

    def _entered(self, row: Row) -> None:
        ident = row.member("bridge_id")
        inside = self._bridges.setdefault(ident, set())
        inside.add(row.unique)
        if len(inside) > 1:
            for unique in inside & self.calls.keys():
                call = self.calls[unique]
                call.met_at = call.met_at or row.at
        while len(self._bridges) > MAX_BRIDGES:
            self._bridges.popitem(last=False)

    def _exited(self, row: Row) -> None:
        ident = row.member("bridge_id")
        inside = self._bridges.get(ident)
        if inside is not None:
            inside.discard(row.unique)
            if not inside:
                del self._bridges[ident]


def _came_in(row: Row) -> bool:
    """A channel made by a call from outside; one that we call ourselves begins at `s`."""
    return (
        row.context in ENTRIES
        and row.exten not in ("", "s")
        and row.unique == row.linked
        and CASE.match(row.unique) is not None
    )


class CelLog:
    """The file read along. `position`: where an earlier life of the daemon left off, or None:
    from its present end, for what was before belongs to no journal of ours."""

    def __init__(self, path: Path, position: Position | None) -> None:
        self.path = path
        self._tally = Tally()
        self._position = position
        self._starts: dict[str, Position] = {}
        self._at_work = False

    @property
    def let_go(self) -> int:
        """Calls that could not be kept in mind: there were too many at a time."""
        return self._tally.let_go

    @property
    def position(self) -> Position | None:
        """From where the file must be read again after a restart: nothing unsettled is before."""
        return min(self._starts.values(), key=lambda p: p.offset, default=self._position)

    async def read(self) -> Mapping[str, SwitchCall]:
        """Every call that is not settled, with all that is written by now. Raises OSError."""
        if not self._at_work:
            self._position = self._position or await asyncio.to_thread(end_of, self.path)
            self._at_work = True
        while True:
            before = self._position
            rows, after = await asyncio.to_thread(read_rows, self.path, before)
            if after is None or after == before:
                return self._tally.calls
            self._position = after
            if before is None or (before.device, before.inode) != (after.device, after.inode):
                before = Position(after.device, after.inode, 0)
                self._starts = dict.fromkeys(self._starts, before)  # the older file is gone
            for call in self._tally.take(rows):
                self._starts[call] = before
            if after.offset - before.offset < MAX_READ // 2:
                return self._tally.calls

    def settle(self, call: str) -> None:
        """Both logs agree about it, and it is over."""
        self._tally.forget(call)
        self._starts.pop(call, None)


def end_of(path: Path) -> Position | None:
    """The present end of the file; None where there is none yet."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Position(status.st_dev, status.st_ino, status.st_size)
