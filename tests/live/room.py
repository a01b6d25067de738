"""A dispatch room at work: seats with telephones and desk programs, citizens, 12345."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.lab.call import Call
from bridge.lab.desk_client import DeskClient, leg_of
from bridge.lab.incoming import IncomingCall
from bridge.lab.phone import Phone
from bridge.lab.world import World
from tests.live.people import People, fetched, people_of, talk


@dataclass
class Talk:
    """A citizen who talks with a seat: both telephones, and the desk that drives the call."""

    people: People
    desk: DeskClient
    citizen: Call
    seat: Phone
    at_seat: IncomingCall
    number: str
    id: str

    async def state(self, *states: str, within: float = 4.0) -> Mapping[str, Any]:
        """The call as the desk shows it, once it is in one of these states."""
        return await self.desk.wait_call(self.number, states, within)

    async def act(self, service: str, **body: Any) -> Mapping[str, Any]:
        return await self.desk.act(self.id, service, **body)

    async def leg(self, name: str) -> str:
        return str(leg_of(await self.desk.call(self.id), name)["id"])

    async def leave(self) -> None:
        await self.desk.leave(await self.leg(f"seat-{self.desk.seat}"))

    async def handoff(self, state: str, within: float = 4.0) -> Mapping[str, Any]:
        """The last handoff, once it is in that state."""

        async def look() -> Any:
            found = (await self.desk.call(self.id))["handoffs"]
            return found[-1] if found and found[-1]["state"] == state else None

        handoff: Mapping[str, Any] = await self.desk.wait_for(look, within, f"handoff {state}")
        return handoff


@dataclass
class Room:
    """Telephones and desks around one world."""

    world: World
    people: People

    async def sit(self, number: str = "8001", **rest: Any) -> tuple[Phone, DeskClient]:
        """A call-taker sits down: telephone registered, logged on, ready."""
        phone = await self.people.seat(number, **rest)
        desk = self.world.desk(number)
        await desk.log_on(agent=f"agent-{number}")

        async def ready() -> bool:
            seats = (await desk.must("GET", "seats"))["seats"]
            return any(s["id"] == number and s["state"] == "ready" for s in seats)

        await desk.wait_for(ready, 8.0, f"seat {number} ready")
        return phone, desk

    async def talking(self, number: str = "8001") -> Talk:
        """A citizen dials 110 and talks with that seat."""
        seat, desk = await self.sit(number)
        phone, citizen = await self.people.citizen()
        at_seat = await fetched(seat)
        await talk(citizen, at_seat)
        call = await desk.wait_call(phone.user, "established")
        return Talk(self.people, desk, citizen, seat, at_seat, phone.user, call["id"])

    async def stand_up(self) -> None:
        """Everybody logs off; nothing of this test is left."""
        for phone in self.people.phones:
            for call in [call for call in phone.calls if call.end is None]:
                with contextlib.suppress(TimeoutError, RuntimeError):
                    await call.hangup()
        desks = {
            p.user: self.world.desk(p.user)
            for p in self.people.phones
            if p.user in self.world.tokens
        }

        async def idle() -> bool:
            return not (await self.world.leader.snapshot())["calls"]

        with contextlib.suppress(TimeoutError, OSError, RuntimeError):
            await self.world.leader.wait_for(idle, 5.0)
        for number, desk in desks.items():
            for _ in range(40):
                reply = await desk.request("DELETE", f"seats/{number}/agent")
                if reply.ok or reply.doc.get("code") == "not-logged-on":
                    break
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def room_of(world: World) -> AsyncIterator[Room]:
    """A room that is empty again afterwards."""
    async with people_of(world.switch) as people:
        room = Room(world, people)
        try:
            yield room
        finally:
            with contextlib.suppress(OSError):
                await room.stand_up()
