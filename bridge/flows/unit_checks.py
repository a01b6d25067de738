"""The scheduled check of every unit's wires; a unit without a working one is an alarm (LL-09)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.domain.delivery import ChannelKind
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json, iso
from bridge.domain.unit import Unit
from bridge.flows.orders import Orders

CHECK_SECONDS = 60.0
"""Deadline of one check of one wire."""
AT_ONCE = 8
AGAIN_SECONDS = 300.0
"""A unit without a working wire is looked at again after this time."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of one check; empty words: it works."""

    at: datetime
    words: str


class UnitChecks:
    """Last results by unit and wire. `every` is the time between two rounds."""

    def __init__(self, orders: Orders, every: timedelta) -> None:
        self._orders = orders
        self._every = every
        self._few = asyncio.Semaphore(AT_ONCE)
        self.results: dict[str, dict[ChannelKind, Checked]] = {}

    async def run(self) -> None:
        """Check all units, again and again, until cancelled; one without a working wire is looked
        at again soon: its gateway may only have been starting."""
        while True:
            await self._round(self._orders.units)
            rest = self._every.total_seconds()
            while rest > 0:
                pause = min(AGAIN_SECONDS, rest)
                await asyncio.sleep(pause)
                rest -= pause
                if rest > 0:
                    await self._round([unit for unit in self.results if not self.works(unit)])

    async def _round(self, units: Iterable[str]) -> None:
        await asyncio.gather(*(self.check(unit) for unit in units))

    def works(self, unit: str) -> bool:
        """Whether some wire of the unit worked when last looked at."""
        return any(not one.words for one in self.results.get(unit, {}).values())

    async def check(self, ident: str) -> Mapping[ChannelKind, Checked]:
        """Check the wires of one unit now; the results are durable when this returns.

        Raises Refused("no-such-unit").
        """
        unit = self._orders.units.get(ident)
        if unit is None:
            raise Refused("no-such-unit")
        async with self._few:
            found = {channel: await self._one(unit, channel) for channel in unit.channels()}
        self.results[ident] = found
        wires: dict[str, Json] = {channel.value: one.words for channel, one in found.items()}
        data: dict[str, Json] = {"wires": wires}
        now = self._orders.clock.now()
        await self._orders.note(Fact("unit.checked", now, subject=ident, data=data))
        words = f"单位 {unit.name} 没有可用的通道 / unit {ident} has no working wire"
        self._orders.alarm(f"unit.{ident}", "" if self.works(ident) else words)
        return found

    async def _one(self, unit: Unit, channel: ChannelKind) -> Checked:
        wire = self._orders.channels.get(channel)
        if wire is None:
            words = "本台没有此通道 / this desk has no such wire"
        else:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    words = await wire.test(unit.addresses(channel))
            except TimeoutError:
                words = "检查超时 / the check took too long"
            except OSError as error:
                words = str(error) or type(error).__name__
        return Checked(self._orders.clock.now(), words)


def unit_doc(unit: Unit, checked: Mapping[ChannelKind, Checked], open_orders: int) -> Json:
    """A unit as the desk sees it: its wires and how they were when last looked at."""
    wires: list[Json] = []
    for channel in unit.channels():
        found = checked.get(channel)
        addresses: list[Json] = [*unit.addresses(channel)]
        wires.append(
            {
                "channel": channel.value,
                "addresses": addresses,
                "checked_at": iso(found.at) if found else None,
                "works": not found.words if found else None,
                "words": found.words if found else "",
            }
        )
    squads: list[Json] = [*unit.squads]
    return {
        "unit": unit.id,
        "name": unit.name,
        "tier": unit.tier,
        "area": unit.area,
        "squads": squads,
        "deputy": unit.deputy,
        "can_call_in": bool(unit.report_pin),
        "open_orders": open_orders,
        "wires": wires,
    }
