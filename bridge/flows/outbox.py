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
REFUSED_S = 900.0
"""A receiver that says no to a message will say no again: a person must look. It is kept."""

Tell = Callable[[str], Awaitable[None]]


class NotDelivered(Exception):
    """The receiver did not take the message, or nobody knows: it is sent again later.

    `refused`: it was there and said no to this message; otherwise it is away, and with it the way
    of all the others.
    """

    def __init__(self, words: str, *, refused: bool = False) -> None:
        super().__init__(words)
        self.refused = refused


class Courier:
    """One channel's messages, one after another. `send` returns when the receiver has it; `tell`
    hears why the way is gone, and empty words where a message went through."""

    def __init__(
        self,
        outbox: Outbox,
        channel: str,
        send: Callable[[Claimed], Awaitable[None]],
        clock: Clock,
        tell: Tell | None = None,
    ) -> None:
        self._outbox = outbox
        self._channel = channel
        self._send = send
        self._clock = clock
        self._tell = tell
        self._wake = asyncio.Event()
        self._failures = 0

    def look(self) -> None:
        """There is something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            found = await self._round()
            if self._failures:
                await asyncio.sleep(self._pause())  # nothing new makes a way that is gone
            elif not found:
                look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    look.cancel()

    async def _round(self) -> bool:
        """Send what is due; False when there was nothing, or the store cannot tell."""
        gone = ""
        try:
            claimed = await self._outbox.claim(self._channel, self._clock.now(), AT_ONCE)
            for message in claimed:
                if gone:
                    await self._again(message, gone, self._pause())
                else:
                    gone = await self._deliver(message)
        except StoreError as error:  # what was claimed comes back when its lease ends
            _log.warning("outbox.store_away", channel=self._channel, reason=str(error))
            return False
        if claimed and self._tell is not None:
            await self._tell(gone)
        return bool(claimed)

    async def _deliver(self, message: Claimed) -> str:
        """Why the way is gone; empty where it is not."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(message)
        except (NotDelivered, TimeoutError) as error:
            reason = str(error) or f"no answer in {SEND_SECONDS:g} s"
            if isinstance(error, NotDelivered) and error.refused:
                await self._again(message, reason, REFUSED_S)
                return ""
            self._failures += 1
            await self._again(message, reason, self._pause())
            return reason
        self._failures = 0
        await self._outbox.done(message, self._clock.now())
        return ""

    async def _again(self, message: Claimed, reason: str, wait: float) -> None:
        due_at = self._clock.now() + timedelta(seconds=wait)
        await self._outbox.failed(message, reason, due_at)
        _log.warning("outbox.not_delivered", key=message.key, reason=reason)

    def _pause(self) -> float:
        """Seconds after so many failures in a row: doubled each time, up to the longest."""
        return float(min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(max(0, self._failures - 1), 10)))
