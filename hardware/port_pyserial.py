"""Ports of pyserial: local ones, ptys and plain sockets on the loop, RFC 2217 in its threads.

Opening, modem lines and everything of RFC 2217 live in threads of the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import termios
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import serial
from serial.rfc2217 import COM_PORT_OPTION, SERVER_NOTIFY_MODEMSTATE

from hardware.modem_wait import ModemWait
from hardware.port_interface import (
    READ_SIZE,
    ModemLines,
    NoModemLines,
    OnData,
    OnGone,
    Port,
    PortGone,
    PortSettings,
    refused,
)
from hardware.port_name import is_network

T = TypeVar("T")

READ_PAUSE: Final = 0.01
"""Seconds between two reads of a line that babbles: the first byte is read at once."""
NETWORK_BACKLOG: Final = 65536
"""Bytes that a network port may run ahead of us before it is given up as babbling."""
USER_TIMEOUT_MS: Final = 8000
"""Milliseconds after which unacknowledged data end a network port (guard rule 11)."""
NO_LINES: Final = (errno.EINVAL, errno.ENOTTY)
"""What a pseudo-terminal answers when asked for modem lines."""


async def open_pyserial(settings: PortSettings) -> Port:
    """A port of pyserial. Raises PortGone."""
    worker = ThreadPoolExecutor(1, thread_name_prefix="port-lines")
    future = asyncio.get_running_loop().run_in_executor(worker, _pyserial, settings)
    try:
        opened = await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(_close_late)
        worker.shutdown(wait=False)
        raise
    except (OSError, ValueError, termios.error, NotImplementedError) as error:
        worker.shutdown(wait=False)
        raise refused(settings, error) from error
    if settings.name.startswith("rfc2217://"):
        return _Rfc2217(settings, opened, worker)
    return _Descriptor(settings, opened, worker)


def _close_late(future: asyncio.Future[serial.SerialBase]) -> None:
    if not future.cancelled() and future.exception() is None:
        threading.Thread(target=future.result().close, daemon=True).start()


def _pyserial(settings: PortSettings) -> serial.SerialBase:
    """In a thread: the port is made closed, its lines are set, then it is opened."""
    port: Any = serial.serial_for_url(
        settings.name,
        do_not_open=True,
        baudrate=settings.rate,
        bytesize=settings.bits,
        parity=settings.parity,
        stopbits=settings.stop,
        rtscts=settings.rtscts,
        xonxoff=settings.xonxoff,
        exclusive=None if is_network(settings.name) else True,
        timeout=0.25 if settings.name.startswith("rfc2217://") else 0,
    )
    port.dtr = settings.dtr
    port.rts = settings.rts
    try:
        port.open()
    except serial.SerialException as error:
        if "'control'" not in str(error) or not settings.name.startswith("rfc2217://"):
            raise
        port.port = settings.name + "?ign_set_control"  # a box without modem lines does not answer
        port.open()
    connection = getattr(port, "_socket", None)
    if isinstance(connection, socket.socket):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    else:
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)  # beside the flock: for programs without one
        attributes = termios.tcgetattr(port.fileno())
        attributes[2] |= termios.HUPCL  # our death drops the lines
        attributes[6][termios.VMIN] = 1  # an empty read then means that the port is gone
        termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
    return port  # type: ignore[no-any-return]


class _Threaded:
    """What both kinds of pyserial port share: modem lines in a thread of their own."""

    def __init__(
        self, settings: PortSettings, port: serial.SerialBase, worker: ThreadPoolExecutor
    ) -> None:
        self._name = settings.name
        self._serial: Any = port
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._closed = False

    async def _call(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise PortGone(f"{self._name}: 已关闭 / closed")
        try:
            return await asyncio.shield(self._loop.run_in_executor(self._worker, work))
        except (OSError, termios.error) as error:
            raise PortGone(f"{self._name}: {error}") from error

    async def _end(self, work: Callable[[], None]) -> None:
        self._closed = True

        def quietly() -> None:
            with contextlib.suppress(OSError, termios.error, ValueError):
                work()

        await asyncio.shield(self._loop.run_in_executor(self._worker, quietly))
        self._worker.shutdown(wait=False)


class _Descriptor(_Threaded):
    """A local port, a pty or a plain socket: read and written by the loop itself."""

    def __init__(
        self, settings: PortSettings, port: serial.SerialBase, worker: ThreadPoolExecutor
    ) -> None:
        super().__init__(settings, port, worker)
        self._fd: int = self._serial.fileno()
        os.set_blocking(self._fd, False)
        self._has_lines = not is_network(settings.name)
        self._timer: asyncio.TimerHandle | None = None
        self._wait: ModemWait | None = None
        self._on_data: OnData | None = None
        self._on_gone: OnGone | None = None

    def start(self, on_data: OnData, on_gone: OnGone) -> None:
        self._on_data, self._on_gone = on_data, on_gone
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        self._loop.remove_reader(self._fd)
        self._take()

    def _take(self) -> None:
        """Read at once; while bytes keep coming, once in READ_PAUSE."""
        self._timer = None
        try:
            data = os.read(self._fd, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            self._loop.add_reader(self._fd, self._readable)
            return
        except OSError as error:
            self._lost(str(error))
            return
        if not data:
            self._lost("end of file")
            return
        self._timer = self._loop.call_later(READ_PAUSE, self._take)
        if self._on_data is not None:
            self._on_data(data)

    def _lost(self, reason: str) -> None:
        on_gone, self._on_gone = self._on_gone, None
        if on_gone is not None:
            on_gone(reason)

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if self._closed:
                raise PortGone(f"{self._name}: 已关闭 / closed")
            try:
                rest = rest[os.write(self._fd, rest) :]
            except (BlockingIOError, InterruptedError):
                await self._writable()
            except OSError as error:
                raise PortGone(f"{self._name}: {error}") from error

    async def _writable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(self._fd, ready.set)
        try:
            await ready.wait()
        finally:
            if not self._closed:
                self._loop.remove_writer(self._fd)

    async def set_lines(self, *, rts: bool | None = None, dtr: bool | None = None) -> None:
        bits = {termios.TIOCM_RTS: rts, termios.TIOCM_DTR: dtr}

        def move() -> None:
            for request, wanted in ((termios.TIOCMBIC, False), (termios.TIOCMBIS, True)):
                mask = sum(bit for bit, level in bits.items() if level is wanted)
                if mask:
                    fcntl.ioctl(self._fd, request, mask.to_bytes(4, "little"))

        await self._line_call(move)

    async def lines(self) -> ModemLines:
        def look() -> int:
            return int.from_bytes(fcntl.ioctl(self._fd, termios.TIOCMGET, bytes(4)), "little")

        bits = await self._line_call(look)
        return ModemLines(
            cts=bool(bits & termios.TIOCM_CTS),
            dsr=bool(bits & termios.TIOCM_DSR),
            ri=bool(bits & termios.TIOCM_RI),
            dcd=bool(bits & termios.TIOCM_CD),
        )

    def watch_lines(self, changed: Callable[[], None]) -> None:
        """Told by the kernel where the port's driver can wait."""
        if not self._has_lines:
            return

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(changed)

        self._wait = ModemWait(self._fd, told)
        self._wait.start()

    async def _line_call(self, work: Callable[[], T]) -> T:
        if not self._has_lines:
            raise NoModemLines(f"{self._name}: 无调制解调控制线 / has no modem lines")
        try:
            return await self._call(work)
        except PortGone as gone:
            if isinstance(gone.__cause__, OSError) and gone.__cause__.errno in NO_LINES:
                self._has_lines = False
                raise NoModemLines(f"{self._name}: 无控制线 / has no modem lines") from gone
            raise

    async def close(self) -> None:
        if self._closed:
            return
        self._on_gone = None
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        lines = termios.TIOCM_RTS | termios.TIOCM_DTR

        def end() -> None:
            if self._wait is not None:
                self._wait.end()
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._fd, termios.TIOCMBIC, lines.to_bytes(4, "little"))
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._fd, termios.TIOCNXCL)
            self._serial.close()

        await self._end(end)


