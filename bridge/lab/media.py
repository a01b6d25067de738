"""The media of all the laboratory's telephones: one thread, every leg's packet each 20 ms.

The schedule is absolute, arrival times are the kernel's, and the thread keeps the interpreter's
lock while it sends, so a busy event loop neither delays a tone nor blurs what was measured.
"""

from __future__ import annotations

import random
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from bridge.lab.ear import Ear
from bridge.lab.ports import HOST
from bridge.lab.rawsocket import Receiver, send, socket_address, stamp_arrivals
from bridge.lab.rtp import MAX_KEYS, KeyFrame, key_at_end, key_frames, pack, unpack
from bridge.lab.sdp import PCMA
from bridge.lab.tones import CYCLE, FRAME, tone_payloads

HALF_TICK_S: Final = 0.01
"""Half of the legs send at each half, and all are read."""
SWITCH_INTERVAL_S: Final = 0.001
"""How long another thread may keep the lock when the media are due."""
RECEIVE_BUFFER: Final = 65536
MAX_BEHIND_S: Final = 1.0
"""After a longer standstill (a stopped process) the schedule begins anew."""
CLOCKS_S: Final = 50e-6
"""Wall and monotonic clock count as read together within this."""


class Leg:
    """One RTP stream, both ways. Made by `Media.leg`; methods may be called from any thread."""

    def __init__(self, tone: int, numbers: tuple[int, int, int] | None = None) -> None:
        """`tone` in Hz, 0 for silence; `numbers` are the first sequence number, the first
        timestamp and the SSRC, else chance."""
        self._rtp, self._rtcp = _socket_pair()
        self.port: int = self._rtp.getsockname()[1]
        self.ear = Ear()
        self.sent = 0
        """Packets sent so far."""
        self.keys: list[tuple[float, str]] = []
        """Keys heard as telephone events: when, and which."""
        self.sending = False
        """Whether the call lets us send."""
        self.muted = False
        """Send nothing, as a dead telephone."""
        self.events = 101
        self._tone = tone
        self._payloads = tone_payloads(tone, PCMA)
        self._kind = PCMA
        chance = random.SystemRandom()
        first = (chance.randrange(1 << 16), chance.randrange(1 << 32), chance.randrange(1 << 32))
        self._sequence, self._timestamp, self._source = numbers or first
        self._position = 0
        self._marker = True
        self._remote: bytes | None = None
        self._frames: deque[KeyFrame | Callable[[], None] | None] = deque()
        self._key_start = 0
        self._last_key: int | None = None
        self.closed = False
        self.half = 0
        """In which half of the 20 ms it sends."""
        self.played_at = 0.0
        """When the first packet of the tone that it sends left, seconds since epoch."""
        self._played: Sequence[bytes] = ()

    @property
    def tone(self) -> int:
        """Hz of what it says."""
        return self._tone

    def connect(self, host: str, port: int, codec: int, events: int | None) -> None:
        """Where the other side wants its packets, and in which form."""
        self._payloads = tone_payloads(self._tone, codec)
        self._kind = codec
        self.events = 101 if events is None else events
        self._remote = socket_address(host, port) if port else None

    def play(self, tone: int, second: int = 0) -> None:
        """Send another tone from now on, or two at once (a DTMF key as sound)."""
        self._tone = tone
        self._payloads = tone_payloads(tone, self._kind, second)

    def press(self, keys: str, done: Callable[[], None]) -> None:
        """Send keys as telephone events; `done` is called in the media thread after the last.

        Raises ValueError for what is no key, or when too many wait already.
        """
        frames = key_frames(keys)
        if len(self._frames) + len(frames) > MAX_KEYS * 15:
            raise ValueError("too many keys wait to be sent")
        self._frames.extend([*frames, done])

    def close(self) -> None:
        """Stop; the media thread closes the sockets."""
        self.closed = True

    def tick(self) -> None:
        """Send what is due now. Media thread alone."""
        self._position += 1
        self._timestamp += FRAME
        frame = self._next_frame()
        if self.muted or not self.sending or self._remote is None or self.closed:
            self._marker = True
            return
        kind, marker, timestamp = self._kind, self._marker, self._timestamp
        payloads = self._payloads
        if frame is None:
            payload = payloads[self._position % CYCLE]
            self._marker = False
        else:
            if frame.first:
                self._key_start = self._timestamp
            kind, marker, timestamp = self.events, frame.first, self._key_start
            payload = frame.payload
        self._sequence += 1
        packet = pack(kind, marker, self._sequence, timestamp, self._source, payload)
        if send(self._rtp.fileno(), packet, self._remote):
            self.sent += 1
            if frame is None and payloads is not self._played:
                self._played, self.played_at = payloads, time.time()

    def _next_frame(self) -> KeyFrame | None:
        while self._frames:
            frame = self._frames.popleft()
            if frame is None or isinstance(frame, KeyFrame):
                return frame
            frame()
        return None

    def drain(self, receiver: Receiver, wall_ahead: float) -> None:
        """Take in what has come. Media thread alone."""
        descriptor = self._rtp.fileno()
        while (came := receiver.receive(descriptor)) is not None:
            packet = unpack(came[0], came[1] - wall_ahead)
            if packet is None:
                continue
            self.ear.hear(packet)
            if packet.kind != self.events or packet.timestamp == self._last_key:
                continue
            if key := key_at_end(packet):
                self._last_key = packet.timestamp
                self.keys = [*self.keys[-MAX_KEYS:], (packet.at, key)]

    def shut(self) -> None:
        """Close the sockets. Media thread alone."""
        self._rtp.close()
        self._rtcp.close()


