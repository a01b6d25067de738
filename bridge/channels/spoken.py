"""An order as spoken words, and those words as a sound file: espeak-ng, off the loop, cached.

The text goes to the program's standard input, never into its arguments. Files are named by the hash
of their text, so the same order is spoken once; the oldest go at the bound.
"""

from __future__ import annotations

import asyncio
import os
import wave
from hashlib import sha256
from pathlib import Path

from bridge.domain.crossing import spoken_marks
from bridge.domain.delivery import OrderSheet

VOICE = "cmn"
WORDS_PER_MINUTE = 160
RATE_HZ = 8000
SPEAK_SECONDS = 20.0
MAX_WORDS = 300
"""Characters of an order's words that are spoken: about a minute. The rest stands in writing."""
FILES_KEPT = 500
SHORTENED = "……以下略,全文见书面指令"


class SpeechError(OSError):
    """The words could not be made into sound."""


_KINDS = {
    "site": "出警处置指令",
    "command": "指挥指令",
    "notice": "通报",
    "equipment": "装备调用指令",
    "inspection": "检查指导指令",
    "support": "保障支援指令",
}


def spoken_text(sheet: OrderSheet) -> str:
    """What is said to the duty phone, before the keys are explained."""
    parts = [
        spoken_marks(sheet).replace("【", "").replace("】", ","),
        f"这里是{sheet.centre},{_KINDS.get(sheet.kind, '指令')}。",
        f"{sheet.unit_name}{sheet.squad}:",
        f"地点,{sheet.place}。" if sheet.place else "",
        shortened(sheet.words) + "。",
        f"请携带{sheet.equipment}。" if sheet.equipment else "",
        "绿色通道。" if sheet.green else "",
        f"来电号码,{digits(sheet.caller_number)}。" if sheet.caller_number else "",
        f"办结码,{digits(sheet.code)}。",
    ]
    return "".join(parts)


def shortened(words: str) -> str:
    """At most MAX_WORDS characters, with a mark where something was left out."""
    return words if len(words) <= MAX_WORDS else words[:MAX_WORDS] + SHORTENED


def digits(text: str) -> str:
    """A number said digit by digit."""
    return " ".join(text)


class Speech:
    """Makes sound files in `directory`, which Asterisk reads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._few = asyncio.Semaphore(2)

    async def say(self, text: str) -> str:
        """The name (path without suffix) of a sound that says `text`. Raises SpeechError, and
        OSError where the directory cannot be written."""
        name = sha256(f"{VOICE}\0{WORDS_PER_MINUTE}\0{text}".encode()).hexdigest()[:32]
        file = self._directory / f"{name}.wav"
        async with self._few:
            if not await asyncio.to_thread(_fresh, file):
                await self._speak(text, file)
        return str(file.with_suffix(""))

    async def keep(self, what: str, samples: bytes) -> str:
        """The same for a sound of our own: 16-bit samples at RATE_HZ, named by `what` it is."""
        name = sha256(f"{RATE_HZ}\0{what}".encode()).hexdigest()[:32]
        file = self._directory / f"{name}.wav"

        def write() -> None:
            part = file.with_name(f"{file.stem}.{os.getpid()}.part.wav")
            with wave.open(str(part), "wb") as sound:
                sound.setnchannels(1)
                sound.setsampwidth(2)
                sound.setframerate(RATE_HZ)
                sound.writeframes(samples)
            self._keep(part, file)

        async with self._few:
            if not await asyncio.to_thread(_fresh, file):
                await asyncio.to_thread(write)
        return str(file.with_suffix(""))

    async def _speak(self, text: str, file: Path) -> None:
        part = file.with_name(f"{file.stem}.{os.getpid()}.part.wav")
        raw = file.with_name(f"{file.stem}.{os.getpid()}.raw.wav")
        form = ("-r", str(RATE_HZ), "-c", "1", "-b", "16", "-e", "signed-integer")
        speed = str(WORDS_PER_MINUTE)
        try:
            await _run("espeak-ng", "-v", VOICE, "-s", speed, "-w", str(raw), "--stdin", text=text)
            await _run("sox", "-G", str(raw), *form, str(part))
            await asyncio.to_thread(self._keep, part, file)
        finally:
            for left in (part, raw):
                await asyncio.to_thread(left.unlink, True)

    def _keep(self, part: Path, file: Path) -> None:
        part.chmod(0o644)
        part.replace(file)
        whole = [one for one in self._directory.glob("*.wav") if "." not in one.stem]
        for old in sorted(whole, key=_used)[:-FILES_KEPT]:
            old.unlink(missing_ok=True)


def _fresh(file: Path) -> bool:
    """Whether the sound is there; it counts as used now."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    try:
        os.utime(file)
    except FileNotFoundError:
        return False
    return True


def _used(file: Path) -> float:
    """When it was used last; what another speaker has just let go of counts as oldest."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


async def _run(program: str, *arguments: str, text: str = "") -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise SpeechError(f"{program}: {error.strerror}; install the Debian package") from error
    try:
        async with asyncio.timeout(SPEAK_SECONDS):
            _, words = await process.communicate(text.encode())
    except TimeoutError as error:
        raise SpeechError(f"{program} took more than {SPEAK_SECONDS:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise SpeechError(f"{program} failed: {words.decode(errors='replace').strip()[-200:]}")
