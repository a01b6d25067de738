"""The AMI link: one supervised connection to Asterisk, its actions and its events.

Decides when to connect, what state the link is in and what a loss means. Leaves framing to
`wire.ami`, the connection to `guarded`, actions to `session`, order and isolation to `dispatch`.
After each login the owner is told whether Asterisk was restarted and takes a snapshot itself.
"""

from __future__ import annotations

import asyncio
import math
import random
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import structlog

from bridge.asterisk.announce import Announcer, OnAlarm, OnState, OnUp
from bridge.asterisk.backoff import Backoff
from bridge.asterisk.dispatch import STAR, Callback, Dispatcher
from bridge.asterisk.errors import ActionError, ActionNotSent, ActionRejected
from bridge.asterisk.guarded import GuardedManager, GuardedProtocol
from bridge.asterisk.lag_watch import LagWatch
from bridge.asterisk.link_state import AmiSettings, LinkAlarm, LinkCounters, LinkState
from bridge.asterisk.session import OWN_GRACE_S, Headers, Session
from bridge.asterisk.start_watch import StartWatch
from bridge.asterisk.tls import tls_context, tls_options
from bridge.wire.ami import Message

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

STEADY_S: Final = 5.0
"""A session that lasted so long was no part of a series of failures."""

AMI_MAJOR = "11"
"""First number of the banner's version in Asterisk 22."""

_log = structlog.get_logger(__name__)


