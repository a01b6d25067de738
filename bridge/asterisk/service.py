"""The switch as the daemon sees it: events in, snapshots after every login, questions answered.

Joins the parts of this package; decides nothing about calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from bridge.asterisk.cel import CelReader, Position, Row, read_rows
from bridge.asterisk.errors import ActionError
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.snapshot import (
    YOUNG,
    Channel,
    about_to_come,
    differences,
    take_members,
    take_snapshot,
)
from bridge.asterisk.translate import Translator, number
from bridge.domain.call import Book, Call, live_calls
from bridge.domain.conversation import E
from bridge.domain.journal import Json
from bridge.domain.seen import AnySeen, Arrived, Gone, Noted
from bridge.flows.calls import Spawn
from bridge.wire.ami import Message

_log = structlog.get_logger(__name__)

HANGUP_COMES_S = 0.25
"""A failed Originate's channel is hung up after its answer, within a millisecond."""
BUFFERED = 50_000
"""Events kept while a snapshot is being taken (some milliseconds); above it another follows."""
AGAIN_S = (0.0, 0.2, 0.5, 1.0, 2.0)
"""Pauses before another try for a snapshot; the last one as long as the link stands."""


class Owner(Protocol):
    """Whoever owns the calls (flows)."""

    book: Book

    def see(self, seen: AnySeen) -> None: ...

    def known(self, call: str) -> bool:
        """Whether that call was recorded before, also when it is over."""
        ...

    def last_seat(self, seen: Arrived) -> str:
        """The seat that had the case which this call hands back, or empty."""
        ...

    def unobserved(self, call: Call, since: datetime, until: datetime) -> None: ...

    def phone(self, seat: str, state: str) -> None: ...

    def not_ended(self, call: str) -> bool:
        """The citizen of this call is there and hears no goodbye. False: ask again later."""
        ...

    def members(self, members: Mapping[str, bool]) -> None:
        """Seats of the queue as they are now, True where paused."""
        ...


CelReads = Callable[[Path, Position | None], Awaitable[tuple[list[Row], Position | None]]]


async def read_off_loop(path: Path, since: Position | None) -> tuple[list[Row], Position | None]:
    return await asyncio.to_thread(read_rows, path, since)


@dataclass(slots=True)
class CelCursor:
    """Where the CEL file was read to; `moved` stores it with the facts it gave."""

    path: Path | None
    position: Position | None
    moved: Callable[[str], None]
    read: CelReads = read_off_loop


