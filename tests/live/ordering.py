"""A world with a case, the desk of the seat that has it, and a unit with telephones."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher

from bridge.lab.desk_client import DeskClient
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.ports import HOST
from bridge.lab.tones import UNIT
from bridge.lab.world import World, make_world
from tests.live.conftest import NewSwitch
from tests.live.people import People, people_of
from tests.live.room import Room, Talk

PIN = "839201746528"
"""Long, so that its digits stand nowhere by chance."""
UNITS = f"""
[units.water]
name = "市供水集团"
tier = 1
duty_phone = ["PJSIP/6001", "PJSIP/6002"]
leader_phone = ["PJSIP/6003"]
report_pin = "{PasswordHasher().hash(PIN)}"
terminal = {{ users = ["unit-6001"] }}
[units.water.ladder]
GENERAL = [
    {{ channels = ["terminal"], over_s = 2 }},
    {{ channels = ["phone"], over_s = 6 }},
    {{ channels = ["phone"], over_s = 8, to = "leader" }},
]
"""


@dataclass
class Ordering:
    """A world with a case, and the desk of the seat that has it."""

    world: World
    people: People
    desk: DeskClient
    case: str
    talk: Talk

    async def give(self, **more: Any) -> str:
        body = {"units": ["water"], "words": "解放路水管爆裂,请到场抢修", **more}
        answer = await self.desk.must("POST", f"cases/{self.case}/orders", body)
        return str(answer["orders"][0]["order"])

    async def order(self, ident: str) -> Mapping[str, Any]:
        return await self.desk.must("GET", f"orders/{ident}")

    async def until(self, ident: str, state: str, within: float = 30.0) -> Mapping[str, Any]:
        async def look() -> Mapping[str, Any] | None:
            found = await self.order(ident)
            return found if found["state"] == state else None

        found: Mapping[str, Any] = await self.desk.wait_for(look, within, f"{ident} {state}")
        return found

    async def attempt(
        self, ident: str, channel: str, state: str, within: float = 20.0
    ) -> Mapping[str, Any]:
        """The last attempt on that channel, once it is in that state."""

        async def look() -> Mapping[str, Any] | None:
            found = [a for a in (await self.order(ident))["attempts"] if a["channel"] == channel]
            return found[-1] if found and found[-1]["state"] == state else None

        found: Mapping[str, Any] = await self.desk.wait_for(look, within, f"{channel} {state}")
        return found


@contextlib.asynccontextmanager
async def ordering(
    new_switch: NewSwitch, units: str = UNITS, more: str = "", stays: bool = False
) -> AsyncIterator[Ordering]:
    """Asterisk and daemon with one case of a citizen who has called 110 and hung up, or `stays`
    with the seat; `more` is added to the settings."""
    world = make_world(await new_switch(), units=units)
    with world.daemon.config.open("a", encoding="utf-8") as config:
        config.write(more)
    await world.daemon.start()
    try:
        async with people_of(world.switch) as people:
            talk = await Room(world, people).talking()
            case = (await talk.desk.call(talk.id))["case"]
            if not stays:
                await talk.citizen.hangup()
            yield Ordering(world, people, talk.desk, case, talk)
    finally:
        await world.daemon.stop()


async def lead_by(world: World, port: int) -> None:
    """From its next start on the daemon reaches Asterisk's AMI by way of this port."""
    config = world.daemon.config
    text, own = config.read_text(), f'[ami]\nhost = "{HOST}"\nport = '
    assert own + str(world.ports.ami) in text
    config.write_text(text.replace(own + str(world.ports.ami), own + str(port)))


async def duty(people: People, number: str, behaviour: Behaviour) -> Phone:
    return await people.phone(number, UNIT, behaviour)
