"""Voice calls on a TETRA terminal: who talks, who may talk, how a call ended. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hardware.radio.events import CallChange
from hardware.radio.pei_lines import DISCONNECT, CallLine, Grant

EMERGENCY_PRIORITY: Final = 15
MAX_CALLS: Final = 16
_PROGRESS: Final = {0: "calling", 1: "queued", 2: "ringing", 3: "calling", 4: "idle"}
_GRANTS: Final = {
    Grant.GRANTED: "talking",
    Grant.NOT_GRANTED: "denied",
    Grant.QUEUED: "waiting",
    Grant.ANOTHER: "listening",
}


_BEGINS: Final = ("CTICN", "CTOCP", "CTCC")


@dataclass(slots=True)
class _Call:
    peer: str = ""
    group: str = ""
    emergency: bool = False


@dataclass
class PeiCalls:
    """The calls a terminal has told of, by instance."""

    _calls: dict[int, _Call] = field(default_factory=dict)

    @property
    def present(self) -> tuple[int, ...]:
        """Instances of calls that have not ended."""
        return tuple(self._calls)

    def started(self, instance: int, peer: str) -> None:
        """We dialled `peer`; the terminal gave the call this instance."""
        self._call(instance).peer = peer

    def line(self, line: CallLine) -> CallChange | None:
        """What a line changes; None for a word about a call that has ended or was never begun."""
        instance = line.instance
        if instance not in self._calls and line.kind not in _BEGINS:
            return None
        if line.kind == "CTCR":
            call = self._calls.pop(instance, _Call())
            cause = DISCONNECT.get(line.value, f"cause {line.value}")
            return self._change(instance, "ended", call, call.peer, cause)
        call = self._call(instance)
        if line.kind == "CTICN":
            call.peer, call.group = line.peer, line.group
            call.emergency = line.priority >= EMERGENCY_PRIORITY
            return self._change(instance, "ringing", call, line.peer)
        if line.kind == "CTOCP":
            return self._change(instance, _PROGRESS.get(line.value, "calling"), call, call.peer)
        if line.kind == "CTXG":
            state = _GRANTS[Grant(line.value)] if line.value in _GRANTS else "idle"
            return self._change(instance, state, call, line.peer)
        if line.kind == "CTXW":
            return self._change(instance, "waiting", call, "")
        if line.kind == "CTCC":
            return self._change(instance, "connected", call, call.peer)
        return self._change(instance, "idle", call, "")  # CDTXC, CTXI: nobody talks

    def _call(self, instance: int) -> _Call:
        if instance not in self._calls and len(self._calls) >= MAX_CALLS:
            self._calls.pop(next(iter(self._calls)))
        return self._calls.setdefault(instance, _Call())

    def lost(self) -> list[CallChange]:
        """The terminal restarted: its calls are gone."""
        calls, self._calls = self._calls, {}
        return [self._change(n, "ended", c, c.peer, "terminal restarted") for n, c in calls.items()]

    @staticmethod
    def _change(instance: int, state: str, call: _Call, peer: str, cause: str = "") -> CallChange:
        return CallChange(instance, state, peer, call.group, cause, call.emergency)