class AmiLink(GuardedManager):
    """Supervised AMI connection. All callbacks are plain functions run in the event loop.

    `on_event` gets every event, `on_state` each change with its reason, `on_up` each login that
    is complete (`True`: Asterisk was started anew since the last one, its calls are gone), and
    `on_alarm` what somebody must act upon. `known_start` is `asterisk_started_at` of an earlier
    life of the daemon, so that a restart in between is seen too.
    """

    def __init__(
        self,
        settings: AmiSettings,
        *,
        rng: random.Random,
        on_event: Callback | None = None,
        on_state: OnState | None = None,
        on_up: OnUp | None = None,
        on_alarm: OnAlarm | None = None,
        known_start: str | None = None,
    ) -> None:
        super().__init__(settings.host, settings.port, self._new_protocol)
        self.settings = settings
        self.counters = LinkCounters()
        self._rng = rng
        self._announce = Announcer(self.counters, on_state, on_up, on_alarm)
        self._session: Session | None = None
        self.due_at = math.inf
        """Second of the loop's clock by which the link will have moved: a ping judged, an attempt
        come to an end, a wait before the next one over. Long past, its task is stuck."""
        self._lag_watch = LagWatch(settings, self.counters, self._announce)
        self._start = StartWatch(settings, self._announce, known_start)
        self._backoff = Backoff(settings.retry_first, settings.retry_max, rng)
        self._dispatcher = Dispatcher(
            self.counters,
            max_backlog=settings.max_backlog,
            on_overflow=self._overflowed,
            on_failure=lambda detail: self._announce.alarm(LinkAlarm.HANDLER_FAILED, detail),
        )
        self.register("UserEvent", self._user_event)
        self.register("FullyBooted", self._start.fully_booted)
        if on_event is not None:
            self.register(STAR, on_event)

    # What the owner asks

    @property
    def state(self) -> LinkState:
        """Where the link stands now."""
        return self._announce.state

    @property
    def lag_s(self) -> float | None:
        """Seconds by which events are late, by the canary; None while that is not known."""
        return self._session.lag_s if self._session is not None else None

    @property
    def backlog(self) -> int:
        """Messages received whose callbacks have not run yet."""
        return self._dispatcher.backlog

    @property
    def pending(self) -> int:
        """Actions sent and not answered so far."""
        return self._session.pending if self._session is not None else 0

    @property
    def attempts(self) -> int:
        """Connections that failed in a row."""
        return self._backoff.attempts

    @property
    def asterisk_started_at(self) -> str | None:
        """Start of Asterisk as it says itself: `YYYY-MM-DD HH:MM:SS`, its own local time.

        Only good for telling one start from another.
        """
        return self._start.started_at

    def register(self, name_or_star: str, callback: Callback) -> Callable[[], None]:
        """Call `callback` for events of that exact name, or all (`"*"`); returns the undo.

        Items of list answers are events too and come here as well.
        Raises ValueError for a pattern, TypeError for a coroutine function.
        """
        return self._dispatcher.register(name_or_star, callback)

    async def call(
        self, action: str, headers: Headers = NO_HEADERS, *, timeout: float | None = None
    ) -> Message:
        """Send an action once; return Asterisk's response.

        Raises ActionRejected, ActionNotSent (may be asked again), OutcomeUnknown (sent, no answer:
        look at the live state), AmiInjectionError (our value cannot be written; not sent).
        """
        pending = await self._ready(action, headers).request(
            action, headers, self._timeout(timeout)
        )
        return pending.future.result()

    async def collect(
        self, action: str, headers: Headers = NO_HEADERS, *, timeout: float | None = None
    ) -> list[Message]:
        """Send an action answered by a list; return its items once it is complete.

        Raises as `call`; a list that is broken off or has holes is OutcomeUnknown.
        """
        pending = await self._ready(action, headers).request(
            action, headers, self._timeout(timeout), is_list=True
        )
        return pending.items

    def _ready(self, action: str, headers: Headers) -> Session:
        if action.lower() == "originate" and headers.get("Async") != "true":  # as we write it
            raise ValueError(
                "Originate without Async: true stops the whole session until the phone answers "
                "and would look like a dead link; add the header Async: true"
            )
        session = self._session
        if session is None or not self.state.usable:
            raise ActionNotSent(action, f"link is {self.state.key}")
        return session

    def _timeout(self, timeout: float | None) -> float:
        return self.settings.action_timeout if timeout is None else timeout

    # Supervision

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the link up until `stop` is set.

        Raises ValueError when `ca_file` is of no use, and ExceptionGroup for a fault of our own:
        the process ends then and is started again (guard rule 15).
        """
        context = tls_context(self.settings.tls, self.settings.ca_file)
        try:
            async with asyncio.TaskGroup() as tasks:
                link = tasks.create_task(self._keep_up(context), name="ami-link")
                await stop.wait()
                link.cancel()
        finally:
            self._announce.enter(LinkState.DOWN, "stopped")

    async def _keep_up(self, context: ssl.SSLContext | None) -> None:
        while True:
            delay = await self._attempt(context)
            self._moves_within(delay)
            await asyncio.sleep(delay)

    async def _attempt(self, context: ssl.SSLContext | None) -> float:
        """One connection from beginning to end; returns the seconds to wait before the next."""
        if self.state is LinkState.DOWN and self._backoff.attempts == 0:
            self._announce.enter(LinkState.CONNECTING, f"{self.settings.host}:{self.settings.port}")
        self._moves_within(self.settings.connect_timeout)
        options = tls_options(context, self.settings.server_hostname or self.settings.host)
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                protocol = await self.open_connection(**options)
        except ssl.SSLCertVerificationError as error:
            return self._refused(LinkState.BAD_CERTIFICATE, error.verify_message)
        except (OSError, TimeoutError) as error:
            return self._failed(f"cannot connect: {str(error) or 'no answer in time'}")
        token = f"{self._rng.getrandbits(48):012x}"
        session = Session(
            self.settings, protocol, self._dispatcher, token, self._judge_lag, self._pinged
        )
        self._session = session
        try:
            return await self._live(session)
        finally:
            session.abandon("given up")
            self._session = None

    async def _live(self, session: Session) -> float:
        if self.state not in (LinkState.BAD_SECRET, LinkState.BAD_CERTIFICATE):
            self._announce.enter(LinkState.LOGGING_IN, f"as {self.settings.username}")
        limits = self.settings
        self._moves_within(limits.login_timeout + limits.booted_timeout + limits.action_timeout)
        try:
            self._start.begin(session)
            await session.log_in()
            restarted = await self._start.restarted(session)
        except ActionRejected as error:
            return self._refused(LinkState.BAD_SECRET, error.message.get("Message"))
        except ActionError as error:
            return self._failed(str(error))
        self._came_up(session, restarted)
        loop = asyncio.get_running_loop()
        since = loop.time()
        await self._serve(session)
        if loop.time() - since > STEADY_S:
            self._backoff.reset()
        return self._failed(session.protocol.reason, unknown=session.unknown)

    def _came_up(self, session: Session, restarted: bool) -> None:
        self._lag_watch.begin()
        self._pinged()
        self.counters.sessions += 1
        version = session.protocol.ami_version or ""
        _log.info("ami.up", restarted=restarted, version=version)
        if version.partition(".")[0] != AMI_MAJOR:
            words = f"AMI {version}: 未经验证的版本,请运行 bridge110 check"
            words += f" / tried with AMI {AMI_MAJOR} of Asterisk 22; run bridge110 check"
            self._announce.alarm(LinkAlarm.OTHER_VERSION, words)
        self._announce.up(restarted)

    async def _serve(self, session: Session) -> None:
        """Until the connection ended and all that it brought is delivered."""
        async with asyncio.TaskGroup() as tasks:
            helpers = (
                tasks.create_task(session.keep_pinging(), name="ami-ping"),
                tasks.create_task(session.keep_canary(), name="ami-canary"),
            )
            await session.finished.wait()
            for task in helpers:
                task.cancel()

    def _failed(self, reason: str, unknown: int = 0) -> float:
        delay = self._backoff.next()
        report = _log.warning if self._backoff.attempts == 1 else _log.debug
        report("ami.down", reason=reason, unknown=unknown, retry_s=round(delay, 2))
        self._announce.enter(LinkState.DOWN, reason)
        return delay

    def _refused(self, state: LinkState, reason: str) -> float:
        """Wrong secret or certificate: a person must act; asked again rarely (P13, P14)."""
        delay = self._backoff.jitter(self.settings.retry_refused)
        if self.state is not state:
            _log.error("ami.refused", state=state.key, reason=reason, retry_s=round(delay, 1))
            self._announce.alarm(LinkAlarm(state.key), reason)
        self._announce.enter(state, reason)
        return delay

    def _moves_within(self, seconds: float) -> None:
        self.due_at = asyncio.get_running_loop().time() + seconds

    # What the parts report

    def _pinged(self) -> None:
        self._moves_within(self.settings.ping_interval + self.settings.ping_deadline + OWN_GRACE_S)

    def _new_protocol(self) -> GuardedProtocol:
        return GuardedProtocol(self._dispatcher.feed)

    def _user_event(self, event: Message) -> None:
        if self._session is not None:
            self._session.take_canary(event)

    def _judge_lag(self, lost: int) -> None:
        if self._session is not None:
            self._lag_watch.judge(self._session, lost)

    def _overflowed(self, discarded: int) -> None:
        reason = f"{discarded} messages waited for their callbacks: discarded, link dropped"
        self._announce.alarm(LinkAlarm.BACKLOG, reason)
        if self._session is not None:
            self._session.protocol.drop(reason)
