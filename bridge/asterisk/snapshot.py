"""What is true on the switch now, and the difference to what the book says.

After every login: who is in which bridge, read in one go, compared with the book; the difference
is handed on as things seen, marked with when they were learnt. A leg missing from the snapshot may
still have rung and failed meanwhile: the journal is asked (CEL, before this), nobody is called
again (sheet, section 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.asterisk.manager import AmiLink
from bridge.asterisk.translate import CASE, Translator, number
from bridge.domain.call import Book, Call, Role
from bridge.domain.conversation import E, S
from bridge.domain.handoff import UNSEEN
from bridge.domain.seen import Answered, AnySeen, Arrived, Born, Entered, Exited, Gone, Noted, Rang
from bridge.wire.ami import Message

VARIABLES = "CASE,LEG,HANDOFF,ENTRY,NUMBER,CASE_BACK"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel as `Status` shows it."""

    unique: str
    name: str
    up: bool
    ringing: bool
    bridge: str
    context: str
    seconds: float
    variables: Mapping[str, str]

    @property
    def case(self) -> str:
        return self.variables.get("CASE", "")


async def take_snapshot(link: AmiLink) -> list[Channel]:
    """All channels with our variables, in one list. Raises ActionError as `AmiLink.collect`."""
    items = await link.collect("Status", {"AllVariables": "false", "Variables": VARIABLES})
    return [channel for channel in map(_channel, items) if CASE.match(channel.case)]


async def take_members(link: AmiLink, queue: str) -> dict[str, bool]:
    """Seats of the queue, True where paused. Raises ActionError as `AmiLink.collect`."""
    items = await link.collect("QueueStatus", {"Queue": queue})
    return {
        item.get("Location").removeprefix("PJSIP/"): item.get("Paused") == "1"
        for item in items
        if item.name == "QueueMember"
    }


def _channel(item: Message) -> Channel:
    state = item.get("ChannelStateDesc")
    return Channel(
        unique=item.get("Uniqueid"),
        name=item.get("Channel"),
        up=state == "Up",
        ringing=state == "Ringing",
        bridge=item.get("BridgeID"),
        context=item.get("Context"),
        seconds=float(number(item.get("Seconds"))),
        variables=item.assignments("Variable"),
    )


_PLACES = {
    "citizen-held": E.CITIZEN_HELD,
    "citizen-waits": E.CITIZEN_WAITS,
    "goodbye": E.GOODBYE,
}


_WALK = ("citizen-alone", "citizen-queue", "ring-seat")
"""Places of a citizen whom nobody has any more: a seat is looked for."""
_LOOKED_FOR = (S.QUEUED, S.ALERTING)


YOUNG = timedelta(seconds=2)
"""A leg asked for so shortly before a snapshot may not be a channel yet."""


def about_to_come(book: Book, asked: datetime) -> frozenset[str]:
    """Legs that a snapshot asked for at that time cannot tell of: their call is on its way."""
    return frozenset(
        leg.id
        for call in book.calls.values()
        for leg in call.legs.values()
        if leg.live and not leg.channel and leg.initiated_at and leg.initiated_at > asked - YOUNG
    )


def differences(
    book: Book,
    channels: Sequence[Channel],
    translator: Translator,
    now: datetime,
    coming: frozenset[str] = frozenset(),
) -> Iterator[AnySeen]:
    """Things seen that bring the book to what is true on the switch. Pure but for its inputs.
    Of the legs in `coming` their absence tells nothing."""
    over = [call.id for call in book.calls.values() if not call.live]
    by_case: dict[str, list[Channel]] = {}
    for channel in channels:
        by_case.setdefault(channel.case, []).append(channel)
    for case, there in by_case.items():
        if case not in book.calls:
            yield from _unknown(case, there, now)
    for call in list(book.calls.values()):  # of a call that is over legs may still be believed
        there_now = {channel.unique for channel in there_of(by_case, call)}
        yield from _gone(call, there_now | coming, now)
    for case, there in by_case.items():
        if case in book.calls or any(channel.unique == case for channel in there):
            yield from _legs(book, case, there, translator, now)
    for case in over:  # the link failed before everybody had been hung up
        if case in by_case:
            yield Noted(call=case, at=now, learnt=now, what=E.CITIZEN_GONE, leg=case)


def there_of(by_case: Mapping[str, list[Channel]], call: Call) -> list[Channel]:
    """Channels of a call; none when the switch knows nothing of it."""
    return by_case.get(call.id, [])


def _unknown(case: str, there: Sequence[Channel], now: datetime) -> Iterator[AnySeen]:
    citizen = next((channel for channel in there if channel.unique == case), None)
    if citizen is not None:
        variables = citizen.variables
        yield Arrived(
            call=case,
            at=now - timedelta(seconds=citizen.seconds),
            learnt=now,
            channel=citizen.name,
            number=variables.get("NUMBER", ""),
            entry="12345" if variables.get("ENTRY") == "12345" else "110",
            back=variables.get("CASE_BACK", ""),
        )


def _gone(call: Call, there: set[str], now: datetime) -> Iterator[AnySeen]:
    """Legs of the book that the switch has no longer; the citizen's last, so that ends are told."""
    missing = [leg for leg in call.legs.values() if leg.live and leg.id not in there]
    for leg in sorted(missing, key=lambda leg: leg.role is Role.CITIZEN):
        cause = UNSEEN if leg.role is not Role.CITIZEN else 0
        yield Gone(call=call.id, at=now, learnt=now, leg=leg.id, cause=cause)


def _legs(
    book: Book, case: str, there: Sequence[Channel], translator: Translator, now: datetime
) -> Iterator[AnySeen]:
    call = book.calls.get(case)
    for channel in there:
        known = call.legs.get(channel.unique) if call else None
        identity = translator.identity(channel.name, channel.variables.get("LEG", ""))
        if identity is None:
            continue
        if channel.unique != case:
            role, name = identity
            handoff = channel.variables.get("HANDOFF") or None
            yield Born(
                call=case,
                at=now,
                learnt=now,
                leg=channel.unique,
                channel=channel.name,
                role=role,
                name=name,
                handoff=handoff,
            )
            if channel.ringing:
                yield Rang(call=case, at=now, learnt=now, leg=channel.unique)
        if channel.up:
            yield Answered(call=case, at=now, learnt=now, leg=channel.unique)
        was = known.bridge if known else None
        if was and was != channel.bridge:
            yield Exited(call=case, at=now, learnt=now, leg=channel.unique, bridge=was)
    for channel in there:
        if channel.bridge:
            yield Entered(call=case, at=now, learnt=now, leg=channel.unique, bridge=channel.bridge)
    for channel in there:
        if not channel.bridge and channel.context == "party-held":
            leg = channel.unique
            yield Noted(call=case, at=now, learnt=now, what=E.PARTY_HELD, leg=leg)
    citizen = next((channel for channel in there if channel.unique == case), None)
    if citizen is None or citizen.bridge:
        return
    what = _PLACES.get(citizen.context)
    if citizen.context in _WALK and call is not None and call.state not in _LOOKED_FOR:
        what = E.CITIZEN_ALONE
    if what is not None:
        yield Noted(call=case, at=now, learnt=now, what=what, leg=case)
