"""What radio groups need of the switch: who talks, and a leg that ends by itself without us."""

from __future__ import annotations

from typing import Final

from bridge.asterisk.manager import AmiLink
from bridge.asterisk.refusals import as_refusals

SILENCE_MS: Final = 400
"""Silence after which somebody no longer talks; the key's hang time comes on top."""
TALK_LEVEL: Final = 256
"""Mean level of a frame that counts as talking (Asterisk's own default)."""


class RadioLines:
    """Implements `flows.ports.TalkLines` over one AMI link."""

    def __init__(self, link: AmiLink) -> None:
        self._link = link

    async def listen(self, channel: str) -> None:
        """From now on it is told when this channel begins and ends to talk."""
        await self._set(channel, "TALK_DETECT(set)", f"{SILENCE_MS},{TALK_LEVEL}")

    async def deaf(self, channel: str) -> None:
        """It is no longer told."""
        await self._set(channel, "TALK_DETECT(remove)", "")

    async def left(self, citizen: str) -> None:
        """No radio group is with this citizen any more."""
        await self._set(citizen, "SHARED(RADIO)", "")

    async def live_for(self, channel: str, seconds: int) -> None:
        """The channel ends by itself after that time, unless this is said again."""
        await self._set(channel, "TIMEOUT(absolute)", str(seconds))

    async def _set(self, channel: str, variable: str, value: str) -> None:
        with as_refusals():
            await self._link.call(
                "Setvar", {"Channel": channel, "Variable": variable, "Value": value}
            )
