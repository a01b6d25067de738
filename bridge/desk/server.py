"""The HTTP server of the desk, inside the daemon's task group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 5.0
"""The head of a request is here by then, or the connection is closed."""
MAX_HEAD = 16 * 1024
"""Bytes of a request's head: address and headers."""
MAX_MESSAGE = 64 * 1024
"""Bytes of a WebSocket message of a client."""
CONNECTIONS = 1_000
"""At a time; more are answered 503."""
PER_ADDRESS = 600
"""Of one address, so that none can have them all; a proxy of ours brings every seat by one."""
TAKE_SECONDS = 5.0
"""Who takes nothing of an answer for so long, with 64 KB waiting, is dropped."""
KEEP_ALIVE_SECONDS = 75
STOP_SECONDS = 3
LAST_SECONDS = 0.5
"""For the request of a connection that was accepted in the last moment."""
USER_TIMEOUT_MS = 20_000
"""TCP_USER_TIMEOUT: a peer that acknowledges nothing for so long is gone (guard rule 11)."""
BACKLOG = 512
FIRST_INHERITED = 3
"""The number of the first descriptor that systemd hands over (sd_listen_fds(3))."""


class _Embedded(uvicorn.Server):
    """Leaves the process's signals alone: they are the daemon's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _HeadTooLarge(Exception):
    pass


class _Bounded(HttpToolsProtocol):
    """uvicorn's protocol with a size and a deadline for the head of a request, a deadline for who
    takes its answer, and a bound for each address (guard S6)."""

    _open: ClassVar[Counter[str]] = Counter()
    _head = 0
    _deadline: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _last = False
    _counted = False
    _address = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._open[self._address] += 1
        self._counted = True
        if self._open[self._address] > PER_ADDRESS:
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._leave()  # the WebSocket has bounds of its own (desk/cti.py)
        super().handle_websocket_upgrade()

    def _leave(self) -> None:
        self._head_is_here()
        self._it_takes()
        if self._counted:
            self._counted = False
            self._open[self._address] -= 1
            if self._open[self._address] <= 0:
                del self._open[self._address]

    def pause_writing(self) -> None:
        super().pause_writing()
        self._it_takes()
        self._taking = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._it_takes()

    def _it_takes(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_here()
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            raise _HeadTooLarge  # the parser turns it into its own error: 400 and close
        super().on_headers_complete()
        if self._last and self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server stops. Who has just come in and not asked yet is still answered: a connection
        that systemd would have kept for our successor must not be closed without a word."""
        if self.cycle is None and self._deadline is not None:
            self._last = True
            self._deadline.cancel()
            self._deadline = self.loop.call_later(LAST_SECONDS, self._too_late)
        else:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        self._head = len(data) + (self._head if self._deadline is not None else 0)
        super().data_received(data)
        if self._deadline is not None and self._head > MAX_HEAD:
            self._head_is_here()
            self.send_400_response("Request head too large.")

    def _expect_head(self) -> None:
        self._head_is_here()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def _head_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError naming address and mend."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise OSError(
            error.errno,
            f"http {host}:{port}: 无法监听,是否已有实例在运行 / cannot listen ({error.strerror}): "
            "is another daemon running? stop it or change [http] in bridge.toml",
        ) from error
    return made


def inherited(environment: Mapping[str, str] = os.environ) -> socket.socket | None:
    """The listening socket that systemd opened for us, or None (sd_listen_fds(3))."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    if not int(environment.get("LISTEN_FDS", "0") or "0"):
        return None
    os.set_inheritable(FIRST_INHERITED, False)
    return socket.socket(fileno=FIRST_INHERITED)


class Server:
    """Serves one application on one listening socket until told to stop."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        listening.setblocking(False)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        # Accepted sockets inherit it: head and body of an answer never wait for an ACK (40 ms).
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listening = listening
        self._server = _Embedded(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                http=_Bounded,
                ws="websockets-sansio",
                ws_max_size=MAX_MESSAGE,
                ws_ping_interval=20.0,
                ws_ping_timeout=20.0,
                ws_per_message_deflate=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS,
                backlog=BACKLOG,
            )
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listening.getsockname()[1])

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; connections get STOP_SECONDS to end."""
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(self._wait(stop), name="desk stop")
            await self._server.serve(sockets=[self._listening])
            waiting.cancel()

    async def _wait(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._server.should_exit = True
