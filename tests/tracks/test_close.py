"""Closing a call's recording: every voice at its time, broken files kept and mended."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import time
import wave
from array import array
from pathlib import Path

import pytest

from bridge.tracks.close import close_call
from bridge.tracks.folder import Folder, NotReady, TracksError
from bridge.tracks.join import mix
from bridge.tracks.naming import BadName
from bridge.tracks.recording import CallRecording, Cause, LegTimes, from_data
from bridge.tracks.wav import Damage
from tests.tracks.listen import tones
from tests.tracks.sounds import BEGIN_MS, CALL, at, track, unclosed, voice

CITIZEN, SEAT, HOTLINE = 400, 800, 1200


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def close(directory: Path, *legs: LegTimes, call: str = CALL) -> CallRecording:
    return await close_call(directory, call, legs, deadline_s=8.0, reserve_bytes=0)


def handoff(directory: Path) -> tuple[LegTimes, ...]:
    """Citizen, seat and hotline; the seat leaves, the others talk on."""
    track(directory, "citizen", 0.0, voice(CITIZEN, 9.0, [(1.0, 2.5), (6.0, 8.5)]))
    track(directory, "seat-8001", 0.637, voice(SEAT, 4.0, [(0.5, 3.5)]))
    track(directory, "hotline", 3.111, voice(HOTLINE, 5.5, [(1.0, 5.0)]))
    return (
        LegTimes("citizen", at(0), at(9)),
        LegTimes("seat-8001", at(0.637), at(4.64)),
        LegTimes("hotline", at(3.111), at(8.61)),
    )


async def test_each_voice_is_at_its_true_time_in_the_joined_file(tmp_path: Path) -> None:
    made = await close(tmp_path, *handoff(tmp_path))

    assert made.joined is not None
    heard = tones(tmp_path / made.joined.file, [CITIZEN, SEAT, HOTLINE])
    expected = {
        CITIZEN: [(1.0, 2.5), (6.0, 8.5)],
        SEAT: [(0.637 + 0.5, 0.637 + 3.5)],
        HOTLINE: [(3.111 + 1.0, 3.111 + 5.0)],
    }
    assert {freq: len(stretches) for freq, stretches in heard.items()} == {
        freq: len(stretches) for freq, stretches in expected.items()
    }
    for freq, stretches in expected.items():
        for found, true in zip(heard[freq], stretches, strict=True):
            assert found == pytest.approx(true, abs=0.04)
    assert made.joined.seconds == pytest.approx(9.0)
    assert made.joined.sha256 == sha256(tmp_path / f"{CALL}-joined.wav")
    assert made.missing == ()
    assert not any(one.holes for one in made.tracks)


async def test_a_leg_that_sends_late_is_heard_at_its_true_time(tmp_path: Path) -> None:
    """Asterisk's recorder begins with the first packet, not at the time in the name."""
    legs = handoff(tmp_path)
    late = track(tmp_path, "unit-6001", 2.0, voice(1600, 3.0, [(0.0, 1.0)]))
    closed_ns = (BEGIN_MS + 5_500) * 1_000_000
    os.utime(late, ns=(closed_ns, closed_ns))
    made = await close(tmp_path, *legs, LegTimes("unit-6001", at(2.0), at(5.5)))

    (one,) = [one for one in made.tracks if one.leg == "unit-6001"]
    assert (one.source, one.start_ms, one.holes) == ("written", BEGIN_MS + 2_500, ())
    assert made.joined is not None
    ((begin, end),) = tones(tmp_path / made.joined.file, [1600])[1600]
    assert (begin, end) == pytest.approx((2.5, 3.5), abs=0.04)


async def test_the_time_of_a_file_that_was_copied_later_says_nothing(tmp_path: Path) -> None:
    track(tmp_path, "citizen", 0.0, voice(CITIZEN, 3.0, [(0.0, 1.0)]))
    made = await close(tmp_path, LegTimes("citizen", at(0.0), at(3.0)))

    assert (made.tracks[0].source, made.tracks[0].start_ms) == ("name", BEGIN_MS)


async def test_tracks_are_told_with_start_length_and_hash(tmp_path: Path) -> None:
    made = await close(tmp_path, *handoff(tmp_path))

    told = [(one.leg, one.start_ms - BEGIN_MS, one.seconds, one.source) for one in made.tracks]
    assert told == [
        ("citizen", 0, 9.0, "name"),
        ("seat-8001", 637, 4.0, "name"),
        ("hotline", 3111, 5.5, "name"),
    ]
    assert [one.sha256 for one in made.tracks] == [sha256(tmp_path / t.file) for t in made.tracks]


async def test_the_result_survives_the_journal(tmp_path: Path) -> None:
    legs = handoff(tmp_path)
    made = await close(tmp_path, *legs, LegTimes("unit-6001", at(2), at(3)))

    assert from_data(json.loads(json.dumps(made.data()))) == made
    assert [leg.leg for leg in made.missing] == ["unit-6001"]


