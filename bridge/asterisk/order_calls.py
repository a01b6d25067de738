"""Orders by telephone, carried out by AMI: our calls to duty phones (`dialplans/order.conf`).

The channel's id is made of the attempt's, so a repeat of the same attempt is refused by Asterisk
itself, and every event says whose it is. Decides nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from bridge.asterisk.cel import Row
from bridge.asterisk.errors import ActionError
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.refusals import as_refusals
from bridge.asterisk.translate import number
from bridge.flows.ports import ActRefused, ActUnknown, OrderCall, PhoneSeen
from bridge.wire.ami import HeaderValue, Message

PREFIX = "ord-"
ATTEMPT = re.compile(r"[A-Za-z0-9-]{1,48}\.[0-9]{1,4}\Z")
SOUND = re.compile(r"[A-Za-z0-9_./-]{1,200}\Z")
DIAL = re.compile(r"PJSIP/(?:[0-9+]{3,20}@)?[A-Za-z0-9_-]{1,64}\Z")
SETTLED_SECONDS = 30.0
"""How long a question waits for the link and for what Asterisk's log tells of the time before."""
FAILED_COMES_S = 0.3
"""A failed Originate's channel is hung up, with its cause, within this after its answer."""

_REASONS = {0: 38, 1: 19, 3: 19, 5: 17, 8: 34}
"""OriginateResponse reasons (AST_CONTROL frames) as Q.850 causes."""


