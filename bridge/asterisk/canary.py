"""The canary's bookkeeping: how old is what we read, and was anything lost (three-way sheet, 6).

Pure: numbers and times in, judgement out. The link sends the action and hands back the event.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.wire.ami import Message

NAME: Final = "Bridge110Canary"

MAX_OUTSTANDING: Final = 120
"""Two minutes at one a second; the link is dropped long before."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A canary that came back: its age in seconds and how many older ones never did."""

    lag_s: float
    lost: int


class Canary:
    """Canaries of one session. `token` keeps those of other sessions and daemons apart."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._number = 0
        self._sent: OrderedDict[int, float] = OrderedDict()
        self._last_lag: float | None = None

    @property
    def out(self) -> bool:
        """One at least has not come back so far."""
        return bool(self._sent)

    @property
    def full(self) -> bool:
        """No further canary is sent before one comes back."""
        return len(self._sent) >= MAX_OUTSTANDING

    def next(self, now: float) -> Mapping[str, str]:
        """Headers of the next `UserEvent` action, sent at `now` (monotonic seconds)."""
        self._number += 1
        self._sent[self._number] = now
        return {"UserEvent": NAME, "Number": str(self._number), "Link": self._token}

    def withdraw(self) -> None:
        """The newest was not sent after all."""
        self._sent.pop(self._number, None)

    def take(self, event: Message, now: float) -> Returned | None:
        """Judge a returned canary; None for a stranger's or one already judged."""
        if event.get("Link") != self._token:
            return None
        text = event.get("Number")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
        sent = self._sent.pop(number, None)
        if sent is None:
            return None
        lost = [older for older in self._sent if older < number]
        for older in lost:
            del self._sent[older]
        self._last_lag = now - sent
        return Returned(self._last_lag, len(lost))

    def lag(self, now: float) -> float | None:
        """Seconds by which what we read is known to be late; None before the first return.

        While a canary is out for longer than the last one took, its age counts: the figure
        grows when nothing comes back at all.
        """
        oldest = next(iter(self._sent.values()), None)
        waiting = None if oldest is None else now - oldest
        known = [figure for figure in (self._last_lag, waiting) if figure is not None]
        return max(known, default=None)
