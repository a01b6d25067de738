"""Cases shared with other platforms, for the seats: look, describe, take over, answer, return."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from bridge.desk.attachments import FileName, download
from bridge.desk.bodies import Body, Word
from bridge.desk.once import Once
from bridge.desk.problems import Problem
from bridge.desk.rest import REFUSALS, Key, Who, parts_of
from bridge.desk.rights import GIVES_ORDERS, SEES_ORDERS
from bridge.desk.tokens import Grant
from bridge.domain.case_file import Description
from bridge.domain.errors import Refused
from bridge.domain.journal import Json
from bridge.domain.peer import PeerCase
from bridge.domain.shared_case import CaseStatus, SharedCase, as_doc, digest
from bridge.flows.case_desk import CaseDesk
from bridge.flows.order_desk import Asker
from bridge.flows.peer_files import name_of
from bridge.flows.peer_words import Asking, Described, answer_of
from bridge.flows.peers import Peers
from bridge.flows.ports import Answer

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
Text = Annotated[
    str,
    Field(max_length=4000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]*$"),
]
Number = Annotated[str, Field(pattern=r"^\+?[0-9]{0,20}$")]


class Describing(Body):
    """What the desk writes about a case; what is left out stays as it is."""

    klass: Literal["POLICE", "URGENT", "GENERAL"] | None = None
    category: Line | None = None
    area: Line | None = None
    place: Line | None = None
    words: Text | None = None
    number: Number | None = None
    name: Line | None = None

    def said(self) -> Described:
        return Described(
            self.klass, self.category, self.area, self.place, self.words, self.number, self.name
        )


class Opening(Describing):
    """A case handed over without a call: to which platform."""

    case: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    to: Annotated[str, Field(pattern=r"^[0-9]{3,16}$")]


class TakingOver(Body):
    """Who takes it, and under which number of this desk."""

    by: Word = Field(min_length=1)
    ticket: Word = ""


class FeedingBack(Body):
    """Progress or a result; `status` follows from it."""

    kind: Literal["progress", "result", "question", "reason"]
    words: Text = Field(min_length=1)
    status: Literal["handling", "resolved", "closed"] | None = None


class HandingBack(Body):
    """Why it is given back (LY-15)."""

    reason: Text = Field(min_length=1)


class SharedAccepted(BaseModel):
    case: str
    revision: int
    status: str


class SharedList(BaseModel):
    cases: list[dict[str, Any]]


class PlatformList(BaseModel):
    platforms: list[dict[str, Any]]


ACCEPTED: dict[str, Any] = {"status_code": 202, "response_model": SharedAccepted}


@dataclass(frozen=True, slots=True)
class PeerDesk:
    """The flows, and what makes a repeated command harmless."""

    peers: Peers
    once: Once
    cases: CaseDesk

    async def describe(self, ask: Asking, ident: str, said: Described) -> SharedCase:
        """A case of our own is written here first. Raises Refused."""
        record = self.peers.book.cases.get(ident)
        if record is not None and record.number is not None:
            written = Description(
                klass=said.klass,
                category=said.category,
                area=said.area,
                place=said.place,
                words=said.words,
                caller_name=said.name,
            )
            try:
                key = f"{ask.key}/case"
                await self.cases.describe(Asker(ask.actor), record.number, written, key)
            except Refused as refused:
                if refused.code not in ("no-such-case", "already-answered"):
                    raise
        return await self.peers.describe(ask, ident, said)

    async def do(
        self,
        who: Grant,
        key: str,
        what: object,
        work: Callable[[Asking], Coroutine[Any, Any, SharedCase]],
    ) -> JSONResponse:
        """One service, once. Raises Refused or Problem."""
        if who.role not in GIVES_ORDERS:
            raise Refused("not-allowed")

        async def run() -> Answer:
            return Answer(key, 202, answer_of(await work(Asking(who.name, key))))

        answer = await self.once.do(key, (who.name, what), run)
        return JSONResponse(dict(answer.body), answer.status)


def shared_doc(record: PeerCase) -> dict[str, Json]:
    """A shared case as the desk sees it."""
    case = record.case
    return {
        "id": case.id,
        "number": record.number,
        "document": as_doc(case),
        "digest": digest(case),
        "delivered": {
            peer: record.delivered.get(peer) == taken for peer, taken in record.queued.items()
        },
    }


def peer_cases(desk: PeerDesk) -> APIRouter:
    """Everything about shared cases."""
    router = APIRouter(prefix="/api/v1", responses=REFUSALS)
    peers = desk.peers

    def seen_by(who: Grant) -> None:
        if who.role not in SEES_ORDERS:
            raise Refused("not-allowed")

    @router.get("/platforms", response_model=PlatformList)
    async def platforms(request: Request, who: Who) -> JSONResponse:
        """Every link: state, counters, delay in each direction."""
        return JSONResponse({"platforms": peers.status()})

    @router.get("/peer-cases", response_model=SharedList)
    async def listed(request: Request, who: Who, status: str | None = None) -> JSONResponse:
        seen_by(who)
        if status is not None and status not in list(CaseStatus):
            raise Problem("bad-request", errors=[{"place": "status", "words": "no such status"}])
        found = [
            shared_doc(record)
            for record in peers.book.cases.values()
            if status is None or record.case.status == status
        ]
        return JSONResponse({"cases": found})

    @router.get("/peer-cases/{origin}/{case}", response_model=dict[str, Any])
    async def one(request: Request, who: Who, origin: Name, case: Name) -> JSONResponse:
        seen_by(who)
        record = peers.book.cases.get(f"{origin}/{case}")
        if record is None:
            raise Refused("no-such-case")
        return JSONResponse(shared_doc(record))

    @router.get(
        "/peer-cases/{origin}/{case}/attachments/{name}",
        operation_id="fetchSharedAttachment",
        response_class=Response,
    )
    async def file(
        request: Request, who: Who, origin: Name, case: Name, name: FileName
    ) -> Response:
        """A file that the document names, once it is here."""
        seen_by(who)
        record = peers.book.cases.get(f"{origin}/{case}")
        if record is None:
            raise Refused("no-such-case")
        if name not in [name_of(one) for one in record.case.attachments]:
            raise Refused("no-such-attachment")
        return await download(parts_of(request), case, name)

    @router.post("/peer-cases", operation_id="OpenSharedCase", **ACCEPTED)
    async def opened(request: Request, who: Who, key: Key, body: Opening) -> JSONResponse:
        return await desk.do(
            who, key, body, lambda ask: peers.open(ask, body.case, body.to, body.said())
        )

    _services(router, desk)
    return router


def _services(router: APIRouter, desk: PeerDesk) -> None:
    peers, path = desk.peers, "/peer-cases/{origin}/{case}"

    @router.post(f"{path}/describe", operation_id="DescribeSharedCase", **ACCEPTED)
    async def described(
        request: Request, who: Who, key: Key, origin: Name, case: Name, body: Describing
    ) -> JSONResponse:
        ident = f"{origin}/{case}"
        return await desk.do(
            who, key, (ident, body), lambda ask: desk.describe(ask, ident, body.said())
        )

    @router.post(f"{path}/take-over", operation_id="TakeOverSharedCase", **ACCEPTED)
    async def taken(
        request: Request, who: Who, key: Key, origin: Name, case: Name, body: TakingOver
    ) -> JSONResponse:
        ident = f"{origin}/{case}"
        return await desk.do(
            who,
            key,
            (ident, body),
            lambda ask: peers.take_over(ask, ident, body.by, body.ticket),
        )

    @router.post(f"{path}/feedback", operation_id="FeedBackSharedCase", **ACCEPTED)
    async def fed_back(
        request: Request, who: Who, key: Key, origin: Name, case: Name, body: FeedingBack
    ) -> JSONResponse:
        ident = f"{origin}/{case}"
        status = CaseStatus(body.status) if body.status else None
        return await desk.do(
            who,
            key,
            (ident, body),
            lambda ask: peers.feed_back(ask, ident, body.kind, body.words, status),
        )

    @router.post(f"{path}/hand-back", operation_id="HandBackSharedCase", **ACCEPTED)
    async def handed_back(
        request: Request, who: Who, key: Key, origin: Name, case: Name, body: HandingBack
    ) -> JSONResponse:
        ident = f"{origin}/{case}"
        return await desk.do(
            who, key, (ident, body), lambda ask: peers.hand_back(ask, ident, body.reason)
        )
