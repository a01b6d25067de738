"""The child process that makes a call's recording: reads, hashes, repairs, joins.

Started by `close` with a request on its standard input; answers with one JSON object on its
standard output. It limits itself before it touches a file from outside, and works below the
priority of everything that carries calls.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.domain.journal import Json
from bridge.tracks.folder import Folder, NotReady, TracksError, pieces_of, sha256
from bridge.tracks.join import Voice, join
from bridge.tracks.naming import BadName, TrackName, check_case, joined_name, moment
from bridge.tracks.recording import CallRecording, Joined, LegTimes, Track, leg_data, leg_times
from bridge.tracks.timeline import Placed, Take, Timeline, place
from bridge.tracks.wav import (
    HEAD_BYTES,
    MAX_SAMPLES,
    RATE,
    SAMPLE_BYTES,
    Samples,
    header,
    inspect,
)

MEMORY_BYTES: Final = 512 * 1024 * 1024
"""Address space of the child; it uses about a tenth of it."""
OPEN_FILES: Final = 512
NICENESS: Final = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be closed. Of the disk under `into`, `reserve_bytes` stay free."""

    recordings: Path
    into: Path
    call: str
    legs: tuple[LegTimes, ...]
    reserve_bytes: int
    cpu_seconds: int

    def to_json(self) -> str:
        """The text for the child's standard input."""
        data: dict[str, Json] = {
            "recordings": str(self.recordings),
            "into": str(self.into),
            "call": self.call,
            "legs": [leg_data(leg) for leg in self.legs],
            "reserve_bytes": self.reserve_bytes,
            "cpu_seconds": self.cpu_seconds,
        }
        return json.dumps(data)


def read_request(text: str) -> Request:
    """Inverse of `Request.to_json`. Raises ValueError, KeyError or TypeError."""
    data = json.loads(text)
    return Request(
        recordings=Path(data["recordings"]),
        into=Path(data["into"]),
        call=check_case(data["call"]),
        legs=tuple(leg_times(leg) for leg in data["legs"]),
        reserve_bytes=int(data["reserve_bytes"]),
        cpu_seconds=int(data["cpu_seconds"]),
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """An open original and what was found in it."""

    descriptor: int
    take: Take


def make(request: Request) -> CallRecording:
    """Read all tracks of a call, repair and join them; doing it again gives the same.

    Raises NotReady when a file changes meanwhile, TracksError when files cannot be read or made;
    then originals are untouched and no half-made file stands under its name.
    """
    with contextlib.ExitStack() as opened:
        recordings = opened.enter_context(Folder(request.recordings))
        into = opened.enter_context(Folder(request.into))
        into.lock()
        try:
            sources = _open_all(recordings, recordings.tracks(request.call), opened)
            timeline = place([source.take for source in sources], request.legs)
            _check_room(into, sources, timeline, request.reserve_bytes)
            by_name = {source.take.name: source for source in sources}
            tracks = tuple(
                _track(one, by_name[one.take.name], timeline.zero_ms, into)
                for one in timeline.placed
            )
            joined, why = _joined(request.call, timeline, by_name, into)
            _check_unchanged(sources)
        except OSError as error:
            raise TracksError(f"call {request.call}: {error}") from error
    zero = moment(timeline.zero_ms) if tracks else None
    return CallRecording(request.call, zero, tracks, joined, timeline.missing, why)


def _open_all(
    folder: Folder, names: Sequence[TrackName], opened: contextlib.ExitStack
) -> list[_Source]:
    sources = []
    for name in names:
        descriptor = folder.open(str(name))
        opened.callback(os.close, descriptor)
        known = os.fstat(descriptor)
        sound = inspect(os.pread(descriptor, HEAD_BYTES, 0), known.st_size)
        take = Take(name, sound, known.st_size, known.st_mtime_ns // 1_000_000)
        sources.append(_Source(descriptor, take))
    return sources


def _check_room(into: Folder, sources: Sequence[_Source], line: Timeline, reserve: int) -> None:
    repaired = sum(s.take.sound.samples for s in sources if s.take.sound.repairable)
    needed = (repaired + min(line.samples, MAX_SAMPLES)) * SAMPLE_BYTES
    free = into.free_bytes()
    if free - needed < reserve:
        raise TracksError(
            f"{into.path}: {needed} bytes needed and {reserve} kept for the store, "
            f"but {free} are free; make room, then close the call again"
        )


def _check_unchanged(sources: Sequence[_Source]) -> None:
    for source in sources:
        if os.fstat(source.descriptor).st_size != source.take.size:
            raise NotReady(f"{source.take.name}: is still being written")


def _track(one: Placed, source: _Source, zero_ms: int, into: Folder) -> Track:
    name, sound = one.take.name, one.take.sound
    repaired = repaired_digest = None
    if sound.repairable:
        repaired = name.repaired
        repaired_digest = into.replace(repaired, _repaired(source))
    return Track(
        file=str(name),
        leg=name.leg,
        started=moment(one.start_ms),
        source=one.source,
        begin=(one.start_ms - zero_ms) / 1000,
        seconds=sound.seconds,
        sha256=sha256(source.descriptor),
        damage=sound.damage,
        why=sound.why,
        repaired_file=repaired,
        repaired_sha256=repaired_digest,
        holes=one.holes,
    )


def _repaired(source: _Source) -> Iterator[bytes]:
    sound = source.take.sound
    yield header(sound.samples)
    yield from pieces_of(source.descriptor, sound.offset, sound.samples * SAMPLE_BYTES)


def _joined(
    call: str, line: Timeline, sources: Mapping[TrackName, _Source], into: Folder
) -> tuple[Joined | None, str]:
    """The joined file, or why there is none."""
    if line.samples == 0:
        return None, "no track holds any sound"
    if line.samples > MAX_SAMPLES:
        hours = MAX_SAMPLES // RATE // 3600
        return None, f"the tracks lie more than {hours} hours apart: was a clock set?"
    voices = [
        Voice(Samples(sources[one.take.name].descriptor, one.take.sound), one.offset)
        for one in line.placed
    ]
    name = joined_name(call)
    digest = into.replace(name, join(voices, line.samples))
    return Joined(name, digest, line.samples / RATE), ""


def _limit(cpu_seconds: int) -> None:
    """Bound what a hostile file can make of this process; no core file with voices in it."""
    largest = MAX_SAMPLES * SAMPLE_BYTES + HEAD_BYTES
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, largest),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(what, (limit, limit))
    os.nice(NICENESS)


def main() -> None:
    """Read one request, answer it. Every failure is an answer too."""
    answer: dict[str, Json]
    try:
        request = read_request(sys.stdin.read())
        _limit(request.cpu_seconds)
        answer = {"recording": make(request).data()}
    except NotReady as error:
        answer = {"not_ready": str(error)}
    except (TracksError, BadName) as error:
        answer = {"failed": str(error)}
    answer["peak_kb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
