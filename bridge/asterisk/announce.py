"""Tells the link's owner of states and alarms. A listener's fault cannot hurt the link."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bridge.asterisk.link_state import LinkAlarm, LinkCounters, LinkState

OnState = Callable[[LinkState, str], object]
OnAlarm = Callable[[LinkAlarm, str], object]
OnUp = Callable[[bool], object]

_log = structlog.get_logger(__name__)


class Announcer:
    """Holds the state and its three listeners."""

    def __init__(
        self,
        counters: LinkCounters,
        on_state: OnState | None,
        on_up: OnUp | None,
        on_alarm: OnAlarm | None,
    ) -> None:
        self.state = LinkState.DOWN
        self._counters = counters
        self._on_state, self._on_up, self._on_alarm = on_state, on_up, on_alarm

    def enter(self, state: LinkState, reason: str) -> None:
        """The link is now in `state`; told only when it was not before."""
        if state is not self.state:
            self.state = state
            self._tell(self._on_state, state, reason)

    def up(self, restarted: bool) -> None:
        """A login is complete."""
        self.enter(LinkState.UP, "Asterisk was restarted" if restarted else "signed in")
        self._tell(self._on_up, restarted)

    def alarm(self, alarm: LinkAlarm, detail: str) -> None:
        """Somebody must look."""
        _log.warning("ami.alarm", alarm=alarm.value, detail=detail)
        self._tell(self._on_alarm, alarm, detail)

    def _tell(self, listener: Callable[..., object] | None, *arguments: object) -> None:
        if listener is None:
            return
        try:
            listener(*arguments)
        except Exception as error:  # noqa: BLE001  a listener's fault must not cost the link
            self._counters.handler_errors += 1
            _log.error("ami.listener_failed", exc_info=error)
