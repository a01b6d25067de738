"""Calls put together for one daemon: room, link to the switch, service, acts and watch.

It stands on ports alone (store, clock, spawn), so the simulation runs this wiring on its own disk,
wire and clock.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from bridge.asterisk.acts import Acts
from bridge.asterisk.cel import Position
from bridge.asterisk.link_state import AmiSettings, LinkAlarm, LinkState
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.service import CelCursor, CelReads, SwitchService, read_off_loop
from bridge.asterisk.translate import Translator
from bridge.asterisk.watch import Watch
from bridge.domain.acts import Act, Target
from bridge.domain.agent import AgentAct
from bridge.domain.call import Call
from bridge.domain.journal import Entry, Fact
from bridge.flows.calls import Spawn
from bridge.flows.cases import CaseNumbers
from bridge.flows.ports import Answer, Clock, Row, Table, Transaction
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room
from bridge.flows.view import View

QUEUE = "q110"
CEL_CURSOR = "cel"
START_CURSOR = "asterisk_started_at"
HOUSE_S = 0.5
CALM_S = 3.0
"""After a start: the desk shows the calls before recordings that were left open are closed."""
CASES_REMEMBERED_DAYS = 30
UNCLOSED_DAYS = 3
"""A daemon that was away for longer leaves the recordings of its last calls unjoined."""

Tracks = Callable[[Call], Awaitable[Mapping[str, Any]]]


class Reads(Protocol):
    """What a start reads of the store, as bridge/store/reader.py has it."""

    async def cursor(self, name: str) -> str | None: ...

    async def answer(self, key: str, now: datetime) -> Answer | None: ...

    async def rows(self, table: Table) -> Sequence[Row]: ...

    async def live_calls(self) -> Sequence[Row]: ...

    async def unclosed_calls(self, since: datetime) -> Sequence[Row]: ...

    async def entries_of_case(self, case: str, after: int = 0) -> Sequence[Entry]: ...

    async def calls_since(self, since: datetime) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSite:
    """What the calls are told of their site. `nonce(number)` makes a ticket for the spoken
    acceptance; `tracks` joins a call's recording."""

    ami: AmiSettings
    seats: Collection[str]
    targets: Mapping[str, Target]
    wrap_up: timedelta
    numbers: CaseNumbers
    new_id: Callable[[], str]
    nonce: Callable[[str], str]
    tracks: Tracks
    cel_file: Path
    read_cel: CelReads = read_off_loop