class _Rfc2217(_Threaded):
    """A port of a network gateway (RFC 2217): pyserial's threads do the talking."""

    def __init__(
        self, settings: PortSettings, port: serial.SerialBase, worker: ThreadPoolExecutor
    ) -> None:
        super().__init__(settings, port, worker)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="port-write")
        self._free = threading.BoundedSemaphore(16)
        self._reader: threading.Thread | None = None

    def start(self, on_data: OnData, on_gone: OnGone) -> None:
        self._reader = threading.Thread(
            target=self._read, args=(on_data, on_gone), name="port-read", daemon=True
        )
        self._reader.start()

    def _read(self, on_data: OnData, on_gone: OnGone) -> None:
        def deliver(data: bytes) -> None:
            self._free.release()
            if not self._closed:
                on_data(data)

        reason = ""
        while not self._closed and not reason:
            try:
                data = self._serial.read(1)
                waiting = self._serial.in_waiting
                if data and waiting:
                    data += self._serial.read(min(waiting, READ_SIZE))
                if waiting > NETWORK_BACKLOG:
                    reason = f"{waiting} bytes ahead of us"
                thread = self._serial._thread
                if not data and (thread is None or not thread.is_alive()):
                    reason = "connection ended"
            except (OSError, TypeError, AttributeError) as error:  # closed under the read
                reason = str(error)
                data = b""
            if data:
                self._free.acquire()
                self._post(deliver, data)
        if not self._closed:
            self._post(lambda: None if self._closed else on_gone(reason))

    def _post(self, call: Callable[..., None], *values: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *values)

    async def write(self, data: bytes) -> None:
        if self._closed:
            raise PortGone(f"{self._name}: 已关闭 / closed")
        work = self._loop.run_in_executor(self._writer, self._serial.write, data)
        try:
            await asyncio.shield(work)
        except (OSError, AttributeError) as error:
            raise PortGone(f"{self._name}: {error}") from error

    async def set_lines(self, *, rts: bool | None = None, dtr: bool | None = None) -> None:
        def move() -> None:
            for line, level in (("dtr", dtr), ("rts", rts)):
                if level is not None:
                    setattr(self._serial, line, level)

        try:
            await self._call(move)
        except (ValueError, AttributeError) as error:
            raise PortGone(f"{self._name}: {error}") from error

    async def lines(self) -> ModemLines:
        def look() -> ModemLines:
            port = self._serial
            return ModemLines(cts=port.cts, dsr=port.dsr, ri=port.ri, dcd=port.cd)

        return await self._call(look)

    def watch_lines(self, changed: Callable[[], None]) -> None:
        take = self._serial._telnet_process_subnegotiation

        def told(suboption: bytes) -> None:
            take(suboption)
            if suboption[:2] == COM_PORT_OPTION + SERVER_NOTIFY_MODEMSTATE:
                self._post(changed)

        self._serial._telnet_process_subnegotiation = told

    async def close(self) -> None:
        if self._closed:
            return

        def end() -> None:
            if self._serial._thread is not None and self._serial._thread.is_alive():
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    self._serial.rts = False
                    self._serial.dtr = False
            self._serial.close()

        await self._end(end)
        self._writer.shutdown(wait=False)
