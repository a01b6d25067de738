"""Tracks on one time line, and the stretches in which sound is missing.

The line starts with the earliest track. A track begins when its recording was seen to start, else
at the milliseconds in its name, or later where its leg at first sent nothing; all are the switch's
wall clock. Where a recording was cut off,
the hole reaches from the last recorded sample to the leg's known end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.tracks.naming import TrackName, milliseconds
from bridge.tracks.recording import Cause, Hole, LegTimes, StartSource
from bridge.tracks.wav import BUFFER_SAMPLES, RATE, SAMPLE_BYTES, Damage, Sound

SAMPLES_PER_MS: Final = RATE // 1000
EVENT_TRUST_MS: Final = 2000
"""An event further from the name was read late (a stalled reader reads the past): name counts."""
PACKET_MS: Final = 20
"""One packet: a first sound so soon after the name's time is no later than can be told."""
SILENT_MS: Final = 80
"""A leg that sends its first sound so much after the name's time starts then (see `_sounding`)."""
WRITTEN_SLACK_MS: Final = 1000
"""A file written later than this after its leg's end was touched by others: no witness."""
DRIFT: Final = 5000
"""A telephone's clock may lose one part in so many without its track counting as begun late."""
LEG_SLACK_MS: Final = 5000
"""How long after its leg's end a track may start: a leg's end can be seen too early, not long."""
LATE_MS: Final = 1000
"""A track may begin so long after its leg was seen to join without a hole."""
SHORT_MS: Final = 250
"""A closed track may end this much before its leg was seen to end without a hole."""
CUT_MS: Final = 20
"""One packet: a cut-off track that reaches the leg's end but for this has no hole."""


