"""The telephone wire: who is a person, true causes, lines in turn, and what is never done twice."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from bridge.channels.phone import KEYS, PhoneChannel, cause_of
from bridge.channels.spoken import (
    FILES_KEPT,
    MAX_WORDS,
    SHORTENED,
    Speech,
    SpeechError,
    spoken_text,
)
from bridge.domain.delivery import A, Cause, ChannelKind, Job, OrderSheet, Progress, Received, Says
from bridge.flows.ports import ActRefused, ActUnknown, OrderCall, PhoneSeen

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
SHEET = OrderSheet(
    order="20261124-0001-01",
    code="12345674",
    kind="site",
    klass="URGENT",
    case="20261124-0001",
    unit="water",
    unit_name="市供水集团",
    words="水管爆裂",
    place="解放路1号",
    centre="指挥中心",
    centre_number="7110",
    issued_at=NOW,
)


def job(number: int = 1, **more: Any) -> Job:
    sheet = replace(SHEET, **more.pop("sheet", {}))
    return Job(
        attempt=f"20261124-0001-01.{number}",
        channel=ChannelKind.PHONE,
        sheet=sheet,
        addresses=("PJSIP/6001",),
        **more,
    )


@dataclass
class Told:
    """What the wire tells; `ports.FromChannel`."""

    progress_: list[Progress] = field(default_factory=list)
    received_: list[Received] = field(default_factory=list)
    counts: bool = True

    async def progress(self, progress: Progress) -> None:
        self.progress_.append(progress)

    async def received(self, received: Received) -> bool:
        self.received_.append(received)
        return self.counts

    def states(self, number: int = 1) -> list[tuple[A, Cause | None]]:
        mine = [p for p in self.progress_ if p.attempt.endswith(f".{number}")]
        return [(p.state, p.cause) for p in mine]


@dataclass
class Switch:
    """The switch as the wire uses it; `ports.Phones`. The test plays what happens there."""

    calls: list[OrderCall] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    confirmed: list[tuple[str, bool]] = field(default_factory=list)
    up: bool = False
    error: Exception | None = None

    async def call(self, call: OrderCall) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append(call)

    async def hang_up(self, attempt: str) -> None:
        self.hung_up.append(attempt)

    async def stored(self, attempt: str, counted: bool) -> None:
        self.confirmed.append((attempt, counted))

    async def is_up(self, attempt: str) -> bool:
        if self.error is not None:
            raise self.error
        return self.up


class Quiet(Speech):
    """Words that are no sound."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))
        self.error: OSError | None = None

    async def say(self, text: str) -> str:
        if self.error is not None:
            raise self.error
        return "/sounds/order"


@dataclass
class Wire:
    channel: PhoneChannel
    switch: Switch
    told: Told
    speech: Quiet

    def see(
        self,
        what: Literal["rang", "answered", "key", "silent", "ended"],
        of: int = 1,
        **more: Any,
    ) -> None:
        attempt = f"20261124-0001-01.{of}"
        self.channel.see(PhoneSeen(attempt=attempt, what=what, at=NOW, **more))


@asynccontextmanager
async def wire(lines: int = 8, green_trunk: str | None = None) -> AsyncIterator[Wire]:
    async with asyncio.TaskGroup() as tasks:
        spawned: list[asyncio.Task[object]] = []

        def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
            spawned.append(tasks.create_task(work, name=name))

        switch, told, speech = Switch(), Told(), Quiet()
        channel = PhoneChannel(
            switch,
            told,
            speech,
            now=lambda: NOW,
            spawn=spawn,
            seat_of=lambda _: "8001",
            lines=lines,
            green_trunk=green_trunk,
        )
        yield Wire(channel, switch, told, speech)
        await turns()
        for task in spawned:
            task.cancel()


async def turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_sending_is_told_before_the_act_and_the_call_carries_the_words() -> None:
    async with wire() as line:
        await line.channel.send(job())
        await turns()
        assert line.told.states() == [(A.SENDING, None)]
        (call,) = line.switch.calls
        assert (call.dial, call.words, call.seat) == ("PJSIP/6001", "/sounds/order", "8001")


async def test_the_same_attempt_again_does_nothing() -> None:
    async with wire() as line:
        for _ in range(3):
            await line.channel.send(job())
        await turns()
        assert len(line.switch.calls) == 1


