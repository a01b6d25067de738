"""The report line: code and PIN by FastAGI, reports from the plan's events, answers by SHARED().

The unit's digits go from its telephone to the daemon over the FastAGI connection alone: no event
of the link, no log and no channel variable holds them. The plan waits a bounded time for every
answer (`dialplans/order.conf`); nothing here can hold it up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog

from bridge.asterisk.agi_request import AgiRequest
from bridge.asterisk.errors import ActionError
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.nonces import Nonces
from bridge.flows.calls import Spawn
from bridge.wire.ami import Message

_log = structlog.get_logger(__name__)

PATH: Final = "report"
TOTAL_S: Final = 52.0
"""For code and PIN together; below the plan's TIMEOUT(absolute)."""
_KEY_S: Final = 5.0
"""Seconds without a key after which the digits are held to be complete."""
_SOUND_S: Final = 8.0
"""Seconds after which a prompt that has not ended is held to be stuck."""
_CODE_DIGITS: Final = 8
_PIN_DIGITS: Final = 12
_CHANNEL = re.compile(r"PJSIP/[A-Za-z0-9_-]{1,64}-[0-9a-f]{8}\Z")
_FILE = re.compile(r"report-[A-Za-z0-9_.-]{1,64}-[0-9]{1,2}\.wav\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose digits a ticket allows to ask for."""

    call: str
    number: str


class Line(Protocol):
    """Who answers (flows)."""

    async def entered(self, call: str, number: str, code: str, pin: str) -> str: ...

    async def said(self, call: str, key: str, date: str, file: str, at: datetime) -> str: ...

    def heard(self, call: str, at: datetime) -> None: ...

    def left(self, call: str, at: datetime) -> None: ...


class ReportCalls:
    """Feeds a `Line` from one link and the FastAGI route `PATH`."""

    def __init__(
        self,
        link: AmiLink,
        line: Line,
        spawn: Spawn,
        now: Callable[[], datetime],
        tickets: Nonces[Caller],
    ) -> None:
        self._link = link
        self._line = line
        self._spawn = spawn
        self._now = now
        self.tickets = tickets

    def event(self, event: Message) -> None:
        """One event of the link; only those of the report line mean something here."""
        if event.name == "Hangup":
            self._line.left(event.get("Uniqueid"), self._at(event))
            return
        if event.name != "UserEvent" or not _CHANNEL.match(event.get("Channel")):
            return
        call, kind = event.get("Uniqueid"), event.get("UserEvent")
        if kind == "ReportAsks":
            ticket = self.tickets.issue(Caller(call, _digits(event.get("Number"), 20)))
            self._answer(event, _word(ticket))
        elif kind == "ReportHeard":
            self._line.heard(call, self._at(event))
        elif kind == "ReportSaid":
            file = event.get("File")
            self._answer(
                event,
                self._line.said(
                    call,
                    _digits(event.get("Key"), 1),
                    _digits(event.get("Date"), 4),
                    file if _FILE.match(file) else "",
                    self._at(event),
                ),
            )

    async def handle(self, request: AgiRequest) -> None:
        """Ask for code and PIN; sets ENTERED to what came of it: the endpoint of the route.

        Raises what `AgiRequest.command` raises, and TimeoutError when TOTAL_S is over; ENTERED is
        then not set.
        """
        caller = self.tickets.take(request.target.query.get("nonce", ""))
        if caller is None or caller.call != request.headers.get("agi_uniqueid"):
            return
        async with asyncio.timeout(TOTAL_S):
            code = await _keyed(request, "bridge110/report-code", _CODE_DIGITS)
            pin = await _keyed(request, "bridge110/report-pin", _PIN_DIGITS)
            word = await self._line.entered(caller.call, caller.number, code, pin)
            await request.command("SET", "VARIABLE", "ENTERED", word)

    def _answer(self, event: Message, work: Coroutine[Any, Any, str]) -> None:
        self._spawn(self._told(event.get("Channel"), work), "report line")

    async def _told(self, channel: str, work: Coroutine[Any, Any, str]) -> None:
        word = await work
        try:
            await self._link.call(
                "Setvar", {"Channel": channel, "Variable": "SHARED(ANSWER)", "Value": word}
            )
        except ActionError as error:
            _log.info("report.not_answered", channel=channel, reason=str(error))

    def _at(self, event: Message) -> datetime:
        try:
            return datetime.fromtimestamp(float(event.get("Timestamp")), UTC)
        except (ValueError, OverflowError, OSError):
            return self._now()


async def _keyed(request: AgiRequest, prompt: str, most: int) -> str:
    """Digits pressed after the prompt, up to `most` or the hash key."""
    answer = await request.command(
        "GET",
        "DATA",
        prompt,
        str(int(_KEY_S * 1000)),
        str(most),
        deadline=_SOUND_S + (most + 1) * _KEY_S,
    )
    return "" if answer.result == "-1" else _digits(answer.result, most)


async def _word(text: str) -> str:
    return text


def _digits(text: str, most: int) -> str:
    return re.sub(r"[^0-9]", "", text)[:most]
