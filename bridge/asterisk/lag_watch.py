"""Judges by the canary whether what we read is the present (three-way sheet, section 6)."""

from __future__ import annotations

import asyncio

from bridge.asterisk.announce import Announcer
from bridge.asterisk.link_state import AmiSettings, LinkAlarm, LinkCounters, LinkState
from bridge.asterisk.session import Session


class LagWatch:
    """UP or STALLED, and a link given up when it stays stalled."""

    def __init__(self, settings: AmiSettings, counters: LinkCounters, announce: Announcer) -> None:
        self._settings = settings
        self._counters = counters
        self._announce = announce
        self._stalled_since: float | None = None

    def begin(self) -> None:
        """A new session."""
        self._stalled_since = None

    def judge(self, session: Session, lost: int) -> None:
        """Look at the session's lag; `lost` canaries were found missing just now."""
        if not self._announce.state.usable:
            return
        if session.canary_refused:
            detail = f"{session.canary_refused}: lag is not measured"
            self._announce.alarm(LinkAlarm.RIGHTS_MISSING, detail)
            return
        if lost:
            self._counters.canaries_lost += lost
            self._announce.alarm(LinkAlarm.EVENT_LOSS, f"{lost} canaries missing")
        self._compare(session, session.lag_s or 0.0, asyncio.get_running_loop().time())

    def _compare(self, session: Session, lag: float, now: float) -> None:
        if lag <= self._settings.lag_limit:
            self._stalled_since = None
            if self._announce.state is LinkState.STALLED:
                self._announce.enter(LinkState.UP, "events are current again")
        elif self._stalled_since is None:
            self._stalled_since = now
            self._announce.enter(LinkState.STALLED, f"events are {lag:.1f} s late")
        elif now - self._stalled_since > self._settings.stall_limit:
            session.protocol.drop(f"events {lag:.1f} s late for too long")
