"""The device's end of a pseudo-terminal, with a line between that may be as bad as wanted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_WAITING: Final = 1 << 20
"""Bytes that wait for a reader; what comes on top is lost, as on a line without flow control."""


@dataclass(slots=True)
class Faults:
    """How bad the line is. Shares are per byte (0 … 1); `split` sends so many bytes at a time
    and `delay_s` is the pause between two such pieces."""

    lose: float = 0.0
    garble: float = 0.0
    split: int = 0
    delay_s: float = 0.0

    def spoil(self, data: bytes, rng: random.Random) -> bytes:
        """What arrives of `data`."""
        if not self.lose and not self.garble:
            return data
        out = bytearray()
        for byte in data:
            if rng.random() < self.lose:
                continue
            out.append(byte ^ 1 << rng.randrange(8) if rng.random() < self.garble else byte)
        return bytes(out)


class PtyEnd:
    """A pty whose other end a driver opens by `name` (or by the link made with `link`).

    `faults_in` spoil what the driver writes, `faults_out` what it reads."""

    def __init__(self, on_bytes: Callable[[bytes], None], rng: random.Random) -> None:
        self._on_bytes = on_bytes
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._link: Path | None = None
        self._out: list[bytes] = []
        self._waiting = 0
        self._writing = False
        self._timer: asyncio.TimerHandle | None = None
        self.faults_in = Faults()
        self.faults_out = Faults()
        self._master = self._slave = -1
        self._open()

    def _open(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)
        self._loop.add_reader(self._master, self._readable)

    def link(self, path: Path) -> None:
        """Give the pty a name that stays when it is plugged again."""
        path.unlink(missing_ok=True)
        path.symlink_to(self.name)
        self._link = path

    def _readable(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        except OSError:
            self._loop.remove_reader(self._master)
            return
        arrived = self.faults_in.spoil(data, self._rng)
        if arrived:
            self._on_bytes(arrived)

    def write(self, data: bytes) -> None:
        """Towards the driver, through the faults of the line."""
        if self._master < 0 or self._waiting + len(data) > MAX_WAITING:
            return
        spoilt = self.faults_out.spoil(data, self._rng)
        step = self.faults_out.split or len(spoilt) or 1
        pieces = [spoilt[at : at + step] for at in range(0, len(spoilt), step)]
        self._out += pieces
        self._waiting += len(spoilt)
        self._push()

    def _push(self) -> None:
        self._timer = (
            None if self._timer is None or self._timer.when() <= self._loop.time() else self._timer
        )
        while self._out and self._master >= 0 and self._timer is None:
            try:
                sent = os.write(self._master, self._out[0])
            except BlockingIOError:
                if not self._writing:
                    self._writing = True
                    self._loop.add_writer(self._master, self._writable)
                return
            except OSError:
                self._out.clear()
                self._waiting = 0
                return
            self._waiting -= sent
            if sent < len(self._out[0]):
                self._out[0] = self._out[0][sent:]
                continue
            self._out.pop(0)
            if self.faults_out.delay_s and self._out:
                self._timer = self._loop.call_later(self.faults_out.delay_s, self._again)

    def _again(self) -> None:
        self._timer = None
        self._push()

    def _writable(self) -> None:
        self._writing = False
        self._loop.remove_writer(self._master)
        self._push()

    def pull(self) -> None:
        """Pull the cable: the driver's port is gone."""
        if self._master < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._out.clear()
        self._waiting = 0
        self._writing = False
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        os.close(self._master)
        self._master = -1
        with contextlib.suppress(OSError):
            os.close(self._slave)

    def plug(self) -> None:
        """Plug it in again, under the same link."""
        self.pull()
        self._open()
        if self._link is not None:
            self.link(self._link)

    def close(self) -> None:
        """End of the device; its link goes too."""
        self.pull()
        if self._link is not None:
            self._link.unlink(missing_ok=True)
