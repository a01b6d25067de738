"""Prompts become telephone sound, a recording goes before synthesis, and wrong input says where."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from bridge.lab.progress import SetupError
from bridge.lab.sounds import make_sounds, read_prompts
from bridge.share import share

ONE = '[prompts.hello]\nzh = "您好"\nen = "Hello"\n'


def tone(file: Path, *, rate: int, frames: int, channels: int = 1) -> None:
    """A recording as somebody's sound card makes it."""
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"\x00\x20" * frames * channels)


def length_and_form(file: Path) -> tuple[float, tuple[int, int, int]]:
    with wave.open(str(file), "rb") as sound:
        form = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
        return sound.getnframes() / sound.getframerate(), form


def make(tmp_path: Path, text: str = ONE, recordings: Path | None = None) -> list[Path]:
    prompts = tmp_path / "prompts.toml"
    prompts.write_text(text, encoding="utf-8")
    sounds, cache = tmp_path / "sounds", tmp_path / "cache"
    return make_sounds(prompts, sounds, cache=cache, recordings=recordings)


def test_a_prompt_is_spoken_into_8_khz_mono_16_bit(tmp_path: Path) -> None:
    (file,) = make(tmp_path)
    seconds, form = length_and_form(file)
    assert file == tmp_path / "sounds" / "bridge110" / "hello.wav"
    assert form == (8000, 1, 2)
    assert 0.3 < seconds < 3


def test_what_was_spoken_once_is_kept_until_its_text_changes(tmp_path: Path) -> None:
    make(tmp_path)
    (kept,) = (tmp_path / "cache").iterdir()
    before = kept.stat().st_mtime_ns
    make(tmp_path)
    assert kept.stat().st_mtime_ns == before
    make(tmp_path, ONE.replace("您好", "再见"))
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_damaged_file_in_the_cache_is_made_again(tmp_path: Path) -> None:
    make(tmp_path)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"RIFF")
    (file,) = make(tmp_path)
    assert length_and_form(file)[1] == (8000, 1, 2)


def test_a_recording_of_any_rate_goes_before_synthesis(tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    tone(recordings / "hello.wav", rate=44100, frames=4 * 44100, channels=2)
    (file,) = make(tmp_path, recordings=recordings)
    seconds, form = length_and_form(file)
    assert form == (8000, 1, 2)
    assert seconds == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("content", [b"", b"not sound", b"RIFF\xff\xff\xff\xffWAVE"])
def test_a_recording_without_sound_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    (recordings / "hello.wav").write_bytes(content)
    with pytest.raises(SetupError, match=r"hello\.wav"):
        make(tmp_path, recordings=recordings)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "no readable table"),
        ("[prompts", "no readable table"),
        ("prompts = 3", "no readable table"),
        ('[prompts."../x"]\nzh = "a"\nen = "a"', "small letters"),
        ('[prompts.X]\nzh = "a"\nen = "a"', "small letters"),
        ('[prompts.a]\nzh = "a"', "exactly the keys"),
        ('[prompts.a]\nzh = "a"\nen = "a"\nfr = "a"', "exactly the keys"),
        ("[prompts]\na = 1", "exactly the keys"),
        ('[prompts.a]\nzh = ""\nen = "a"', "zh must be"),
        ('[prompts.a]\nzh = "a"\nen = "a\\u001b"', "en must be"),
        (f'[prompts.a]\nzh = "{"字" * 501}"\nen = "a"', "zh must be"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(SetupError, match=place) as raised:
        make(tmp_path, text)
    assert "prompts.toml" in str(raised.value)


def test_the_prompts_that_travel_with_the_plans_are_right() -> None:
    names = {prompt.name for prompt in read_prompts(share("dialplans") / "prompts.toml")}
    assert {"all-busy", "goodbye", "press-1"} <= names
