"""Faxes over the lines of the switch, carried out by AMI (`dialplans/fax.conf`).

The channel's id is made of the attempt's, so a repeat of the same attempt is refused by Asterisk
itself, and every event says whose it is. Decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Final

from bridge.asterisk.cel import Row
from bridge.asterisk.errors import ActionError
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.refusals import as_refusals
from bridge.asterisk.translate import number
from bridge.domain.fax import FaxIn, parse_in, parse_sent
from bridge.flows.fax_ports import PREFIX, FaxCall, FaxPage, FaxSeen
from bridge.flows.ports import ActRefused, ActUnknown
from bridge.wire.ami import HeaderValue, Message

SETTLED_SECONDS: Final = 30.0
"""How long a question waits for the link and for what Asterisk's log tells of the time before."""
FAILED_COMES_S: Final = 0.3
"""A failed Originate's channel is hung up, with its cause, within this after its answer."""
_ATTEMPT: Final = re.compile(r"[A-Za-z0-9-]{1,48}\.[0-9]{1,4}")
_DIAL: Final = re.compile(r"PJSIP/\+?([0-9]{3,20})@[A-Za-z0-9_-]{1,64}")
_REASONS: Final = {0: 38, 1: 19, 3: 19, 5: 17, 8: 34}
"""OriginateResponse reasons (AST_CONTROL frames) as Q.850 causes."""


