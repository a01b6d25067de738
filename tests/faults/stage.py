"""A world to break: Asterisk, the daemon at its named steps, roads between them, telephones."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bridge.lab.call import Call
from bridge.lab.desk_client import DeskClient, Reply, leg_of
from bridge.lab.incoming import IncomingCall
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.ports import HOST, spare_ports
from bridge.lab.process import StandbyProcess
from bridge.lab.root import AsteriskRoot, cache_dir
from bridge.lab.rundir import RunDir
from bridge.lab.settings_file import STORE_FILE
from bridge.lab.site import LabSite
from bridge.lab.sounds import make_sounds
from bridge.lab.switch import Switch
from bridge.lab.tones import CITIZEN, HOTLINE, SEAT, UNIT
from bridge.lab.world import World, make_world, random_secret
from bridge.share import share
from tests.faults.proxy import Road
from tests.faults.shim import Orders
from tests.faults.steps import VARIABLE, Step

ROOT: Final = Path(__file__).parents[2]
SEATS: Final = tuple(str(number) for number in range(8001, 8011))
UNITS: Final = tuple(str(number) for number in range(6001, 6011))
PRESSES_1: Final = Behaviour(keys="1", keys_after=0.4)
"""Never changed in place: another behaviour is another object."""
ANSWER_S: Final = 10.0
STATE_POLL_S: Final = 0.06
"""The desk lets a token ask fifty times a second."""
QUALIFY_S: Final = 2
"""After a restart Asterisk rings no telephone before it has answered an OPTIONS."""
THREADS: Final = 24
"""Requests to the desk at the same time: each waits in a thread."""

_numbers = itertools.count(13_800_000_001)


@dataclass
class Talk:
    """One citizen's call and the telephones that belong to it."""

    stage: Stage
    phone: Phone
    citizen: Call
    third: Phone
    seat: Phone | None = None
    id: str = ""
    asked: dict[str, Asked] = field(default_factory=dict)
    """Everything asked of the desk for this call, by its key."""
    keys_pressed: int = 0
    clearing: bool = False
    """The desk was asked to end the call: no goodbye is spoken."""

    @property
    def number(self) -> str:
        return self.phone.user

    def at(self, phone: Phone | None) -> Call | None:
        """The living, answered call of this citizen at a telephone, or None."""
        return next(reversed(self.all_at(phone)), None) if phone is not None else None

    def all_at(self, phone: Phone) -> list[Call]:
        """The same, all of them: a third may have been called twice, as it was asked for."""
        if phone.user in self.stage.dead:
            return []
        calls = self.stage.incoming(phone, self.number)
        return [c for c in calls if c.end is None and c.answered_at is not None]

    async def ask(self, service: str, key: str = "", **body: Any) -> Reply | None:
        """Ask the desk for a service of this call; None when no answer came. The same key again is
        the same request."""
        asked = self.asked.setdefault(key or secrets.token_hex(12), Asked(service, body))
        key = next(k for k, a in self.asked.items() if a is asked)
        assert self.seat is not None
        desk = self.stage.desk(self.seat.user)
        try:
            method, path = await self._address(service, desk, asked)
        except (LookupError, RuntimeError):
            del self.asked[key]  # there is nothing that could be asked for
            raise
        except OSError:
            return None
        try:
            asked.reply = await desk.request(method, path, body or None, key)
        except (OSError, ValueError):
            asked.reply = None
        return asked.reply

    async def _address(self, service: str, desk: DeskClient, asked: Asked) -> tuple[str, str]:
        if service == "clear":
            self.clearing = True
            return "DELETE", f"calls/{self.id}?confirm=true"
        if service == "leave":
            asked.leg = asked.leg or str(
                leg_of(await desk.call(self.id), f"seat-{desk.seat}")["id"]
            )
            return "DELETE", f"legs/{asked.leg}"
        return "POST", f"calls/{self.id}/{service}"

    async def repeat_unanswered(self) -> None:
        """What a console does when it was not told: the same request with the same key."""
        for key, asked in list(self.asked.items()):
            if asked.reply is None:
                with contextlib.suppress(RuntimeError, LookupError):
                    await self.ask(asked.service, key, **asked.body)

    async def state(self, *states: str, within: float = ANSWER_S) -> Mapping[str, Any]:
        """The call as the desk shows it, once it is in one of these states. Raises TimeoutError."""
        stage = self.stage
        desk = stage.leader if self.seat is None else stage.desk(self.seat.user)
        shown: Mapping[str, Any] = {}
        ends = now() + within
        while now() < ends:
            calls = (await desk.snapshot())["calls"]
            shown = next((c for c in calls if c["number"] == self.number), {})
            if shown.get("state") in states:
                return shown
            await asyncio.sleep(STATE_POLL_S)
        raise TimeoutError(f"{self.number}: {shown.get('state')}, not {states} in {within:g} s")


