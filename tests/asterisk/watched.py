"""An AmiLink at work against a peer, with everything it told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from bridge.asterisk.link_state import AmiSettings, LinkAlarm, LinkState
from bridge.asterisk.manager import AmiLink
from bridge.wire.ami import Message
from tests.asterisk.ami_peer import SECRET, USERNAME


class Watched:
    """A running link and what it said; waits look again whenever something was said."""

    def __init__(self, settings: AmiSettings, **options: Any) -> None:
        self.states: list[tuple[LinkState, str]] = []
        self.ups: list[bool] = []
        self.alarms: list[tuple[LinkAlarm, str]] = []
        self.events: list[Message] = []
        listeners: dict[str, Any] = {
            "on_event": self.events.append,
            "on_state": lambda state, reason: self.states.append((state, reason)),
            "on_up": self.ups.append,
            "on_alarm": lambda alarm, detail: self.alarms.append((alarm, detail)),
        }
        self.link = AmiLink(settings, rng=random.Random(110), **{**listeners, **options})

    def named(self, name: str) -> list[Message]:
        return [event for event in self.events if event.name == name]

    def entered(self, state: LinkState) -> list[str]:
        return [reason for told, reason in self.states if told is state]

    async def wait(self, condition: Callable[[], object], limit: float = 10.0) -> None:
        """Until the condition holds; TimeoutError after `limit` seconds."""
        async with asyncio.timeout(limit):
            while not condition():
                await asyncio.sleep(0.005)

    async def wait_up(self, times: int = 1) -> None:
        await self.wait(lambda: len(self.ups) >= times)


def settings(port: int, **changes: Any) -> AmiSettings:
    given: dict[str, Any] = {"port": port, "username": USERNAME, "secret": SECRET, **changes}
    return AmiSettings(**given)


@contextlib.asynccontextmanager
async def running(ami: AmiSettings, **options: Any) -> AsyncIterator[Watched]:
    """The link runs while the block does, and has ended in order afterwards."""
    watched = Watched(ami, **options)
    stop = asyncio.Event()
    task = asyncio.create_task(watched.link.run(stop))
    try:
        yield watched
    finally:
        stop.set()
        async with asyncio.timeout(5):
            await task
