"""The desk's event stream (`/cti`) as the shift leader's board has it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bridge.desk.cti import SUBPROTOCOL
from bridge.lab.ports import HOST
from bridge.lab.world import World

WELCOME_S: Final = 5.0
Told = dict[str, Any]
"""An event, or a message of the dialogue."""


class Stream:
    """One connection. `welcome` has the snapshot with which it began."""

    def __init__(self, socket: ClientConnection, welcome: Told) -> None:
        self._socket = socket
        self.welcome = welcome

    async def next(self) -> Told:
        """The next event. Raises ConnectionClosed when the daemon has gone."""
        while True:
            told: Told = json.loads(await self._socket.recv())
            if "type" in told:
                return told

    async def until(self, kind: str, within: float, **data: str) -> Told:
        """The next event of that type with these words in its data. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while True:
                told = await self.next()
                if told["type"] == kind and data.items() <= told["data"].items():
                    return told


@asynccontextmanager
async def stream(world: World) -> AsyncIterator[Stream]:
    """Everything that a leader may hear. Raises OSError when the daemon is not there."""
    uri = f"ws://{HOST}:{world.ports.http}/cti"
    head = {"Authorization": f"Bearer {world.leader.token}"}
    async with connect(
        uri, additional_headers=head, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=None
    ) as socket:
        await socket.send(json.dumps({"op": "hello", "subscribe": ["*"]}))
        async with asyncio.timeout(WELCOME_S):
            welcome = json.loads(await socket.recv())
        yield Stream(socket, welcome)