@pytest.mark.parametrize(("key", "says"), list(KEYS.items()))
async def test_a_key_is_a_persons_word_and_is_confirmed_once_durable(key: str, says: Says) -> None:
    async with wire() as line:
        await line.channel.send(job())
        await turns()
        for what in ("rang", "answered"):
            line.see(what)
        line.see("key", key=key, number="6001")
        line.see("ended", cause=16)
        await turns()
        (received,) = line.told.received_
        assert (received.says, received.attempt) == (says, "20261124-0001-01.1")
        assert line.switch.confirmed == [("20261124-0001-01.1", True)]
        assert (A.FAILED, Cause.NOT_A_PERSON) not in line.told.states()


async def test_a_key_for_a_cancelled_order_is_not_said_to_be_signed() -> None:
    async with wire() as line:
        line.told.counts = False
        line.see("key", key="1", number="6001")
        await turns()
        assert line.switch.confirmed == [("20261124-0001-01.1", False)]


async def test_silence_is_no_person() -> None:
    async with wire() as line:
        await line.channel.send(job())
        await turns()
        for what in ("rang", "answered", "ended"):
            line.see(what)
        await turns()
        assert line.told.states()[-1] == (A.FAILED, Cause.NOT_A_PERSON)
        assert line.told.received_ == []


@pytest.mark.parametrize("key", ["2", "4", "9", "#", ""])
async def test_other_keys_sign_nothing(key: str) -> None:
    async with wire() as line:
        line.see("key", key=key)
        line.see("ended")
        await turns()
        assert line.told.received_ == []


@pytest.mark.parametrize(
    ("cause", "rang", "what"),
    [
        (17, False, Cause.BUSY),
        (19, True, Cause.NO_ANSWER),
        (16, True, Cause.NO_ANSWER),
        (0, False, Cause.CONGESTION),
        (21, True, Cause.REJECTED),
        (34, False, Cause.CONGESTION),
        (1, False, Cause.BAD_ADDRESS),
        (20, False, Cause.NOT_REGISTERED),
        (99, True, Cause.ERROR),
    ],
)
async def test_the_true_cause_is_told(cause: int, rang: bool, what: Cause) -> None:
    assert cause_of(cause, rang=rang) is what
    async with wire() as line:
        await line.channel.send(job())
        await turns()
        if rang:
            line.see("rang")
        line.see("ended", cause=cause)
        line.see("ended", cause=38)
        await turns()
        assert line.told.states()[-1] == (A.FAILED, what)


async def test_refused_is_certain_and_unknown_is_said_to_be_unknown() -> None:
    async with wire() as line:
        line.switch.error = ActRefused("switch-down", "no link")
        await line.channel.send(job())
        await turns()
        assert line.told.states()[-1] == (A.FAILED, Cause.CONGESTION)
        line.switch.error = ActUnknown("no answer")
        await line.channel.send(job(2))
        await turns()
        assert line.told.states(2)[-1] == (A.UNKNOWN, None)


@pytest.mark.parametrize(
    "error", [SpeechError("espeak-ng: not there"), OSError(28, "No space left on device")]
)
async def test_without_a_voice_the_attempt_fails_and_says_why(error: OSError) -> None:
    async with wire() as line:
        line.speech.error = error
        await line.channel.send(job())
        await turns()
        assert line.told.states() == [(A.FAILED, Cause.ERROR)]
        assert line.switch.calls == []


async def test_withdrawn_while_it_waits_it_never_rings() -> None:
    async with wire(lines=1) as line:
        await line.channel.send(job(1))
        await line.channel.send(job(2))
        await turns()
        await line.channel.withdraw("20261124-0001-01.2")
        line.see("ended", cause=17)
        await turns()
        assert [call.attempt for call in line.switch.calls] == ["20261124-0001-01.1"]
        assert line.told.states(2) == [(A.WITHDRAWN, None)]


async def test_withdrawn_while_it_rings_it_is_hung_up_and_says_so() -> None:
    async with wire() as line:
        await line.channel.send(job())
        await turns()
        line.see("rang")
        await turns()
        await line.channel.withdraw("20261124-0001-01.1")
        assert line.switch.hung_up == ["20261124-0001-01.1"]
        line.see("ended", cause=16)
        await turns()
        assert line.told.states()[-1] == (A.WITHDRAWN, None)


async def test_a_unit_that_talks_with_the_seat_is_not_cut_off() -> None:
    async with wire() as line:
        await line.channel.send(job())
        await turns()
        line.see("answered")
        line.see("key", key="4", number="6001")
        await turns()
        await line.channel.withdraw("20261124-0001-01.1")
        assert line.switch.hung_up == []
        line.see("ended", cause=16)
        await turns()
        assert line.told.states()[-1] == (A.WITHDRAWN, None)


