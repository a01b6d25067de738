"""A call-taker's program in the laboratory: the REST interface, as anybody could use it."""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

ANSWER_S: Final = 8.0
POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Reply:
    """What the daemon answered: HTTP status and document."""

    status: int
    doc: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class DeskClient:
    """One token's view of one daemon. Every request has an idempotency key of its own."""

    def __init__(self, host: str, port: int, token: str, seat: str = "") -> None:
        self.host, self.port, self.token, self.seat = host, port, token, seat

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, key: str = ""
    ) -> Reply:
        """One request. Raises OSError when the daemon cannot be reached."""
        return await asyncio.to_thread(self._request, method, path, body, key)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None, key: str) -> Reply:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_S)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            if method != "GET":
                headers["Idempotency-Key"] = key or secrets.token_hex(12)
            data = json.dumps(body).encode() if body is not None else None
            connection.request(method, f"/api/v1/{path}", data, headers)
            answer = connection.getresponse()
            text = answer.read()
            return Reply(answer.status, json.loads(text) if text else {})
        finally:
            connection.close()

    async def must(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """A request that must succeed. Raises RuntimeError with the daemon's words."""
        reply = await self.request(method, path, body)
        if not reply.ok:
            raise RuntimeError(f"{method} {path}: {reply.status} {json.dumps(reply.doc)}")
        return reply.doc

    # What a call-taker does

    async def log_on(self, agent: str = "robot", role: str = "110") -> None:
        """Log on and be ready."""
        path = f"seats/{self.seat}/agent"
        await self.must("PUT", path, {"agent": agent, "role": role})
        await self.must("PATCH", path, {"state": "ready"})

    async def act(self, call: str, service: str, **body: Any) -> Mapping[str, Any]:
        """A service on a call: three-way, transfer, consult …"""
        return await self.must("POST", f"calls/{call}/{service}", body)

    async def leave(self, leg: str, *, confirm: bool = False) -> Mapping[str, Any]:
        """Clear a leg: one's own, or another's with `confirm`."""
        return await self.must("DELETE", f"legs/{leg}" + ("?confirm=true" if confirm else ""))

    async def snapshot(self) -> Mapping[str, Any]:
        return await self.must("GET", "snapshot")

    async def call(self, call: str) -> Mapping[str, Any]:
        return await self.must("GET", f"calls/{call}")

    async def wait_for(
        self, look: Callable[[], Awaitable[Any]], within: float = 5.0, what: str = ""
    ) -> Any:
        """The first true thing that `look` finds. Raises TimeoutError naming `what`."""
        try:
            async with asyncio.timeout(within):
                while True:
                    found = await look()
                    if found:
                        return found
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise TimeoutError(f"not seen within {within:g} s: {what}") from None

    async def wait_call(
        self, number: str, state: str | tuple[str, ...] = (), within: float = 5.0
    ) -> Mapping[str, Any]:
        """The live call of that caller's number, in one of the states if given."""
        states = (state,) if isinstance(state, str) else state

        async def look() -> Mapping[str, Any] | None:
            for call in (await self.snapshot())["calls"]:
                if call["number"] == number and (not states or call["state"] in states):
                    return dict(call)
            return None

        found: Mapping[str, Any] = await self.wait_for(look, within, f"{number} {states}")
        return found


def leg_of(call: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The newest living leg of that name. Raises LookupError."""
    for leg in reversed(call["legs"]):
        if leg["name"] == name and leg["cleared_at"] is None:
            return dict(leg)
    raise LookupError(f"no living leg {name} in {[leg['name'] for leg in call['legs']]}")
