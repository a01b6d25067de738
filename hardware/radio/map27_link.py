"""MAP27 data link layer (MAP27 1.5, section 3): numbered, acknowledged packets. Pure.

The entity is the same on both sides. Bodies of frames and monotonic seconds go in, outputs come
out; `deadline` says when `tick` is due. States, timers and counts as in the standard's tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hardware.radio.map27_frame import encode_frame

LR: Final = 0x01
LA: Final = 0x02
LT: Final = 0x04
VERSION: Final = 1

T0_FIRST: Final = 0.1
"""Seconds before establishment is tried again; doubles up to T0_LAST."""
T0_LAST: Final = 15.0
T3: Final = 10.0
"""Seconds of activity report; at most 15."""
N2: Final = 10
"""Retransmissions before the link has failed."""
N3: Final = 5
T4: Final = T3 * N3 + 1
"""Seconds of silence that are a failure; more than N3·T3."""
MAX_QUEUE: Final = 32
STUBBORN: Final = 3
"""Refused offers after which a peer that does not negotiate is taken at our values."""


ECHO_S: Final = 0.5
"""Seconds after the link came up in which another LR is taken for one of its establishment: by
the tables alone two entities that both hold a surplus LR would tear the link down for ever."""


class S(StrEnum):
    """States of the entity (3.3)."""

    RESET_WAIT = "reset_wait"
    LINK_WAIT = "link_wait"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Put:
    """Octets for the line."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Up:
    """The link is ready; packets may have `room` octets."""

    room: int


