"""Which state the dialogue with a MAP27 radio is in, and what its messages do to it. Pure.

States and rules of MAP27 1.5 section 5 (sheet, 4.5): one message transaction at a time, started
only in idle; messages from the radio are taken in every state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hardware.radio.events import CallChange, Why
from hardware.radio.map27_net import Ack, Call, Disconnect, Message, Progress, ProtocolInfo


class N(StrEnum):
    """States of the DTE."""

    IDLE = "idle"
    MESSAGE_WAIT = "message_wait"
    INCALL_WAIT = "incall_wait"
    OUTCALL_WAIT = "outcall_wait"
    ACTIVE = "active"


class Done(StrEnum):
    """How a message transaction ended."""

    OK = "ok"
    FAILED = "failed"
    NO_MST = "no-mst"
    """The controller has no extended data; nothing went out."""
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Ended:
    """The open message has come to its end."""

    done: Done
    why: Why | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The network goes on trying: the watchdog begins anew."""

    words: str


Step = Ended | Waiting | CallChange

CAUSES: Final = {
    0x03: (Why.REFUSED, "rejected"),
    0x04: (Why.OFFLINE, "out of reach"),
    0x06: (Why.REFUSED, "diverted"),
    0x07: (Why.BUSY, "accepted for call-back"),
    0x08: (Why.WITHDRAWN, "aborted"),
    0x0B: (Why.CONGESTION, "overload"),
    0x0C: (Why.BUSY, "engaged or does not accept"),
    0x0D: (Why.REFUSED, "controller has no extended data"),
    0x0E: (Why.REFUSED, "diverted, address not available"),
    0x16: (Why.REFUSED, "diverted to a group"),
}
"""Causes of E0 and E4 (4.3)."""
_WAITS: Final = {
    0x01: "alerting",
    0x02: "system busy",
    0x05: "emergency proceeding",
    0x0A: "called unit engaged",
    0x22: "several short messages instead of an extended one",
    0x26: "diverted, trying the diversion address",
    0x36: "diverted to a group, trying",
}
_CLEARED: Final = {
    0x00: "unspecified",
    0x01: "ended at the radio",
    0x04: "no radio contact",
    0x05: "too long",
    0x06: "coding impossible",
    0x0B: "normal end",
    0x0E: "ended abnormally",
}
_NO_MST: Final = 0x0D
_HOOK: Final = 0x08
"""INCOMING CALL bit 4: a hook signal is wanted before connection."""
_WARNINGS: Final = {0x01: "transmission disabled", 0x0A: "clear-down warning"}


