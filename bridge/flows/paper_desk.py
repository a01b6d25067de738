"""Papers that leave the house: made of the record, kept as they were printed, printed again.

What is printed is stored first: each form of the paper as a file by its hash, and a fact that
names the files. The same number always gives the same octets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from bridge.domain.call import as_json
from bridge.domain.errors import Refused
from bridge.domain.journal import Entry, Fact, Json
from bridge.domain.paper import CallbackSheet, NoticeSheet, Paper, PaperKind, ReceiptSheet
from bridge.domain.printed import callback_of, notice_of, receipt_of
from bridge.domain.shared_case import SharedCase
from bridge.flows.asked import settled, submitted
from bridge.flows.case_desk import CaseDesk
from bridge.flows.order_desk import Asker
from bridge.flows.orders import Orders
from bridge.flows.ports import Answer, Files, Row, StoreError, Transaction
from bridge.flows.recorder import Recorder

LETTERS: Final = {PaperKind.NOTICE: "N", PaperKind.CALLBACK: "H", PaperKind.RECEIPT: "R"}
"""In numbers of papers: 督办 N, 回访 H, 回执 R."""
Printed = NoticeSheet | CallbackSheet | ReceiptSheet


class PaperMemory(Protocol):
    """What is read of stored cases."""

    async def entries_of_case(
        self, case: str, after: int = 0, limit: int = 0
    ) -> Sequence[Entry]: ...

    async def rows_of_case(self, case: str) -> Sequence[Row]: ...

    async def orders_of_case(self, case: str) -> Sequence[Row]: ...


@dataclass(slots=True)
class PaperDesk:
    """`make` makes a paper off the loop; `title_of` names a desk; `shared` gives the document of a
    case that another desk shares."""

    orders: Orders
    cases: CaseDesk
    memory: PaperMemory
    files: Files
    recorder: Recorder
    make: Callable[[Any], Awaitable[Paper]]
    title_of: Callable[[str], str]
    shared: Callable[[str], SharedCase | None]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _storing: asyncio.Future[None] | None = None

    async def notice(
        self, who: Asker, order: str, demand: str, due_at: datetime | None, key: str
    ) -> Answer:
        """A supervision notice about an order that is overdue. Raises Refused, PaperError."""
        found = await self.orders.find(order)
        if found is None:
            raise Refused("no-such-order")

        def sheet(number: str, printed: Sequence[Fact]) -> NoticeSheet:
            count = 1 + sum(fact.data.get("order") == order for fact in printed)
            return notice_of(
                found,
                number=number,
                count=count,
                now=self.orders.clock.now(),
                centre=self.orders.site.centre,
                centre_number=self.orders.site.centre_number,
                demand=demand,
                due_at=due_at,
            )

        return await self._print(who, found.case, PaperKind.NOTICE, sheet, key, order=order)

    async def callback(self, who: Asker, case: str, answers: Mapping[str, Any], key: str) -> Answer:
        """The register form of a call-back to the caller. Raises Refused, PaperError."""
        known = await self._known(case)
        orders = [row.doc for row in await self.memory.orders_of_case(case)]

        def sheet(number: str, _: Sequence[Fact]) -> CallbackSheet:
            return callback_of(
                known,
                orders,
                answers,
                ident=case,
                number=number,
                asked_by=who.name,
                centre=self.orders.site.centre,
            )

        return await self._print(who, case, PaperKind.CALLBACK, sheet, key)

    async def receipt(self, who: Asker, case: str, handoff: str, key: str) -> Answer:
        """The receipt of a handing-over to another desk. Raises Refused, PaperError."""
        known = await self._known(case)
        rows = await self.memory.rows_of_case(case)
        docs = (row.doc for row in rows if row.table == "handoff" and row.id == handoff)
        record: Any = next(docs, None)
        target = record["target"] if record is not None else str(known["desk"])

        def sheet(_: str, __: Sequence[Fact]) -> ReceiptSheet:
            return receipt_of(
                known,
                record,
                self.shared(case),
                ident=handoff,
                case_number=case,
                to_desk=self.title_of(target),
                centre=self.orders.site.centre,
            )

        return await self._print(who, case, PaperKind.RECEIPT, sheet, key, handoff=handoff)

    async def _known(self, case: str) -> Mapping[str, Json]:
        known = await self.cases.known(case)
        if known is None:
            raise Refused("no-such-case")
        return known

    async def _print(
        self,
        who: Asker,
        case: str,
        kind: PaperKind,
        sheet: Callable[[str, Sequence[Fact]], Printed],
        key: str,
        **about: Json,
    ) -> Answer:
        """Number it, make it, keep it, and only then say that it is there."""
        async with self._turn:
            if self._storing is not None:  # what nobody saw the end of has its number
                await asyncio.wait([self._storing])
            try:
                printed = [fact for fact in await self.printed(case) if fact.data["kind"] == kind]
                number = f"{case}-{LETTERS[kind]}{len(printed) + 1:02d}"
                said = sheet(number, printed)
                paper = await self.make(said)
                files = await self._keep(paper)
            except StoreError as error:
                raise Refused("store-cannot-write") from error
            data: dict[str, Json] = {
                "kind": kind.value,
                "title": paper.title,
                "pages": paper.pages,
                "files": files,
                "sheet": as_json(asdict(said)),
                **about,
            }
            now = self.orders.clock.now()
            fact = Fact("paper.printed", now, case, None, number, who.name, data)
            body: dict[str, Json] = {"paper": number, **_line(fact)}
            answer = Answer(key, 201, body)
            self._storing = submitted(self.recorder, Transaction([fact], answer=answer))
            await settled(self._storing)
        return answer

    async def _keep(self, paper: Paper) -> dict[str, Json]:
        return {
            "pdf": await self.files.keep(paper.pdf, "pdf"),
            "tiff": await self.files.keep(paper.tiff, "tiff"),
            "html": await self.files.keep(paper.html.encode(), "html"),
            "text": await self.files.keep(paper.text.encode(), "txt"),
        }

    # Reading

    async def printed(self, case: str) -> list[Fact]:
        """Everything printed about a case, in order. Raises StoreError."""
        facts: list[Fact] = []
        after = 0
        while page := await self.memory.entries_of_case(case, after, 1_000):
            facts += [one.fact for one in page if one.fact.kind == "paper.printed"]
            after = page[-1].seq
        return facts

    async def listed(self, case: str) -> list[dict[str, Json]]:
        """The papers of a case in a few words."""
        return [{"paper": fact.subject, **_line(fact)} for fact in await self.printed(case)]

    async def file(self, paper: str, form: str) -> str:
        """The name of the file that was printed. Raises Refused("no-such-paper")."""
        for fact in await self.printed(paper.rpartition("-")[0]):
            if fact.subject == paper:
                files: Any = fact.data["files"]
                return str(files[form])
        raise Refused("no-such-paper")


def _line(fact: Fact) -> dict[str, Json]:
    return {
        "kind": fact.data["kind"],
        "title": fact.data["title"],
        "pages": fact.data["pages"],
        "files": fact.data["files"],
        "by": fact.actor,
        "at": as_json(fact.at),
    }