class OrderCalls:
    """Implements `flows.ports.Phones`. `see` takes what happened; set it before the link runs."""

    def __init__(self, link: AmiLink, now: Callable[[], datetime]) -> None:
        self.see: Callable[[PhoneSeen], None] = lambda _: None
        self.spawn_later: Callable[[float, PhoneSeen], None] = lambda _seconds, _seen: None
        self.settled = asyncio.Event()
        """Set while the link is up and everything before has been seen."""
        self.link = link
        self._now = now

    # ports.Phones

    async def call(self, call: OrderCall) -> None:
        """Originate. Raises ActRefused, ActUnknown."""
        if not DIAL.match(call.dial) or not SOUND.match(call.words):
            raise ActRefused("switch-refused", f"not to be dialled: {call.dial!r}")
        number_dialled = re.sub(r"[^0-9]", "", call.dial.partition("@")[0])
        variables = [
            f"ATTEMPT={call.attempt}",
            f"WORDS={call.words}",
            f"NUMBER={number_dialled}",
            f"SEAT={re.sub(r'[^0-9]', '', call.seat)}",
        ]
        shown = re.sub(r"[^0-9]", "", call.number)
        await self._do(
            "Originate",
            {
                "Channel": call.dial,
                "ChannelId": PREFIX + call.attempt,
                "Context": "order-call",
                "Exten": "s",
                "Priority": "1",
                "Timeout": str(call.ring_s * 1000),
                "CallerID": f"{shown} <{shown}>",
                "Async": "true",
                "Variable": variables,
            },
        )

    async def hang_up(self, attempt: str) -> None:
        """End the call where it still is. Raises ActRefused, ActUnknown."""
        try:
            await self._do("Hangup", {"Channel": PREFIX + attempt, "Cause": "16"})
        except ActRefused as error:
            if "No such channel" not in str(error):
                raise

    async def stored(self, attempt: str, counted: bool) -> None:
        """Tell the plan that the key is durable. Raises ActRefused, ActUnknown."""
        value = "1" if counted else "0"
        await self._do(
            "Setvar",
            {"Channel": PREFIX + attempt, "Variable": "SHARED(STORED)", "Value": value},
        )

    async def is_up(self, attempt: str) -> bool:
        """Whether the call is there. Raises ActRefused, ActUnknown."""
        try:
            async with asyncio.timeout(SETTLED_SECONDS):
                await self.settled.wait()
        except TimeoutError as error:
            raise ActUnknown("the link to Asterisk is down") from error
        try:
            await self._do("Getvar", {"Channel": PREFIX + attempt, "Variable": "CHANNEL(uniqueid)"})
        except ActRefused as error:
            if "No such channel" in str(error):
                return False
            raise
        return True

    async def there(self) -> set[str]:
        """Ids of all channels that are up. Raises ActUnknown."""
        try:
            items = await self.link.collect("Status", {"AllVariables": "false"})
        except ActionError as error:
            raise ActUnknown(str(error)) from error
        return {item.get("Uniqueid") for item in items}

    async def up_now(self) -> list[str]:
        """Attempts whose calls are there. Raises ActUnknown."""
        found = (_attempt_of(unique) for unique in await self.there())
        return [attempt for attempt in found if attempt is not None]

    async def _do(self, action: str, headers: Mapping[str, HeaderValue]) -> None:
        with as_refusals():
            await self.link.call(action, headers)

    # What happens

    def event(self, event: Message) -> None:
        """One event of the link; those of other channels mean nothing here."""
        at = moment_of(event, self._now)
        attempt = _attempt_of(event.get("Uniqueid"))
        if attempt is None:
            self._seat(event.get("UserEvent"), event.get("Linkedid"), event.get("Seat"), at)
            return
        match event.name:
            case "Newstate" if event.get("ChannelState") == "5":
                self.see(_seen(attempt, "rang", at=at))
            case "UserEvent":
                self._user(event, attempt, at)
            case "Hangup":
                cause = number(event.get("Cause"))
                self.see(_seen(attempt, "ended", at=at, cause=cause))
            case "OriginateResponse" if event.get("Response") != "Success":
                cause = _REASONS.get(number(event.get("Reason")), 38)
                ended = _seen(attempt, "ended", at=at, cause=cause)
                self.spawn_later(FAILED_COMES_S, ended)

    def _seat(self, kind: str, linked: str, seat: str, at: datetime, learnt: bool = False) -> None:
        """A seat's channel tells that it was connected to a call of ours."""
        attempt = _attempt_of(linked)
        if kind == "OrderSeat" and attempt is not None and _digits(seat):
            self.see(_seen(attempt, "seat", at=at, number=_digits(seat), learnt=learnt))

    def _user(self, event: Message, attempt: str, at: datetime) -> None:
        if event.get("Attempt") != attempt:
            return
        kind = event.get("UserEvent")
        if kind == "OrderAnswered":
            self.see(_seen(attempt, "answered", at=at))
        elif kind == "OrderKey":
            key, dialled = event.get("Key")[:1], event.get("Number")
            self.see(_seen(attempt, "key", at=at, key=key, number=_digits(dialled)))

    def row(self, row: Row) -> None:
        """One row of Asterisk's own log of the time when nobody watched."""
        attempt = _attempt_of(row.unique)
        if attempt is None:
            if row.user == "ORDERSEAT":
                self._seat("OrderSeat", row.linked, row.words[0], row.at, learnt=True)
            return
        if row.user == "ORDER":
            named, key, dialled, *_ = [*row.words, "", "", ""]
            if named == attempt:
                self.see(
                    _seen(
                        attempt,
                        "key",
                        at=row.at,
                        key=key[:1],
                        number=_digits(dialled),
                        learnt=True,
                    )
                )
        elif row.kind == "ANSWER":
            self.see(_seen(attempt, "answered", at=row.at, learnt=True))
        elif row.kind == "HANGUP":
            self.see(_seen(attempt, "ended", at=row.at, cause=row.hangup_cause, learnt=True))


def _seen(
    attempt: str,
    what: Literal["rang", "answered", "key", "seat", "ended"],
    *,
    at: datetime,
    key: str = "",
    number: str = "",
    cause: int = 0,
    learnt: bool = False,
) -> PhoneSeen:
    return PhoneSeen(
        attempt=attempt,
        what=what,
        at=at,
        call=PREFIX + attempt,
        key=key,
        number=number,
        cause=cause,
        learnt=learnt,
    )


def _attempt_of(unique: str) -> str | None:
    attempt = unique.removeprefix(PREFIX)
    return attempt if attempt != unique and ATTEMPT.match(attempt) else None


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)[:20]


def moment_of(event: Message, now: Callable[[], datetime]) -> datetime:
    """When Asterisk made the event; now where it does not say."""
    try:
        return datetime.fromtimestamp(float(event.get("Timestamp")), UTC)
    except (ValueError, OverflowError, OSError):
        return now()
