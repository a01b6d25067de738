"""The words of the plans as sound: synthesised once, or taken from a recording (8 kHz WAV)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
import wave
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from bridge.lab.packages import ensure_programs
from bridge.lab.progress import SetupError, say

Language = Literal["zh", "en"]
VOICES: Final[dict[Language, str]] = {"zh": "cmn", "en": "en"}
RATE_HZ: Final = 8000
WORDS_PER_MINUTE: Final = 160
MAX_TEXT: Final = 500
"""Characters; two minutes of speech. Longer is refused."""
SECONDS: Final = 30.0
"""Deadline of one run of a sound program."""
PROGRAMS: Final = {"espeak-ng": "espeak-ng", "sox": "sox"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """One entry of `prompts.toml`."""

    name: str
    zh: str
    en: str


def read_prompts(file: Path) -> list[Prompt]:
    """The table `[prompts.<name>]` with texts `zh` and `en`. Raises SetupError naming the entry."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))["prompts"]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as wrong:
        raise SetupError(f"{file}: no readable table [prompts]: {wrong}") from wrong
    if not isinstance(tables, dict):
        raise SetupError(f"{file}: no readable table [prompts]: it is a value")
    return [_prompt(file, name, entry) for name, entry in tables.items()]


def _prompt(file: Path, name: str, entry: object) -> Prompt:
    place = f"{file}: [prompts.{name}]"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise SetupError(f"{place}: a name is small letters, digits and hyphens, 40 at most")
    if not isinstance(entry, dict) or set(entry) != {"zh", "en"}:
        raise SetupError(f"{place}: needs exactly the keys zh and en")
    for key, text in entry.items():
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT or not text.isprintable():
            raise SetupError(f"{place}: {key} must be 1 to {MAX_TEXT} printable characters")
    return Prompt(name, entry["zh"], entry["en"])


def make_sounds(
    prompts: Path,
    sounds: Path,
    *,
    cache: Path,
    recordings: Path | None = None,
    language: Language = "zh",
) -> list[Path]:
    """Write `sounds/bridge110/<name>.wav` for every prompt; returns the files.

    `recordings/<name>.wav` (any rate) goes before speech synthesis. What was made stays in
    `cache` under the hash of its text. Raises SetupError: a program is missing, a recording
    cannot be read, an entry of `prompts` is wrong.
    """
    target = sounds / "bridge110"
    target.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for prompt in read_prompts(prompts):
        recording = None if recordings is None else recordings / f"{prompt.name}.wav"
        if recording is not None and recording.is_file():
            kept = _from_recording(recording, cache)
        else:
            kept = _spoken(prompt.zh if language == "zh" else prompt.en, language, cache)
        file = target / f"{prompt.name}.wav"
        shutil.copyfile(kept, file)
        made.append(file)
    return made


def _spoken(text: str, language: Language, cache: Path) -> Path:
    recipe = f"espeak-ng\0{VOICES[language]}\0{WORDS_PER_MINUTE}\0{RATE_HZ}\0{text}"
    kept = cache / f"{sha256(recipe.encode()).hexdigest()[:32]}.wav"
    if not _is_ours(kept):
        ensure_programs(PROGRAMS)
        say(f"合成语音:{text[:20]}", "speaking a prompt")
        raw = cache / f"{kept.stem}.{os.getpid()}.raw.wav"
        command = ["espeak-ng", "-v", VOICES[language], "-s", str(WORDS_PER_MINUTE), "-w", str(raw)]
        try:
            _run([*command, "--stdin"], text)
            _to_line(raw, kept)
        finally:
            raw.unlink(missing_ok=True)
    return kept


def _from_recording(recording: Path, cache: Path) -> Path:
    kept = cache / f"{sha256(recording.read_bytes()).hexdigest()[:32]}.wav"
    if not _is_ours(kept):
        ensure_programs(PROGRAMS)
        _to_line(recording, kept)
    return kept


def _to_line(source: Path, kept: Path) -> None:
    """Any sound file to the telephone's: 8 kHz, mono, 16 bit, in one rename."""
    part = kept.with_name(f"{kept.stem}.{os.getpid()}.part.wav")
    form = ["-r", str(RATE_HZ), "-c", "1", "-b", "16", "-e", "signed-integer"]
    try:
        _run(["sox", "-G", str(source), *form, str(part)])
        if not _is_ours(part):
            raise SetupError(f"{source}: holds no sound; record it again or remove it")
        part.replace(kept)
    finally:
        part.unlink(missing_ok=True)


def _is_ours(file: Path) -> bool:
    """Whether it is a whole file in the telephone's form with some sound in it."""
    try:
        with wave.open(str(file), "rb") as sound:
            form = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
            return form == (RATE_HZ, 1, 2) and len(sound.readframes(RATE_HZ)) > 0
    except (OSError, EOFError, wave.Error):
        return False


def _run(command: list[str], text: str = "") -> None:
    try:
        done = subprocess.run(
            command,
            input=text,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise SetupError(f"{command[0]} took more than {SECONDS:.0f} s: {command}") from late
    if done.returncode != 0:
        raise SetupError(f"{command[0]} failed: {done.stderr.strip()[-300:]} ({command})")
