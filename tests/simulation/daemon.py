"""One life of the daemon: the real flows, link, resync and commands, wired by `bridge/app/calls`.

What lies below them is simulated: store, wire, clock. Doors (REST, FastAGI, recordings) are left
out; people ask through `Commands`, as the REST routes do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from bridge.app.calls import CallService, CallSite, open_calls
from bridge.asterisk.link_state import AmiSettings, LinkAlarm
from bridge.asterisk.manager import AmiLink
from bridge.desk.commands import Commands
from bridge.domain.acts import Target
from bridge.domain.call import Call, Role
from bridge.domain.journal import Entry, Fact
from bridge.domain.reconcile import Difference, ToldCall, Verdict
from bridge.flows.cases import CaseNumbers
from bridge.flows.outbox import Courier
from bridge.flows.ports import Claimed, Transaction
from bridge.flows.reconcile import EVERY_S, Reconciliation
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room
from bridge.flows.view import View
from tests.simulation.chance import Chance
from tests.simulation.loop import START, SimLoop
from tests.simulation.reckoning import SimLog, told
from tests.simulation.store import Disk, SimStore
from tests.simulation.switch import SimSwitch

SEATS = ("8001", "8002", "8003")
LEADER = "8009"
WRAP_UP = timedelta(seconds=3)
PLATFORM = "platform"
TARGETS = {
    target.id: target
    for target in (
        Target(
            "12345", "12345", "PJSIP/12345@hotline", Role.HOTLINE, "hotline",
            fallback="PJSIP/12345@second",
        ),
        Target("6001", "供水", "PJSIP/6001@units", Role.UNIT, "unit-6001", accept="answer"),
        Target("6002", "供电", "PJSIP/6002@units", Role.UNIT, "unit-6002"),
    )
}  # fmt: skip
SETTINGS = AmiSettings(username="bridge110", secret="secret", ping_interval=1.0, canary_interval=2)


class SimClock:
    """Virtual clocks (`flows.ports.Clock`)."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return datetime.fromtimestamp(START + self._loop.time(), UTC)

    def monotonic(self) -> float:
        return self._loop.time()


class Daemon:
    """All parts of one life. `on_published` sees what is published, before anybody is shown it."""

    def __init__(
        self,
        life: int,
        loop: SimLoop,
        chance: Chance,
        disk: Disk,
        switch: SimSwitch,
        on_published: Callable[[Daemon, Sequence[Entry]], None],
        on_restored: Callable[[Sequence[Entry]], None],
        send: Callable[[Claimed], Awaitable[None]],
        store: type[SimStore] = SimStore,
    ) -> None:
        self.life = life
        self.chance = chance
        self.switch = switch
        self.clock = SimClock(loop)
        self.alarms: list[str] = []
        self.differ = ""
        """What the standing reckoning alarms of."""
        self.ready = False
        self.stop = asyncio.Event()
        self.view = View(f"life-{life}", self.clock.now)
        self._on_published = on_published
        self._ids = count(1)
        self._group: asyncio.TaskGroup | None = None
        self.store = store(disk, chance, loop, life, self.clock.now, self._publish)
        self.store.on_restored = on_restored
        self.recorder = Recorder(self.store, self._store_trouble)
        self.courier = Courier(self.store, PLATFORM, send, self.clock)

    def _publish(self, entries: Sequence[Entry]) -> None:
        self._on_published(self, entries)
        self.view.publish(entries)

    async def run(self) -> None:
        """Until killed. Raises what ends the process."""
        await self.store.open()
        await self._wire_up()
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.recorder.run())
            group.create_task(self.link.run(self.stop))
            group.create_task(self.calls.run())
            group.create_task(self.courier.run())
            group.create_task(self._reckon())
            self.ready = True
            await self.stop.wait()

    async def _wire_up(self) -> None:
        self.calls: CallService = await open_calls(
            CallSite(
                ami=SETTINGS,
                seats=frozenset((*SEATS, LEADER)),
                targets=TARGETS,
                wrap_up=WRAP_UP,
                numbers=CaseNumbers(UTC),
                new_id=self.new_id,
                nonce=lambda _: "",
                tracks=self._tracks,
                cel_file=Path("cel"),
                read_cel=self.switch.read_cel,
            ),
            reader=self.store.reader,
            recorder=self.recorder,
            view=self.view,
            clock=self.clock,
            spawn=self.spawn,
            rng=self.chance.random,
            alarm=self._alarm,
        )
        self.room: Room = self.calls.room
        self.link: AmiLink = self.calls.link
        known = [entry.fact for entry in self.store.disk.now.journal]
        self.reconciliation = Reconciliation(
            SimLog(self.switch),
            self._told,
            monotonic=self.clock.monotonic,
            alarm=self._differ,
            found=self._difference,
            learn_again=self.calls.service.look_again,
            known={
                fact.subject or "": Verdict(str(fact.data["verdict"]))
                for fact in known
                if fact.kind == "reconcile.difference"
            },
        )
        self.commands = Commands(
            self.room,
            self.view,
            seats=frozenset((*SEATS, LEADER)),
            target_for=lambda to, _: TARGETS.get(to),
            new_id=self.new_id,
            clock=self.clock,
            answers=self.calls.answered,
            spawn=self.spawn,
            audit=self.room.note,
        )

    def new_id(self) -> str:
        return f"b110-{self.life}-{next(self._ids)}"

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        if self._group is None or self.stop.is_set():
            work.close()
            return
        self._group.create_task(work, name=name)

    def _alarm(self, alarm: LinkAlarm, detail: str) -> None:
        self.alarms.append(f"{alarm.value}: {detail}")

    def _differ(self, words: str) -> None:
        self.differ = words

    def _difference(self, one: Difference) -> None:
        data = {"verdict": one.verdict.value}
        fact = Fact(
            "reconcile.difference", self.clock.now(), one.case, None, one.call, "daemon", data
        )
        self.recorder.record(Transaction([fact]))

    async def _told(self, calls: Collection[str]) -> Mapping[str, ToldCall]:
        return told(await self.store.reader.tables(), calls)

    async def _reckon(self) -> None:
        """The switch's log beside the journal, as `bridge/app/daemon` has it."""
        while True:
            await self.reconciliation.round()
            await asyncio.sleep(EVERY_S)

    def _store_trouble(self, words: str) -> None:
        self.view.link("store", {"state": "down" if words else "up", "words": words})

    async def _tracks(self, _: Call) -> Mapping[str, Any]:
        await asyncio.sleep(self.chance.delay(0.01, 3.0))
        return {"tracks": []}