@dataclass
class Asked:
    """One request: what for, and the last answer."""

    service: str
    body: Mapping[str, Any]
    reply: Reply | None = None
    leg: str = ""

    @property
    def calls_a_third(self) -> bool:
        return self.service in ("three-way", "transfer", "consult")

    @property
    def may_have_called(self) -> bool:
        """A third may be called for it: it was not refused."""
        refused = self.reply is not None and 400 <= self.reply.status < 500
        return self.calls_a_third and not refused


class Stage:
    """Everything that outlives a round."""

    def __init__(self, world: World, ami: Road, agi: Road, orders: Orders, steps: Path) -> None:
        self.world = world
        self.ami = ami
        self.agi = agi
        self.orders = orders
        self._steps = steps
        self.phones: dict[str, Phone] = {}
        self.dead: dict[str, float] = {}
        """Telephones without a plug, and since when."""
        self._registered: set[str] = set()
        self.talks: list[Talk] = []
        """Of this round."""
        self.leader = world.leader

    def desk(self, seat: str) -> DeskClient:
        return self.world.desk(seat)

    @property
    def store(self) -> Path:
        return self.world.switch.run.path / STORE_FILE

    def doom(self, step: Step | None) -> None:
        """The daemon shall die at this step, or at none."""
        self._steps.write_text("" if step is None else str(step))

    async def furnish(self) -> None:
        """Telephones registered, call-takers logged on, nobody ready."""
        for seat in SEATS:
            await self.phone(seat, SEAT)
            await self.desk(seat).must("PUT", f"seats/{seat}/agent", {"agent": f"agent-{seat}"})
        for unit in UNITS:
            await self.phone(unit, UNIT)
        await self.phone("hotline", HOTLINE)

    async def phone(self, user: str, tone: int, *, secret: bool = True) -> Phone:
        site = self.world.switch.site
        word = site.sip_secret if secret else ""
        made = Phone(user, word, (HOST, site.ports.sip), tone=tone, behaviour=_manner(user))
        await made.start()
        self.phones[user] = made
        if secret:
            self._registered.add(user)
        return made

    async def ready(self, seat: str) -> None:
        """That seat takes calls; waits until the queue knows."""
        desk = self.desk(seat)
        await desk.must("PATCH", f"seats/{seat}/agent", {"state": "ready"})

        async def look() -> bool:
            seats = (await desk.must("GET", "seats"))["seats"]
            return any(s["id"] == seat and s["state"] == "ready" for s in seats)

        await desk.wait_for(look, 5.0, f"seat {seat} ready")

    async def not_ready(self, seat: str) -> None:
        await self.desk(seat).must("PATCH", f"seats/{seat}/agent", {"state": "notReady"})

    async def only_ready(self, seats: Collection[str]) -> None:
        """These seats take calls, and no other: one may have come back from an earlier round."""
        shown = (await self.leader.must("GET", "seats"))["seats"]
        others = [s["id"] for s in shown if s["state"] in ("ready", "workingAfterCall")]
        await asyncio.gather(*(self.not_ready(s) for s in others if s not in seats))
        await asyncio.gather(*(self.ready(seat) for seat in seats))

    async def dial(self, third: str) -> Talk:
        """A citizen with a number of their own dials 110."""
        phone = await self.phone(str(next(_numbers)), CITIZEN, secret=False)
        talk = Talk(self, phone, await phone.dial("110"), self.phones[third])
        self.talks.append(talk)
        return talk

    def incoming(self, phone: Phone, number: str) -> Iterator[IncomingCall]:
        """Calls that came to a telephone for that citizen."""
        for call in phone.calls[-40:]:
            if isinstance(call, IncomingCall) and call.caller == number:
                yield call

    async def die(self, phone: Phone) -> None:
        """Its plug is pulled."""
        self.dead[phone.user] = now()
        phone.die()

    async def register(self) -> None:
        """Every telephone registers anew, as they all do within a minute: Asterisk was started
        again, or its clock has passed their time."""
        alive = [p for p in self.phones.values() if p.user in self._registered]
        await asyncio.gather(*(p.register() for p in alive if p.user not in self.dead))

    async def clear(self) -> None:
        """Everybody hangs up; dead telephones come back; nothing of the round is left."""
        everyone = list(self.phones.values())
        calls = [c for p in everyone for c in p.calls if c.end is None]
        await asyncio.gather(*(_hung_up(c) for c in calls))
        for phone in everyone:
            phone.forget_calls()
            phone.behaviour = _manner(phone.user)
            phone.invited.clear()
            del phone.calls[:-10]
        talks, self.talks = self.talks, []
        for talk in talks:
            self.phones.pop(talk.number, None)
            self.dead.pop(talk.number, None)
            with contextlib.suppress(TimeoutError, RuntimeError):
                await talk.phone.stop()
        for user in list(self.dead):
            await self.phones[user].start()
            del self.dead[user]

        async def idle() -> bool:
            return not (await self.leader.snapshot())["calls"]

        with contextlib.suppress(TimeoutError):
            await self.leader.wait_for(_tried(idle), 6.0, "no call left")


