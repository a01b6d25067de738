"""The FastAGI server: panoramisk's Application and Request, guarded.

Decides nothing about calls: handlers do. Sees to it that no peer can stop the daemon: bounded
sizes, a deadline for every wait, caps on connections, a ticket for each leg. What is mended of
panoramisk is numbered F1-F10 in the libraries sheet; what a silent server does to a channel is
in the three-way sheet, section 4. Never used on a citizen's channel.
"""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import structlog
from panoramisk.fast_agi import Application

from bridge.asterisk.agi_request import AgiHangup, AgiLate, AgiRequest, Limits
from bridge.wire.agi import (
    END_OF_ENVIRONMENT,
    MAX_ENVIRONMENT_BYTES,
    AgiPeerError,
    parse_environment,
    parse_target,
)

log = structlog.get_logger()

Outcome = Literal[
    "done",  # the handler came to its end
    "hung_up",  # the channel or the connection ended meanwhile
    "late",  # the handler or one of its commands ran out of time
    "failed",  # the handler raised
    "bad_peer",  # broken protocol, too long, not AGI
    "closed_early",  # closed before the request was complete
    "slow_request",  # the request was not complete in time
    "unknown_path",
    "refused_nonce",
    "refused_peer",
    "refused_cap",
]

USER_TIMEOUT_MS: Final = 5000
"""TCP_USER_TIMEOUT: keepalive alone does not find a cut link with data in flight (guard 11)."""


Endpoint = Callable[[AgiRequest], Awaitable[object]]


class FastAgiServer(Application):  # type: ignore[misc]  # panoramisk is untyped
    """Routes requests of Asterisk's legs to handlers. Create it inside the running loop."""

    def __init__(
        self,
        authorize: Callable[[str], bool],
        *,
        host: str = "127.0.0.1",
        port: int = 4573,
        peers: frozenset[str] = frozenset({"127.0.0.1", "::1"}),
        limits: Limits | None = None,
    ) -> None:
        """`authorize(nonce)` says whether we handed out this ticket. Port 0 takes a free one.

        Raises ValueError for a host that is not this machine's own: the protocol has no
        credential, so nobody else may reach it (guard S5).
        """
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"FastAGI on {host}: only a loopback address, such as 127.0.0.1")
        super().__init__(loop=asyncio.get_running_loop())
        self.limits = limits or Limits()
        self.host = host
        self.port = port
        self.listening = asyncio.Event()
        self.outcomes: Counter[Outcome] = Counter()
        self._authorize = authorize
        self._peers = peers
        self._open: Counter[str] = Counter()
        self._limit_s: dict[str, float] = {}

    @property
    def connections(self) -> int:
        """Connections open now."""
        return self._open.total()

    def add_route(self, path: str, endpoint: Endpoint, limit_s: float | None = None) -> None:
        """Answer requests for `path`, with or without slashes around it, each within `limit_s`
        seconds (by default `Limits.handler_s`).

        Raises TypeError for a plain function, ValueError for a path that is already taken.
        """
        if not inspect.iscoroutinefunction(endpoint):
            raise TypeError(f"the handler of {path} must be a coroutine function")
        super().add_route(path.strip("/"), endpoint)
        self._limit_s[path.strip("/")] = self.limits.handler_s if limit_s is None else limit_s

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; then open requests are cut off, and their legs' plans go on.

        Raises OSError when the port is taken.
        """
        async with asyncio.TaskGroup() as requests:
            tasks: set[asyncio.Task[None]] = set()

            def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = requests.create_task(self.handler(reader, writer), name="fastagi")
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            server = await asyncio.start_server(
                begin, self.host, self.port, limit=MAX_ENVIRONMENT_BYTES
            )
            self.port = server.sockets[0].getsockname()[1]
            self.listening.set()
            try:
                await stop.wait()
            finally:
                self.listening.clear()
                server.close()
                for task in list(tasks):
                    task.cancel()

    async def handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its end. Never raises but when cancelled."""
        peer = str((writer.get_extra_info("peername") or ("?",))[0])
        refusal = self._refusal(peer)
        if refusal is not None:
            writer.transport.abort()
            self._count(refusal, peer)
            return
        self._open[peer] += 1
        try:
            _limit_silence(writer)
            self._count(await self._serve(reader, writer), peer)
        finally:
            self._open[peer] -= 1
            self._open += Counter()  # forget addresses at zero
            # Whoever was served has answered every command, so nothing waits to be written.
            writer.transport.abort()

    def _refusal(self, peer: str) -> Outcome | None:
        if peer not in self._peers:
            return "refused_peer"
        if self.connections >= self.limits.total or self._open[peer] >= self.limits.per_address:
            return "refused_cap"
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Outcome:
        try:
            async with asyncio.timeout(self.limits.header_s):
                block = await reader.readuntil(END_OF_ENVIRONMENT)
            headers = parse_environment(block)
            target = parse_target(headers)
        except TimeoutError:
            return "slow_request"
        except (asyncio.IncompleteReadError, ConnectionError):
            return "closed_early"
        except (asyncio.LimitOverrunError, AgiPeerError) as error:
            log.debug("fastagi_bad_request", error=str(error))
            return "bad_peer"
        endpoint: Endpoint | None = self._route.get(target.path)
        if endpoint is None:
            return "unknown_path"
        if not self._authorize(target.query.get("nonce", "")):
            return "refused_nonce"
        return await self._answer(
            endpoint, AgiRequest(self, self.limits, headers, target, reader, writer)
        )

    async def _answer(self, endpoint: Endpoint, request: AgiRequest) -> Outcome:
        try:
            async with asyncio.timeout(self._limit_s[request.target.path]):
                await endpoint(request)
        except (TimeoutError, AgiLate):
            return "late"
        except AgiHangup:
            return "hung_up"
        except AgiPeerError as error:
            log.debug("fastagi_bad_answer", error=str(error))
            return "bad_peer"
        except Exception:  # a handler's mistake costs its own leg the words, nobody else anything
            log.exception("fastagi_handler_failed", path=request.target.path)
            return "failed"
        return "done"

    def _count(self, outcome: Outcome, peer: str) -> None:
        self.outcomes[outcome] += 1
        count = self.outcomes[outcome]
        # 1, 2, 4, 8, …: a flood of refusals must not become a flood of log lines.
        if outcome not in ("done", "hung_up") and count & (count - 1) == 0:
            log.warning("fastagi_refused_or_failed", outcome=outcome, peer=peer, count=count)


def _limit_silence(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
