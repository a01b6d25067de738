"""The composition root: opens the parts in order, runs them in one task group, closes in reverse.

An unexpected error in any part ends the process; the service manager starts it again, and the
start finds everything that had been decided (guard rules 7 and 15).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from bridge.app import sd_notify
from bridge.app.fax import open_fax
from bridge.app.orders import open_orders
from bridge.app.papers import Papers, open_papers
from bridge.app.platforms import Platforms
from bridge.app.watchdog import Part, Watchdog
from bridge.asterisk.acceptance import PATH as ACCEPT
from bridge.asterisk.acceptance import Acceptance, Words
from bridge.asterisk.acts import Acts
from bridge.asterisk.cel import Position
from bridge.asterisk.cel_calls import CelLog
from bridge.asterisk.fastagi import FastAgiServer
from bridge.asterisk.link_state import AmiSettings, LinkAlarm, LinkState
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.nonces import Nonces
from bridge.asterisk.order_calls import OrderCalls
from bridge.asterisk.service import CelCursor, SwitchService
from bridge.asterisk.translate import Translator
from bridge.asterisk.watch import Watch
from bridge.desk.desk import Desk
from bridge.domain.call import Call
from bridge.domain.journal import Entry, Fact, iso
from bridge.domain.reconcile import Difference
from bridge.flows.cases import CaseNumbers
from bridge.flows.ports import Answer, Transaction
from bridge.flows.reconcile import EVERY_S, Reconciliation
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room, leg_times
from bridge.flows.view import View
from bridge.log import configure_logging
from bridge.settings.model import Settings
from bridge.store.open import Options
from bridge.store.store import SqliteStore, open_store
from bridge.tracks.close import close_call
from bridge.tracks.folder import TracksError
from bridge.tracks.recording import LegTimes

_log = structlog.get_logger(__name__)

Readers = list[Callable[[Sequence[Entry]], None]]

STORE_ALARMS = {
    "store-space-low": "存储磁盘空间不足,请清理 / the disk of the store fills up: make room now",
    "store-reserve-used": "存储已用备用空间,只记录指令与挂断 / the reserve of the store is used: "
    "only orders and hang-ups are stored",
    "store-wal-large": "存储日志过大,有读取未结束或磁盘过慢 / the store's WAL is large: a reader "
    "does not end, or the disk cannot follow",
}
CEL_CURSOR = "cel"
RECKONED_CURSOR = "reconcile"
START_CURSOR = "asterisk_started_at"
DRAIN_S = 5.0
FINISH_S = 2.0
"""How long what was begun may go on after the wish to stop."""
DESK_S = 1.5
"""For answers under way when we are told to stop."""
SWITCH_INTERVAL_S = 0.0005
"""How long the loop may keep the writer thread from going on after its sync (CPython's is 5 ms)."""
CALM_S = 3.0
"""After a start: the desk shows the calls before recordings that were left open are closed."""
CASES_REMEMBERED_DAYS = 30
UNCLOSED_DAYS = 3
"""A daemon that was away for longer leaves the recordings of its last calls unjoined."""


class SystemClock:
    """The machine's clocks (`flows.ports.Clock`)."""

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)

    @staticmethod
    def monotonic() -> float:
        return time.monotonic()


