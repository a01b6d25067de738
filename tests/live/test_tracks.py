"""Forty handoffs: every voice is whole in its track, and at its true time in the joined file.

A recorder that mixes loses the third's voice in a third of all handoffs, whenever the third's RTP
numbers are lower than the seat's were (three-way sheet, "Recording"). Each voice is a tone of its
own and changes it once; when the first packet of that left, its telephone says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridge.lab.call import Call
from bridge.lab.desk_client import DeskClient
from bridge.lab.media import MEDIA
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.settings_file import STORE_FILE
from bridge.lab.tones import CITIZEN, HOTLINE, LEADER, SECOND_SEAT, UNIT
from bridge.lab.world import World
from bridge.store.reader import Reader
from tests.live.people import all_talk, fetched, talk
from tests.live.room import Room, room_of
from tests.tracks.listen import tones

pytestmark = [pytest.mark.live]

AT_ONCE, TURNS = 10, 2
HIGH, LOW = (30_000, 1_000_000, 30), (1_000, 1_000, 10)
"""RTP numbers of the seat and of the third that made a mixing recorder lose the third."""
MARK_S = 0.3
TOLERANCE_S = 0.04
WHOLE = 0.9
"""Of a track: the frame in which a tone changes, and this machine's own pauses, are not counted."""
VOICES = {"citizen": CITIZEN, "seat": SECOND_SEAT, "hotline": HOTLINE}
MARKS = {"citizen": LEADER, "seat": UNIT, "hotline": 1900}


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with room_of(world) as found:
        yield found


@dataclass
class Handoff:
    """One call: what was said in it, and when each voice changed its tone (wall clock)."""

    desk: DeskClient
    citizen: Call
    at_seat: Call
    id: str
    marks: dict[str, float] = field(default_factory=dict)

    async def play(self, hotline: Phone) -> None:
        await self.desk.act(self.id, "three-way", to="12345")
        third = await self._third(hotline)
        await all_talk(self.citizen, self.at_seat, third, within=10)
        speakers = {"citizen": self.citizen, "seat": self.at_seat, "hotline": third}
        for name, call in speakers.items():
            call.leg.play(MARKS[name])
            await asyncio.sleep(MARK_S)
            self.marks[name] = call.leg.played_at
            call.leg.play(VOICES[name])
            await asyncio.sleep(0.1)
        await self.at_seat.hangup()
        await talk(self.citizen, third)
        await asyncio.sleep(0.5)
        await self.citizen.hangup()
        await third.wait_ended(5)

    async def _third(self, hotline: Phone) -> Call:
        async with asyncio.timeout(8):
            while True:
                for call in hotline.calls:
                    if call.headers.get("X-Case-Id") == self.id and call.answered_at:
                        return call
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("numbers", [(HIGH, LOW), (None, None)], ids=["high and low", "chance"])
async def test_every_voice_of_twenty_handoffs_is_whole_and_at_its_time(
    room: Room, numbers: tuple[Any, Any]
) -> None:
    hotline = await room.people.hotline(
        Behaviour("auto", keys="1", keys_after=0.1), numbers=numbers[1]
    )
    names = [str(8011 + number) for number in range(AT_ONCE)]
    seats = [await room.sit(name, tone=SECOND_SEAT, numbers=numbers[0]) for name in names]
    MEDIA.worst_late_s = 0.0
    done: list[Handoff] = []
    for _ in range(TURNS):
        handoffs = await _begin(room, seats)
        await asyncio.gather(*(handoff.play(hotline) for handoff in handoffs))
        done += handoffs
    closed = await _closed(room, {handoff.id for handoff in done})
    place = room.world.switch.run.recordings
    for handoff in done:
        await asyncio.to_thread(_hear, handoff, closed[handoff.id], place)


async def _begin(room: Room, seats: list[tuple[Phone, DeskClient]]) -> list[Handoff]:
    """As many citizens as seats; who talks with whom is the queue's choice."""
    citizens = {}
    for _ in seats:
        phone, call = await room.people.citizen()
        citizens[phone.user] = call
    at_seats = await asyncio.gather(*(fetched(phone, 12) for phone, _ in seats))
    handoffs = []
    for (_, desk), at_seat in zip(seats, at_seats, strict=True):
        shown = await desk.wait_call(at_seat.caller, "established", 8)
        handoffs.append(Handoff(desk, citizens[at_seat.caller], at_seat, str(shown["id"])))
    return handoffs


async def _closed(room: Room, calls: set[str]) -> Mapping[str, Mapping[str, Any]]:
    """What the journal says of each recording, once all are closed."""
    found: dict[str, Mapping[str, Any]] = {}
    store = Reader(room.world.switch.run.path / STORE_FILE)
    after = 0
    async with asyncio.timeout(60):
        while calls - found.keys():
            page = await store.entries_after(after)
            for entry in page:
                after, fact = entry.seq, entry.fact
                if fact.kind == "recording.closed" and fact.call in calls:
                    found[str(fact.call)] = fact.data
            if not page:
                await asyncio.sleep(0.1)
    return found


def _hear(handoff: Handoff, recording: Mapping[str, Any], place: Path) -> None:
    """The tracks, and the joined file, by ear."""
    tracks = {str(track["leg"]).partition("-")[0]: track for track in recording["tracks"]}
    assert set(tracks) == set(VOICES), recording
    every = [*VOICES.values(), *MARKS.values()]
    for name, track in tracks.items():
        assert len(str(track["sha256"])) == 64
        heard = tones(place / track["file"], every)
        own = {VOICES[name], MARKS[name]}
        foreign = {tone for tone in every if tone not in own and heard[tone]}
        assert not foreign, f"{track['file']}: {foreign} Hz"
        spoken = sum(end - begin for tone in own for begin, end in heard[tone])
        assert spoken >= WHOLE * track["seconds"] - 0.1, (track, heard)
        assert heard[VOICES[name]][-1][1] >= track["seconds"] - 0.2, (track, heard)
    joined = tones(place / recording["joined"]["file"], list(MARKS.values()))
    zero = datetime.fromisoformat(str(recording["zero"])).timestamp()
    for name, at in handoff.marks.items():
        begin = joined[MARKS[name]][0][0] + 0.01  # the frame of 20 ms in which it begins
        late = TOLERANCE_S + MEDIA.worst_late_s  # a late packet makes the switch fill in silence
        assert begin == pytest.approx(at - zero, abs=late), name