async def test_loud_voices_together_are_clipped_not_wrapped(tmp_path: Path) -> None:
    for leg in ("citizen", "seat-8001"):
        track(tmp_path, leg, 0.0, voice(CITIZEN, 1.0, [(0.0, 1.0)], loud=30_000))
    made = await close(tmp_path)

    assert made.joined is not None
    with wave.open(str(tmp_path / made.joined.file), "rb") as file:
        values = memoryview(file.readframes(8000)).cast("h")
    assert max(values) == 32_767
    assert min(values) == -32_768
    assert max(abs(b - a) for a, b in itertools.pairwise(values)) < 25_000


async def test_a_killed_recorder_leaves_a_marked_hole_and_a_copy_that_plays(tmp_path: Path) -> None:
    sound = voice(CITIZEN, 4.096, [(0.5, 4.0)])
    broken = track(tmp_path, "citizen", 0.0, sound, unclosed())
    before = broken.read_bytes()
    made = await close(tmp_path, LegTimes("citizen", at(0), at(6.0)))

    (one,) = made.tracks
    assert broken.read_bytes() == before
    assert one.sha256 == sha256(broken)
    assert one.damage is Damage.LENGTH_ZERO
    assert one.repaired_file == broken.name.replace(".wav", ".repaired.wav")
    copy = tmp_path / one.repaired_file
    assert one.repaired_sha256 == sha256(copy)
    ((begin, end),) = tones(copy, [CITIZEN])[CITIZEN]
    assert (begin, end) == pytest.approx((0.5, 4.0), abs=0.04)
    (hole,) = one.holes
    assert (hole.begin, hole.seconds) == pytest.approx((4.096, 1.904))
    assert hole.cause is Cause.CUT_OFF
    assert not hole.estimated


async def test_an_end_that_nobody_saw_makes_the_hole_an_estimate(tmp_path: Path) -> None:
    track(tmp_path, "citizen", 0.0, voice(CITIZEN, 3.0, [(0.0, 3.0)]), unclosed())
    track(tmp_path, "hotline", 1.0, voice(HOTLINE, 2.0, [(0.0, 2.0)]), unclosed())
    made = await close(tmp_path, LegTimes("citizen", at(0), at(4.5), lost=True))

    seen = {one.leg: one.holes[0] for one in made.tracks}
    assert seen["citizen"].seconds == pytest.approx(1.5)
    assert seen["hotline"].seconds == pytest.approx(2.048)
    assert all(hole.estimated for hole in seen.values())


async def test_a_recording_killed_before_its_first_write_is_all_hole(tmp_path: Path) -> None:
    track(tmp_path, "citizen", 0.0, b"", b"")
    made = await close(tmp_path, LegTimes("citizen", at(0), at(1.2)))

    (one,) = made.tracks
    assert (one.damage, one.seconds, one.repaired_file) == (Damage.EMPTY, 0.0, None)
    assert [(hole.begin, hole.seconds) for hole in one.holes] == [(0.0, 1.2)]
    assert made.joined is None
    assert made.not_joined == "no track holds any sound"


async def test_a_leg_recorded_too_late_has_a_hole_before_its_track(tmp_path: Path) -> None:
    track(tmp_path, "citizen", 0.0, voice(CITIZEN, 6.0, [(0.0, 1.0)]))
    track(tmp_path, "hotline", 4.0, voice(HOTLINE, 2.0, [(0.0, 1.0)]))
    made = await close(tmp_path, LegTimes("hotline", at(1.0), at(6.0)))

    late = [hole for one in made.tracks for hole in one.holes]
    assert [(hole.begin, hole.seconds, hole.cause) for hole in late] == [(1.0, 3.0, Cause.LATE)]


async def test_a_citizen_recorded_since_long_before_the_talk_is_not_missing(tmp_path: Path) -> None:
    track(tmp_path, "citizen", 0.0, voice(CITIZEN, 30.0, [(25.0, 29.0)]))
    made = await close(tmp_path, LegTimes("citizen", at(24.0), at(30.0)))

    assert made.missing == ()
    assert made.tracks[0].holes == ()


async def test_closing_again_gives_the_same(tmp_path: Path) -> None:
    legs = handoff(tmp_path)
    track(tmp_path, "unit-6001", 2.0, voice(500, 2.0, [(0.0, 1.0)]), unclosed())
    first = await close(tmp_path, *legs)
    names = sorted(os.listdir(tmp_path))

    assert await close(tmp_path, *legs) == first
    assert sorted(os.listdir(tmp_path)) == names


async def test_what_a_killed_close_left_does_not_disturb_the_next(tmp_path: Path) -> None:
    legs = handoff(tmp_path)
    (tmp_path / f".{CALL}-joined.wav.part").write_bytes(b"half")
    (tmp_path / f"{CALL}-joined.wav").write_bytes(b"older")
    made = await close(tmp_path, *legs)

    assert made.joined is not None
    assert made.joined.sha256 == sha256(tmp_path / f"{CALL}-joined.wav")
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


