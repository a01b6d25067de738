"""The report line's questions, from the plan's events to its flow and back by SHARED(ANSWER).

The plan waits a bounded time for the answer (`dialplans/order.conf`); nothing here can hold it up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from bridge.asterisk.errors import ActionError
from bridge.asterisk.manager import AmiLink
from bridge.flows.calls import Spawn
from bridge.wire.ami import Message

_log = structlog.get_logger(__name__)

_CHANNEL = re.compile(r"PJSIP/[A-Za-z0-9_-]{1,64}-[0-9a-f]{8}\Z")
_FILE = re.compile(r"report-[A-Za-z0-9_.-]{1,64}-[0-9]{1,2}\.wav\Z")


class Line(Protocol):
    """Who answers (flows)."""

    async def entered(self, call: str, number: str, code: str, pin: str) -> str: ...

    async def said(self, call: str, key: str, date: str, file: str, at: datetime) -> str: ...

    def left(self, call: str) -> None: ...


class ReportCalls:
    """Feeds a `Line` from the events of one link."""

    def __init__(
        self, link: AmiLink, line: Line, spawn: Spawn, now: Callable[[], datetime]
    ) -> None:
        self._link = link
        self._line = line
        self._spawn = spawn
        self._now = now

    def event(self, event: Message) -> None:
        """One event of the link; only those of the report line mean something here."""
        if event.name == "Hangup":
            self._line.left(event.get("Uniqueid"))
            return
        if event.name != "UserEvent" or not _CHANNEL.match(event.get("Channel")):
            return
        call, number = event.get("Uniqueid"), _digits(event.get("Number"), 20)
        kind = event.get("UserEvent")
        if kind == "ReportEntered":
            code, pin = _digits(event.get("Code"), 8), _digits(event.get("Pin"), 12)
            self._answer(event, self._line.entered(call, number, code, pin))
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


def _digits(text: str, most: int) -> str:
    return re.sub(r"[^0-9]", "", text)[:most]