class Daemon:
    """All parts of one running daemon, wired together."""

    def __init__(
        self, settings: Settings, store: SqliteStore, view: View, readers: Readers | None = None
    ) -> None:
        """`readers` are told of everything that has become durable."""
        self.settings = settings
        self.store = store
        self.view = view
        self.clock = SystemClock()
        self.stop = asyncio.Event()
        self.recorder = Recorder(store, self._store_trouble)
        self.numbers = CaseNumbers(settings.site.tz)
        self._group: asyncio.TaskGroup | None = None
        self._spawned: set[asyncio.Task[object]] = set()
        self._joining = asyncio.Semaphore(1)
        self.nonces: Nonces[Words] = Nonces(self.clock.monotonic)
        self.platforms = Platforms(
            settings,
            store,
            self.recorder,
            self.clock,
            self.spawn,
            self._platform_link,
            os.environ,
        )
        if readers is not None:
            readers.append(self.platforms.peers.see)

    async def run(self) -> None:
        """Until `stop` is set."""
        await self._wire_up()
        async with asyncio.TaskGroup() as group:
            self._group = group
            running = [
                group.create_task(self.recorder.run(), name="recorder"),
                group.create_task(self.store.wait_ended(), name="store"),
                group.create_task(self.link.run(self.stop), name="ami"),
                group.create_task(self.watch.run(), name="watch"),
                group.create_task(self.watch.beat(), name="heartbeat"),
                group.create_task(self.fastagi.run(self.stop), name="fastagi"),
                desk := group.create_task(self.desk.run(self.stop), name="desk"),
                group.create_task(self._wrap_ups(), name="wrap-up"),
                group.create_task(self.platforms.run(), name="platforms"),
                group.create_task(self._reckon(), name="reconcile"),
                group.create_task(self._watchdog(), name="watchdog"),
            ]
            if self.orders is not None:
                running.append(group.create_task(self.orders.run(), name="orders"))
            if self.papers is not None:
                running.append(group.create_task(self.papers.run(), name="papers"))
            running.append(group.create_task(self._close_those_over(), name="recordings left"))
            gc.collect()
            gc.freeze()
            await self.stop.wait()
            sd_notify.notify(sd_notify.STOPPING)
            await asyncio.wait([desk], timeout=DESK_S)
            if self._spawned:  # acts end by their own deadlines; waits for people do not
                await asyncio.wait(self._spawned, timeout=FINISH_S)
            with contextlib.suppress(TimeoutError):
                await self.recorder.drain(DRAIN_S)
            for task in [*running, *self._spawned]:
                task.cancel()

    async def _wire_up(self) -> None:
        settings = self.settings
        seats = frozenset(settings.seats.all).__contains__
        started = await self.store.reader.cursor(START_CURSOR)
        position = Position.parse(await self.store.reader.cursor(CEL_CURSOR))
        cel = CelCursor(settings.asterisk.cel_file, position, self._cel_moved)
        translator = Translator(seats, self.clock.now)
        switch = _Late()
        self.room = Room(
            recorder=self.recorder,
            switch=switch,
            clock=self.clock,
            numbers=self.numbers,
            targets=settings.targets(),
            new_id=lambda: f"b110-{secrets.token_hex(8)}",
            spawn=self.spawn,
            wrap_up=timedelta(seconds=settings.seats.wrap_up_s),
            on_over=self._over,
        )
        await self._restore()
        await self.platforms.restore()
        self.platforms.attach(self.room)
        self.service = SwitchService(
            self.room,
            translator,
            cel,
            seats=seats,
            now=self.clock.now,
            spawn=self.spawn,
            on_ephemeral=lambda kind, case, data: self.view.ephemeral(kind, data, call=case),
        )
        self.link = AmiLink(
            _ami(settings),
            rng=random.Random(),  # noqa: S311  jitter of a back-off
            on_event=self.service.event,
            on_state=self._link_state,
            on_up=self._up,
            on_alarm=self._alarm,
            known_start=started,
        )
        self.service.attach(self.link)
        switch.acts = Acts(self.link, queue="q110", nonce=self._nonce, spawn=self.spawn)
        self.room.begin, self.room.give_up = switch.acts.begin, switch.acts.give_up
        self.watch = Watch(
            self.link,
            self.room.book,
            self.room.see,
            now=self.clock.now,
            monotonic=self.clock.monotonic,
        )
        self.service.on_phone_hold = self._phone_hold
        self.room.look_again = self.service.look_again
        reckoned = Position.parse(await self.store.reader.cursor(RECKONED_CURSOR))
        self.cel_log = CelLog(settings.asterisk.cel_file, reckoned or position)
        remembered = self.clock.now() - timedelta(days=CASES_REMEMBERED_DAYS)
        self.reconciliation = Reconciliation(
            self.cel_log,
            self.store.reader.calls_told,
            monotonic=self.clock.monotonic,
            alarm=self._differ,
            found=self._difference,
            learn_again=self.service.look_again,
            known=await self.store.reader.differences_since(remembered),
        )
        agi = settings.fastagi
        self.fastagi = FastAgiServer(self.nonces.authorize, host=agi.host, port=agi.port)
        self.fastagi.add_route(ACCEPT, Acceptance(self.nonces.take).handle)
        self.orders = await open_orders(
            settings,
            self.store,
            self.view,
            self.recorder,
            self.clock,
            self.spawn,
            self.service,
            OrderCalls(self.link, self.clock.now),
            self._held_elsewhere,
        )
        self.papers: Papers | None = None
        if self.orders is not None:
            self.papers = await open_papers(
                settings, self.orders.post, self.clock, self.spawn, self.view.alarm
            )
            if self.papers.mail is not None:
                self.orders.use(self.papers.mail.channel)
            if settings.fax is not None:
                self.orders.use(
                    await open_fax(
                        settings.fax,
                        self.orders.ports,
                        self.orders.gateways,
                        self.papers.documents.paper,
                        self.orders.post,
                        self.clock,
                    )
                )
        self.desk = Desk(
            settings,
            self.room,
            self.view,
            self._answered,
            self._store_health,
            self.clock,
            self.spawn,
            orders=self.orders.parts if self.orders is not None else None,
            peers=self.platforms.peers,
            doors=[self.platforms.door, *(self.papers.doors if self.papers else ())],
        )

    async def _restore(self) -> None:
        """What was decided before this start: live calls, those whose recording was not closed,
        seats, numbers already given."""
        reader = self.store.reader
        facts: list[Fact] = []
        since = self.clock.now() - timedelta(days=UNCLOSED_DAYS)
        for row in [*await reader.live_calls(), *await reader.unclosed_calls(since)]:
            after = 0
            while row.case and (page := await reader.entries_of_case(row.case, after)):
                facts += [entry.fact for entry in page if entry.fact.call == row.id]
                after = page[-1].seq
        seats = await reader.rows("seat")
        self.room.restore(facts, seats)
        self.view.restore(facts, seats)
        since = self.clock.now() - timedelta(days=CASES_REMEMBERED_DAYS)
        for call, case in await reader.calls_since(since):
            self.numbers.remember(call, case)

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        """Start a task in the daemon's group."""
        if self._group is None or self.stop.is_set():
            work.close()
            return
        task = self._group.create_task(work, name=name)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)

    def _held_elsewhere(self, case: str) -> bool:
        """Whether another desk has accepted this case of ours (LY-16)."""
        return self.platforms.taken_by(case) is not None

    # What parts tell

    def _nonce(self, number: str) -> str:
        return self.nonces.issue(Words(number=number if number.isdigit() else ""))

    def _phone_hold(self, channel: str, on: bool) -> None:
        (self.watch.on_hold.add if on else self.watch.on_hold.discard)(channel)

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
        self.view.alarm(f"ami.{alarm.value}", detail)
        if alarm is LinkAlarm.EVENT_LOSS:
            self.service.look_again()

    def _differ(self, words: str) -> None:
        _log.error("reconcile.differ", words=words) if words else _log.info("reconcile.exact")
        self.view.alarm("reconcile", words)

    def _difference(self, one: Difference) -> None:
        data = {"verdict": one.verdict.value, "call": one.call, "came_in_at": iso(one.at)}
        fact = Fact("reconcile.difference", self.clock.now(), one.case, None, one.call, "daemon")
        self.recorder.record(Transaction([replace(fact, data=data)]))

    def _platform_link(self, peer: str, words: str) -> None:
        """One link speaks for all platforms: what is wrong with any of them."""
        away = [f"{one['peer']}: {one['words']}" for one in self.platforms.peers.status()]
        wrong = "; ".join(one for one in away if not one.endswith(": "))
        (_log.warning if words else _log.info)("platform.link", peer=peer, words=words)
        self.view.link("platform", {"state": "down" if wrong else "up", "words": wrong})

    def _store_trouble(self, words: str) -> None:
        _log.error("store.trouble", words=words) if words else _log.info("store.well")
        self.view.link("store", {"state": "down" if words else "up", "words": words})

    def _store_alarms(self) -> None:
        """Raised while they hold: the disk fills up, the reserve is being used, the WAL grows."""
        there = self.store.health().warnings
        for warning, words in STORE_ALARMS.items():
            told = warning in self.view.alarms
            holds = warning in there
            if warning == "store-reserve-used" and not self.settings.store.ballast_mb:
                holds = False
            if holds is not told:
                self.view.alarm(warning, words if holds else "")

    async def _answered(self, key: str) -> Answer | None:
        return await self.store.reader.answer(key, self.clock.now())

    def _store_health(self) -> Mapping[str, Any]:
        health = self.store.health()
        waiting = health.waiting + self.recorder.waiting
        away = health.away or self.recorder.trouble
        return {"away": away, "waiting": waiting, "warnings": [*health.warnings]}

    # House-keeping

    def _over(self, call: Call) -> None:
        self.spawn(self.room.close(call, self._tracks), f"recording of {call.id}")

    async def _close_those_over(self) -> None:
        """Recordings of an earlier life, once this one has found its feet: the desk comes first."""
        await asyncio.sleep(CALM_S)
        self.room.close_those_over()

    async def _tracks(self, call: Call) -> Mapping[str, Any]:
        legs = []
        for leg in call.legs.values():
            name, joined, ended = leg_times(leg)
            if joined is not None:
                lost = call.outcome == "lost_with_asterisk"
                legs.append(LegTimes(name, joined, ended, lost))
        directory = self.settings.asterisk.recordings
        try:
            found = await close_call(directory, call.id, legs, turn=self._joining)
        except TracksError as error:
            _log.error("tracks.not_closed", call=call.id, reason=str(error))
            return {"error": str(error)}
        return found.data()

    async def _wrap_ups(self) -> None:
        """Seats whose time after a call is over are ready again; a room without one is noted."""
        while True:
            await asyncio.sleep(0.25)
            self.room.end_wrap_ups()
            self.room.note_all_busy()
            self._store_alarms()

    async def _reckon(self) -> None:
        """The switch's log beside the journal, for ever; how far that has got survives us."""
        reckoned = self.cel_log.position
        while True:
            await self.reconciliation.round()
            if self.cel_log.position not in (None, reckoned):
                reckoned = self.cel_log.position
                text = reckoned.text() if reckoned else ""
                self.recorder.record(Transaction(cursors={RECKONED_CURSOR: text}))
            await asyncio.sleep(EVERY_S)

    async def _watchdog(self) -> None:
        """Tells the service manager that we are there, and then that we are well."""
        parts = [
            Part("store", lambda: self.store.health().finished_at),  # idle rounds come each second
            Part("ami", lambda: self.link.due_at),
        ]
        sd_notify.notify(sd_notify.READY)
        await Watchdog(parts, self.clock.monotonic).run()


