"""What a party of a call hears and says: the half of `Call` that is no signalling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Final

from bridge.lab import ear
from bridge.lab.ear import CADENCES, Interval
from bridge.lab.media import Leg
from bridge.lab.tones import FRAME_S, KNOWN

POLL_S: Final = 0.03
MARGIN_S: Final = 1.5
"""Analysis begins so much earlier, so that a sound at the edge is seen whole."""
LIVE_S: Final = 0.15
"""After so long without a packet nothing is heard any more."""


def _set_from_thread(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    loop.call_soon_threadsafe(done.set)


class Hearing:
    """Times are monotonic seconds; tones are frequencies in Hz of `tones.KNOWN`."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg

    @property
    def rtp_received(self) -> int:
        """Packets so far."""
        return self.leg.ear.received

    @property
    def rtp_sent(self) -> int:
        """Packets so far."""
        return self.leg.sent

    @property
    def keys_heard(self) -> str:
        """Keys that came as telephone events, in order."""
        return "".join(key for _, key in self.leg.keys)

    def mute_rtp(self, muted: bool) -> None:
        """Send no RTP at all, as a telephone that died; signalling goes on."""
        self.leg.muted = muted

    async def press(self, keys: str, timeout: float = 5.0) -> None:
        """Send keys as telephone events (RFC 4733), 180 ms each; returns when the last is out.

        Raises ValueError for what is no key, TimeoutError when the call does not let us send.
        """
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        self.leg.press(keys, lambda: _set_from_thread(loop, done))
        async with asyncio.timeout(timeout + 0.26 * len(keys)):
            await done.wait()

    async def wait_hears(
        self,
        tones: Collection[int],
        timeout: float,
        at_least: float = 0.1,
        others: bool = False,
    ) -> float:
        """Wait until exactly `tones` are heard together for `at_least` seconds (below 0.9), with
        `others` until at least they are; returns since when. An empty set is silence with RTP.

        Raises TimeoutError, saying what was heard.
        """
        wanted = frozenset(tones)
        need = max(round(at_least / FRAME_S), 1)
        begun = time.monotonic()
        while True:
            now = time.monotonic()
            frames = ear.tones_by_frame(self.leg.ear.tail(max(now - 1.0, begun - at_least)))
            for fits, group in groupby(
                frames, lambda f: f[1] >= wanted if others else f[1] == wanted
            ):
                stretch = list(group)
                if fits and len(stretch) >= need:
                    return stretch[0][0]
            if now - begun > timeout:
                raise TimeoutError(f"{sorted(wanted)} not heard in {timeout:g} s; {self._words()}")
            await asyncio.sleep(POLL_S)

    async def wait_hears_not(
        self, tones: Collection[int], timeout: float, at_least: float = 0.2
    ) -> None:
        """Wait until none of `tones` was heard for `at_least` seconds (no RTP counts as nothing).

        Raises TimeoutError, saying what was heard.
        """
        unwanted = frozenset(tones)
        begun = time.monotonic()
        while True:
            now = time.monotonic()
            frames = ear.tones_by_frame(self.leg.ear.tail(now - at_least))
            if not any(present & unwanted for _, present in frames):
                return
            if now - begun > timeout:
                raise TimeoutError(f"{sorted(unwanted)} heard after {timeout:g} s; {self._words()}")
            await asyncio.sleep(POLL_S)

    def hears(self) -> frozenset[int]:
        """The tones of this moment; empty when no RTP comes."""
        now = time.monotonic()
        frames = ear.tones_by_frame(self.leg.ear.tail(now - 2 * LIVE_S))
        if not frames or frames[-1][0] < now - LIVE_S:
            return frozenset()
        return frames[max(-3, -len(frames))][1]

    def heard(self, t0: float, t1: float, at_least: float = 0.05) -> set[int]:
        """The tones heard at any time within [t0, t1], each for `at_least` seconds in one go."""
        return {one.frequency for one in self.tones(t0, t1) if one.seconds >= at_least}

    def tones(self, t0: float, t1: float, known: Sequence[int] = KNOWN) -> list[Interval]:
        """When each tone was heard within [t0, t1], cut at its edges."""
        packets = self.leg.ear.between(t0 - MARGIN_S, t1 + 3 * FRAME_S)
        cut = (
            Interval(one.frequency, max(one.start, t0), min(one.end, t1))
            for one in ear.intervals(packets, known)
        )
        return [one for one in cut if one.seconds > 0]

    def longest_gap(self, t0: float, t1: float) -> float:
        """Longest time within [t0, t1] in which no packet came, in seconds."""
        return ear.longest_gap(self.leg.ear.between(t0, t1), t0, t1)

    def longest_silence(self, t0: float, t1: float, cadences: bool = False) -> float:
        """Longest time within [t0, t1] without RTP, or with RTP that carries no sound, in seconds.
        With `cadences` the pauses of hold tone and ringing do not count."""
        packets = self.leg.ear.between(t0 - MARGIN_S, t1)
        return ear.longest_silence(packets, t0, t1, CADENCES if cadences else None)

    def _words(self) -> str:
        now = time.monotonic()
        recent = [
            f"{one.frequency} Hz {one.seconds:.2f} s until {now - one.end:.2f} s ago"
            for one in self.tones(now - 5.0, now)
        ]
        last = self.leg.ear.tail(now - 5.0)
        came = f"last packet {now - last[-1].at:.2f} s ago" if last else "no packet for 5 s"
        return f"{came}; in the last 5 s: {', '.join(recent) or 'no tone'}"
