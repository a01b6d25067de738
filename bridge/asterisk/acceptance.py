"""FastAGI handler `accept`: says the case's words to a third party and waits for the key 1.

Runs on the third party's leg, never on the citizen's. Sets ACCEPTED to 1 only after a person
pressed 1. Whatever fails here leaves ACCEPTED as it was, and the dialplan asks with its own Read()
(three-way sheet, sections 3 and 4; guard rule 16).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bridge.asterisk.agi_request import AgiRequest

PATH: Final = "accept"
YES: Final = "1"
_SOUND = re.compile(r"[a-z0-9][a-z0-9_-]*(?:/[a-z0-9][a-z0-9_-]*)*")
_DIGITS = re.compile(r"[0-9]{3,16}")
TIME_S: Final = 25
"""What the leg is given once we have shown that we are there (dialplans/third.conf)."""
_SLACK_S: Final = 1.0
"""What Asterisk may need beyond the time it was told to wait."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is said to one leg before the key is asked for.

    `sounds` are names of our own sound files, without suffix; `number` is the calling number, said
    digit by digit; `ask` is the prompt for the key, said again before each try.
    """

    sounds: tuple[str, ...] = ("bridge110/case-from",)
    number: str = ""
    ask: tuple[str, ...] = ("bridge110/press-1",)

    def __post_init__(self) -> None:
        """Raises ValueError for a sound that is no plain name and a number that is no number."""
        for name in (*self.sounds, *self.ask):
            if not _SOUND.fullmatch(name) or len(name) > 80:
                raise ValueError(f"not the name of a sound file of ours: {name!r}")
        if self.number and not _DIGITS.fullmatch(self.number):
            raise ValueError("the number to be said must be 3 to 16 digits, or empty")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Asks for acceptance. `words_of(nonce)` gives the words prepared for the leg, or None."""

    words_of: Callable[[str], Words | None]
    tries: int = 2
    key_s: float = 3.0
    """Seconds given for the key after the words of each try."""
    sound_s: float = 6.0
    """Seconds after which a sound file that has not ended is held to be stuck."""
    total_s: float = 18.0
    """For all of it; below the server's own limit and TIME_S."""

    async def handle(self, request: AgiRequest) -> bool:
        """Whether the person pressed 1: the endpoint of the route.

        Raises what `AgiRequest.command` raises, and TimeoutError when `total_s` is over; ACCEPTED
        is then not set.
        """
        words = self.words_of(request.target.query.get("nonce", ""))
        if words is None:
            return False
        async with asyncio.timeout(self.total_s):
            await request.command("SET", "AUTOHANGUP", str(TIME_S))
            accepted = await self._say(request, words) or await self._ask(request, words)
            if accepted:
                await request.command("SET", "VARIABLE", "ACCEPTED", "1")
        return accepted

    async def _say(self, request: AgiRequest, words: Words) -> bool:
        """The case's words; whoever knows them already presses 1 at once."""
        if await self._play(request, words.sounds):
            return True
        if not words.number:
            return False
        answer = await request.command(
            "SAY", "DIGITS", words.number, YES, deadline=len(words.number) * 1.0 + self.sound_s
        )
        return answer.digit == YES

    async def _ask(self, request: AgiRequest, words: Words) -> bool:
        for _ in range(self.tries):
            if await self._play(request, words.ask):
                return True
            answer = await request.command(
                "WAIT", "FOR", "DIGIT", str(int(self.key_s * 1000)), deadline=self.key_s + _SLACK_S
            )
            if answer.digit == YES:
                return True
        return False

    async def _play(self, request: AgiRequest, sounds: tuple[str, ...]) -> bool:
        for name in sounds:
            # A missing file answers result=-1 and is passed over: the key can still be pressed.
            answer = await request.command("STREAM", "FILE", name, YES, deadline=self.sound_s)
            if answer.digit == YES:
                return True
        return False
