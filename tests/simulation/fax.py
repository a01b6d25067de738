"""Faxes on the simulated loop: far machines that hold what they hold, people who fax sheets back.

What the far machine holds is the world's knowledge: it judges what the journal says.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.channels.fax import FaxChannel, FaxPolicy, page_received
from bridge.domain.delivery import OrderSheet, Says
from bridge.domain.journal import Entry
from bridge.domain.paper import Paper, PaperKind
from bridge.flows.ports import FromChannel
from tests.simulation.daemon import SimClock
from tests.simulation.loop import in_life
from tests.simulation.ports import SimPorts, rounds

ENDINGS = (
    *("delivered", "delivered", "delivered", "voice-answered", "voice-answered", "voice-answered"),
    *("busy", "cut", "device-gone", "not-confirmed"),
)
CRASHES = 0.1
"""Share of calls in whose middle the port process dies."""
RETURNED = 0.3
"""Share of sheets that a person ticks and faxes back."""
BLOCKED_S = 30.0
"""A job may be on its way to a number when that is closed: its turn comes within this."""


@dataclass
class Fax:
    """One call to a far machine, at a wall time. `held`: its page is there. `returned`: the keys
    under which the ticked sheet came back."""

    attempt: str
    number: str
    sheet: Mapping[str, Any]
    at: float
    held: bool = False
    confirmed: bool = False
    noted: bool = False
    returned: tuple[str, ...] = ()


class FaxLine:
    """The way `fax` of the port process."""

    def __init__(self, ports: SimPorts) -> None:
        self._ports = ports
        self._chance = ports.chance
        self.calls: list[Fax] = []

    async def carry(self, key: str, body: Mapping[str, Any]) -> None:
        """What becomes of one job is drawn here."""
        draw = self._chance.random
        await asyncio.sleep(draw.random() * 15)
        if self._ports.stage(key) != "queued":
            return
        sheet = json.loads(base64.b64decode(body["text"]))
        now = SimClock(self._ports.loop).now().timestamp()
        fax = Fax(key, str(body["address"]), sheet, now)
        self.calls.append(fax)
        self._ports.tell(key, "sending")
        lasts = 5 + draw.random() * 60
        if not self._chance.quiet and draw.random() < CRASHES:
            at = draw.choice((draw.random() * lasts, lasts))
            self._ports.loop.call_later(at, self._ports.die, context=in_life(0))
        await asyncio.sleep(lasts)
        ending = draw.choice(ENDINGS)
        fax.held = ending == "delivered" or (ending == "not-confirmed" and draw.random() < 0.5)
        if fax.held and draw.random() < RETURNED:
            work = self._comes_back(fax)
            self._ports.loop.create_task(work, context=in_life(0))
        fax.confirmed = ending == "delivered"
        await asyncio.sleep(self._chance.delay(1e-3, 0.5))
        fax.noted = fax.confirmed
        await asyncio.sleep(self._chance.delay(1e-3, 0.5))
        if ending in ("delivered", "not-confirmed"):
            self._ports.tell(key, "delivered" if fax.noted else "unknown", number=fax.number)
        else:
            self._ports.tell(key, "failed", ending, number=fax.number)

    async def _comes_back(self, fax: Fax) -> None:
        """Somebody ticks a box and faxes the sheet; our modem must be there to take it."""
        draw = self._chance.random
        says = draw.choice((Says.ARRIVED, Says.RESULT, Says.DISPUTE, Says.NOTHING))
        for _ in range(draw.choice((1, 1, 1, 2))):  # no confirmation: once more
            await asyncio.sleep(10 + draw.random() * 200)
            await self._ports.up.wait()
            named = {"order": fax.sheet["order"], "code": fax.sheet["code"], "says": says.value}
            sheet = {"source": fax.number, "gateway": "fax", "channel": "fax"} | named
            key = self._ports.keep(kind="fax", **sheet)
            if says is not Says.NOTHING:
                fax.returned += (key,)

    def confirmed(self, key: str) -> bool:
        """Whether the last page's confirmation is written down."""
        return any(fax.attempt == key and fax.noted for fax in self.calls)

    def signed(self) -> set[str]:
        """Orders whose ticked sheet came back."""
        return {str(fax.sheet["order"]) for fax in self.calls if fax.returned}

    def judge(self, journal: Sequence[Entry]) -> str:
        """As `ports.Way.judge`."""
        confirmed = {fax.attempt for fax in self.calls if fax.confirmed}
        carried = {fax.attempt for fax in self.calls}
        facts = [entry.fact for entry in journal]
        said = {f.subject for f in facts if f.kind == "attempt.delivered" and f.subject}
        if false := sorted(said & carried - confirmed):
            return f"{false} were called delivered, and nobody confirmed them"
        before: dict[tuple[str, str, int], list[Fax]] = {}
        turns = rounds(journal)
        for fax in self.calls:
            order = fax.attempt.rpartition(".")[0]
            earlier = before.setdefault((order, fax.number, turns.get(fax.attempt, 0)), [])
            if not fax.sheet["repeat"] and any(one.held for one in earlier):
                return f"{fax.attempt}: the sheet is there already, and this one has no mark"
            earlier.append(fax)
        return self._blocked(journal)

    def _blocked(self, journal: Sequence[Entry]) -> str:
        """No number is called when it is known to be a person's."""
        for entry in journal:
            fact = entry.fact
            if fact.kind != "fax.blocked":
                continue
            late = [
                fax.attempt
                for fax in self.calls
                if fax.number == fact.subject and fax.at > fact.at.timestamp() + BLOCKED_S
            ]
            if late:
                return f"{late} went to {fact.subject}, which was closed"
        return ""


class SimFax(FaxChannel):
    """Without files."""

    async def _keep_copy(self, attempt: str, tiff: bytes) -> None:
        return


@dataclass(frozen=True)
class _Ticked:
    order: str | None
    code: str | None
    says: Says
    trouble: str = ""


class SimPages:
    """`bridge.channels.radio.FaxPages` without files and pictures: the sheet as it was ticked."""

    def __init__(self, tell: FromChannel) -> None:
        self._tell = tell

    async def take(self, body: Mapping[str, Any], seq: int) -> None:
        at = datetime.fromisoformat(str(body["at"]))
        read = _Ticked(body["order"], body["code"], Says(body["says"]))
        key = f"{body['gateway']}.{seq}.{body['at']}"
        await self._tell.received(page_received(str(body["source"]), at, key, read, ""))


async def paper(sheet: OrderSheet) -> Paper:
    """A sheet that shows its number, code and mark."""
    shown = {"order": sheet.order, "code": sheet.code, "repeat": sheet.repeat}
    tiff = json.dumps(shown).encode()
    return Paper(
        kind=PaperKind.ORDER, name="", title="", pages=1, tiff=tiff, pdf=b"", html="", text=""
    )


def policy(rules: Any) -> FaxPolicy:
    """At any hour."""
    return FaxPolicy(rules, lambda _: "", "UTC", Path("/nowhere"))