@dataclass(frozen=True, slots=True)
class Down:
    """The link failed. `unsent` packets never left, of `unclear` ones nobody knows."""

    reason: str
    unsent: tuple[bytes, ...] = ()
    unclear: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Packet:
    """A network message from the other side."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Acked:
    """The other side has this packet of ours."""

    data: bytes


Output = Put | Up | Down | Packet | Acked


class LinkRefused(Exception):
    """The packet is not taken; nothing was sent."""


class Map27Link:
    """One side of the link. `n1` and `k` are the most we offer."""

    def __init__(self, rate: int, n1: int = 10, k: int = 1, latency_s: float = 0.2) -> None:
        self._rate = rate
        self._own = (n1, k)
        self._latency = latency_s
        self.state = S.RESET_WAIT
        self.n1, self.k = n1, k
        self._queue: list[bytes] = []
        self._unacked: list[bytes] = []
        self._vs = self._vr = 1
        self._credit = 0
        self._last_nr = 1
        self._tries = N2
        self._t0_s = T0_FIRST
        self._stubborn = 0
        self._up_at = 0.0
        self._timers: dict[str, float] = {}
        self.busy = False
        """No room for packets of the other side: it is told a credit of 0."""

    @property
    def deadline(self) -> float | None:
        """When `tick` is due."""
        return min(self._timers.values(), default=None)

    @property
    def room(self) -> int:
        """Octets of the longest packet."""
        return 16 * (self.n1 + 1)

    @property
    def _t1_s(self) -> float:
        bits = 10 * (2 * (self.room + 4) + 7 + 11)
        return 2 * bits / self._rate + self._latency

    def start(self, now: float) -> list[Output]:
        """Power on, or reset from above."""
        return self._reset(now)

    def send(self, packet: bytes, now: float) -> list[Output]:
        """A network message. Raises LinkRefused when the link is not ready, full or it is long."""
        if self.state is not S.READY:
            raise LinkRefused("the link is not up")
        if len(packet) > self.room:
            raise LinkRefused(f"{len(packet)} octets, the radio takes {self.room}")
        if len(self._queue) >= MAX_QUEUE:
            raise LinkRefused("too many packets wait")
        self._queue.append(packet)
        return self._push(now)

    def frame(self, body: bytes, now: float) -> list[Output]:
        """A frame with a good check sum; one of another shape is ignored."""
        if len(body) < 4:
            return []
        kind = body[0]
        if kind == LR and len(body) == 4:
            return self._on_lr(body[1], body[2], now)
        if kind == LA and len(body) == 4:
            return self._on_la(body[1], body[2], now)
        if kind == LT:
            return self._on_lt(body[1], bool(body[2] & 1), body[4:], now)
        return []

    def tick(self, now: float) -> list[Output]:
        """The timers that are due."""
        out: list[Output] = []
        for name in [n for n, at in sorted(self._timers.items()) if at <= now]:
            if name in self._timers:
                del self._timers[name]
                out += getattr(self, "_" + name)(now)
        return out

    # establishment

    def _reset(self, now: float) -> list[Output]:
        self.n1, self.k = self._own
        self.state = S.RESET_WAIT
        self._timers.clear()
        self._stubborn = 0
        return [self._lr(now)]

    def _lr(self, now: float) -> Put:
        self._timers["t0"] = now + self._t0_s
        self._t0_s = min(T0_LAST, self._t0_s * 2)
        return Put(encode_frame(bytes((LR, self.n1, self.k, VERSION))))

    def _t0(self, now: float) -> list[Output]:
        self.state = S.RESET_WAIT
        return [self._lr(now)]

    def _on_lr(self, n1: int, k: int, now: float) -> list[Output]:
        if self.state is S.RESET_WAIT:
            self.n1, self.k = min(n1, self.n1), max(1, min(k, self.k))
            self.state = S.LINK_WAIT
            return [self._lr(now)]
        if self.state is S.LINK_WAIT:
            fits = n1 <= self.n1 and k <= self.k
            self._stubborn += not fits
            if not fits and self._stubborn < STUBBORN:
                return [self._lr(now)]
            self.n1, self.k = min(n1, self.n1), max(1, min(k, self.k))
            return self._ready(0, now)
        if now - self._up_at < ECHO_S and n1 >= self.n1 and k >= self.k:
            return [self._la(now)]
        out: list[Output] = [self._failed("the other side began anew")]
        self.n1, self.k = min(n1, self._own[0]), max(1, min(k, self._own[1]))
        self.state = S.LINK_WAIT
        return [*out, self._lr(now)]

    def _ready(self, credit: int, now: float) -> list[Output]:
        self.state = S.READY
        self._up_at = now
        self._vs = self._vr = self._last_nr = 1
        self._credit = credit
        self._tries = N2
        self._t0_s = T0_FIRST
        self._timers.clear()
        self._timers["t4"] = now + T4
        return [self._la(now), Up(self.room), *self._push(now)]

    def _failed(self, reason: str) -> Down:
        down = Down(reason, tuple(self._queue), tuple(self._unacked))
        self._queue.clear()
        self._unacked.clear()
        self._timers.clear()
        return down

    def _fail(self, reason: str, now: float) -> list[Output]:
        return [self._failed(reason), *self._reset(now)]

    # sending

    def _push(self, now: float) -> list[Output]:
        out: list[Output] = []
        while self._queue and self._credit > 0:
            packet = self._queue.pop(0)
            self._unacked.append(packet)
            out.append(self._lt(self._vs, packet))
            self._vs = (self._vs + 1) % 256
            self._credit -= 1
            self._tries = N2
            self._timers["t1"] = now + self._t1_s
        return out

    def _lt(self, number: int, packet: bytes) -> Put:
        return Put(encode_frame(bytes((LT, number, 1, 0)) + packet))

    def _again(self, now: float) -> list[Output]:
        self._tries -= 1
        if self._tries <= 0:
            return self._fail(f"no acknowledgement after {N2} tries", now)
        self._timers["t1"] = now + self._t1_s
        first = (self._vs - len(self._unacked)) % 256
        return [self._lt((first + n) % 256, packet) for n, packet in enumerate(self._unacked)]

    def _t1(self, now: float) -> list[Output]:
        return self._again(now) if self._unacked else []

    def _on_la(self, nr: int, nk: int, now: float) -> list[Output]:
        if self.state is S.RESET_WAIT:
            return [self._lr(now)]
        if self.state is S.LINK_WAIT:
            return self._ready(nk, now)
        first = (self._vs - len(self._unacked)) % 256
        count = (nr - first) % 256
        if count > len(self._unacked):
            return self._fail(f"acknowledgement {nr} outside the window", now)
        self._timers["t4"] = now + T4
        self._timers["t3"] = now + T3
        out: list[Output] = [Acked(packet) for packet in self._unacked[:count]]
        del self._unacked[:count]
        self._credit = max(0, nk - len(self._unacked))
        if not self._unacked:
            self._timers.pop("t1", None)
            self._tries = N2
        elif nr == self._last_nr:
            out += self._again(now)
        self._last_nr = nr
        return out + self._push(now) if self.state is S.READY else out

    # receiving

    def _la(self, now: float) -> Put:
        self._timers.pop("t2", None)
        self._timers["t3"] = now + T3
        return Put(encode_frame(bytes((LA, self._vr, 0 if self.busy else self.k, 0))))

    def _on_lt(self, ns: int, ask: bool, packet: bytes, now: float) -> list[Output]:
        if self.state is not S.READY:
            self.state = S.RESET_WAIT
            return [self._lr(now)]
        if ns != self._vr or self.busy:
            return [self._la(now)]
        self._timers["t4"] = now + T4
        self._vr = (self._vr + 1) % 256
        if ask:
            return [self._la(now), Packet(packet)]
        self._timers.setdefault("t2", now + self._latency / 4)
        return [Packet(packet)]

    def set_busy(self, busy: bool, now: float) -> list[Output]:
        """Room for packets of the other side is gone or back."""
        was, self.busy = self.busy, busy
        return [self._la(now)] if was and not busy and self.state is S.READY else []

    def _t2(self, now: float) -> list[Output]:
        return [self._la(now)]

    def _t3(self, now: float) -> list[Output]:
        return [self._la(now)]

    def _t4(self, now: float) -> list[Output]:
        return self._fail(f"nothing heard for {T4:.0f} s", now)
