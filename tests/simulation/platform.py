"""Somebody else's system: takes messages, forgets to answer, refuses, and knows a key it had."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.flows.outbox import NotDelivered
from bridge.flows.ports import Claimed
from tests.simulation.loop import LIFE, in_life

if TYPE_CHECKING:
    from tests.simulation.world import World


class Platform:
    """An idempotent receiver: `taken` holds what it acted upon, `repeats` what it had already."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.taken: dict[str, object] = {}
        self.repeats = 0

    async def send(self, message: Claimed) -> None:
        """As the daemon's courier sends. Raises NotDelivered."""
        world = self.world
        answer: asyncio.Future[bool] = world.loop.create_future()
        life = LIFE.get()
        delay = world.chance.delay(1e-3, 0.2)
        world.loop.call_later(delay, self._arrives, message, answer, life, context=in_life(0))
        if not await answer:
            raise NotDelivered("503 busy")

    def _arrives(self, message: Claimed, answer: asyncio.Future[bool], life: int) -> None:
        world, draw = self.world, self.world.chance.random
        fate = draw.random() if not world.chance.quiet else 1.0
        takes = fate >= 0.15
        if takes:
            self._take(message)
            world.chance.maybe("outbox.sent")
        if fate > 0.25 or not takes:
            delay = world.chance.delay(1e-3, 0.2)
            world.loop.call_later(delay, _tell, answer, takes, context=in_life(life))

    def _take(self, message: Claimed) -> None:
        world = self.world
        world.trace(f"platform takes {message.key}")
        if message.key not in world.disk.synced.outbox:
            world.fail(f"message {message.key} was sent before it was durable")
        known = self.taken.get(message.key)
        if known is None:
            self.taken[message.key] = dict(message.body)
        else:
            self.repeats += 1
            if known != dict(message.body):
                world.fail(f"message {message.key} came with two contents")


def _tell(answer: asyncio.Future[bool], takes: bool) -> None:
    if not answer.done():
        answer.set_result(takes)
