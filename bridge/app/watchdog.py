"""When the service manager may believe that the daemon works (guard section 6).

It is told so while the event loop turns, the store's thread has *finished* a round (done or failed)
and the AMI task has *moved* (a ping judged, or a reconnect under way). None of these needs the disk
or Asterisk to be well: a full disk or a dead Asterisk is shown on the desk and is no reason to be
killed; a part that hangs is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from bridge.app import sd_notify

DEFAULT_S: Final = 10.0
"""WatchdogSec= of the shipped unit; where nobody waits for us, parts are judged by it all the same,
so that the log tells of one that hangs."""
SHARE: Final = 0.8
"""Of that time a part may stand still; the rest is for the round in which it is found."""
FEED_S: Final = 1.0
"""Seconds between two signs of life."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """Something that must move. `due_at`: monotonic second by which it will have moved again."""

    name: str
    due_at: Callable[[], float]


class Watchdog:
    """Judges the parts; `feed` tells the service manager."""

    def __init__(
        self,
        parts: Sequence[Part],
        monotonic: Callable[[], float],
        *,
        patience_s: float | None = None,
        tell: Callable[[str], object] = sd_notify.notify,
    ) -> None:
        """`patience_s`: how long a part may be overdue; by default SHARE of the unit's time."""
        self._parts = parts
        self._monotonic = monotonic
        self._patience_s = patience_s or SHARE * (sd_notify.watchdog_s() or DEFAULT_S)
        self._tell = tell
        self._hanging: tuple[str, ...] = ()

    def hanging(self) -> tuple[str, ...]:
        """Parts that have not moved in time."""
        now = self._monotonic()
        return tuple(p.name for p in self._parts if now - p.due_at() > self._patience_s)

    def feed(self) -> bool:
        """One sign of life, or none where a part hangs; a change is logged."""
        found = self.hanging()
        if found != self._hanging:
            report = _log.error if found else _log.info
            report("watchdog.hangs" if found else "watchdog.well", parts=list(found))
            self._hanging = found
        if not found:
            self._tell(sd_notify.WATCHDOG)
        return not found

    async def run(self) -> None:
        """Until cancelled."""
        every = min(FEED_S, self._patience_s / 4)
        while True:
            self.feed()
            await asyncio.sleep(every)
