"""A desk whose faxes go over the lines of its Asterisk, to fax machines on another exchange."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.lab.child import free_port
from bridge.lab.desk_client import DeskClient
from bridge.lab.faxnet import FaxNetwork
from bridge.lab.root import AsteriskRoot
from bridge.lab.world import World, make_world
from hardware.fax.page import Page, read_tiff
from tests.live.conftest import prepared_switch
from tests.live.people import people_of
from tests.live.room import Room

POLL_S = 0.5
"""The desk's limit of requests is shared by all who wait."""
OVER = ("delivered", "failed", "unknown", "withdrawn")


@dataclass
class FaxRoom:
    """The daemon with a case, its Asterisk, and the exchange where the fax machines are."""

    world: World
    network: FaxNetwork
    desk: DeskClient
    case: str
    inbox: Path

    @property
    def spool(self) -> Path:
        return self.world.switch.run.fax

    async def give(self, *units: str) -> list[str]:
        """One order to each unit; their numbers."""
        body = {"units": [*units], "words": "解放路水管爆裂,请到场抢修"}
        answer = await self.desk.must("POST", f"cases/{self.case}/orders", body)
        return [str(order["order"]) for order in answer["orders"]]

    async def order(self, ident: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self.desk.must("GET", f"orders/{ident}")
        return found

    async def attempt(
        self, ident: str, *states: str, number: int = 0, within: float = 120.0
    ) -> Mapping[str, Any]:
        """That attempt of the order, once it is in one of these states."""

        async def look() -> Mapping[str, Any] | None:
            attempts = (await self.order(ident))["attempts"]
            one: Mapping[str, Any] | None = attempts[number] if len(attempts) > number else None
            return one if one is not None and one["state"] in states else None

        deadline = time.monotonic() + within
        while (found := await look()) is None:
            assert time.monotonic() < deadline, (states, await self.order(ident))
            await asyncio.sleep(POLL_S)
        return found

    async def answered(self, ident: str) -> None:
        """Until the far end has answered the first attempt's call."""
        await self.attempt(ident, "sent")
        deadline = time.monotonic() + 20
        while "SendFAX" not in await self.world.switch.console("core show channels"):
            assert time.monotonic() < deadline, await self.order(ident)
            await asyncio.sleep(POLL_S)

    async def until(self, ident: str, state: str, within: float = 90.0) -> Mapping[str, Any]:
        """The order, once it is in that state."""
        deadline = time.monotonic() + within
        while (found := await self.order(ident))["state"] != state:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(POLL_S)
        return found

    async def fax(self, number: str, document: bytes) -> None:
        """A fax machine sends a document to us."""
        file = self.network.path / "document.tif"
        file.write_bytes(document)
        await self.network.send(number, file)

    async def cut_link(self) -> None:
        """End the daemon's AMI session; it signs in again by itself."""
        for line in (await self.world.switch.console("manager show connected")).splitlines():
            fields = line.split()
            if fields and fields[0] == "bridge110":
                await self.world.switch.console(f"manager kick session {fields[4]}")


def printed(room: FaxRoom) -> list[tuple[Page, ...]]:
    """What fax machines hold."""
    return [read_tiff(file) for file in sorted(room.network.received.glob("*.tif"))]


def units_toml(**faxes: str) -> str:
    """Units that have a fax machine and nothing else."""
    return "\n".join(
        f'[units.{name}]\nname = "{name}"\ntier = 1\nfax = ["{number}"]\n[units.{name}.ladder]\n'
        f'GENERAL = [{{ channels = ["fax"], over_s = 900 }}]\n'
        for name, number in faxes.items()
    )


@contextlib.asynccontextmanager
async def fax_room(
    root: AsteriskRoot, place: Path, units: str, *, lines: int = 4
) -> AsyncIterator[FaxRoom]:
    """All of it started, with one case of a citizen who has called 110 and hung up."""
    port = free_port()
    with prepared_switch(root, port) as switch:
        await switch.start()
        network = FaxNetwork(root, place, lines=(), sip_port=port, bridge=switch.site)
        world = make_world(switch, units=units)
        inbox = switch.run.path / "faxes"
        with world.daemon.config.open("a", encoding="utf-8") as settings:
            settings.write(
                f'\n[fax]\ninbox = "{inbox}"\n[fax.trunk]\nendpoint = "fax"\n'
                f'spool = "{switch.run.fax}"\nlines = {lines}\n'
            )
        try:
            await network.start()
            await world.daemon.start()
            async with people_of(switch) as people:
                talk = await Room(world, people).talking()
                case = str((await talk.desk.call(talk.id))["case"])
                await talk.citizen.hangup()
                yield FaxRoom(world, network, talk.desk, case, inbox)
        finally:
            await world.daemon.stop()
            await network.stop()
            await switch.stop()
