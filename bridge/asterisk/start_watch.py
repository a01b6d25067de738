"""Tells a restart of Asterisk from a lost link (three-way sheet, section 5)."""

from __future__ import annotations

import asyncio

from bridge.asterisk.announce import Announcer
from bridge.asterisk.errors import ActionRejected
from bridge.asterisk.link_state import AmiSettings, LinkAlarm
from bridge.asterisk.session import Session
from bridge.wire.ami import Message


class StartWatch:
    """Remembers when Asterisk was started; `started_at` is None before the first login."""

    def __init__(self, settings: AmiSettings, announce: Announcer, known: str | None) -> None:
        self.started_at = known
        self._settings = settings
        self._announce = announce
        self._booted = asyncio.Event()

    def fully_booted(self, _: Message) -> None:
        """The event came."""
        self._booted.set()

    def begin(self, session: Session) -> None:
        """Before the login of a session; its end wakes whoever waits for FullyBooted."""
        self._booted.clear()
        session.protocol.ended.add_done_callback(lambda _: self._booted.set())

    async def restarted(self, session: Session) -> bool:
        """Wait for FullyBooted, bounded, then compare Asterisk's start with the one known.

        Raises ActionNotSent, OutcomeUnknown when the connection ends meanwhile.
        """
        try:
            async with asyncio.timeout(self._settings.booted_timeout):
                await self._booted.wait()
        except TimeoutError:
            detail = "no FullyBooted: Asterisk still loads, or the account lacks read = system"
            self._announce.alarm(LinkAlarm.NOT_BOOTED, detail)
        try:
            status = await session.request("CoreStatus", {}, self._settings.action_timeout)
        except ActionRejected as error:
            detail = f"{error}: restarts of Asterisk are not seen"
            self._announce.alarm(LinkAlarm.RIGHTS_MISSING, detail)
            return False
        answer = status.future.result()
        start = f"{answer.get('CoreStartupDate')} {answer.get('CoreStartupTime')}"
        former, self.started_at = self.started_at, start
        return former is not None and former != start