class FaxCalls:
    """Implements `flows.fax_ports.FaxLines`. `see` and `came` take what happened."""

    def __init__(
        self,
        link: AmiLink,
        now: Callable[[], datetime],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        """`later(seconds, do)` does something after a while."""
        self.see: Callable[[FaxSeen], None] = lambda _: None
        self.came: Callable[[FaxIn, datetime], None] = lambda _fax, _at: None
        self.link = link
        self.settled = asyncio.Event()
        """Set while the link is up and everything before has been seen."""
        self._now = now
        self._later = later

    async def call(self, call: FaxCall) -> None:
        """Originate. Raises ActRefused, ActUnknown."""
        found = _DIAL.fullmatch(call.dial)
        if found is None or _ATTEMPT.fullmatch(call.attempt) is None:
            raise ActRefused("switch-refused", f"not to be dialled: {call.dial!r}")
        shown = re.sub(r"[^0-9]", "", call.caller)
        await self._do(
            "Originate",
            {
                "Channel": call.dial,
                "ChannelId": PREFIX + call.attempt,
                "Context": "fax-send",
                "Exten": "s",
                "Priority": "1",
                "Timeout": str(call.ring_s * 1000),
                "CallerID": f"{shown} <{shown}>",
                "Async": "true",
                "Variable": [
                    f"ATTEMPT={call.attempt}",
                    f"NUMBER={found[1]}",
                    f"PAGES={call.pages}",
                ],
            },
        )

    async def hang_up(self, attempt: str) -> None:
        """End the call where it still is. Raises ActRefused, ActUnknown."""
        try:
            await self._do("Hangup", {"Channel": PREFIX + attempt, "Cause": "16"})
        except ActRefused as error:
            if "No such channel" not in str(error):
                raise

    async def up(self) -> frozenset[str]:
        """Ids of all channels. Raises ActUnknown."""
        try:
            async with asyncio.timeout(SETTLED_SECONDS):
                await self.settled.wait()
            items = await self.link.collect("Status", {"AllVariables": "false"})
        except TimeoutError as error:
            raise ActUnknown("the link to Asterisk is down") from error
        except ActionError as error:
            raise ActUnknown(str(error)) from error
        return frozenset(item.get("Uniqueid") for item in items)

    async def pages(self) -> Sequence[FaxPage]:
        """All faxes on a line, and how far each is. Raises ActRefused, ActUnknown."""
        found: list[FaxPage] = []
        for session in await self._list("FAXSessions", {}):
            if session.get("Operation") in ("send", "receive"):
                asked = {"SessionNumber": session.get("SessionNumber")}
                with contextlib.suppress(ActRefused):  # it is over
                    found += map(_page, await self._list("FAXSession", asked))
        return found

    async def _list(self, action: str, headers: Mapping[str, HeaderValue]) -> list[Message]:
        with as_refusals():
            return await self.link.collect(action, headers)

    async def _do(self, action: str, headers: Mapping[str, HeaderValue]) -> None:
        with as_refusals():
            await self.link.call(action, headers)

    # What happens

    def event(self, event: Message) -> None:
        """One event of the link; those of other calls mean nothing here."""
        at = _at(event, self._now)
        if event.name == "UserEvent" and event.get("UserEvent") == "FaxReceived":
            fax = parse_in(event.get("Said"))
            if fax is not None and fax.call == event.get("Uniqueid"):
                self.came(fax, at)
            return
        attempt = _attempt_of(event.get("Uniqueid"))
        if attempt is None:
            return
        match event.name:
            case "Newstate" if event.get("ChannelState") == "5":
                self.see(FaxSeen(attempt=attempt, what="rang", at=at))
            case "UserEvent" if event.get("UserEvent") == "FaxAnswered":
                self.see(FaxSeen(attempt=attempt, what="answered", at=at))
            case "UserEvent" if event.get("UserEvent") == "FaxSent":
                self._sent(attempt, event.get("Said"), at, learnt=False)
            case "Hangup":
                cause = number(event.get("Cause"))
                self.see(FaxSeen(attempt=attempt, what="ended", at=at, cause=cause))
            case "OriginateResponse" if event.get("Response") != "Success":
                cause = _REASONS.get(number(event.get("Reason")), 38)
                ended = FaxSeen(attempt=attempt, what="ended", at=at, cause=cause)
                self._later(FAILED_COMES_S, lambda: self.see(ended))

    def row(self, row: Row) -> None:
        """One row of Asterisk's own log of the time when nobody watched."""
        if row.user == "FAXIN":
            fax = parse_in(row.member("extra"))
            if fax is not None and fax.call == row.unique:
                self.came(fax, row.at)
            return
        attempt = _attempt_of(row.unique)
        if attempt is None:
            return
        if row.user == "FAX":
            self._sent(attempt, row.member("extra"), row.at, learnt=True)
        elif row.kind == "ANSWER":
            self.see(FaxSeen(attempt=attempt, what="answered", at=row.at, learnt=True))
        elif row.kind == "HANGUP":
            cause = row.hangup_cause
            self.see(FaxSeen(attempt=attempt, what="ended", at=row.at, cause=cause, learnt=True))

    def _sent(self, attempt: str, said: str, at: datetime, *, learnt: bool) -> None:
        sent = parse_sent(said)
        if sent is not None and sent.attempt == attempt:
            self.see(FaxSeen(attempt=attempt, what="sent", at=at, sent=sent, learnt=learnt))


def _page(said: Message) -> FaxPage:
    """A `FAXSession` event. Before the far end has agreed there is no resolution, and what it says
    of the speed is what we offer."""
    sending = said.get("Operation") == "send"
    agreed = said.get("ImageResolution") not in ("", "0x0")
    return FaxPage(
        name=PurePath(said.get("FileName")).stem,
        sending=sending,
        page=number(said.get("PageNumber")),
        done=number(said.get("PagesTransmitted" if sending else "PagesReceived")),
        bps=number(said.get("DataRate")) if agreed else 0,
        ecm=agreed and said.get("ErrorCorrectionMode").lower() == "yes",
    )


def _attempt_of(unique: str) -> str | None:
    attempt = unique.removeprefix(PREFIX)
    return attempt if attempt != unique and _ATTEMPT.fullmatch(attempt) else None


def _at(event: Message, now: Callable[[], datetime]) -> datetime:
    try:
        return datetime.fromtimestamp(float(event.get("Timestamp")), UTC)
    except (ValueError, OverflowError, OSError):
        return now()
