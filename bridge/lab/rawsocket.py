"""UDP without letting the interpreter's lock go, and with the kernel's own arrival times.

Each ordinary `send` gives the lock to whoever waits for it and may get it back 5 ms later: with
60 legs and a busy event loop no packet would leave in time. These calls never block (loopback, a
non-blocking socket), so they may keep it. Linux alone.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from typing import Final

SO_TIMESTAMPNS: Final = 35
"""asm-generic/socket.h; the control message has the same number."""
MAX_DATAGRAM: Final = 1500
_CONTROL: Final = 64
_TIMESPEC_AT: Final = 16
"""Behind the control message's header: length, level, type."""


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


_libc = ctypes.PyDLL(None)
_sendto = _libc.sendto
_sendto.argtypes = (
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint32,
)
_sendto.restype = ctypes.c_ssize_t
_recvmsg = _libc.recvmsg
_recvmsg.argtypes = (ctypes.c_int, ctypes.POINTER(_Header), ctypes.c_int)
_recvmsg.restype = ctypes.c_ssize_t


def socket_address(host: str, port: int) -> bytes:
    """The kernel's form of an IPv4 address."""
    return struct.pack("=H", socket.AF_INET) + struct.pack(">H4s8x", port, socket.inet_aton(host))


def send(descriptor: int, data: bytes, address: bytes) -> bool:
    """Send one datagram; False when the kernel did not take it."""
    sent: int = _sendto(descriptor, data, len(data), socket.MSG_DONTWAIT, address, len(address))
    return sent == len(data)


def stamp_arrivals(sock: socket.socket) -> None:
    """Ask the kernel to note when each datagram arrives."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


class Receiver:
    """One buffer through which any number of sockets are read, by one thread."""

    def __init__(self) -> None:
        self._data = ctypes.create_string_buffer(MAX_DATAGRAM)
        self._control = ctypes.create_string_buffer(_CONTROL)
        self._vector = _Vector(ctypes.addressof(self._data), MAX_DATAGRAM)
        self._header = _Header()
        self._header.vectors = ctypes.pointer(self._vector)
        self._header.vector_count = 1
        self._header.control = ctypes.addressof(self._control)

    def receive(self, descriptor: int) -> tuple[bytes, float] | None:
        """The next datagram and its arrival (wall-clock seconds); None when there is none."""
        self._header.control_length = _CONTROL
        size: int = _recvmsg(descriptor, self._header, socket.MSG_DONTWAIT)
        if size < 0:
            return None
        if self._header.control_length < _TIMESPEC_AT + 16:
            return self._data.raw[:size], time.time()
        seconds, nanoseconds = struct.unpack_from("=qq", self._control, _TIMESPEC_AT)
        return ctypes.string_at(self._data, size), seconds + nanoseconds / 1e9