@pytest.mark.req("YJ-28")
async def test_the_green_channel_goes_first_and_on_its_own_trunk() -> None:
    async with wire(lines=1, green_trunk="green") as line:
        await line.channel.send(job(1))
        await turns()
        await line.channel.send(job(2))
        await line.channel.send(job(3, urgent=True))
        green = job(4, urgent=True, sheet={"green": True})
        await line.channel.send(replace(green, addresses=("PJSIP/120@trunk",)))
        await turns()
        for number in (1, 4, 3, 2):
            line.see("ended", number, cause=17)
            await turns()
        assert [call.attempt[-1] for call in line.switch.calls] == ["1", "4", "3", "2"]
        assert line.switch.calls[1].dial == "PJSIP/120@green"


async def test_a_look_finds_the_call_or_nothing() -> None:
    async with wire() as line:
        attempt = "20261124-0001-01.1"
        assert await line.channel.look(attempt) is None
        line.switch.up = True
        found = await line.channel.look(attempt)
        assert found is not None
        assert found.state is A.SENT
        line.switch.error = ActUnknown("no link")
        assert await line.channel.look(attempt) is None


async def test_calls_that_died_with_the_switch_are_unknown_and_their_lines_free() -> None:
    """Found by the fault matrix (order, phone ringing × Asterisk killed)."""
    async with wire(lines=3) as line:
        for number in (1, 2, 3, 4):
            await line.channel.send(job(number))
        await turns()
        line.see("rang", of=1)
        line.see("answered", of=2)
        line.see("key", of=2, key="1", number="6001")
        line.channel.lost()
        line.see("ended", of=3, cause=17, learnt=True)
        await turns()
        await line.channel.found({"20261124-0001-01.4"})
        await turns()
        assert line.told.states(1)[-1] == (A.UNKNOWN, None)
        assert A.UNKNOWN not in {state for state, _ in line.told.states(2)}, "signed is signed"
        assert line.told.states(3)[-1] == (A.FAILED, Cause.BUSY)
        assert line.told.states(4) == [(A.SENDING, None)], "its turn has come"
        line.channel.lost()
        await line.channel.found({"20261124-0001-01.4"})
        await turns()
        assert line.told.states(4) == [(A.SENDING, None)]


async def test_a_key_learnt_afterwards_counts_and_nobody_is_told_any_more() -> None:
    async with wire() as line:
        line.see("answered", learnt=True)
        line.see("key", key="1", number="6001", learnt=True)
        line.see("ended", cause=16, learnt=True)
        await turns()
        (received,) = line.told.received_
        assert received.source == "6001"
        assert line.switch.confirmed == []


def test_what_is_spoken_says_drill_first_and_long_words_are_cut_with_a_mark() -> None:
    text = spoken_text(replace(SHEET, drill=True, repeat=True, words="长" * 500))
    assert text.startswith("演练,可能重复,")
    assert SHORTENED in text
    assert "长" * (MAX_WORDS + 1) not in text
    assert "1 2 3 4 5 6 7 4" in text
    assert "13800138000" not in text


async def test_words_become_a_sound_that_asterisk_plays_and_are_spoken_once(
    tmp_path: Path,
) -> None:
    speech = Speech(tmp_path / "spoken")
    hostile = "水管爆裂 --help $(id) `id` <break/> \u202e"
    name = await speech.say(hostile)
    file = Path(f"{name}.wav")
    with wave.open(str(file), "rb") as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        assert sound.getnframes() > 8000
    made = file.stat().st_mtime_ns
    assert await speech.say(hostile) == name
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    assert file.stat().st_mtime_ns >= made


async def test_a_sound_of_another_speaker_in_the_making_is_left_alone(tmp_path: Path) -> None:
    others = [tmp_path / f"other.{kind}.wav" for kind in ("1.part", "1.raw")]
    for file in others:
        file.touch()
        os.utime(file, (0, 0))
    for number in range(FILES_KEPT + 2):
        (tmp_path / f"{number}.wav").touch()
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere")  # listed, and cannot be looked at
    await Speech(tmp_path).say("水管爆裂")
    assert all(file.exists() for file in others)
    assert len([*tmp_path.glob("*.wav")]) == FILES_KEPT + len(others)


async def test_a_directory_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        await Speech(tmp_path / "file" / "spoken").say("水管爆裂")
