"""One life of the daemon: the real flows, link, resync and commands, as `bridge/app` wires them.

What lies below them is simulated: store, wire, clock. Doors (REST, FastAGI, recordings) are left
out; people ask through `Commands`, as the REST routes do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from bridge.asterisk.acts import Acts
from bridge.asterisk.cel import Position
from bridge.asterisk.link_state import AmiSettings, LinkAlarm, LinkState
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.service import CelCursor, SwitchService
from bridge.asterisk.translate import Translator
from bridge.asterisk.watch import Watch
from bridge.desk.commands import Commands
from bridge.domain.acts import Act, Target
from bridge.domain.agent import AgentAct
from bridge.domain.call import Call, Role
from bridge.domain.journal import Entry, Fact
from bridge.flows.cases import CaseNumbers
from bridge.flows.outbox import Courier
from bridge.flows.ports import Answer, Claimed, Transaction
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room
from bridge.flows.view import View
from tests.simulation.chance import Chance
from tests.simulation.loop import START, SimLoop
from tests.simulation.store import Disk, SimStore
from tests.simulation.switch import SimSwitch

SEATS = ("8001", "8002", "8003")
LEADER = "8009"
WRAP_UP = timedelta(seconds=3)
PLATFORM = "platform"
CEL_CURSOR = "cel"
START_CURSOR = "asterisk_started_at"
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
    """All parts of one life. `watch_entries` sees what is published, before anybody is shown it."""

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
        self.loop = loop
        self.chance = chance
        self.switch = switch
        self.clock = SimClock(loop)
        self.alarms: list[str] = []
        self.ready = False
        self.stop = asyncio.Event()
        self.view = View(f"life-{life}", self.clock.now)
        self._on_published = on_published
        self._on_restored = on_restored
        self._ids = count(1)
        self._group: asyncio.TaskGroup | None = None
        self.store = store(disk, chance, loop, life, self.clock.now, self._publish)
        self.recorder = Recorder(self.store, self._store_trouble)
        self.numbers = CaseNumbers(UTC)
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
            group.create_task(self.watch.run())
            group.create_task(self.watch.beat())
            group.create_task(self.courier.run())
            group.create_task(self._keep_house())
            self.room.close_those_over()
            self.ready = True
            await self.stop.wait()

    async def _wire_up(self) -> None:
        started = await self.store.reader.cursor(START_CURSOR)
        position = Position.parse(await self.store.reader.cursor(CEL_CURSOR))
        cel = CelCursor(Path("cel"), position, self._cel_moved, self.switch.read_cel)
        switch = _Late()
        self.room = Room(
            recorder=self.recorder,
            switch=switch,
            clock=self.clock,
            numbers=self.numbers,
            targets=TARGETS,
            new_id=self.new_id,
            spawn=self.spawn,
            wrap_up=WRAP_UP,
            on_over=self._over,
        )
        await self._restore()
        seats = {*SEATS, LEADER}.__contains__
        self.service = SwitchService(
            self.room,
            Translator(seats, self.clock.now),
            cel,
            seats=seats,
            now=self.clock.now,
            spawn=self.spawn,
            on_ephemeral=lambda kind, case, data: self.view.ephemeral(kind, data, call=case),
        )
        self.link = AmiLink(
            SETTINGS,
            rng=self.chance.random,
            on_event=self.service.event,
            on_state=self._link_state,
            on_up=self._up,
            on_alarm=self._alarm,
            known_start=started,
        )
        self.service.attach(self.link)
        epoch = lambda: self.clock.now().timestamp()  # noqa: E731
        switch.acts = Acts(
            self.link, queue="q110", nonce=lambda _: "", spawn=self.spawn, epoch=epoch
        )
        self.room.begin, self.room.give_up = switch.acts.begin, switch.acts.give_up
        self.watch = Watch(
            self.link,
            self.room.book,
            self.room.see,
            now=self.clock.now,
            monotonic=self.clock.monotonic,
        )
        self.room.look_again = self.service.look_again
        self.commands = Commands(
            self.room,
            self.view,
            seats={*SEATS, LEADER},
            target_for=TARGETS.get,
            new_id=self.new_id,
            clock=self.clock,
            answers=self._answered,
            spawn=self.spawn,
            audit=self.room.note,
        )

    async def _restore(self) -> None:
        reader = self.store.reader
        facts: list[Fact] = []
        since = self.clock.now() - timedelta(days=3)
        for row in [*await reader.live_calls(), *await reader.unclosed_calls(since)]:
            if row.case:
                page = await reader.entries_of_case(row.case)
                self._on_restored(page)
                facts += [entry.fact for entry in page if entry.fact.call == row.id]
        seats = await reader.rows("seat")
        self.room.restore(facts, seats)
        self.view.restore(facts, seats)
        since = self.clock.now() - timedelta(days=30)
        for call, case in await reader.calls_since(since):
            self.numbers.remember(call, case)

    def new_id(self) -> str:
        return f"b110-{self.life}-{next(self._ids)}"

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        if self._group is None or self.stop.is_set():
            work.close()
            return
        self._group.create_task(work, name=name)

    def _cel_moved(self, position: str) -> None:
        self.recorder.record(Transaction(cursors={CEL_CURSOR: position}))

    def _up(self, restarted: bool) -> None:
        self.service.up(restarted)
        started = self.link.asterisk_started_at
        if started:
            self.recorder.record(Transaction(cursors={START_CURSOR: started}))

    def _link_state(self, state: LinkState, reason: str) -> None:
        if not state.usable:
            self.service.down()
        words = {"state": state.key, "words": state.words, "reason": reason}
        self.view.link("asterisk", words)
        fact = Fact(f"link.{state.key}", self.clock.now(), actor="daemon", data=dict(words))
        self.recorder.record(Transaction([fact]))

    def _alarm(self, alarm: LinkAlarm, detail: str) -> None:
        self.alarms.append(f"{alarm.value}: {detail}")
        if alarm is LinkAlarm.EVENT_LOSS:
            self.service.look_again()

    def _store_trouble(self, words: str) -> None:
        self.view.link("store", {"state": "down" if words else "up", "words": words})

    async def _answered(self, key: str) -> Answer | None:
        return await self.store.reader.answer(key, self.clock.now())

    def _over(self, call: Call) -> None:
        self.spawn(self.room.close(call, self._tracks), f"recording of {call.id}")

    async def _tracks(self, _: Call) -> dict[str, Any]:
        await asyncio.sleep(self.chance.delay(0.01, 3.0))
        return {"tracks": []}

    async def _keep_house(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(0.25)
            self.room.end_wrap_ups()
            self.room.note_all_busy()
            turn += 1
            if turn % 4 == 0:
                self.recorder.record(Transaction())


class _Late:
    """The switch port before the link exists."""

    acts: Acts

    async def carry_out(self, act: Act) -> None:
        await self.acts.carry_out(act)

    async def agent(self, act: AgentAct) -> None:
        await self.acts.agent(act)