@dataclass(frozen=True, slots=True)
class Take:
    """One file: its name, its sound, its length in bytes, when it was last written (ms)."""

    name: TrackName
    sound: Sound
    size: int
    written_ms: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A take in its place: it begins `offset` samples after the line's zero."""

    take: Take
    start_ms: int
    source: StartSource
    offset: int
    holes: tuple[Hole, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """All tracks of a call. `zero_ms` is the earliest start, ms since epoch (0: no track)."""

    zero_ms: int
    placed: tuple[Placed, ...]
    missing: tuple[LegTimes, ...]

    @property
    def samples(self) -> int:
        """Length up to the last recorded sample of any track; 0 when there is no sound at all."""
        ends = (
            one.offset + one.take.sound.samples for one in self.placed if one.take.sound.samples
        )
        return max(ends, default=0)


def place(takes: Sequence[Take], legs: Sequence[LegTimes]) -> Timeline:
    """Put every take on one line and list the holes and the legs without any file.

    A take of a leg that `legs` does not name (a three-way made while nobody watched) is placed all
    the same; the end of its leg is then not known, and the hole of a cut-off one is estimated.
    """
    ordered = sorted(takes, key=lambda take: (take.name.started_ms, take.name.leg))
    stays = [_stay(take.name, legs) for take in ordered]
    starts = [_start(index, ordered, stays) for index in range(len(ordered))]
    zero = min((ms for ms, _ in starts), default=0)
    placed = []
    for index, (take, (start_ms, source)) in enumerate(zip(ordered, starts, strict=True)):
        end_ms = _end(index, ordered, stays)
        stay = stays[index]
        lost = stay is not None and stay.lost
        holes = _late(index, stays, start_ms, zero) + _holes(take, start_ms, end_ms, zero, lost)
        offset = (start_ms - zero) * SAMPLES_PER_MS
        placed.append(Placed(take, start_ms, source, offset, holes))
    return Timeline(zero, tuple(placed), _without(legs, stays))


def _without(legs: Sequence[LegTimes], stays: Sequence[LegTimes | None]) -> tuple[LegTimes, ...]:
    seen = {id(stay) for stay in stays}
    return tuple(leg for leg in legs if leg.joined_at is not None and id(leg) not in seen)


def _stay(name: TrackName, legs: Sequence[LegTimes]) -> LegTimes | None:
    """The stay on the line to which a track belongs: it starts in it, or soonest before it.

    A recording begins long before its leg joins where a citizen waits or a party is consulted.
    """

    def before(leg: LegTimes) -> int:
        return milliseconds(leg.joined_at) - name.started_ms if leg.joined_at else 0

    def over(leg: LegTimes) -> int:
        return name.started_ms - milliseconds(leg.ended_at) if leg.ended_at else 0

    open_to_it = [leg for leg in legs if leg.leg == name.leg and over(leg) <= LEG_SLACK_MS]
    return min(
        open_to_it,
        key=lambda leg: (max(before(leg), over(leg), 0), abs(before(leg))),
        default=None,
    )


def _start(
    index: int, takes: Sequence[Take], stays: Sequence[LegTimes | None]
) -> tuple[int, StartSource]:
    start: tuple[int, StartSource] = takes[index].name.started_ms, "name"
    stay = _first(index, stays)
    if stay is not None and stay.recording_at is not None:
        seen = milliseconds(stay.recording_at)
        if abs(seen - start[0]) <= EVENT_TRUST_MS:
            start = seen, "event"
    sounding = _sounding(takes[index], stays[index])
    if sounding is not None and sounding > start[0]:
        return sounding, "written"
    return start


def _sounding(take: Take, stay: LegTimes | None) -> int | None:
    """When the first sample was said, where the leg began to send late; else None.

    Asterisk's recorder fills in later silence, not that before a leg's first packet: measured on
    22.10.1, a leg silent for 0.50 s has a track of 0.50 s less, its name says the earlier time.
    Both a closed file and a full buffer are written as soon as their sound is there.
    """
    if stay is None or stay.ended_at is None:
        return None
    length = take.sound.samples // SAMPLES_PER_MS
    late = take.written_ms - length - take.name.started_ms
    touched = take.written_ms > milliseconds(stay.ended_at) + WRITTEN_SLACK_MS
    drift = length // DRIFT
    if touched or length == 0 or late <= PACKET_MS + drift:
        return None
    if late <= SILENT_MS + drift:  # began late or was written late: between the two, 40 ms at most
        return take.name.started_ms + late // 2
    return take.name.started_ms + late


def _end(index: int, takes: Sequence[Take], stays: Sequence[LegTimes | None]) -> int | None:
    """When the track should end: with its leg, or where the same leg's next track begins."""
    stay = stays[index]
    if stay is None:
        return None
    for later in range(index + 1, len(takes)):
        if stays[later] is stay:
            return takes[later].name.started_ms
    return milliseconds(stay.ended_at) if stay.ended_at else None


def _first(index: int, stays: Sequence[LegTimes | None]) -> LegTimes | None:
    """The track's stay, if no earlier track belongs to it."""
    stay = stays[index]
    return None if any(earlier is stay for earlier in stays[:index]) else stay


def _late(
    index: int, stays: Sequence[LegTimes | None], start_ms: int, zero_ms: int
) -> tuple[Hole, ...]:
    stay = _first(index, stays)
    if stay is None or stay.joined_at is None:
        return ()
    joined_ms = milliseconds(stay.joined_at)
    if start_ms - joined_ms <= LATE_MS:
        return ()
    return (Hole((joined_ms - zero_ms) / 1000, (start_ms - joined_ms) / 1000, Cause.LATE),)


def _holes(
    take: Take, start_ms: int, end_ms: int | None, zero_ms: int, lost: bool
) -> tuple[Hole, ...]:
    sound = take.sound
    begin = (start_ms - zero_ms) / 1000
    recorded_to = begin + sound.samples / RATE
    if sound.damage is Damage.UNREADABLE:
        if end_ms is None:
            return (Hole(begin, take.size / SAMPLE_BYTES / RATE, Cause.UNREADABLE, True),)
        return (Hole(begin, max(end_ms - start_ms, 0) / 1000, Cause.UNREADABLE, lost),)
    if end_ms is None:
        if not sound.cut_off:
            return ()
        return (Hole(recorded_to, BUFFER_SAMPLES / RATE, Cause.CUT_OFF, True),)
    lacking_ms = end_ms - start_ms - sound.samples / SAMPLES_PER_MS
    if sound.cut_off and lacking_ms > CUT_MS:
        return (Hole(recorded_to, lacking_ms / 1000, Cause.CUT_OFF, lost),)
    if not sound.cut_off and lacking_ms > SHORT_MS:
        return (Hole(recorded_to, lacking_ms / 1000, Cause.SHORT, lost),)
    return ()
