"""The port process: drivers, journal and the socket to the daemon, joined.

A job is written down before it is given to its driver. After a crash a job that had been given and
of which nothing more was known is told as *unknown*, never sent again: only its owner may repeat
it, with the mark. What a driver tells is written down, then said until the owner has stored it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hardware.fax.gateway import FaxGateway
from hardware.gateways import Gateway, MessageDriver, build, carries
from hardware.port import PortSettings, open_port
from hardware.ports import told
from hardware.ports.giving import give
from hardware.ports.journal import MAX_THINGS, Journal
from hardware.ports.keyer import Keyer, Transmitter
from hardware.radio.events import (
    CallChange,
    Delivery,
    Learnt,
    PagesConfirmed,
    RadioEvent,
    RadioRefused,
    Stage,
    TextIn,
    UnreadableIn,
    Why,
)
from hardware.radio.line_keyed import LineKeyed
from hardware.radio.outstanding import Known
from hardware.radio.pei_voice import PeiVoice
from hardware.radio.tetra_pei import TetraPei
from hardware.trace import Trace

KEEP: Final = timedelta(hours=24)
"""How long a job waits for late reports."""
TIDY_S: Final = 600.0
MAX_JOBS: Final = 4096
MODEMS_UP_S: Final = 15.0
"""A reset of a modem takes up to ten."""

Body = dict[str, Any]
Say = Callable[[Body], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A job that is not taken; nothing was done."""

    why: str
    words: str