def _manner(user: str) -> Behaviour:
    """Third parties accept, seats and citizens only answer."""
    return PRESSES_1 if user in (*UNITS, "hotline") else Behaviour()


async def _hung_up(call: Call) -> None:
    with contextlib.suppress(TimeoutError, RuntimeError):
        async with asyncio.timeout(4.0):
            await call.hangup()


def _tried(look: Any) -> Any:
    """A look that counts a desk that does not answer as not yet."""

    async def tried() -> Any:
        try:
            return await look()
        except (OSError, RuntimeError):
            return None

    return tried


def _own_port(config: Path, section: str, port: int) -> None:
    """Let the daemon take the road instead of the street."""
    head, _, rest = config.read_text(encoding="utf-8").partition(f"[{section}]")
    rest = re.sub(r"(?m)^port = \d+$", f"port = {port}", rest, count=1)
    config.write_text(f"{head}[{section}]{rest}", encoding="utf-8")


@contextlib.asynccontextmanager
async def stage(
    root: AsteriskRoot, *, units: str | None = None, more: Callable[[Path], str] | None = None
) -> AsyncIterator[Stage]:
    """A furnished world; everything is gone afterwards. `units`: another directory of units;
    `more` makes further settings, given the folder of the run."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    run = RunDir(Path(tempfile.mkdtemp(prefix="bridge110-faults-")))
    async with contextlib.AsyncExitStack() as ends:
        ends.callback(lambda: shutil.rmtree(run.path, ignore_errors=True))
        ports = ends.enter_context(spare_ports())
        orders = ends.enter_context(Orders(run.path / "orders"))
        site = LabSite(ports, random_secret(), random_secret(), qualify_s=QUALIFY_S)
        switch = Switch(root, site, run, environment=orders.environment)
        switch.prepare()
        make_sounds(share("dialplans") / "prompts.toml", run.sounds, cache=cache_dir() / "sounds")
        ami, agi = Road(ports.ami), Road(ports.fastagi)
        for road in (ami, agi):
            await road.start()
            ends.push_async_callback(road.stop)
        plan = run.etc / "site" / "globals.conf"
        here = f"agi://{HOST}:{ports.fastagi}"
        plan.write_text(plan.read_text().replace(here, f"agi://{HOST}:{agi.port}"))
        world = make_world(switch, units=units)
        if more is not None:
            config = world.daemon.config
            config.write_text(config.read_text() + more(run.path))
        straight = run.path / "standby.toml"
        straight.write_text(world.daemon.config.read_text())
        world.standby = StandbyProcess(straight, log=run.path / "standby.log")
        _own_port(world.daemon.config, "ami", ami.port)
        steps = run.path / "step"
        world.daemon.module = "tests.faults.doomed"
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        world.daemon.environment = {
            **orders.environment,
            VARIABLE: str(steps),
            "PYTHONPATH": path,
        }
        await switch.start()
        ends.push_async_callback(switch.stop)
        await world.standby.start(wait_up=False)
        ends.push_async_callback(world.standby.stop)
        await world.daemon.start()
        ends.push_async_callback(world.daemon.stop)
        made = Stage(world, ami, agi, orders, steps)
        await made.furnish()
        yield made
        await asyncio.gather(*(_off(phone) for phone in made.phones.values()))


async def _off(phone: Phone) -> None:
    with contextlib.suppress(TimeoutError, RuntimeError):
        await phone.stop()


def now() -> float:
    """The clock of the telephones' ears."""
    return time.monotonic()