class SwitchService:
    """Feeds everything seen on one Asterisk to its owner, in order."""

    def __init__(
        self,
        owner: Owner,
        translator: Translator,
        cel: CelCursor,
        *,
        seats: Callable[[str], bool],
        now: Callable[[], datetime],
        spawn: Spawn,
        on_ephemeral: Callable[[str, str, dict[str, Json]], None],
        queue: str = "q110",
    ) -> None:
        self._owner = owner
        self._queue = queue
        self._translator = translator
        self._cel = cel
        self._seats = seats
        self._now = now
        self._spawn = spawn
        self._tell = on_ephemeral
        self._link: AmiLink | None = None
        self._buffer: list[Message] | None = []
        self._overflowed = False
        self._turn = 0
        self._lost_at: datetime | None = None
        self._heard_at: datetime | None = None
        """When the last event came: a link that is half open is found out seconds later."""
        self._restarted = False
        self.on_event: Callable[[Message], None] = lambda _: None
        """Sees every event too, in its order: calls that are no leg of a case."""
        self.on_row: Callable[[Row], None] = lambda _: None
        """The same for rows of the log of the time when nobody watched."""
        self.on_settled: Callable[[bool], None] = lambda _: None
        """True: all that happened before now has been seen; False: the link is lost."""
        self.on_talking: Callable[[str, str, bool], None] = lambda call, leg, on: None
        """Call, leg, and whether it began or ended to talk."""
        self.on_phone_hold: Callable[[str, bool], None] = lambda channel, on: None
        self.on_start_told: Callable[[], None] = lambda: None
        """What Asterisk's last start has ended is told: it need not be known as new any more."""

    def attach(self, link: AmiLink) -> None:
        """The link to use; its callbacks are `event`, `up` and `down` of this object."""
        self._link = link

    # Events

    def event(self, event: Message) -> None:
        """One event, in its order. While a snapshot is taken events wait for it."""
        if self._buffer is not None:
            if len(self._buffer) < BUFFERED:
                self._buffer.append(event)
            else:
                self._overflowed = True
            return
        self._heard_at = self._now()
        self._event(event)

    def _event(self, event: Message) -> None:
        for seen in self._translator.translate(event):
            self._owner.see(seen)
            if isinstance(seen, Arrived):
                self._spawn(self._route(seen), f"route of {seen.call}")
        special = _SPECIAL.get(event.name)
        if special is not None:
            special(self, event)
        self.on_event(event)

    async def _route(self, seen: Arrived) -> None:
        """Answer the plan's question, within its 0.4 s; silence means the plan's own way."""
        assert self._link is not None
        seat = self._owner.last_seat(seen)
        try:
            if seat:
                await self._link.call(
                    "Setvar",
                    {"Channel": seen.channel, "Variable": "SHARED(SEAT_FIRST)", "Value": seat},
                )
            await self._link.call(
                "Setvar", {"Channel": seen.channel, "Variable": "SHARED(ROUTED)", "Value": "1"}
            )
        except ActionError as error:
            _log.info("route.not_answered", call=seen.call, reason=str(error))

    def _originate_response(self, event: Message) -> None:
        if event.get("Response") != "Success":
            self._spawn(self._not_originated(event), "failed originate")

    async def _not_originated(self, event: Message) -> None:
        """The leg's own Hangup tells the cause, a moment later; where no channel ever came to be
        (no contact, trunk down) this is all there is."""
        await asyncio.sleep(HANGUP_COMES_S)
        ident = event.get("Uniqueid")
        cause = _REASONS.get(number(event.get("Reason")), 38)
        for call in live_calls(self._owner.book):
            leg = call.legs.get(ident)
            if leg is not None and leg.live and not leg.joined_at:
                at = self._translator.at(event)
                self._owner.see(Gone(call=call.id, at=at, leg=ident, cause=cause))

    def _contact(self, event: Message) -> None:
        seat, state = event.get("AOR"), event.get("ContactStatus")
        if not self._seats(seat):
            return
        self._owner.phone(seat, state)
        if state in ("Removed", "Unreachable", "NonQualified"):
            for call in live_calls(self._owner.book):
                leg = call.seat_leg(seat)
                if leg is not None and leg.bridge and state == "Unreachable":
                    at = self._translator.at(event)
                    self._owner.see(Noted(call=call.id, at=at, what=E.PHONE_STILL, leg=leg.id))

    def _talking(self, event: Message) -> None:
        variables = event.variables
        on = event.name == "ChannelTalkingStart"
        case = variables.get("CASE", "")
        if case:
            self._tell("leg.talking", case, {"leg": event.get("Uniqueid"), "on": on})
            self.on_talking(case, event.get("Uniqueid"), on)

    def _hold(self, event: Message) -> None:
        self.on_phone_hold(event.get("Channel"), event.name == "Hold")

    # The link

    def down(self) -> None:
        """The link is lost: from now on nothing is observed."""
        if self._lost_at is None:
            self._lost_at = self._now()
        self._buffer = []
        self.on_settled(False)

    def up(self, restarted: bool) -> None:
        """Signed in again: what happened meanwhile, what is true now."""
        self._restarted = self._restarted or restarted
        self._spawn(self._resync(), "snapshot")

    def never_met(self) -> None:
        """No life of the daemon knows when Asterisk was started: a call that its log tells of, and
        that is not there, went with an earlier life of it."""
        self._restarted = True

    def look_again(self) -> None:
        """Events were lost although the link is up: take a snapshot."""
        if self._buffer is None:
            self._buffer = []
            self._spawn(self._resync(), "snapshot")

    async def _resync(self) -> None:
        assert self._link is not None
        learnt = self._now()
        self._turn += 1
        turn = self._turn
        await self._from_cel(learnt)
        channels = await self._snapshot(turn)
        if channels is None:
            return
        if self._restarted:
            self._restarted = False
            self._switch_lost(learnt, {channel.unique for channel in channels})
        self.on_start_told()
        book, now = self._owner.book, self._now()
        coming = about_to_come(book, learnt)
        citizens = [c for c in channels if c.unique == c.case and c.context != "goodbye"]
        unsaid = [c for c in citizens if not self._owner.not_ended(c.case)]
        for seen in differences(book, channels, self._translator, now, coming):
            self._owner.see(seen)  # where the citizen is tells nothing while the call is ending
        if coming or unsaid:
            self._spawn(self._look_later(), "second look")
        since, self._lost_at = self._lost_at, None
        for call in live_calls(self._owner.book):
            start = since if since is not None else call.seen_at
            offered = call.offered_at
            if start is not None and (offered is None or offered < start):
                self._owner.unobserved(call, start, learnt)
        buffered, self._buffer = self._buffer or [], None
        for event in buffered:
            self._heard_at = now
            self._event(event)
        self.on_settled(True)
        if self._overflowed:
            self._overflowed = False
            self.look_again()
        _log.info("snapshot.done", channels=len(channels), buffered=len(buffered))
        await self._members()

    async def _look_later(self) -> None:
        """What was on its way at the snapshot has come, or never will."""
        await asyncio.sleep(YOUNG.total_seconds() + 1.0)
        self.look_again()

    async def _snapshot(self, turn: int) -> list[Channel] | None:
        """The first that is whole. None when the link is lost or a later login takes its own:
        an older one would tell the past."""
        assert self._link is not None
        attempt = 0
        while turn == self._turn:
            try:
                channels = await take_snapshot(self._link)
                return channels if turn == self._turn else None
            except ActionError as error:
                _log.warning("snapshot.failed", attempt=attempt, reason=str(error))
            if not self._link.state.usable:
                return None
            await asyncio.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])
            attempt += 1
        return None

    async def _members(self) -> None:
        assert self._link is not None
        try:
            self._owner.members(await take_members(self._link, self._queue))
        except ActionError as error:  # the next login looks again
            _log.warning("snapshot.no_members", reason=str(error))

    def _switch_lost(self, learnt: datetime, there: set[str]) -> None:
        """Calls that Asterisk has not any more went with its earlier life, after all that its log
        tells of them."""
        for call in list(live_calls(self._owner.book)):
            if call.id in there:
                continue
            at = call.seen_at or learnt
            self._owner.see(Noted(call=call.id, at=at, learnt=learnt, what=E.SWITCH_LOST))
            for leg in list(call.legs.values()):
                if leg.live:
                    self._owner.see(Gone(call=call.id, at=at, learnt=learnt, leg=leg.id, cause=0))

    async def _from_cel(self, learnt: datetime) -> None:
        if self._cel.path is None:
            return
        rows, position = await self._cel.read(self._cel.path, self._cel.position)
        legs: dict[str, str] = {}
        reader = CelReader(self._translator, legs.get)
        for row in rows:
            self.on_row(row)
            if not self._is_new(row, legs):
                continue
            for seen in reader.translate(row, learnt):
                leg = getattr(seen, "leg", None)
                if leg:
                    legs.setdefault(leg, seen.call)
                self._owner.see(seen)
        if position is not None:
            self._cel.position = position
            self._cel.moved(position.text())

    def _is_new(self, row: Row, legs: dict[str, str]) -> bool:
        """Whether this row tells of something that was not seen while it happened."""
        case = legs.get(row.unique, row.linked)
        if row.user:
            case = row.words[0]
        call = self._owner.book.calls.get(case)
        if call is None:
            return not self._owner.known(case)
        if self._lost_at is not None and row.at >= (self._heard_at or self._lost_at):
            return True  # what the call's record says since then was not seen on the switch
        return call.seen_at is None or row.at >= call.seen_at


_SPECIAL: dict[str, Callable[[SwitchService, Message], None]] = {
    "OriginateResponse": SwitchService._originate_response,
    "ContactStatus": SwitchService._contact,
    "ChannelTalkingStart": SwitchService._talking,
    "ChannelTalkingStop": SwitchService._talking,
    "Hold": SwitchService._hold,
    "Unhold": SwitchService._hold,
}

# OriginateResponse reasons (AST_CONTROL frames) as Q.850 causes.
_REASONS = {0: 38, 1: 19, 3: 19, 5: 17, 8: 34}
