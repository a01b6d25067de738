"""What a real Asterisk leaves of its tracks: after a hang-up, and killed in mid-word."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.asterisk.link_state import AmiSettings
from bridge.lab.switch import Switch
from bridge.tracks.close import close_call
from bridge.tracks.naming import TrackName, moment, parse
from bridge.tracks.recording import Cause, LegTimes
from bridge.tracks.wav import Damage, inspect
from tests.asterisk.watched import Watched, running
from tests.tracks.listen import tones

NewSwitch = Callable[[], Awaitable[Switch]]

CALL = "1732412345.17"
VOICES = {"citizen": 400, "hotline": 800}
SILENT_S = 0.7
"""The hotline's telephone sends nothing at first: the recorder then begins later than its name."""
PLAN = f"""
[track-speaks]
exten => _X!,1,Answer(,i)
 same => n,ExecIf($["${{EXTEN}}"="800"]?Wait({SILENT_S}))
 same => n,Playtones(${{EXTEN}})
 same => n,Wait(60)
[track-records]
exten => _leg-!,1,MixMonitor(,r({CALL}-${{EXTEN:4}}-${{STRFTIME(,,%s%3q)}}.wav))
 same => n,Wait(60)
"""
MOST_LOST_S = 2.1


@dataclass(slots=True)
class Call:
    """Two legs that speak without a pause, each into its own track."""

    switch: Switch
    link: Watched
    tracks: list[TrackName]

    async def wait_age(self, seconds: float) -> None:
        """Until the younger track began so long ago."""
        begun = max(track.started_ms for track in self.tracks) / 1000
        await self.link.wait(lambda: time.time() - begun >= seconds, limit=seconds + 5)

    def legs(self, ended: datetime, *, lost: bool) -> list[LegTimes]:
        return [LegTimes(t.leg, moment(t.started_ms), ended, lost) for t in self.tracks]


@asynccontextmanager
async def speaking(switch: Switch) -> AsyncIterator[Call]:
    """Both legs of CALL recorded by MixMonitor as in the plans, from now on."""
    plan = switch.run.etc / "dialplans" / "track_test.conf"
    plan.write_text(PLAN, encoding="utf-8")
    with (switch.run.etc / "extensions.conf").open("a", encoding="utf-8") as conf:
        conf.write('#include "dialplans/track_test.conf"\n')
    await switch.console("dialplan reload")
    ami = AmiSettings(
        port=switch.site.ports.ami, username="bridge110", secret=switch.site.ami_secret
    )
    async with running(ami) as link:
        await link.wait_up()
        for leg, freq in VOICES.items():
            where = {"Context": "track-records", "Exten": f"leg-{leg}", "Priority": "1"}
            speaker = {"Channel": f"Local/{freq}@track-speaks/n", "Async": "true"}
            await link.link.call("Originate", speaker | where)
        await link.wait(lambda: len(_names(switch)) == len(VOICES))
        yield Call(switch, link, _names(switch))


def _names(switch: Switch) -> list[TrackName]:
    return [parse(file.name) for file in switch.run.recordings.glob("*.wav")]


def one_voice(path: Path, freq: int) -> tuple[float, float]:
    """From when to when the voice is heard; it must be alone and without a gap."""
    heard = tones(path, list(VOICES.values()))
    assert [other for other in VOICES.values() if other != freq and heard[other]] == []
    (stretch,) = heard[freq]
    return stretch


async def test_a_track_is_whole_after_a_hang_up(new_switch: NewSwitch) -> None:
    switch = await new_switch()
    async with speaking(switch) as call:
        await call.wait_age(3.0)
        channels = {event.get("Channel") for event in call.link.named("Newchannel")}
        for channel in channels:
            if channel is not None and channel.endswith(";1"):
                await call.link.link.call("Hangup", {"Channel": channel})
        ended = datetime.now(UTC)
        began = time.monotonic()
        made = await close_call(
            switch.run.recordings, CALL, call.legs(ended, lost=False), reserve_bytes=0
        )
        assert time.monotonic() - began < 2.5, "closed files are not waited for"

    assert {track.leg for track in made.tracks} == set(VOICES)
    for track in made.tracks:
        assert (track.damage, track.repaired_file, track.holes) == (Damage.NONE, None, ())
        length = (ended - track.started).total_seconds()
        assert track.seconds == pytest.approx(length, abs=0.25)
        begin, end = one_voice(switch.run.recordings / track.file, VOICES[track.leg])
        assert begin <= 0.1
        assert end >= track.seconds - 0.1
    assert {track.leg: track.source for track in made.tracks}["hotline"] == "written"
    check_times(switch.run.recordings / f"{CALL}-joined.wav", call.tracks)


@pytest.mark.parametrize("age", [1.0, 4.3, 6.0])
async def test_a_killed_asterisk_costs_two_seconds_and_the_hole_is_marked(
    new_switch: NewSwitch, age: float
) -> None:
    """Killed before the first write, just after one (4.1 s), and just before one (6.1 s)."""
    switch = await new_switch()
    async with speaking(switch) as call:
        await call.wait_age(age)
        killed = datetime.now(UTC)
        await switch.kill()
        before = {file.name: file.read_bytes() for file in switch.run.recordings.iterdir()}
        legs = call.legs(killed, lost=True)
        made = await close_call(switch.run.recordings, CALL, legs, reserve_bytes=0)

    assert made.missing == ()
    assert {track.leg for track in made.tracks} == set(VOICES)
    for track in made.tracks:
        original = before[track.file]
        assert (switch.run.recordings / track.file).read_bytes() == original
        assert inspect(original[:4096], len(original)).damage is track.damage
        lived = (killed - track.started).total_seconds()
        assert lived - track.seconds <= MOST_LOST_S
        (hole,) = track.holes
        assert (hole.cause, hole.estimated) == (Cause.CUT_OFF, True)
        assert hole.begin + hole.seconds == pytest.approx(track.begin + lived, abs=0.002)
        assert hole.begin == pytest.approx(track.begin + track.seconds, abs=0.002)
        if age < 2:
            assert (track.damage, track.seconds) == (Damage.EMPTY, 0)
            continue
        assert track.damage is Damage.LENGTH_ZERO
        assert track.repaired_file is not None
        copy = switch.run.recordings / track.repaired_file
        begin, end = one_voice(copy, VOICES[track.leg])
        assert begin <= 0.1
        assert end == pytest.approx(track.seconds, abs=0.04)
    joined = switch.run.recordings / f"{CALL}-joined.wav"
    if age < 2:
        assert not joined.exists()
    else:
        check_times(joined, call.tracks)


def check_times(joined: Path, tracks: list[TrackName]) -> None:
    """Each voice is heard from when it was said: its track's name, and the hotline's silence."""
    first = min(track.started_ms for track in tracks)
    heard = tones(joined, list(VOICES.values()))
    for track in tracks:
        silent = SILENT_S if track.leg == "hotline" else 0.0
        begin = heard[VOICES[track.leg]][0][0]
        assert begin == pytest.approx((track.started_ms - first) / 1000 + silent, abs=0.04)
