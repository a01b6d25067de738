"""What seats write of a case, and who commands it: describe, start and end a special plan.

A file is read, decided about and stored in turn; it is small and seldom changed. Reports that come
while a special plan runs are handed to the body that commands, as notices of the desk (LL-30).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from bridge.domain.call import as_json
from bridge.domain.case_file import (
    CaseFile,
    CommandRule,
    Description,
    FileWork,
    Mode,
    alarm_of,
    attach,
    describe,
    end_plan,
    from_doc,
    start_plan,
)
from bridge.domain.errors import Refused
from bridge.domain.journal import Entry, Json
from bridge.domain.territory import HOTLINE, Territory
from bridge.flows.asked import settled, submitted
from bridge.flows.calls import Spawn
from bridge.flows.order_desk import Asker, OrderAsk, OrderDesk
from bridge.flows.ports import Answer, Clock, Row, StoreError, Table, Transaction
from bridge.flows.recorder import Recorder
from bridge.flows.rows import file_row

_log = structlog.get_logger(__name__)

AREAS_KEPT = 20_000
"""Cases whose area is at hand for a click; the store knows all."""
DAYS_AT_HAND = timedelta(days=7)
PAGE = 1_000
AGAIN_SECONDS = 0.5
FORWARDED = frozenset({"order.reported", "order.disputed"})
"""What units say that goes to whoever commands."""
_AGAIN = frozenset({"store-cannot-write", "outcome-unknown", "already-answered"})
"""Refusals after which what is stored is looked at again."""
_WORDS = {
    "arrived": "到场",
    "progress": "进展",
    "result": "结果",
    "promise": "承诺",
    "dispute": "异议",
}


class CaseMemory(Protocol):
    """What is read of stored cases."""

    async def case_row(self, case: str) -> Row | None: ...

    async def case_file(self, case: str) -> Row | None: ...

    async def commanded_files(self, after: str = "", limit: int = 0) -> Sequence[Row]: ...

    async def orders_of_case(self, case: str) -> Sequence[Row]: ...

    async def rows(self, table: Table, after: str = "", limit: int = 0) -> Sequence[Row]: ...


class CaseDesk:
    """Files of all cases. Where the site gives orders, `direct` says how cases are commanded."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        clock: Clock,
        memory: CaseMemory,
        alarm: Callable[[str, str], None],
        spawn: Spawn,
        territory: Territory = Territory(),  # noqa: B008  immutable
    ) -> None:
        self.territory = territory
        self._recorder = recorder
        self._clock = clock
        self.memory = memory
        self._alarm = alarm
        self._spawn = spawn
        self._orders: OrderDesk | None = None
        self._rules: Sequence[CommandRule] = ()
        self._turn = asyncio.Lock()
        self._storing: asyncio.Future[None] | None = None
        self._areas: OrderedDict[str, str] = OrderedDict()
        self._special: dict[str, CaseFile] = {}
        self._forwarding = asyncio.Lock()

    def direct(self, orders: OrderDesk, rules: Sequence[CommandRule]) -> None:
        """From now on cases are commanded by these rules, and reports go on as notices."""
        self._orders, self._rules = orders, rules

    # Reading

    async def known(self, case: str) -> dict[str, Json] | None:
        """Everything known of a case: its first call's, and what was written. None: no such case.
        Raises StoreError."""
        row = await self.memory.case_row(case)
        if row is None:
            return None
        file = await self.file(case)
        return {**row.doc, **_plain(file), "desk": self.territory.desk(HOTLINE, file.area)}

    async def file(self, case: str) -> CaseFile:
        """The file of a case; an empty one where nothing was written. Raises StoreError."""
        row = await self.memory.case_file(case)
        return from_doc(row.doc) if row is not None else CaseFile(case)

    def area_of(self, case: str) -> str:
        """The area of a case at hand, or nothing; never waits."""
        return self._areas.get(case, "")

    # Asked for

    async def describe(self, who: Asker, case: str, said: Description, key: str) -> Answer:
        """Write what is known of the case. Raises Refused: no-such-case, store-cannot-write …"""
        return await self._change(who, case, key, lambda work: describe(work, said))

    async def start_plan(
        self, who: Asker, case: str, plan: str, body: str, reported_at: datetime, key: str
    ) -> Answer:
        """Hand the command to the body of a special plan (LL-30). Raises Refused."""
        if self._orders is None or body not in self._orders.orders.units:
            raise Refused("no-such-unit")
        early = [row.id for row in await self._read(self.memory.orders_of_case(case))]
        answer = await self._change(
            who, case, key, lambda work: start_plan(work, plan, body, reported_at, early)
        )
        self._spawn(self.forward(case), f"forward {case}")
        return answer

    async def end_plan(self, who: Asker, case: str, why: str, key: str) -> Answer:
        """110 commands again. Raises Refused."""
        return await self._change(who, case, key, lambda work: end_plan(work, why))

    async def attach(self, who: Asker, case: str, name: str, key: str) -> Answer:
        """A file that is kept belongs to the case from now on. Raises Refused."""
        body: dict[str, Json] = {"case": case, "attachment": name}
        return await self._change(who, case, key, lambda work: attach(work, name), body)

    async def _change(
        self,
        who: Asker,
        case: str,
        key: str,
        decide: Callable[[FileWork], None],
        body: Mapping[str, Json] | None = None,
    ) -> Answer:
        async with self._turn:
            if self._storing is not None:  # what nobody saw the end of comes first
                await asyncio.wait([self._storing])
            if await self._read(self.memory.case_row(case)) is None:
                raise Refused("no-such-case")
            file = await self._read(self.file(case))
            work = FileWork(file, self._clock.now(), who.name, self._rules)
            decide(work)
            said = body or {"case": case, "command": file.command.mode.value}
            answer = Answer(key, 202, said)
            rows = [file_row(file)] if work.facts else []
            self._storing = submitted(self._recorder, Transaction(work.facts, rows, answer=answer))
            self._storing.add_done_callback(lambda done: self._stored(done, file))
            await settled(self._storing)
        return answer

    def _stored(self, done: asyncio.Future[None], file: CaseFile) -> None:
        """It is durable now, or it is not; whoever asked may have given up waiting."""
        if not done.cancelled() and done.exception() is None:
            self._take(file)

    @staticmethod
    async def _read(reading: Any) -> Any:
        try:
            return await reading
        except StoreError as error:
            raise Refused("store-cannot-write") from error

    def _take(self, file: CaseFile) -> None:
        """What is at hand of a file that is durable now."""
        self._areas.pop(file.case, None)
        if file.area:
            self._areas[file.case] = file.area
        while len(self._areas) > AREAS_KEPT:
            self._areas.popitem(last=False)
        if file.command.mode is Mode.SPECIAL:
            self._special[file.case] = file
        else:
            self._special.pop(file.case, None)
        self._alarm(*alarm_of(file))

    # Reports go to whoever commands

    def see(self, entries: Sequence[Entry]) -> None:
        """Facts that are durable now: what a unit says goes to the commanding body."""
        for entry in entries:
            if entry.fact.kind in FORWARDED and entry.fact.case in self._special:
                self._spawn(self.forward(str(entry.fact.case)), f"forward {entry.fact.case}")

    async def forward(self, case: str) -> None:
        """Bring every report since the handing-over that the body has not been given yet."""
        async with self._forwarding:
            while (file := self._special.get(case)) is not None and self._orders is not None:
                try:
                    rows = await self.memory.orders_of_case(case)
                    for ask in _unforwarded(file, [row.doc for row in rows]):
                        await self._orders.send(Asker("daemon"), ask, f"forward/{ask.forward_of}")
                except (Refused, StoreError) as error:
                    code = error.code if isinstance(error, Refused) else "store-cannot-write"
                    if code not in _AGAIN:
                        words = f"求助件 {case} 的反馈未能转报 / a report was not passed on: {code}"
                        self._alarm(f"forward.{case}", words)
                        return
                    _log.warning("case.not_forwarded", case=case, reason=str(error))
                    await asyncio.sleep(AGAIN_SECONDS)
                else:
                    return

    # After a start

    async def restore(self) -> None:
        """What an earlier life left: plans that run or are due, areas of the last days' cases.
        Raises StoreError."""
        after = ""
        while page := await self.memory.commanded_files(after, PAGE):
            for row in page:
                self._take(from_doc(row.doc))
            after = page[-1].id
        after = (self._clock.now() - DAYS_AT_HAND).strftime("%Y%m%d")  # as numbers of cases begin
        while page := await self.memory.rows("case_file", after, PAGE):
            for row in page:
                self._take(from_doc(row.doc))
            after = page[-1].id

    def resume(self) -> None:
        """Pass on what came in when the earlier life ended."""
        for case in self._special:
            self._spawn(self.forward(case), f"forward {case}")


