"""When a line-keyed radio is keyed: busy channel, lead-in, tail, time-out timer. Pure.

States of the line-keyed sheet, section 6, as one table of what each event does; seconds of a
steady clock are passed in. The transmitter is never keyed longer than the time-out timer, whatever
happens, and not at all while the channel is busy, except by an override.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BUSY_RANDOM_S: Final = (0.2, 2.0)
"""Pause after the channel became free, drawn anew each time, so that two stations do not key at
one instant."""


class K(StrEnum):
    """States of a transmission."""

    IDLE = "idle"
    BUSY = "busy"
    PAUSE = "pause"
    LEAD_IN = "lead-in"
    SENDING = "sending"
    TAIL = "tail"
    WAITING = "waiting"


class Act(StrEnum):
    """What is to be done."""

    KEY = "key"
    PLAY = "play"
    STOP = "stop"
    """Stop the sound: it may not go on unkeyed."""
    UNKEY = "unkey"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    """The channel did not become free in time; nothing was sent."""
    TIME_OUT = "time-out"
    CUT = "cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyingTimes:
    """Seconds. `open_s` is how long the squelch must be open to count, `hang_s` how long it counts
    after it closed; `stuck_s` is when an open squelch is taken for a fault and no longer heeded."""

    lead_in_s: float = 0.3
    tail_s: float = 0.1
    time_out_s: float = 60.0
    busy_max_s: float = 20.0
    answer_s: float = 0.0
    open_s: float = 0.04
    hang_s: float = 0.2
    stuck_s: float = 120.0


class Squelch:
    """The carrier input without flutter. `open` is what counts."""

    def __init__(self, times: KeyingTimes) -> None:
        self._times = times
        self._raw = False
        self._since = 0.0
        self._opened = 0.0
        self.open = False

    def see(self, raw: bool, now: float) -> None:
        """The line as it is now; call it at each look."""
        if raw != self._raw:
            self._raw, self._since = raw, now
        wait = self._times.open_s if raw else self._times.hang_s
        if self.open != raw and now - self._since >= wait:
            self.open = raw
            self._opened = now

    @property
    def unsettled(self) -> bool:
        """The line has moved and does not count yet: look again soon."""
        return self._raw != self.open

    def stuck(self, now: float) -> bool:
        """Open for longer than any talker holds it."""
        return self.open and now - self._opened >= self._times.stuck_s


class Keying:
    """One transmission at a time. `deadline` says when `tick` is due."""

    def __init__(self, times: KeyingTimes, rng: random.Random) -> None:
        self._times = times
        self._rng = rng
        self.state = K.IDLE
        self.deadline: float | None = None
        self._give_up = 0.0
        self._keyed_at: float | None = None

    @property
    def keyed(self) -> bool:
        """The transmitter is on."""
        return self._keyed_at is not None

    def start(self, now: float, *, busy: bool, override: bool = False) -> list[Act]:
        """Begin a transmission. Raises RuntimeError while one is under way."""
        if self.state is not K.IDLE:
            raise RuntimeError(f"transmission under way ({self.state})")
        self._give_up = now + self._times.busy_max_s
        if busy and not override:
            self.state, self.deadline = K.BUSY, self._give_up
            return []
        return self._key(now)

    def _key(self, now: float) -> list[Act]:
        self.state = K.LEAD_IN
        self._keyed_at = now
        self.deadline = now + self._times.lead_in_s
        return [Act.KEY]

    def channel(self, busy: bool, now: float) -> list[Act]:
        """The squelch as it counts; heeded before keying and, while waiting, as the answer."""
        if self.state is K.BUSY and not busy:
            self.state = K.PAUSE
            self.deadline = now + self._rng.uniform(*BUSY_RANDOM_S)
        elif self.state is K.PAUSE and busy:
            self.state, self.deadline = K.BUSY, self._give_up
        return []

    def played(self, now: float) -> list[Act]:
        """The sound has come to its end."""
        if self.state is not K.SENDING:
            return []
        self.state = K.TAIL
        self.deadline = min(now + self._times.tail_s, self._last_moment())
        return []

    def answered(self, now: float) -> list[Act]:
        """The called station's acknowledgement was heard."""
        if self.state is not K.WAITING:
            return []
        self.state, self.deadline = K.IDLE, None
        return [Act.ACKNOWLEDGED]

    def stop(self) -> list[Act]:
        """Emergency stop, or the owner does not want it any more; every state ends."""
        was, keyed = self.state, self.keyed
        self._end()
        if keyed:
            return [Act.STOP, Act.UNKEY, Act.CUT]
        return [Act.NO_ANSWER] if was is K.WAITING else [Act.CUT] if was is not K.IDLE else []

    def _end(self) -> None:
        self.state, self.deadline, self._keyed_at = K.IDLE, None, None

    def _last_moment(self) -> float:
        assert self._keyed_at is not None
        return self._keyed_at + self._times.time_out_s

    def tick(self, now: float) -> list[Act]:
        """What is due at `now`."""
        if self._keyed_at is not None and now >= self._last_moment():
            self._end()
            return [Act.STOP, Act.UNKEY, Act.TIME_OUT]
        if self.deadline is None or now < self.deadline:
            return []
        if self.state is K.BUSY:
            self._end()
            return [Act.BUSY]
        if self.state is K.PAUSE:
            return self._key(now)
        if self.state is K.LEAD_IN:
            self.state = K.SENDING
            self.deadline = self._last_moment()
            return [Act.PLAY]
        if self.state is K.TAIL:
            self._keyed_at = None
            if self._times.answer_s <= 0:
                self._end()
                return [Act.UNKEY, Act.SENT]
            self.state, self.deadline = K.WAITING, now + self._times.answer_s
            return [Act.UNKEY, Act.SENT]
        self._end()
        return [Act.NO_ANSWER]