class PortProcess:
    """`say` is called with every thing once it is synced, and with what need not be kept."""

    def __init__(
        self,
        gateways: Sequence[Gateway],
        journal: Journal,
        *,
        rng: random.Random,
        now: Callable[[], datetime],
        traces: Path | None = None,
        spool: Path | None = None,
        opener: Callable[[PortSettings], Any] = open_port,
    ) -> None:
        self._journal = journal
        self._now = now
        self.say: Say = lambda _: None
        self.gateways = list(gateways)
        self.drivers: dict[str, MessageDriver | LineKeyed] = {}
        self.turned_away = 0
        """Received things that found the journal full; the sender had no acknowledgement."""
        self._traces: list[Trace] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._waiting: list[asyncio.Task[None]] = []
        """Jobs of an earlier life that wait for their modem."""
        self._taking: dict[str, asyncio.Future[None]] = {}
        self._voices: dict[str, PeiVoice] = {}
        self._keyer = Keyer(self._transmitter, lambda body: self.say(body))
        for gateway in gateways:
            trace = None
            if traces is not None:
                trace = Trace(traces / f"{gateway.name}.trace", now)
                self._traces.append(trace)
            self.drivers[gateway.name] = build(
                gateway,
                emit=functools.partial(self._event, gateway.name),
                rng=rng,
                trace=trace,
                opener=opener,
                synced=self._synced,
                now=now,
                spool=spool,
            )
            driver = self.drivers[gateway.name]
            if isinstance(driver, TetraPei):
                self._voices[gateway.name] = PeiVoice(driver)

    async def _synced(self) -> None:
        """Everything told so far is durable when this returns."""
        await self._journal.append([])

    async def open(self) -> None:
        """Read the journal. Raises JournalError."""
        await self._journal.open()

    async def run(self, stop: asyncio.Event) -> None:
        """Own everything until `stop`; the journal is written to the end. `open` comes first."""
        closing = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._journal.run(closing), name="journal")
            self._recover()
            tidy = tasks.create_task(self._tidy(), name="tidy")
            async with asyncio.TaskGroup() as owners:
                for name, driver in self.drivers.items():
                    owners.create_task(driver.run(stop), name=name)
                for trace in self._traces:
                    owners.create_task(trace.run(stop), name="trace")
                await stop.wait()
            for task in (tidy, *self._waiting):
                task.cancel()
            closing.set()
        self._journal.close()

    def _recover(self) -> None:
        """What an earlier life had in hand: known again to its driver, told as what is durable of
        it, or begun where it certainly was not."""
        state = self._journal.state
        assert self._tasks is not None
        for name, fax in self._faxes():
            self._tasks.create_task(fax.take_up(frozenset(state.spooled)), name=f"pages {name}")
            fax.pause(state.paused)
            for number, known in state.learnt.items():
                fax.learn(number, known)
        for key, body in list(state.jobs.items()):
            stage = Stage(body.get("stage", Stage.QUEUED))
            driver = self.drivers.get(body.get("gateway", ""))
            if stage is Stage.QUEUED and isinstance(driver, FaxGateway):
                work = self._give_again(key, body, driver)
                self._waiting.append(self._tasks.create_task(work, name=f"job {key}"))
            elif stage in (Stage.QUEUED, Stage.SENDING):
                stage = self._interrupted(key, body)
            references = body.get("references")
            if references and driver is not None and not isinstance(driver, LineKeyed):
                moment = asyncio.get_running_loop().time()
                driver.book.restore(Known(key, body["address"], references, stage), moment)

    def _interrupted(self, key: str, body: Body) -> Stage:
        """A job that was under way: delivered where the last page was confirmed and that is
        durable, else nobody knows."""
        pages, of = body.get("pages", 0), body.get("of", 0)
        stage = Stage.DELIVERED if of and pages == of else Stage.UNKNOWN
        words = "端口进程重启 / the port process restarted"
        if of:
            words += f"; {pages}/{of} 页已确认 / pages confirmed"
        data = {"pages": pages, "of": of, "number": str(body.get("address", ""))} if of else {}
        self._progress(key, Delivery(key, stage, detail=words, data=data))
        return stage

    async def _give_again(self, key: str, job: Body, driver: FaxGateway) -> None:
        """What was never dialled; its modems get a while to come up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MODEMS_UP_S):
                await driver.up.wait()
        await self._give(key, job)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_S)
            oldest = (self._now() - KEEP).isoformat()
            over = [k for k, b in self._journal.state.jobs.items() if b.get("at", "") < oldest]
            if over:
                await self._journal.append([{"e": "done", "key": key} for key in over])
            self._journal.shrink()

    # what the daemon asks

    async def take(self, body: Body) -> Refusal | None:
        """Take a job over: durable when this returns None. The same key again does nothing."""
        key, channel, address = (str(body.get(k, "")) for k in ("key", "channel", "address"))
        state = self._journal.state
        if not key or len(key) > 200:
            return Refusal(Why.REFUSED, "key")
        if key in self._taking:
            await asyncio.shield(self._taking[key])
            return None
        if key in state.jobs or key in state.done:
            return None
        if len(state.things) >= MAX_THINGS or len(state.jobs) >= MAX_JOBS:
            return Refusal(Why.QUEUE_FULL, "the owner has not stored what was told")
        gateway = self._gateway(channel, address)
        if gateway is None:
            return Refusal(Why.BAD_ADDRESS, f"{channel} {address}: 没有网关 / no gateway for it")
        names = ("text", "status", "urgent", "hours", "zone")
        job: Body = {name: body[name] for name in names if name in body}
        job |= {"gateway": gateway, "address": address, "at": self._now().isoformat()}
        self._taking[key] = self._journal.append([{"e": "job", "key": key, "body": job}])
        try:
            await asyncio.shield(self._taking[key])
        finally:
            del self._taking[key]
        assert self._tasks is not None
        self._tasks.create_task(self._give(key, job), name=f"job {key}")
        return None

    async def _give(self, key: str, job: Body) -> None:
        driver = self.drivers[job["gateway"]]
        options = next(g.options for g in self.gateways if g.name == job["gateway"])
        try:
            give(driver, key, job, options.get("order_status"))
        except RadioRefused as refused:
            self._progress(key, Delivery(key, Stage.FAILED, refused.why, str(refused)))
            return
        known = None if isinstance(driver, LineKeyed) else driver.known(key)
        if known is not None and None not in known.references:
            references = list(known.references)
            await self._journal.append([{"e": "refs", "key": key, "references": references}])

    def _gateway(self, channel: str, address: str) -> str | None:
        """The way to an address: one that may be used now, else the first."""
        ways = [g.name for g in self.gateways if carries(g.driver, channel, address)]
        usable = [name for name in ways if self.drivers[name].health.usable]
        return next(iter((*usable, *ways)), None)

    def _transmitter(self, gateway: str, group: str) -> Transmitter | None:
        driver = self.drivers.get(gateway)
        if isinstance(driver, LineKeyed):
            return driver
        voice = self._voices.get(gateway)
        return voice.to(group) if voice is not None else None

    def press(self, ident: str, gateway: str, group: str, *, override: bool) -> None:
        """Key a voice gateway until `release`; what becomes of it is said as `keying`."""
        tasks = self._tasks
        assert tasks is not None
        self._keyer.press(
            ident,
            gateway,
            group,
            override=override,
            spawn=lambda work: tasks.create_task(work, name=f"press {ident}"),
        )

    def release(self, ident: str) -> None:
        """Let go of the key."""
        self._keyer.release(ident)

    def owner_lost(self) -> None:
        """Nobody holds a key down any more."""
        self._keyer.release_all()

    def withdraw(self, key: str) -> bool:
        """Take a job back that has not begun."""
        job = self._journal.state.jobs.get(key)
        driver = self.drivers.get(job["gateway"]) if job else None
        return driver is not None and not isinstance(driver, LineKeyed) and driver.withdraw(key)

    async def look(self, key: str) -> Body:
        """The stage of a job once that is durable (`done` where it is over, None where nothing is
        known), and what the owner has not stored of it yet."""
        await self._synced()
        state = self._journal.state
        waits = (one for one in reversed(state.things.values()) if one.get("key") == key)
        job = state.jobs.get(key)
        stage = None if job is None else str(job.get("stage", Stage.QUEUED))
        return {"stage": "done" if key in state.done else stage, "told": next(waits, None)}

    def test(self, channel: str, address: str) -> str:
        """Empty words: the way works now."""
        name = self._gateway(channel, address)
        if name is None:
            return f"{channel} {address}: 没有网关 / no gateway for it"
        health = self.drivers[name].health
        return "" if health.usable else f"{name}: {health.words}"

    def things(self) -> list[Body]:
        """What the owner has not stored yet, oldest first."""
        return [told.thing(seq, body) for seq, body in self._journal.state.things.items()]

    def acknowledge(self, seq: int) -> None:
        """The owner has stored it."""
        if seq in self._journal.state.things:
            self._journal.append([{"e": "ack", "seq": seq}])

    def rows(self) -> list[Body]:
        """The gateways with their health."""
        found = []
        for gateway in self.gateways:
            health = self.drivers[gateway.name].health
            found.append(
                {
                    "name": gateway.name,
                    "driver": gateway.driver,
                    "model": gateway.model,
                    "port": gateway.port.name,
                    "usable": health.usable,
                    "words": health.words,
                    "dbm": health.dbm,
                }
            )
            if isinstance(driver := self.drivers[gateway.name], FaxGateway):
                found[-1] |= {"board": told.board(gateway.name, driver.board())}
        return found

    def healths(self) -> Sequence[Body]:
        """How every gateway and modem is now, as it is said when it changes."""
        healths = [told.health(name, driver.health) for name, driver in self.drivers.items()]
        return [*healths, *(told.board(name, fax.board()) for name, fax in self._faxes())]

    def _faxes(self) -> list[tuple[str, FaxGateway]]:
        found = self.drivers.items()
        return [(name, driver) for name, driver in found if isinstance(driver, FaxGateway)]

    async def pause(self, paused: Mapping[str, str]) -> None:
        """What a person has paused of the fax desk, and why: modems by name, all sending by the
        empty name. Durable when this returns."""
        for _, fax in self._faxes():
            fax.pause(paused)
        await self._journal.append([{"e": "paused", "body": dict(paused)}])

    # what drivers tell

    def _event(self, gateway: str, event: RadioEvent) -> None:
        if isinstance(event, CallChange) and gateway in self._voices:
            self._voices[gateway].heard(event)
        if isinstance(event, Delivery):
            self._progress(event.key, event)
        elif isinstance(event, PagesConfirmed):
            self._journal.append([{"e": "pages"} | asdict(event)])
        elif isinstance(event, Learnt):
            self._journal.append([{"e": "learnt", "number": event.number, "body": event.known}])
        elif (body := told.kept(event)) is not None:
            self._keep(
                gateway, body, event.token if isinstance(event, TextIn | UnreadableIn) else None
            )
        elif (body := told.passing(gateway, event)) is not None:
            self.say(body)

    def _progress(self, key: str, event: Delivery) -> None:
        over = event.stage in (Stage.FAILED, Stage.READ)
        entry = {"e": "done", "key": key} if over else {"e": "stage", "key": key}
        entry |= {} if over else {"stage": event.stage}
        self._keep("", told.progress(key, event), entries=[entry])

    def _keep(
        self, gateway: str, body: Body, token: str | None = None, entries: Sequence[Body] = ()
    ) -> None:
        """Write a thing down; said, and acknowledged on the air, once it is synced. Where
        MAX_THINGS wait for their owner, what comes in is turned away and not acknowledged."""
        if gateway and len(self._journal.state.things) >= MAX_THINGS:
            self.turned_away += 1
            return
        driver = self.gateway_driver(gateway)
        channel = next((told.channel_of(g.driver) for g in self.gateways if g.name == gateway), "")
        body = body | {"at": self._now().isoformat(), "gateway": gateway, "channel": channel}
        seq = self._journal.state.last + 1
        synced = self._journal.append([*entries, {"e": "thing", "seq": seq, "body": body}])

        def done(future: asyncio.Future[None]) -> None:
            if future.cancelled() or future.exception() is not None:
                return
            if token is not None and driver is not None:
                driver.acknowledge(token)
            self.say(told.thing(seq, body))

        synced.add_done_callback(done)

    def gateway_driver(self, name: str) -> MessageDriver | None:
        """The driver of a gateway that carries messages."""
        driver = self.drivers.get(name)
        return None if driver is None or isinstance(driver, LineKeyed) else driver
