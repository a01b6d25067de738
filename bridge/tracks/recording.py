"""What is known of the recording of one call once it is closed, and its form in the journal.

A *track* is what one leg said, in the file that Asterisk wrote. The *joined* file holds all tracks
on one time line, for listening only: the tracks stay the evidence (who said what is known).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from bridge.domain.journal import Json, iso, parse_iso
from bridge.tracks.naming import check_leg, milliseconds
from bridge.tracks.wav import Damage

StartSource: TypeAlias = Literal["name", "event", "written"]
"""From the file's name, from the event of its start, or back from when it was last written."""


@dataclass(frozen=True, slots=True)
class LegTimes:
    """When a leg was on the line, UTC. A leg that left and came back is two of them.

    `joined_at`: None for a leg that never spoke; it need not have a track. `ended_at`: None when
    nothing is known of the end. `lost`: its end was not seen (the switch died, the link was down);
    `ended_at` is then the latest moment at which it can have been, holes up to it are estimated.
    `recording_at` is when its recording was seen to start, where that was seen.
    Raises ValueError for times without a zone or in the wrong order, BadName for a bad label.
    """

    leg: str
    joined_at: datetime | None
    ended_at: datetime | None = None
    lost: bool = False
    recording_at: datetime | None = None

    def __post_init__(self) -> None:
        check_leg(self.leg)
        times = (self.joined_at, self.ended_at, self.recording_at)
        if any(time is not None and time.tzinfo is None for time in times):
            raise ValueError(f"leg {self.leg}: a time without a zone; pass aware datetimes")
        if self.joined_at and self.ended_at and self.ended_at < self.joined_at:
            raise ValueError(f"leg {self.leg}: ends before it joins")


class Cause(StrEnum):
    """Why sound is missing."""

    LATE = "late"  # the recording began after the leg had joined
    CUT_OFF = "cut_off"  # the recorder died: what it had not yet written
    SHORT = "short"  # the file was closed, yet is shorter than the leg lived
    UNREADABLE = "unreadable"  # a file is there, its sound cannot be used


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch without sound: from `begin` on the call's time line, `seconds` long.

    `begin` is negative where a leg had joined before any recording began. `estimated`: the leg's
    end was not seen, `seconds` is the most that can be missing.
    """

    begin: float
    seconds: float
    cause: Cause
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """One leg's file. `begin` and `seconds` on the call's time line, in seconds."""

    file: str
    leg: str
    started: datetime
    source: StartSource
    begin: float
    seconds: float
    sha256: str
    damage: Damage = Damage.NONE
    why: str = ""
    repaired_file: str | None = None
    repaired_sha256: str | None = None
    holes: tuple[Hole, ...] = ()

    @property
    def start_ms(self) -> int:
        """The start in milliseconds since epoch, as in the file's name where `source` says so."""
        return milliseconds(self.started)


@dataclass(frozen=True, slots=True)
class Joined:
    """All voices in one file, for listening."""

    file: str
    sha256: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CallRecording:
    """Everything recorded of one call. `zero` is the earliest start; None when nothing is there.

    `missing` are legs that joined and have no file. `joined` is None when there is no sound, or
    none that can be joined: then `not_joined` says why.
    """

    call: str
    zero: datetime | None
    tracks: tuple[Track, ...]
    joined: Joined | None
    missing: tuple[LegTimes, ...] = ()
    not_joined: str = ""

    def data(self) -> dict[str, Json]:
        """The JSON form that goes into a journal fact. The same recording gives the same form."""
        return {
            "call": self.call,
            "zero": iso(self.zero) if self.zero else None,
            "tracks": [_track_data(track) for track in self.tracks],
            "joined": _joined_data(self.joined),
            "missing": [leg_data(leg) for leg in self.missing],
            "not_joined": self.not_joined,
        }


def from_data(data: Mapping[str, Json]) -> CallRecording:
    """Inverse of `data`. Raises ValueError, KeyError or TypeError on anything else."""
    joined = data["joined"]
    return CallRecording(
        call=_text(data["call"]),
        zero=_time(data["zero"]),
        tracks=tuple(_track(_object(item)) for item in _list(data["tracks"])),
        joined=None if joined is None else _joined(_object(joined)),
        missing=tuple(leg_times(_object(item)) for item in _list(data["missing"])),
        not_joined=_text(data["not_joined"]),
    )


def leg_data(leg: LegTimes) -> dict[str, Json]:
    """JSON form of a leg's times."""
    return {
        "leg": leg.leg,
        "joined_at": iso(leg.joined_at) if leg.joined_at else None,
        "ended_at": iso(leg.ended_at) if leg.ended_at else None,
        "lost": leg.lost,
        "recording_at": iso(leg.recording_at) if leg.recording_at else None,
    }


def leg_times(data: Mapping[str, Json]) -> LegTimes:
    """Inverse of `leg_data`."""
    return LegTimes(
        leg=_text(data["leg"]),
        joined_at=_time(data["joined_at"]),
        ended_at=_time(data["ended_at"]),
        lost=data["lost"] is True,
        recording_at=_time(data["recording_at"]),
    )


def _track_data(track: Track) -> dict[str, Json]:
    return {
        "file": track.file,
        "leg": track.leg,
        "started": iso(track.started),
        "start_ms": track.start_ms,
        "source": track.source,
        "begin": track.begin,
        "seconds": track.seconds,
        "sha256": track.sha256,
        "damage": str(track.damage),
        "why": track.why,
        "repaired_file": track.repaired_file,
        "repaired_sha256": track.repaired_sha256,
        "holes": [
            {
                "begin": hole.begin,
                "seconds": hole.seconds,
                "cause": str(hole.cause),
                "estimated": hole.estimated,
            }
            for hole in track.holes
        ],
    }


def _track(data: Mapping[str, Json]) -> Track:
    repaired, digest = data["repaired_file"], data["repaired_sha256"]
    return Track(
        file=_text(data["file"]),
        leg=_text(data["leg"]),
        started=parse_iso(_text(data["started"])),
        source=_source(data["source"]),
        begin=_number(data["begin"]),
        seconds=_number(data["seconds"]),
        sha256=_text(data["sha256"]),
        damage=Damage(_text(data["damage"])),
        why=_text(data["why"]),
        repaired_file=None if repaired is None else _text(repaired),
        repaired_sha256=None if digest is None else _text(digest),
        holes=tuple(_hole(_object(item)) for item in _list(data["holes"])),
    )


def _source(value: Json) -> StartSource:
    known: tuple[StartSource, ...] = ("name", "event", "written")
    for source in known:
        if value == source:
            return source
    raise ValueError(f"source of a start is name, event or written, not {value!r}")


def _hole(data: Mapping[str, Json]) -> Hole:
    return Hole(
        begin=_number(data["begin"]),
        seconds=_number(data["seconds"]),
        cause=Cause(_text(data["cause"])),
        estimated=data["estimated"] is True,
    )


def _joined_data(joined: Joined | None) -> dict[str, Json] | None:
    if joined is None:
        return None
    return {"file": joined.file, "sha256": joined.sha256, "seconds": joined.seconds}


def _joined(data: Mapping[str, Json]) -> Joined:
    return Joined(_text(data["file"]), _text(data["sha256"]), _number(data["seconds"]))


def _time(value: Json) -> datetime | None:
    return None if value is None else parse_iso(_text(value))


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"number expected, not {type(value).__name__}")
    return value


def _list(value: Json) -> Sequence[Json]:
    if not isinstance(value, list):
        raise TypeError(f"list expected, not {type(value).__name__}")
    return value


def _object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise TypeError(f"object expected, not {type(value).__name__}")
    return value