async def test_an_older_joined_file_that_is_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    legs = handoff(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(b"not ours")
    (tmp_path / f"{CALL}-joined.wav").symlink_to(other)
    await close(tmp_path, *legs)

    assert other.read_bytes() == b"not ours"
    assert not (tmp_path / f"{CALL}-joined.wav").is_symlink()


async def test_files_of_other_calls_links_and_pipes_are_passed_over(tmp_path: Path) -> None:
    legs = handoff(tmp_path)
    outside = tmp_path / "secret"
    outside.write_bytes(b"secret")
    (tmp_path / f"{CALL}-leader-8099-{BEGIN_MS}.wav").symlink_to(outside)
    os.mkfifo(tmp_path / f"{CALL}-unit-6001-{BEGIN_MS}.wav")
    (tmp_path / f"{CALL}8-citizen-{BEGIN_MS}.wav").write_bytes(b"another call")
    (tmp_path / f"{CALL}-Citizen-{BEGIN_MS}.wav").write_bytes(b"no such name")
    made = await close(tmp_path, *legs)

    assert [one.leg for one in made.tracks] == ["citizen", "seat-8001", "hotline"]


def test_a_link_under_the_name_of_a_track_is_not_opened(tmp_path: Path) -> None:
    """Even when it was put there after the directory was listed."""
    outside = track(tmp_path, "citizen", 0.0, b"\1\2")
    link = tmp_path / outside.name.replace("citizen", "hotline")
    link.symlink_to(outside)
    with Folder(tmp_path) as folder, pytest.raises(OSError, match="symbolic links"):
        folder.open(link.name)


def test_a_sum_too_loud_on_one_side_is_clipped_there() -> None:
    loud = array("h", [30_000, 100]).tobytes()
    assert array("h", mix([loud, loud])).tolist() == [32_767, 200]


async def test_sound_of_another_form_is_kept_hashed_and_not_joined(tmp_path: Path) -> None:
    legs = handoff(tmp_path)
    stray = track(
        tmp_path, "unit-6001", 1.0, b"\1\2" * 100, b"ID3\4 not a WAV file at all".ljust(44)
    )
    made = await close(tmp_path, *legs)

    (odd,) = [one for one in made.tracks if one.leg == "unit-6001"]
    assert (odd.damage, odd.sha256) == (Damage.UNREADABLE, sha256(stray))
    assert made.joined is not None
    assert made.joined.seconds == pytest.approx(9.0)


async def test_a_file_that_still_grows_is_waited_for_and_closed_whole(tmp_path: Path) -> None:
    sound = voice(CITIZEN, 2.0, [(0.0, 2.0)])
    path = track(tmp_path, "citizen", 0.0, sound[:16_000], unclosed())
    closing = asyncio.create_task(close(tmp_path, LegTimes("citizen", at(0), at(2))))
    await asyncio.sleep(0.3)
    track(tmp_path, "citizen", 0.0, sound)
    made = await closing

    assert made.tracks[0].damage is Damage.NONE
    assert made.tracks[0].sha256 == sha256(path)


async def test_a_file_that_never_stops_growing_is_refused_within_the_deadline(
    tmp_path: Path,
) -> None:
    path = track(tmp_path, "citizen", 0.0, b"", unclosed())
    begun = time.monotonic()
    closing = asyncio.create_task(close_call(tmp_path, CALL, (), deadline_s=0.8, reserve_bytes=0))
    while not closing.done():
        with path.open("ab") as file:
            file.write(bytes(320))
        await asyncio.sleep(0.02)

    with pytest.raises(NotReady, match="still grows"):
        await closing
    assert time.monotonic() - begun < 8.0


@pytest.mark.parametrize("call", ["../x", "", "1732412345", "1.1/../2", "1.1\0", "1." + "1" * 300])
async def test_a_call_that_is_no_uniqueid_is_refused(tmp_path: Path, call: str) -> None:
    with pytest.raises(BadName):
        await close(tmp_path, call=call)


async def test_a_missing_directory_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(TracksError, match="nowhere"):
        await close(tmp_path / "nowhere")


async def test_ten_minutes_of_three_voices_join_in_seconds_beside_a_free_loop(
    tmp_path: Path,
) -> None:
    for leg, freq in (("citizen", CITIZEN), ("seat-8001", SEAT), ("hotline", HOTLINE)):
        track(tmp_path, leg, 0.1, voice(freq, 10.0, [(0.0, 10.0)]) * 60)
    closing = asyncio.create_task(close(tmp_path))
    begun = last = time.monotonic()
    longest = 0.0
    while not closing.done():
        await asyncio.sleep(0.01)
        now = time.monotonic()
        last, longest = now, max(longest, now - last)
    made = await closing

    assert made.joined is not None
    assert made.joined.seconds == 600.0
    assert time.monotonic() - begun < 15.0  # about 2 s; the rest is for a loaded machine
    assert longest < 1.0
