"""Cases shared with other platforms: told before their telephone rings, and both ways after.

Every change is stored together with the message that carries it; the outbox worker brings it over
however long the way is gone. What comes in is put together with what is here (`merge`) and
answered once it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Final

import structlog

from bridge.domain.acts import DialThird
from bridge.domain.call import Call
from bridge.domain.errors import Refused
from bridge.domain.journal import Entry, Fact
from bridge.domain.peer import OVER, PeerCase
from bridge.domain.shared_case import (
    Caller,
    CaseStatus,
    Feedback,
    HandoffPart,
    SharedCase,
    changed,
    said,
)
from bridge.flows.peer_core import PeerCore
from bridge.flows.peer_words import Asking, Described, as_described
from bridge.flows.ports import StoreError, StoreUnknown

_log = structlog.get_logger(__name__)

BEFORE_RINGING_S: Final = 0.5
"""How long a telephone waits for the document to have arrived; then it rings anyway."""
READ_SECONDS: Final = 0.2
"""Of that, for reading what was written of the case."""
COMMIT_SECONDS: Final = 3.0
AGAIN_SECONDS: Final = 0.5


class Peers(PeerCore):
    """All shared cases of this desk. `poke` tells the worker of a platform that there is work."""

    def resolve(self, number: str, today: date) -> str:
        """Whose number this is today: a merged hotline's is its peer's (LY-13)."""
        for peer in self.peers.values():
            for alias in peer.aliases:
                ends = alias.until
                if alias.number == number and alias.since <= today and (not ends or today < ends):
                    return peer.id
        return number

    # Out: a case is handed to another platform

    async def before_dial(self, act: DialThird, call: Call | None) -> None:
        """Tell the platform behind that desk, at most BEFORE_RINGING_S; never stops the call."""
        peer = self.peers.get(act.target.id)
        if peer is None or call is None:
            return
        arrived = asyncio.Event()
        said: Described | None = None
        self._arrived[act.handoff] = arrived
        try:
            async with asyncio.timeout(BEFORE_RINGING_S):
                said = await self._written(call.case)
                told = await self._hand_over(peer.id, call, act.handoff, said or Described())
                if told and not self.book.line(peer.id).away:
                    await arrived.wait()
        except TimeoutError:
            _log.warning("peer.rings_first", peer=peer.id, call=act.call)
        except (StoreError, Refused) as error:
            _log.error("peer.not_told", peer=peer.id, call=act.call, reason=str(error))
        finally:
            self._arrived.pop(act.handoff, None)
            if said is None:
                self._spawn(self._rewritten(call.case), f"peer {call.case}")

    async def _written(self, number: str) -> Described | None:
        """What was written of the case; None where it cannot be read now."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self.described(number) or Described()
        except (StoreError, TimeoutError) as error:
            _log.warning("peer.case_unread", case=number, reason=str(error))
            return None

    async def _rewritten(self, number: str, said: Described | None = None) -> None:
        """Something was written of a case of ours: whoever shares it gets that, or everything
        where it is not said what."""
        while True:
            try:
                new = said or await self.described(number)
                if new is not None:
                    await self._own(partial(self._with, number, new), number=number)
            except (StoreError, Refused) as error:
                _log.warning("peer.case_not_followed", case=number, reason=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def catch_up(self) -> None:
        """After a start: what an earlier life stored of a case and did not send. Raises
        StoreError."""
        for number, ident in list(self.book.by_number.items()):
            said = await self.described(number)
            if said is None:
                continue
            case = self.book.cases[ident].case
            newer = said.at is not None and said.at > case.changed_at
            if newer or not {*said.attachments} <= {*case.attachments}:
                await self._rewritten(number, said)

    def _with(self, number: str, said: Described, now: datetime) -> SharedCase | None:
        record = self.book.cases.get(self.book.by_number.get(number, ""))
        if record is None or said.on(record.case) == record.case:
            return None
        return changed(said.on(record.case), at=now, by=self._site)

    async def _hand_over(self, peer: str, call: Call, handoff: str, said: Described) -> bool:
        """True where there was something new to tell."""
        asked = call.handoffs.get(handoff)
        requested = asked.times.get("requested") if asked is not None else None
        part = HandoffPart(handoff, requested or self._clock.now())

        def change(now: datetime) -> SharedCase | None:
            known = self.book.cases.get(f"{self._site}/{call.case}")
            if known is not None and known.case.handoff.id == handoff:
                return None  # the second way to the same desk
            if known is not None:
                return changed(
                    said.on(known.case),
                    at=now,
                    by=self._site,
                    handoff=part,
                    call=call.id,
                    status=CaseStatus.REQUESTED,
                )
            made = SharedCase(
                case=call.case,
                origin=self._site,
                caller=Caller(_number(call.number)),
                occurred_at=call.offered_at,
                received_by=self._centre,
                call=call.id,
                handoff=part,
                changed_at=now,
                changed_by=self._site,
            )
            return said.on(made)

        return await self._own(change, number=call.case, also=(peer,)) is not None

    def see(self, entries: Sequence[Entry]) -> None:
        """Facts that are durable now: what became of a handoff, and what was written of a case,
        goes to its platform."""
        for entry in entries:
            fact = entry.fact
            if fact.kind == "case.described" and fact.case in self.book.by_number:
                said = as_described(fact.data)
                self._spawn(self._rewritten(fact.case, said), f"peer {fact.case}")
            if fact.kind == "case.attached" and fact.case in self.book.by_number:
                self._spawn(self._rewritten(fact.case), f"peer {fact.case}")
            ident = self.book.by_handoff.get(fact.subject or "")
            if ident is not None and fact.kind in ("handoff.accepted", "handoff.ended"):
                self._spawn(self._followed(ident, fact), f"peer {ident}")

    async def _followed(self, ident: str, fact: Fact) -> None:
        """The telephone's side of a handoff: accepted by a person, or ended without."""
        record = self.book.cases[ident]

        def change(now: datetime) -> SharedCase | None:
            case = record.case
            if fact.kind == "handoff.accepted" and case.handoff.accepted_at is None:
                part = replace(case.handoff, accepted_at=fact.at)
                status = CaseStatus.ACCEPTED if case.status is CaseStatus.REQUESTED else case.status
                return changed(case, at=now, by=self._site, handoff=part, status=status)
            if fact.kind == "handoff.ended" and case.status is CaseStatus.REQUESTED:
                words = str(fact.data.get("outcome", ""))
                line = Feedback(fact.at, "not-taken", words, self._site)
                return changed(
                    case,
                    at=now,
                    by=self._site,
                    status=CaseStatus.CANCELLED,
                    feedback=said(case, line),
                )
            return None

        try:
            await self._own(change, number=record.number)
        except (StoreError, TimeoutError) as error:
            _log.error("peer.not_followed", case=ident, reason=str(error))

    # What people at this desk do with a shared case

    async def open(self, ask: Asking, number: str, peer: str, said: Described) -> SharedCase:
        """Hand a case over without a call, to that platform or the one of the case's area (LY-12);
        what is not said is as it was written. Raises Refused: no-such-target …"""
        written = await self._written(number) or Described()
        peer = self.territory.desk(peer, said.area or written.area or "")
        if peer not in self.peers:
            raise Refused("no-such-target")

        def change(now: datetime) -> SharedCase:
            known = self.book.cases.get(f"{self._site}/{number}")
            if known is not None:
                made = said.on(written.on(known.case))
                return changed(made, at=now, by=self._site, status=CaseStatus.REQUESTED)
            made = SharedCase(
                case=number,
                origin=self._site,
                occurred_at=now,
                received_by=self._centre,
                handoff=HandoffPart(ask.key, now),
                changed_at=now,
                changed_by=self._site,
            )
            return said.on(written.on(made))

        return await self._asked(change, ask, number, (peer,))

    async def describe(self, ask: Asking, ident: str, said: Described) -> SharedCase:
        """Place, words, category … of a shared case. Raises Refused: no-such-case."""
        record = self._known(ident)

        def change(now: datetime) -> SharedCase:
            return changed(said.on(record.case), at=now, by=self._site)

        return await self._asked(change, ask, record.number)

    async def take_over(self, ask: Asking, ident: str, by: str, ticket: str) -> SharedCase:
        """A person here has taken the case. Raises Refused: no-such-case, wrong-state."""
        record = self._known(ident)

        def change(now: datetime) -> SharedCase:
            case = record.case
            if case.status not in (CaseStatus.REQUESTED, CaseStatus.RETURNED):
                raise Refused("wrong-state", case.status.value)
            accepted = case.handoff.accepted_at or now
            return changed(
                case,
                at=now,
                by=self._site,
                handoff=replace(case.handoff, accepted_at=accepted, by=by),
                status=CaseStatus.ACCEPTED,
                ticket=ticket or case.ticket,
            )

        return await self._asked(change, ask, record.number)

    async def feed_back(
        self, ask: Asking, ident: str, kind: str, words: str, status: CaseStatus | None
    ) -> SharedCase:
        """Progress or a result, with the status that follows. Raises Refused."""
        record = self._known(ident)

        def change(now: datetime) -> SharedCase:
            case = record.case
            if case.status in OVER:
                raise Refused("wrong-state", case.status.value)
            line = Feedback(now, kind, words, f"{self._site}:{ask.actor}")
            after = status or case.status
            return changed(case, at=now, by=self._site, feedback=said(case, line), status=after)

        return await self._asked(change, ask, record.number)

    async def hand_back(self, ask: Asking, ident: str, reason: str) -> SharedCase:
        """Give the case back to the other desk, with the reason (LY-15)."""
        return await self.feed_back(ask, ident, "returned", reason, CaseStatus.RETURNED)

    def _known(self, ident: str) -> PeerCase:
        record = self.book.cases.get(ident)
        if record is None:
            raise Refused("no-such-case")
        return record

    async def _asked(
        self,
        change: Callable[[datetime], SharedCase],
        ask: Asking,
        number: str | None,
        also: Sequence[str] = (),
    ) -> SharedCase:
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                found = await self._own(change, number=number, also=also, ask=ask)
        except TimeoutError as error:
            raise Refused("outcome-unknown") from error
        except StoreUnknown as error:
            raise Refused("outcome-unknown") from error
        except StoreError as error:
            raise Refused("store-cannot-write") from error
        assert found is not None
        return found


def _number(text: str) -> str:
    """A caller's number as the document takes it; what is none is left empty."""
    plain = text[1:] if text.startswith("+") else text
    return text if plain.isascii() and plain.isdigit() and len(plain) <= 20 else ""
