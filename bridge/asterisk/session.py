"""One AMI session: a connection from login to loss, with its pings and its canary.

Knows nothing of reconnecting and states: it asks, measures and tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from bridge.asterisk.canary import NAME as CANARY_NAME
from bridge.asterisk.canary import Canary
from bridge.asterisk.dispatch import Dispatcher
from bridge.asterisk.errors import ActionError, ActionNotSent, ActionRejected
from bridge.asterisk.exchange import Exchange, Pending
from bridge.asterisk.guarded import GuardedProtocol
from bridge.asterisk.link_state import AmiSettings
from bridge.wire.ami import HeaderValue, Message, encode_action

Headers = Mapping[str, HeaderValue]

TICK_S: Final = 0.25
"""How often the lag is looked at while a canary is out, or the last one was late."""

OWN_DELAY_S: Final = 0.25
"""A timer so much late means that we were stopped, not the peer."""

OWN_GRACE_S: Final = 0.5
"""What a ping gets on top then: its answer may already wait in the socket."""


class Session:
    """Actions of one connection. `finished` is set when it ended and every action was told;
    `on_ping` is called each time a ping was judged, answered or not."""

    def __init__(
        self,
        settings: AmiSettings,
        protocol: GuardedProtocol,
        dispatcher: Dispatcher,
        token: str,
        on_lag: Callable[[int], None],
        on_ping: Callable[[], None] = lambda: None,
    ) -> None:
        self.protocol = protocol
        self.finished = asyncio.Event()
        self.unknown = 0
        """Actions that the loss of this session left without an answer."""
        self.canary_refused: str | None = None
        self._settings = settings
        self._dispatcher = dispatcher
        self._canary = Canary(token)
        self._on_lag = on_lag
        self._on_ping = on_ping
        limits = {"max_pending": settings.max_pending, "max_items": settings.max_items}
        self._exchange = Exchange(token, dispatcher, **limits)
        dispatcher.on_response = self._exchange.answer
        protocol.ended.add_done_callback(self._ended)

    @property
    def alive(self) -> bool:
        """The connection has not ended nor been given up."""
        return not self.protocol.closed

    @property
    def pending(self) -> int:
        """Actions without an answer so far."""
        return len(self._exchange)

    @property
    def lag_s(self) -> float | None:
        """Seconds by which events are late; None before the first canary."""
        return self._canary.lag(asyncio.get_running_loop().time())

    def _ended(self, _: asyncio.Future[str]) -> None:
        self._dispatcher.when_empty(self._fail_pending)

    def _fail_pending(self) -> None:
        self.unknown += self._exchange.fail_all(self.protocol.reason)
        self.finished.set()

    def abandon(self, reason: str) -> None:
        """End it now and tell every waiting action, without waiting for the loop."""
        self.protocol.drop(reason)
        self._fail_pending()

    async def request(
        self, action: str, headers: Headers, timeout: float, *, is_list: bool = False
    ) -> Pending:
        """Send one action, once, and wait for its answer or its whole list.

        Raises ActionRejected, ActionNotSent, OutcomeUnknown, AmiInjectionError (not sent).
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        if not await self.protocol.wait_writable(timeout):
            raise ActionNotSent(action, self.protocol.reason or "Asterisk does not read")
        pending = self._exchange.open(action, is_list=is_list)
        last = loop.call_at(end, self._exchange.expire, pending, timeout)
        try:
            self.protocol.write(encode_action(action, headers, pending.action_id))
            await pending.future
            return pending
        finally:
            last.cancel()
            self._exchange.forget(pending)

    async def log_in(self) -> Message:
        """Raises ActionRejected when Asterisk refuses the account, OutcomeUnknown in silence."""
        account = {"Username": self._settings.username, "Secret": self._settings.secret}
        headers = {**account, "Events": "on"}
        answer = await self.request("Login", headers, self._settings.login_timeout)
        assert answer.future.done()
        return answer.future.result()

    async def keep_pinging(self) -> None:
        """Until cancelled; gives the connection up when a ping is not answered (rule 12, P9)."""
        while self.alive:
            await asyncio.sleep(self._settings.ping_interval)
            if not await self._pong():
                self.protocol.drop(f"no answer to a ping in {self._settings.ping_deadline:g} s")
            self._on_ping()

    async def _pong(self) -> bool:
        loop = asyncio.get_running_loop()
        deadline = self._settings.ping_deadline
        end = loop.time() + deadline
        if not await self.protocol.wait_writable(deadline):
            return False
        pending = self._exchange.open("Ping", urgent=True)
        last = loop.call_at(end, self._overdue, pending, end)
        try:
            self.protocol.write(encode_action("Ping", {}, pending.action_id))
            await pending.future
            return True
        except ActionError:
            return False
        finally:
            last.cancel()
            self._exchange.forget(pending)

    def _overdue(self, ping: Pending, end: float) -> None:
        loop, waited = asyncio.get_running_loop(), self._settings.ping_deadline
        if loop.time() > end + OWN_DELAY_S:
            loop.call_later(OWN_GRACE_S, self._exchange.expire, ping, waited + OWN_GRACE_S)
        else:
            self._exchange.expire(ping, waited)

    async def keep_canary(self) -> None:
        """Until cancelled: a numbered `UserEvent` each interval, the lag looked at in between."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self.alive and self.canary_refused is None:
            if loop.time() >= due and await self.protocol.wait_writable(TICK_S):
                due = loop.time() + self._settings.canary_interval
                self._send_canary()
            self._on_lag(0)
            tick = min(TICK_S, self._settings.canary_interval)
            settled = not self._canary.out and (self.lag_s or 0.0) <= self._settings.lag_limit
            await asyncio.sleep(max(tick, due - loop.time()) if settled else tick)

    def _send_canary(self) -> None:
        if self._canary.full:
            return
        pending = self._exchange.open("UserEvent", urgent=True)
        headers = self._canary.next(asyncio.get_running_loop().time())
        pending.future.add_done_callback(lambda _: self._canary_answered(pending))
        self.protocol.write(encode_action("UserEvent", headers, pending.action_id))

    def _canary_answered(self, pending: Pending) -> None:
        self._exchange.forget(pending)
        error = pending.future.exception()
        if isinstance(error, ActionRejected):
            self.canary_refused = str(error)
            self._canary.withdraw()
            self._on_lag(0)

    def take_canary(self, event: Message) -> None:
        """A `UserEvent` came: if it is our canary, tell the lag and how many are missing."""
        if event.get("UserEvent") != CANARY_NAME:
            return
        returned = self._canary.take(event, asyncio.get_running_loop().time())
        if returned is not None:
            self._on_lag(returned.lost)
