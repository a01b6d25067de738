"""The dispatch room: all calls and seats, what is remembered of them, and how a call is closed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from bridge.domain.agent import AE
from bridge.domain.call import Book, Call, Leg, Seat
from bridge.domain.conversation import S
from bridge.domain.journal import Fact, iso
from bridge.domain.observe import is_over
from bridge.domain.seen import Arrived
from bridge.flows.calls import Calls
from bridge.flows.ports import Row

SEATS_OF_CASES = 50_000
"""Cases whose last seat is remembered for a hand-back."""


class Room(Calls):
    """`Calls` with its memory: the owner of everything the switch service sees."""

    _last_seats: OrderedDict[str, str]
    all_busy_since: datetime | None = None
    """Since when a citizen waits and no seat is ready; None when that is not so."""

    def known(self, call: str) -> bool:
        """Whether that call is recorded, also when it is over."""
        return call in self.book.calls or self._numbers.knows(call)

    def last_seat(self, seen: Arrived) -> str:
        """The seat that had the case which this call hands back; empty for a new case."""
        call = self.book.calls.get(seen.call)
        if call is None or not seen.back:
            return ""
        for other in self.book.calls.values():
            if other.case == call.case and other.seat and other is not call:
                return other.seat
        return self._seats_of_cases().get(call.case, "")

    def _seats_of_cases(self) -> OrderedDict[str, str]:
        if not hasattr(self, "_last_seats"):
            self._last_seats = OrderedDict()
        return self._last_seats

    def unobserved(self, call: Call, since: datetime, until: datetime) -> None:
        """Nobody watched this call between these times: said in its record."""
        data = {"from": iso(since), "to": iso(until)}
        self.note(Fact("call.unobserved", until, call.case, call.id, actor="daemon", data=data))

    def phone(self, seat: str, state: str) -> None:
        """What became of a seat's telephone registration."""
        record = self.book.seats.get(seat)
        if record is None or record.phone != state:
            now = self._clock.now()
            self.note(Fact("seat.phone", now, subject=seat, data={"state": state}))

    async def close(
        self, call: Call, tracks: Callable[[Call], Awaitable[Mapping[str, Any]]]
    ) -> None:
        """The call is over: join its tracks, hash them into the journal, let memory go. A leg that
        has come to light meanwhile closes it by its own end."""
        try:
            found = await tracks(call)
        except OSError as error:
            found = {"error": str(error)}
        self._box(call.case).post(lambda: self._closed(call, found))

    def _closed(self, call: Call, tracks: Mapping[str, Any]) -> None:
        if not is_over(call) or call.recording is not None:
            return
        self._noted(
            Fact(
                "recording.closed", self._clock.now(), call.case, call.id, call.id, "daemon", tracks
            )
        )
        if call.seat:
            seats = self._seats_of_cases()
            seats[call.case] = call.seat
            while len(seats) > SEATS_OF_CASES:
                seats.popitem(last=False)
        self.forget(call)

    def close_those_over(self) -> None:
        """Calls that an earlier life saw end and did not close."""
        for call in [call for call in self.book.calls.values() if is_over(call)]:
            self._on_over(call)

    def note_all_busy(self) -> None:
        """Since when no seat is ready, and for how long nobody was (YJ-38)."""
        since = self.all_busy_since
        ready = any(seat.state == "ready" for seat in self.book.seats.values())
        if ready is (since is None):
            return
        now = self._clock.now()
        if since is not None:
            self.all_busy_since = None
            seconds = (now - since).total_seconds()
            self.note(Fact("room.seatReady", now, actor="daemon", data={"all_busy_s": seconds}))
        elif any(call.state in (S.QUEUED, S.ALERTING) for call in self.book.calls.values()):
            self.all_busy_since = now
            self.note(Fact("room.allBusy", now, actor="daemon"))

    def end_wrap_ups(self) -> None:
        """Seats whose time for work after a call is over become ready; also those whose time
        lies further ahead than any wrap-up lasts: the clock was set back."""
        wrapping = [(seat.id, seat.until) for seat in self.book.seats.values() if seat.until]
        if not wrapping:
            return
        now = self._clock.now()
        for seat, until in wrapping:
            if not now < until <= now + self._wrap_up:
                self.agent_seen(seat, AE.WRAP_OVER)

    def restore(self, facts: Iterable[Fact], seats: Iterable[Row]) -> None:
        """Live calls and seats of an earlier life of the daemon."""
        restore(self.book, facts, seats)


def restore(book: Book, facts: Iterable[Fact], seats: Iterable[Row]) -> None:
    """Fill an empty book from the store: facts of live calls, rows of seats."""
    for fact in facts:
        book.apply(fact)
    for row in seats:
        book.seats[row.id] = seat_of(row.doc)


def seat_of(doc: Mapping[str, Any]) -> Seat:
    """A seat's record from its row."""
    seat = Seat(doc["id"])
    for name in ("state", "agent", "role", "reason", "next_state", "phone"):
        setattr(seat, name, doc.get(name) or (None if name == "next_state" else ""))
    for name in ("since", "until"):
        text = doc.get(name)
        setattr(seat, name, datetime.fromisoformat(text) if text else None)
    return seat


def leg_times(leg: Leg) -> tuple[str, datetime | None, datetime | None]:
    """Name, joined and cleared time of a leg, as the recordings need them; None for an end that
    lies before the beginning: the clock was set back in between, so the end is not known."""
    joined, ended = leg.joined_at or leg.answered_at, leg.cleared_at
    if joined is not None and ended is not None and ended < joined:
        ended = None
    return leg.name, joined, ended
