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
from bridge.app.ami import ami_settings
from bridge.app.calls import CASES_REMEMBERED_DAYS, CallSite, open_calls
from bridge.app.fax import open_fax
from bridge.app.orders import Around, open_orders
from bridge.app.papers import Papers, open_papers
from bridge.app.platforms import Platforms
from bridge.app.radio import open_radio, open_spoken
from bridge.app.seats import SeatList, read_again
from bridge.app.watchdog import Part, Watchdog
from bridge.asterisk.acceptance import PATH as ACCEPT
from bridge.asterisk.acceptance import Acceptance, Words
from bridge.asterisk.cel import Position
from bridge.asterisk.cel_calls import CelLog
from bridge.asterisk.fastagi import FastAgiServer
from bridge.asterisk.nonces import Nonces
from bridge.asterisk.order_calls import OrderCalls
from bridge.asterisk.report_calls import PATH as REPORT
from bridge.asterisk.report_calls import TOTAL_S as REPORT_S
from bridge.desk.desk import Desk
from bridge.domain.call import Call
from bridge.domain.journal import Entry, Fact, Json, iso
from bridge.domain.reconcile import Difference
from bridge.flows.case_desk import CaseDesk
from bridge.flows.cases import CaseNumbers
from bridge.flows.order_voices import Leg
from bridge.flows.ports import Transaction
from bridge.flows.reconcile import EVERY_S, Reconciliation
from bridge.flows.recorder import Recorder
from bridge.flows.room import leg_times
from bridge.flows.view import View
from bridge.log import configure_logging
from bridge.settings.model import Settings
from bridge.store.files import Files, files_of
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
RECKONED_CURSOR = "reconcile"
DRAIN_S = 5.0
FINISH_S = 2.0
"""How long what was begun may go on after the wish to stop."""
DESK_S = 1.5
"""For answers under way when we are told to stop."""
SWITCH_INTERVAL_S = 0.0005
"""How long the loop may keep the writer thread from going on after its sync (CPython's is 5 ms)."""
STORE_S = 0.25
"""How often the store is asked for what it warns of."""


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
        self._group: asyncio.TaskGroup | None = None
        self._spawned: set[asyncio.Task[object]] = set()
        self._joining = asyncio.Semaphore(1)
        self.seats = SeatList(settings.seats.all)
        self.nonces: Nonces[Words] = Nonces(self.clock.monotonic)
        self.files = Files(files_of(settings.store.path))
        self.cases = CaseDesk(
            recorder=self.recorder,
            clock=self.clock,
            memory=store.reader,
            alarm=view.alarm,
            spawn=self.spawn,
            territory=settings.territory,
        )
        self.platforms = Platforms(
            settings,
            store,
            self.recorder,
            self.clock,
            self.spawn,
            self._platform_link,
            os.environ,
            self.cases,
            self.files,
            view.alarm,
        )
        self._readers = readers if readers is not None else []
        self._readers += [self.platforms.peers.see, self.cases.see]

    async def run(self) -> None:
        """Until `stop` is set."""
        await self._wire_up()
        async with asyncio.TaskGroup() as group:
            self._group = group
            running = [
                group.create_task(self.recorder.run(), name="recorder"),
                group.create_task(self.store.wait_ended(), name="store"),
                group.create_task(self.calls.link.run(self.stop), name="ami"),
                group.create_task(self.calls.run(), name="calls"),
                group.create_task(self.fastagi.run(self.stop), name="fastagi"),
                desk := group.create_task(self.desk.run(self.stop), name="desk"),
                group.create_task(self._watch_store(), name="store alarms"),
                group.create_task(self.platforms.run(), name="platforms"),
                group.create_task(self._reckon(), name="reconcile"),
                group.create_task(self._watchdog(), name="watchdog"),
            ]
            if self.orders is not None:
                running.append(group.create_task(self.orders.run(), name="orders"))
            if self.radio is not None:
                running.append(group.create_task(self.radio.run(), name="radio groups"))
            if self.papers is not None:
                running.append(group.create_task(self.papers.run(), name="papers"))
            gc.collect()
            gc.freeze()
            gc.enable()
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
        self.calls = await open_calls(
            CallSite(
                ami=ami_settings(settings),
                seats=self.seats,
                targets=settings.targets(),
                wrap_up=timedelta(seconds=settings.seats.wrap_up_s),
                numbers=CaseNumbers(settings.site.tz),
                new_id=lambda: f"b110-{secrets.token_hex(8)}",
                nonce=self._nonce,
                tracks=self._tracks,
                cel_file=settings.asterisk.cel_file,
            ),
            reader=self.store.reader,
            recorder=self.recorder,
            view=self.view,
            clock=self.clock,
            spawn=self.spawn,
            rng=random.Random(),  # noqa: S311  jitter of a back-off
            alarm=lambda alarm, detail: self.view.alarm(f"ami.{alarm.value}", detail),
        )
        room, link, service = self.calls.room, self.calls.link, self.calls.service
        await self.platforms.restore()
        self.platforms.attach(room)
        reckoned = Position.parse(await self.store.reader.cursor(RECKONED_CURSOR))
        self.cel_log = CelLog(settings.asterisk.cel_file, reckoned or self.calls.position)
        remembered = self.clock.now() - timedelta(days=CASES_REMEMBERED_DAYS)
        self.reconciliation = Reconciliation(
            self.cel_log,
            self.store.reader.calls_told,
            monotonic=self.clock.monotonic,
            alarm=self._differ,
            found=self._difference,
            learn_again=service.look_again,
            known=await self.store.reader.differences_since(remembered),
        )
        agi = settings.fastagi
        self.fastagi = FastAgiServer(self._ticket, host=agi.host, port=agi.port)
        self.fastagi.add_route(ACCEPT, Acceptance(self.nonces.take).handle)
        around = Around(settings, self.store, self.view, self.recorder, self.clock, self.spawn)
        self.orders = await open_orders(
            around,
            service,
            OrderCalls(link, self.clock.now),
            self._held_elsewhere,
            self._order_tracks,
            self.cases,
        )
        if self.orders is not None:
            self.orders.parts.desk.files_beside = self.platforms.files_here
            open_spoken(around, self.orders, service, link)
        await self.cases.restore()
        if self.orders is not None:
            self.fastagi.add_route(REPORT, self.orders.reports.handle, REPORT_S)
        self.radio = open_radio(
            settings, self.orders, self.calls, self.view, self.clock, self.spawn
        )
        if self.radio is not None:
            self._readers.append(self.radio.see)
        self.papers: Papers | None = None
        if self.orders is not None:
            self.papers = await open_papers(
                around, self.orders, self.cases, self.files, self.platforms.shared
            )
            if self.papers.mail is not None:
                self.orders.use(self.papers.mail.channel)
            if settings.fax is not None:
                fax = await open_fax(
                    settings.fax,
                    self.orders,
                    self.papers.documents,
                    self.recorder,
                    self.store.reader,
                    self.clock,
                    self.view,
                    self.spawn,
                    settings.site.zone,
                    service,
                )
                self.orders.use(fax.channel)
                self.papers.doors.append(fax.door)
        self.desk = Desk(
            settings,
            room,
            self.view,
            self.calls.answered,
            self._store_health,
            self.clock,
            self.spawn,
            seats=self.seats,
            cases=self.cases,
            files=self.files,
            orders=self.orders.parts if self.orders is not None else None,
            peers=self.platforms.peers,
            doors=[*self.platforms.doors, *(self.papers.doors if self.papers else ())],
        )

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

    def look_at_seats(self, read: Callable[[], Settings]) -> None:
        """The settings have been changed: are there other seats?"""
        room, alarm = self.calls.room, self.view.alarm
        self.spawn(read_again(read, self.seats, room, self.clock, alarm), "seats")

    # What parts tell

    def _nonce(self, number: str) -> str:
        return self.nonces.issue(Words(number=number if number.isdigit() else ""))

    def _ticket(self, nonce: str) -> bool:
        """Whether a leg may ask by FastAGI: a third party's, or a caller on the report line."""
        orders = self.orders
        known = orders is not None and orders.reports.tickets.authorize(nonce)
        return known or self.nonces.authorize(nonce)

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

    def _store_health(self) -> Mapping[str, Any]:
        health = self.store.health()
        waiting = health.waiting + self.recorder.waiting
        away = health.away or self.recorder.trouble
        return {"away": away, "waiting": waiting, "warnings": [*health.warnings]}

    # House-keeping

    async def _tracks(self, call: Call) -> Mapping[str, Any]:
        legs = []
        for leg in call.legs.values():
            name, joined, ended = leg_times(leg)
            if joined is not None:
                lost = call.outcome == "lost_with_asterisk"
                legs.append(LegTimes(name, joined, ended, lost))
        return await self._close(call.id, legs)

    async def _order_tracks(self, call: str, legs: Sequence[Leg]) -> Mapping[str, Json]:
        try:
            return await self._close(call, [LegTimes(*leg) for leg in legs])
        except OSError as error:
            return {"error": str(error)}

    async def _close(self, call: str, legs: Sequence[LegTimes]) -> Mapping[str, Json]:
        directory = self.settings.asterisk.recordings
        try:
            found = await close_call(directory, call, legs, turn=self._joining)
        except (TracksError, ValueError) as error:  # also times of a clock that was set back
            _log.error("tracks.not_closed", call=call, reason=str(error))
            return {"error": str(error)}
        return found.data()

    async def _watch_store(self) -> None:
        while True:
            await asyncio.sleep(STORE_S)
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
            Part("ami", lambda: self.calls.link.due_at),
        ]
        sd_notify.notify(sd_notify.READY)
        await Watchdog(parts, self.clock.monotonic).run()


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


async def main(settings: Settings, read: Callable[[], Settings]) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP: `read` the settings again for other seats."""
    configure_logging()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with open_daemon(settings) as daemon:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, daemon.stop.set)
        loop.add_signal_handler(signal.SIGHUP, daemon.look_at_seats, read)
        _log.info("daemon.starts", site=settings.site.name)
        await daemon.run()
        _log.info("daemon.stopped")