class CallService:
    """All of one daemon's calls. Ready after `restore`; then `run`, and `link.run` beside it."""

    def __init__(
        self,
        site: CallSite,
        *,
        reader: Reads,
        recorder: Recorder,
        view: View,
        clock: Clock,
        spawn: Spawn,
        rng: random.Random,
        alarm: Callable[[LinkAlarm, str], None],
        started: str | None,
        position: Position | None,
    ) -> None:
        """`started`: when Asterisk was started, as an earlier life knew it; `position`: how far
        that life had read its log."""
        self._site = site
        self._reader = reader
        self._recorder = recorder
        self._view = view
        self._clock = clock
        self._spawn = spawn
        self._alarm = alarm
        self.position = position
        switch = _Late()
        self.room = Room(
            recorder=recorder,
            switch=switch,
            clock=clock,
            numbers=site.numbers,
            targets=site.targets,
            new_id=site.new_id,
            spawn=spawn,
            wrap_up=site.wrap_up,
            on_over=self._over,
        )
        self.service = SwitchService(
            self.room,
            Translator(site.seats.__contains__, clock.now),
            CelCursor(site.cel_file, position, self._cel_moved, site.read_cel),
            seats=site.seats.__contains__,
            now=clock.now,
            spawn=spawn,
            on_ephemeral=lambda kind, case, data: view.ephemeral(kind, data, call=case),
            queue=QUEUE,
        )
        self.link = AmiLink(
            site.ami,
            rng=rng,
            on_event=self.service.event,
            on_state=self._link_state,
            on_up=self.service.up,
            on_alarm=self._told,
            known_start=started,
        )
        self.service.attach(self.link)
        if started is None:
            self.service.never_met()
        self.service.on_start_told = self._start_told
        epoch = lambda: clock.now().timestamp()  # noqa: E731
        acts = Acts(self.link, queue=QUEUE, nonce=site.nonce, spawn=spawn, epoch=epoch)
        switch.acts = acts
        self.room.begin, self.room.give_up = acts.begin, acts.give_up
        self.room.look_again = self.service.look_again
        self.watch = Watch(
            self.link, self.room.book, self.room.see, now=clock.now, monotonic=clock.monotonic
        )
        self.service.on_phone_hold = self._phone_hold

    async def restore(self) -> None:
        """What was decided before this start: live calls, those whose recording was not closed,
        seats, numbers already given."""
        reader, now = self._reader, self._clock.now()
        facts: list[Fact] = []
        since = now - timedelta(days=UNCLOSED_DAYS)
        for row in [*await reader.live_calls(), *await reader.unclosed_calls(since)]:
            after = 0
            while row.case and (page := await reader.entries_of_case(row.case, after)):
                facts += [entry.fact for entry in page if entry.fact.call == row.id]
                after = page[-1].seq
        seats = await reader.rows("seat")
        self.room.restore(facts, seats)
        self._view.restore(facts, seats)
        for call, case in await reader.calls_since(now - timedelta(days=CASES_REMEMBERED_DAYS)):
            self._site.numbers.remember(call, case)

    async def run(self) -> None:
        """Until cancelled: the watch, and what falls due."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watch.run(), name="watch")
            tasks.create_task(self.watch.beat(), name="heartbeat")
            tasks.create_task(self._keep_house(), name="wrap-up")
            tasks.create_task(self._close_those_over(), name="recordings left")

    async def answered(self, key: str) -> Answer | None:
        """What the request with this key was answered a while ago."""
        return await self._reader.answer(key, self._clock.now())

    # What parts tell

    def _phone_hold(self, channel: str, on: bool) -> None:
        (self.watch.on_hold.add if on else self.watch.on_hold.discard)(channel)

    def _cel_moved(self, position: str) -> None:
        self._recorder.record(Transaction(cursors={CEL_CURSOR: position}))

    def _start_told(self) -> None:
        started = self.link.asterisk_started_at
        if started:
            self._recorder.record(Transaction(cursors={START_CURSOR: started}))

    def _link_state(self, state: LinkState, reason: str) -> None:
        if not state.usable:
            self.service.down()
        words = {"state": state.key, "words": state.words, "reason": reason}
        self._view.link("asterisk", words)
        fact = Fact(f"link.{state.key}", self._clock.now(), actor="daemon", data=dict(words))
        self._recorder.record(Transaction([fact]))

    def _told(self, alarm: LinkAlarm, detail: str) -> None:
        self._alarm(alarm, detail)
        if alarm is LinkAlarm.EVENT_LOSS:
            self.service.look_again()

    def _over(self, call: Call) -> None:
        self._spawn(self.room.close(call, self._site.tracks), f"recording of {call.id}")

    # House-keeping

    async def _keep_house(self) -> None:
        """Seats whose time after a call is over are ready again; a room without one is noted."""
        while True:
            await asyncio.sleep(HOUSE_S)
            self.room.end_wrap_ups()
            self.room.note_all_busy()

    async def _close_those_over(self) -> None:
        """Recordings of an earlier life, once this one has found its feet: the desk comes first."""
        await asyncio.sleep(CALM_S)
        self.room.close_those_over()


async def open_calls(
    site: CallSite,
    *,
    reader: Reads,
    recorder: Recorder,
    view: View,
    clock: Clock,
    spawn: Spawn,
    rng: random.Random,
    alarm: Callable[[LinkAlarm, str], None],
) -> CallService:
    """Calls of an earlier life restored, nothing running. Raises StoreError."""
    calls = CallService(
        site,
        reader=reader,
        recorder=recorder,
        view=view,
        clock=clock,
        spawn=spawn,
        rng=rng,
        alarm=alarm,
        started=await reader.cursor(START_CURSOR),
        position=Position.parse(await reader.cursor(CEL_CURSOR)),
    )
    await calls.restore()
    return calls


class _Late:
    """The switch port before the link exists."""

    acts: Acts

    async def carry_out(self, act: Act) -> None:
        await self.acts.carry_out(act)

    async def agent(self, act: AgentAct) -> None:
        await self.acts.agent(act)