def _ami(settings: Settings) -> AmiSettings:
    ami = settings.ami
    return AmiSettings(
        host=ami.host,
        port=ami.port,
        username=ami.username,
        secret=ami.secret(),
        tls=ami.tls,
        ca_file=ami.ca_file,
        server_hostname=ami.server_hostname,
    )


class _Late:
    """The switch port before the link exists: the composition root ties the knot."""

    acts: Acts

    async def carry_out(self, act: Any) -> None:
        await self.acts.carry_out(act)

    async def agent(self, act: Any) -> None:
        await self.acts.agent(act)


@contextlib.asynccontextmanager
async def open_daemon(settings: Settings) -> AsyncIterator[Daemon]:
    """A daemon with its store open and checked."""
    view = View(secrets.token_hex(4), SystemClock.now, settings.site.tz)
    readers: Readers = [view.publish]

    def publish(entries: Sequence[Entry]) -> None:
        for read in readers:
            read(entries)

    async with open_store(
        settings.store.path,
        site=settings.site.name,
        now=SystemClock.now,
        monotonic=SystemClock.monotonic,
        publish=publish,
        options=Options(ballast_bytes=settings.store.ballast_mb * 1024 * 1024),
    ) as store:
        yield Daemon(settings, store, view, readers)


async def main(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    configure_logging()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with open_daemon(settings) as daemon:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, daemon.stop.set)
        _log.info("daemon.starts", site=settings.site.name)
        await daemon.run()
        _log.info("daemon.stopped")
