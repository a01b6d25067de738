"""What a leg heard: tones, gaps and silences, found in the packets it received. Pure.

A leg stores each packet's payload and arrival time and nothing else; all analysis is on demand.
Tones are found by correlation over 100 ms: there any two frequencies that are multiples of 10 Hz
are orthogonal, so 440 Hz and 450 Hz are told apart. Times are monotonic seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import cos, pi, sin
from operator import mul
from typing import Final, NamedTuple

from bridge.lab.sdp import PCMA, PCMU
from bridge.lab.tones import CYCLE, FRAME, FRAME_S, HOLD, KNOWN, RATE, RINGING, linear_table

MAX_PACKETS: Final = 90_000
"""Half an hour of one leg, 15 MB; then the oldest tenth is forgotten."""
MIN_PEAK: Final = 2500.0
"""A tone is there from this peak on (16-bit scale): above what 10 Hz beside it leaks (2300)."""
MIN_SHARE: Final = 0.3
"""Share of the window's power that the known tones must explain; speech does not reach it."""
MIN_RMS: Final = 200.0
"""A packet below is silence (-44 dB of full scale)."""
NEAR_S: Final = 0.06
"""How far the found end of a tone may be off."""
RUN_BREAK_S: Final = 0.1
"""After such a gap a tone is a new interval."""


class Cadence(NamedTuple):
    """Seconds of sound, and of the pause after it."""

    sound: float
    pause: float


CADENCES: Final[Mapping[int, Cadence]] = {HOLD: Cadence(0.2, 1.0), RINGING: Cadence(1.0, 4.2)}
"""Sounds whose pauses are no silence (asterisk-three-way.md, section 3)."""


class Packet(NamedTuple):
    """One RTP packet as it came."""

    at: float
    sequence: int
    timestamp: int
    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Interval:
    """A tone was heard from `start` to `end`."""

    frequency: int
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


class _Frame(NamedTuple):
    at: float
    power: float
    sums: tuple[complex, ...]


@lru_cache(maxsize=8)
def _tables(
    known: tuple[int, ...],
) -> tuple[tuple[tuple[float, ...], tuple[float, ...], tuple[complex, ...]], ...]:
    """Of each frequency: cosine and sine over one frame, and the turn from frame to frame."""
    made = []
    for frequency in known:
        step = 2 * pi * frequency / RATE
        turns = [step * FRAME * k for k in range(CYCLE)]
        made.append(
            (
                tuple(cos(step * n) for n in range(FRAME)),
                tuple(-sin(step * n) for n in range(FRAME)),
                tuple(complex(cos(turn), -sin(turn)) for turn in turns),
            )
        )
    return tuple(made)


@lru_cache(maxsize=4096)
def _correlate(
    payload: bytes, kind: int, known: tuple[int, ...]
) -> tuple[float, tuple[complex, ...]]:
    """Mean square of one frame, and its sums with each known frequency. A steady tone repeats its
    payloads, so most frames are found here ready."""
    samples = list(map(linear_table(kind).__getitem__, payload))
    power = sum(map(mul, samples, samples)) / max(len(samples), 1)
    if len(samples) != FRAME or power < MIN_RMS**2 / 4:
        return power, (0j,) * len(known)
    tables = _tables(known)
    return power, tuple(
        complex(sum(map(mul, samples, c)), sum(map(mul, samples, s))) for c, s, _ in tables
    )


def _runs(packets: Sequence[Packet], known: tuple[int, ...]) -> Iterator[list[_Frame]]:
    """Frames without a longer break between them, all turned to one common phase."""
    tables = _tables(known)
    run: list[_Frame] = []
    previous: Packet | None = None
    position = 0
    for packet in packets:
        if packet.kind not in (PCMA, PCMU):
            continue
        if previous is not None and packet.at - previous.at > RUN_BREAK_S:
            yield run
            run, previous = [], None
        if previous is not None:
            ahead = (packet.timestamp - previous.timestamp) & 0xFFFFFFFF
            position += ahead // FRAME if ahead % FRAME == 0 and ahead < RATE else 1
        power, sums = _correlate(packet.payload, packet.kind, known)
        k = position % CYCLE
        turned = tuple(value * table[2][k] for value, table in zip(sums, tables, strict=True))
        run.append(_Frame(packet.at, power, turned))
        previous = packet
    if run:
        yield run


def _present(run: Sequence[_Frame], known: tuple[int, ...]) -> Iterator[tuple[float, set[int]]]:
    """Arrival of each frame, and the tones in the 100 ms around it."""
    half = CYCLE // 2
    size = FRAME * CYCLE
    for centre, frame in enumerate(run):
        window = run[max(0, centre - half) : centre + half + 1]
        power = sum(other.power for other in window) / CYCLE
        sums = map(sum, zip(*(other.sums for other in window), strict=True))
        peaks = [2 * abs(total) / size for total in sums]
        explained = sum(peak * peak for peak in peaks) / 2
        there = explained >= MIN_SHARE * power > 0
        yield (
            frame.at,
            {f for f, peak in zip(known, peaks, strict=True) if there and peak >= MIN_PEAK},
        )


