"""Brings the messages of one channel to their receiver, each until it has arrived.

At least once and always with the same key: a crash between sending and noting it sends again, and
the receiver knows the key. A message is taken for the time of a lease and noted as done only after
the receiver had it; whoever dies in between gives it back by dying.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from bridge.flows.ports import Claimed, Clock, Outbox, StoreError

_log = structlog.get_logger(__name__)

AT_ONCE = 4
SEND_SECONDS = 7.0
"""Together within the lease of 30 s, so that no message is still being sent when it ends."""
LOOK_SECONDS = 1.0
"""How often the outbox is looked into; `look` makes it at once."""
RETRY_FIRST_S, RETRY_MAX_S = 1.0, 60.0
"""Wait after a failed attempt: doubled each time, up to the longest."""


class NotDelivered(Exception):
    """The receiver did not take the message, or nobody knows: it is sent again later."""


class Courier:
    """One channel's messages, one after another. `send` returns when the receiver has it."""

    def __init__(
        self,
        outbox: Outbox,
        channel: str,
        send: Callable[[Claimed], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._channel = channel
        self._send = send
        self._clock = clock
        self._wake = asyncio.Event()

    def look(self) -> None:
        """There is something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            if not await self._round():
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _round(self) -> bool:
        """Send what is due; False when there was nothing, or the store cannot tell."""
        try:
            claimed = await self._outbox.claim(self._channel, self._clock.now(), AT_ONCE)
            for message in claimed:
                await self._deliver(message)
        except StoreError as error:  # what was claimed comes back when its lease ends
            _log.warning("outbox.store_away", channel=self._channel, reason=str(error))
            return False
        return bool(claimed)

    async def _deliver(self, message: Claimed) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(message)
        except (NotDelivered, TimeoutError) as error:
            reason = str(error) or f"no answer in {SEND_SECONDS:g} s"
            due_at = self._clock.now() + _wait(message.lease)
            await self._outbox.failed(message, reason, due_at)
            _log.warning("outbox.not_delivered", key=message.key, reason=reason)
        else:
            await self._outbox.done(message, self._clock.now())


def _wait(attempts: int) -> timedelta:
    return timedelta(seconds=min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(attempts - 1, 10)))