def _plain(file: CaseFile) -> dict[str, Json]:
    doc = as_json(file)
    assert isinstance(doc, dict)
    return {name: value for name, value in doc.items() if name != "case"}


def _unforwarded(file: CaseFile, docs: Sequence[Mapping[str, Any]]) -> Iterator[OrderAsk]:
    """A notice to the commanding body for each thing said since the handing-over, but what it
    said itself, and what it was given before."""
    body, since = file.command.holder, file.command.since
    assert since is not None
    given = {doc["content"].get("forward_of") for doc in docs if doc["unit"] == body}
    for doc in docs:
        if doc["unit"] == body:
            continue
        for ident, at, says, by, words in _said(doc):
            if ident not in given and datetime.fromisoformat(at) >= since:
                name = doc["content"].get("unit_name") or doc["unit"]
                yield OrderAsk(
                    case=file.case,
                    units=(body,),
                    kind="notice",
                    klass=doc["content"]["klass"],
                    words=f"【转报】{name} {_WORDS.get(says, says)}({by}):{words}",
                    after_report=ident if says != "dispute" else None,
                    forward_of=ident,
                )


def _said(doc: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """Id, time, kind, person and words of what was said about an order."""
    for one in doc["reports"]:
        yield one["id"], one["told_at"], one["says"], one["by"], one["words"]
    dispute = doc["dispute"]
    if dispute is not None:
        yield f"{doc['id']}-dispute", dispute["at"], "dispute", dispute["by"], dispute["words"]