def tones_by_frame(
    packets: Sequence[Packet], known: Sequence[int] = KNOWN
) -> list[tuple[float, frozenset[int]]]:
    """Arrival of each audio packet, and the tones heard around it."""
    frequencies = tuple(known)
    return [
        (at, frozenset(present))
        for run in _runs(packets, frequencies)
        for at, present in _present(run, frequencies)
    ]


def intervals(
    packets: Sequence[Packet], known: Sequence[int] = KNOWN, at_least: float = 0.05
) -> list[Interval]:
    """Every tone that lasted `at_least` seconds, ordered by its beginning."""
    open_since: dict[int, float] = {}
    last: float | None = None
    found: list[Interval] = []

    def close(frequency: int, end: float) -> None:
        found.append(Interval(frequency, open_since.pop(frequency), end))

    for at, present in tones_by_frame(packets, known):
        if last is not None and at - last > RUN_BREAK_S:
            for frequency in list(open_since):
                close(frequency, last + FRAME_S)
        for frequency in list(open_since):
            if frequency not in present and last is not None:
                close(frequency, last + FRAME_S)
        for frequency in present:
            open_since.setdefault(frequency, at)
        last = at
    for frequency in list(open_since):
        close(frequency, (last or 0.0) + FRAME_S)
    lasting = [one for one in found if one.seconds >= at_least]
    return sorted(lasting, key=lambda one: (one.start, one.frequency))


def longest_gap(packets: Sequence[Packet], t0: float, t1: float) -> float:
    """Longest time within [t0, t1] in which no packet arrived."""
    times = [t0, *(p.at for p in packets if t0 <= p.at <= t1), t1]
    return max((later - earlier for earlier, later in pairwise(times)), default=0.0)


def silences(packets: Sequence[Packet], t0: float, t1: float) -> list[tuple[float, float]]:
    """Stretches within [t0, t1] without a packet that carries sound."""
    found: list[tuple[float, float]] = []
    quiet_since = t0
    for packet in packets:
        if not t0 - FRAME_S <= packet.at <= t1 or packet.kind not in (PCMA, PCMU):
            continue
        if _correlate(packet.payload, packet.kind, KNOWN)[0] >= MIN_RMS**2:
            if packet.at > quiet_since:
                found.append((quiet_since, packet.at))
            quiet_since = max(quiet_since, packet.at + FRAME_S)
    if t1 > quiet_since:
        found.append((quiet_since, t1))
    return found


def longest_silence(
    packets: Sequence[Packet],
    t0: float,
    t1: float,
    cadences: Mapping[int, Cadence] | None = None,
) -> float:
    """Longest time within [t0, t1] without RTP, or with RTP that carries no sound.

    With `cadences` the pause after a whole sound of theirs is no silence. Give packets from before
    t0 too, else the first sound is not whole.
    """
    known = cadences or {}
    whole = [
        one
        for one in (intervals(packets) if known else [])
        if one.frequency in known and one.seconds > known[one.frequency].sound - NEAR_S
    ]
    return max(
        (
            end - start
            for start, end in silences(packets, t0, t1)
            if not any(
                one.end - NEAR_S < start < one.end + known[one.frequency].pause
                and end <= one.end + known[one.frequency].pause
                for one in whole
            )
        ),
        default=0.0,
    )


class Ear:
    """What one leg has received. Written by the media thread, read by anybody."""

    def __init__(self) -> None:
        self._packets: list[Packet] = []
        self.received = 0
        """Packets of audio and telephone events since the beginning."""

    def hear(self, packet: Packet) -> None:
        """Store one packet; the oldest tenth goes when MAX_PACKETS are there."""
        self.received += 1
        self._packets.append(packet)
        if len(self._packets) > MAX_PACKETS:
            del self._packets[: MAX_PACKETS // 10]

    def between(self, t0: float, t1: float) -> list[Packet]:
        """The packets that arrived within [t0, t1]."""
        packets = self._packets[:]  # one step of the interpreter: the media thread may go on
        first = bisect_left(packets, t0, key=lambda packet: packet.at)
        last = bisect_left(packets, t1, key=lambda packet: packet.at)
        return packets[first:last]

    def tail(self, t0: float) -> list[Packet]:
        """The packets since t0, cheap when that was a moment ago."""
        count = 64
        while True:
            packets = self._packets[-count:]
            if len(packets) < count or packets[0].at < t0:
                return [packet for packet in packets if packet.at >= t0]
            count *= 4
