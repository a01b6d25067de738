"""Citizens, call-takers and 12345 as real SIP telephones, and their ways of meeting."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from bridge.lab.call import Call
from bridge.lab.incoming import IncomingCall
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.ports import HOST
from bridge.lab.switch import Switch
from bridge.lab.tones import CITIZEN, HOTLINE, SEAT

_numbers = itertools.count(13_900_000_001)
PRESSES_1 = Behaviour(keys="1", keys_after=0.4)


@dataclass
class People:
    """Telephones around one Asterisk. All are switched off at the end."""

    switch: Switch
    phones: list[Phone] = field(default_factory=list)

    async def phone(
        self,
        user: str,
        tone: int,
        behaviour: Behaviour | None = None,
        *,
        secret: bool = True,
        numbers: tuple[int, int, int] | None = None,
    ) -> Phone:
        site = self.switch.site
        made = Phone(
            user,
            site.sip_secret if secret else "",
            (HOST, site.ports.sip),
            tone=tone,
            behaviour=behaviour,
            numbers=numbers,
        )
        await made.start()
        self.phones.append(made)
        return made

    async def seat(self, number: str = "8001", tone: int = SEAT, **rest: object) -> Phone:
        return await self.phone(number, tone, **rest)  # type: ignore[arg-type]

    async def hotline(self, behaviour: Behaviour | None = None, **rest: object) -> Phone:
        return await self.phone(
            "hotline",
            HOTLINE,
            behaviour or PRESSES_1,
            **rest,  # type: ignore[arg-type]
        )

    async def citizen(self, tone: int = CITIZEN) -> tuple[Phone, Call]:
        """Somebody dials 110; a number nobody else has in this run."""
        phone = await self.phone(str(next(_numbers)), tone, secret=False)
        return phone, await phone.dial("110")

    async def leave(self) -> None:
        for phone in self.phones:
            with contextlib.suppress(TimeoutError, RuntimeError):
                await phone.stop()


@contextlib.asynccontextmanager
async def people_of(switch: Switch) -> AsyncIterator[People]:
    people = People(switch)
    try:
        yield people
    finally:
        await people.leave()


async def talk(one: Call, other: Call, within: float = 5.0) -> None:
    """Both hear each other, and nobody else."""
    await asyncio.gather(
        one.wait_hears({other.leg.tone}, within), other.wait_hears({one.leg.tone}, within)
    )


async def all_talk(*calls: Call, within: float = 5.0) -> None:
    """Each hears all the others at once, and nobody else."""
    tones = [call.leg.tone for call in calls]
    await asyncio.gather(
        *(call.wait_hears({t for t in tones if t != call.leg.tone}, within) for call in calls)
    )


async def fetched(phone: Phone, within: float = 6.0) -> IncomingCall:
    """The next call of a telephone, answered."""
    call = await phone.wait_call(within)
    await call.wait_answered(within)
    return call