class Map27Calls:
    """The state, moved by what we start and by what the radio says."""

    def __init__(self) -> None:
        self.state = N.IDLE
        self.peer = ""
        self.emergency = False

    def start_message(self) -> bool:
        """May a message begin now? Then it has begun."""
        if self.state is not N.IDLE:
            return False
        self.state = N.MESSAGE_WAIT
        return True

    def start_call(self, peer: str, emergency: bool) -> bool:
        """May a call begin now? Then it has begun."""
        if self.state is not N.IDLE:
            return False
        self.state, self.peer, self.emergency = N.OUTCALL_WAIT, peer, emergency
        return True

    def give_up_message(self) -> None:
        """The watchdog of the open message has run out."""
        if self.state is N.MESSAGE_WAIT:
            self.state = N.IDLE

    def reset(self, reason: str) -> list[Step]:
        """The link was lost: everything ends (rule 7)."""
        out: list[Step] = []
        if self.state is N.MESSAGE_WAIT:
            out.append(Ended(Done.UNCLEAR, None, reason))
        elif self.state is not N.IDLE:
            out.append(self._call("ended", reason))
        self.state = N.IDLE
        return out

    def message(self, message: Message) -> list[Step]:
        """What a message of the radio changes; others than those of calls change nothing."""
        if isinstance(message, Ack):
            return self._ack(message)
        if isinstance(message, Call):
            return self._incoming(message)
        if isinstance(message, Progress):
            return self._progress(message)
        if isinstance(message, Disconnect):
            return self._cleared(message)
        if isinstance(message, ProtocolInfo):
            return self._info(message)
        return []

    def _ack(self, ack: Ack) -> list[Step]:
        if self.state is not N.MESSAGE_WAIT:
            return []
        if ack.kind == 0xD0:
            return [Waiting(_WAITS.get(ack.cause, f"cause {ack.cause:02X}"))]
        self.state = N.IDLE
        if ack.kind == 0xC0:
            return [Ended(Done.OK)]
        if ack.cause == _NO_MST:
            return [Ended(Done.NO_MST, Why.REFUSED, CAUSES[_NO_MST][1])]
        why, words = CAUSES.get(ack.cause, (Why.ERROR, f"cause {ack.cause:02X}"))
        return [Ended(Done.FAILED, why, words)]

    def _incoming(self, call: Call) -> list[Step]:
        """Rule 4: an incoming call ends our own attempt."""
        out: list[Step] = []
        if self.state is N.MESSAGE_WAIT:
            out.append(Ended(Done.UNCLEAR, None, "interrupted by an incoming call"))
        elif self.state is N.OUTCALL_WAIT:
            out.append(self._call("ended", "interrupted by an incoming call"))
        self.peer, self.emergency = str(call.address), call.emergency
        if call.details & _HOOK:
            self.state = N.INCALL_WAIT
            return [*out, self._call("ringing")]
        self.state = N.ACTIVE
        return [*out, self._call("connected")]

    def _progress(self, progress: Progress) -> list[Step]:
        sense = progress.kind & 0xF0
        if sense == 0xC0 and self.state in (N.OUTCALL_WAIT, N.INCALL_WAIT, N.ACTIVE):
            self.state = N.ACTIVE
            return [self._call("connected")]
        if sense == 0xD0:
            if progress.kind == 0xD5 and self.state is N.ACTIVE:
                return [self._call("denied", _WARNINGS.get(progress.cause, "warning"))]
            if self.state is N.OUTCALL_WAIT:
                state = "ringing" if progress.cause == 1 else "waiting"
                return [self._call(state, _WAITS.get(progress.cause, ""))]
            return []
        if sense == 0xE0 and self.state is not N.IDLE and self.state is not N.MESSAGE_WAIT:
            self.state = N.IDLE
            return [self._call("ended", CAUSES.get(progress.cause, (None, "not connected"))[1])]
        return []

    def _cleared(self, cleared: Disconnect) -> list[Step]:
        words = _CLEARED.get(cleared.cause, f"cause {cleared.cause:02X}")
        state, self.state = self.state, N.IDLE
        if state is N.MESSAGE_WAIT:
            why = {4: Why.NOT_REGISTERED, 5: Why.TOO_LONG, 6: Why.REFUSED}.get(cleared.cause)
            if why is None:
                return [Ended(Done.UNCLEAR, None, words)]
            return [Ended(Done.FAILED, why, words)]
        return [] if state is N.IDLE else [self._call("ended", words)]

    def _info(self, info: ProtocolInfo) -> list[Step]:
        """Rule 7 for `not supported`, and its like for other refusals of the radio itself."""
        words = {
            1: "message not recognised",
            2: "not supported",
            3: "state mismatch",
            4: "coding not supported",
            5: "radio busy by local operation",
        }.get(info.info)
        if words is None or self.state not in (N.MESSAGE_WAIT, N.OUTCALL_WAIT):
            return []
        state, self.state = self.state, N.IDLE
        if state is N.MESSAGE_WAIT:
            return [Ended(Done.FAILED, Why.BUSY if info.info == 5 else Why.REFUSED, words)]
        return [self._call("ended", words)]

    def _call(self, state: str, cause: str = "") -> CallChange:
        return CallChange(0, state, self.peer, cause=cause, emergency=self.emergency)