class Media:
    """The thread. It runs while there are legs."""

    def __init__(self) -> None:
        self._legs: tuple[Leg, ...] = ()
        self._made = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.worst_late_s = 0.0
        """How late a packet of ours ever left: to tell our own fault from another's."""

    def leg(self, tone: int, numbers: tuple[int, int, int] | None = None) -> Leg:
        """A new leg, receiving at once, sending when it is told where."""
        made = Leg(tone, numbers)
        with self._lock:
            self._made += 1
            made.half = self._made % 2
            self._legs = (*self._legs, made)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="media", daemon=True)
                self._thread.start()
        return made

    def _run(self) -> None:
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))
        receiver = Receiver()
        clocks = time.time() - time.monotonic()
        due, half = time.monotonic(), 0
        while self._keep():
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            self.worst_late_s = max(self.worst_late_s, time.monotonic() - due)
            for leg in self._legs:
                if leg.half == half:
                    leg.tick()
            clocks = _wall_ahead(clocks)
            for leg in self._legs:
                leg.drain(receiver, clocks)
            due, half = due + HALF_TICK_S, 1 - half
            if time.monotonic() - due > MAX_BEHIND_S:
                due = time.monotonic()

    def _keep(self) -> bool:
        """Closes what is to be closed; False when that was the last leg."""
        gone = [leg for leg in self._legs if leg.closed]
        if not gone:
            return True
        with self._lock:
            self._legs = tuple(leg for leg in self._legs if leg not in gone)
            last = not self._legs
            if last:
                self._thread = None
        for leg in gone:
            leg.shut()
        return not last


MEDIA: Final = Media()
"""The one of this process."""


def _wall_ahead(before: float) -> float:
    """How far the wall clock is ahead of the monotonic one; `before` when interrupted."""
    first = time.monotonic()
    wall = time.time()
    return wall - first if time.monotonic() - first < CLOCKS_S else before


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    """An even port for RTP and the next for RTCP, which is taken and never read.

    Raises OSError when no such pair is free.
    """
    for _ in range(200):
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            rtp.bind((HOST, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0:
                rtcp.bind((HOST, port + 1))
                rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
                stamp_arrivals(rtp)
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
    raise OSError("no pair of free UDP ports for RTP and RTCP")
