"""Nothing that was shown is lost: a board and a journal beside a daemon that is killed.

A `Witness` has all that the daemon told its desks until it died; after the return each event must
be in the journal, and each record that was shown must be shown again, as far as it had come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.exceptions import ConnectionClosed

from bridge.domain.call import call_doc, fold
from bridge.lab.desk_client import DeskClient
from bridge.store.reader import Reader
from tests.faults.stage import Stage
from tests.faults.stream import Stream, stream
from tests.faults.told import Doc, is_durable, is_kept, lost, marks_of, members

LOOK_S: Final = 0.05
NAMED: Final = 5
"""Things that were lost and are named in a line."""


@dataclass
class Witness:
    """What was told, from `watch` until the daemon died."""

    stage: Stage
    events: list[Doc] = field(default_factory=list)
    calls: dict[str, Doc] = field(default_factory=dict)
    after: int = 0
    """The journal's last entry before."""

    @property
    def shown(self) -> int:
        """How many things."""
        return len(self.events) + sum(1 for doc in self.calls.values() for _ in members(doc))

    async def missing(self) -> list[str]:
        """What is not told any more, now that the daemon has returned."""
        reader = Reader(self.stage.store)
        marks = marks_of(await _entries(reader, self.after))
        found = [f"{e['type']} {e['call'] or e['seat']} {e['at']}" for e in self.events
                 if not is_kept(e, marks)]  # fmt: skip
        for ident, before in self.calls.items():
            found += lost(before, await _record(self.stage.leader, reader, ident, before["case"]))
        return found


async def _entries(reader: Reader, after: int) -> list[Any]:
    found: list[Any] = []
    while page := await reader.entries_after(after):
        found += page
        after = page[-1].seq
    return found


async def _record(desk: DeskClient, reader: Reader, ident: str, case: str) -> Doc | None:
    """A call as the desk shows it; one that is over and done, as `bridge110 case show` has it."""
    reply = await desk.request("GET", f"calls/{ident}")
    if reply.ok:
        return reply.doc
    entries = await reader.entries_of_case(case)
    call = fold(entry.fact for entry in entries).calls.get(ident)
    return call_doc(call) if call is not None else None


@contextlib.asynccontextmanager
async def watch(stage: Stage) -> AsyncIterator[Witness]:
    """A witness of everything until the end of the block, or of the daemon."""
    reader = Reader(stage.store)
    head = await reader.head("lab")
    found = Witness(stage, after=head.seq)
    async with stream(stage.world) as board:
        watching = [
            asyncio.ensure_future(_hear(board, found)),
            asyncio.ensure_future(_look(stage.leader, found)),
        ]
        try:
            yield found
        finally:
            done, _ = await asyncio.wait(watching, timeout=1.0)
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            for task in done:
                task.result()


async def _hear(board: Stream, found: Witness) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            event = await board.next()
            if is_durable(event):
                found.events.append(event)


async def _look(desk: DeskClient, found: Witness) -> None:
    """The latest snapshot of each call."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        while True:
            found.calls |= {call["id"]: call for call in (await desk.snapshot())["calls"]}
            await asyncio.sleep(LOOK_S)
