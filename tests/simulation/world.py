"""One run: a world of switch, disk, people and receiver, daemons that live and die in it.

Three times: *trouble* (calls, requests, faults), *rest* (all faults healed, nobody does anything:
what the daemon believes must become what is), *end* (everybody hangs up: everything must close).
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from bridge.desk.commands import Ask
from bridge.flows.ports import StoreError
from tests.simulation.chance import Chance
from tests.simulation.checks import Checks
from tests.simulation.daemon import SEATS, SETTINGS, Daemon
from tests.simulation.loop import SimLoop, Spinning, in_life
from tests.simulation.people import People
from tests.simulation.plan import Plan
from tests.simulation.platform import Platform
from tests.simulation.store import Disk, SimStore
from tests.simulation.switch import SimSwitch

REST = 25.0
"""Seconds in which daemon and switch must come to agree: link, snapshot, a second look."""
END = 45.0
"""Longer than the lease of a message whose courier died."""
REPLAY = "python -m tests.simulation --seed {}"
"""What plays one seed again and tells its story."""
LOOK = 0.5
"""A short run looks so often whether all has come to rest."""
DEAF = SETTINGS.canary_interval + 0.5
"""Events are lost for longer than a canary takes: a shorter loss may miss every canary."""


@dataclass(slots=True)
class Kinds:
    """What a mutant exchanges; as it is, the healthy code."""

    store: type[SimStore] = SimStore
    daemon: type[Daemon] = Daemon
    bias: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a run is. `haste` divides the times of people; `whole`: rest and end last their
    full time, also when everything is as it must be."""

    trouble: tuple[float, float]
    citizens: tuple[int, ...]
    seats: tuple[int, ...]
    faults: tuple[int, ...]
    haste: float
    whole: bool


LONG = Shape((30.0, 60.0), (1, 1, 2, 3), (3,), (0, 1, 1, 2, 2, 3, 4), 1.0, True)
SHORT = Shape((5.0, 12.0), (1, 1, 1, 2), (1, 2, 2, 3), (0, 1, 1, 1, 2, 2, 3), 5.0, False)
LONG_EVERY = 10
"""Each tenth seed is a long run."""


def shape_of(seed: int) -> Shape:
    """Short runs find most; some faults need the time of a long one."""
    return SHORT if seed % LONG_EVERY else LONG


@dataclass(slots=True)
class Outcome:
    """What became of one seed."""

    seed: int
    broken: str = ""
    trace: list[str] = field(default_factory=list)
    virtual_s: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Equal for equal runs."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


class World:
    """Everything of one run."""

    def __init__(self, seed: int, kinds: Kinds) -> None:
        self.kinds = kinds
        self.shape = shape_of(seed)
        self.chance = Chance(seed, kinds.bias)
        self.loop = SimLoop(self.chance.random)
        self.lines: list[str] = []
        self.switch = SimSwitch(self.loop, self.chance, self.trace)
        self.plan = Plan(self.switch, self.chance)
        self.people = People(self)
        self.switch.plan = self.plan.run
        self.switch.rings = self.people.rings
        self.switch.daemon_knows = self._knows
        self.loop.dial = self.switch.exchange.dial
        self.disk = Disk(self.chance)
        self.platform = Platform(self)
        self.checks = Checks(self)
        self.daemon: Daemon | None = None
        self.arrived: list[str] = []
        self.asked: dict[str, Ask] = {}
        self.requests: list[asyncio.Task[None]] = []
        self.counts: dict[str, int] = {}
        self._lives = 0
        self._life_tasks: list[asyncio.Task[None]] = []
        self._world_tasks: set[asyncio.Task[Any]] = set()
        self.chance.strike = self.strike
        self.broken = ""

    def trace(self, line: str) -> None:
        """One line of what happened."""
        self.lines.append(f"{self.loop.time():9.4f} {line}")

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of the world."""
        task = self.loop.create_task(work, context=in_life(0))
        self._world_tasks.add(task)
        task.add_done_callback(self._world_tasks.discard)
        return task

    def fail(self, words: str) -> None:
        """A promise is broken: the first one counts."""
        if not self.broken:
            self.broken = f"{self.loop.time():.3f} s: {words}"
            self.trace(f"BROKEN {words}")

    # The run

    async def run(self) -> None:
        """All of it."""
        draw, shape = self.chance.random, self.shape
        self.begin_life()
        for _ in range(draw.choice(shape.citizens)):
            self.start(self.people.citizen())
        for seat in SEATS[: draw.choice(shape.seats)]:
            self.start(self.people.seat(seat))
        if draw.random() < 0.3:
            self.start(self.people.leader())
        if draw.random() < 0.5:
            self.start(self.people.clerk())
        self.start(self._faults())
        await asyncio.sleep(draw.uniform(*shape.trouble))
        self.heal()
        await self._until(self.checks.at_rest, REST)
        for chan in list(self.switch.channels.values()):
            if chan.kind == "citizen":
                self.switch.hang_up(chan, 16, "citizen")
        await self._until(self.checks.at_the_end, END)

    async def _until(self, broken: Callable[[], list[str]], most: float) -> None:
        """Until nothing is broken, `most` seconds at the longest."""
        until = self.loop.time() + (0.0 if self.shape.whole else most)
        if self.shape.whole:
            await asyncio.sleep(most)
        while (found := broken()) and self.loop.time() < until:
            await asyncio.sleep(LOOK)
        for words in found:
            self.fail(words)

    async def _faults(self) -> None:
        draw, shape = self.chance.random, self.shape
        for _ in range(draw.choice(shape.faults)):
            await asyncio.sleep(draw.random() * 20 / shape.haste)
            if not self.chance.quiet:
                self.strike(self.chance.fault())

    def heal(self) -> None:
        """No fault any more, nobody does anything."""
        self.trace("heals")
        self.chance.quiet = True
        self.people.calm = True
        self.disk.heal()
        self.switch.exchange.refuse = False
        for wire in self.switch.exchange.open_wires():
            wire.late = 0.0  # deaf and half-open wires stay so until the daemon finds out
        if self.daemon is None:
            self.begin_life()

    # Lives

    def begin_life(self) -> None:
        """The service manager starts a daemon."""
        self._lives += 1
        self.trace(f"life {self._lives} begins")
        context = in_life(self._lives)
        self.daemon = context.run(
            lambda: self.kinds.daemon(
                self._lives,
                self.loop,
                self.chance,
                self.disk,
                self.switch,
                self.checks.published,
                self.checks.restored,
                self.platform.send,
                self.kinds.store,
            )
        )
        task = self.loop.create_task(self._live(self.daemon), context=context)
        self._life_tasks.append(task)

    async def _live(self, daemon: Daemon) -> None:
        try:
            await daemon.run()
        except StoreError as error:
            self.trace(f"life {daemon.life} cannot start: {error}")
        except BaseExceptionGroup as errors:
            if not self.loop.burying:
                self.fail(f"the daemon ended by itself: {errors.exceptions!r}")
        if self.daemon is daemon and not self.loop.burying:
            self.loop.call_soon(self._ended, daemon, context=in_life(0))

    def _ended(self, daemon: Daemon) -> None:
        if self.daemon is daemon:
            self.kill()

    def kill(self) -> None:
        """SIGKILL; another life begins soon."""
        daemon = self.daemon
        if daemon is None:
            return
        self.trace(f"life {daemon.life} killed")
        self.daemon = None
        daemon.store.dead = True
        self.loop.kill(daemon.life)
        self.switch.exchange.hang(daemon.life)
        self.checks.life_over(daemon)
        delay = 0.1 + self.chance.delay(0.0, 4.0)
        self.loop.call_later(delay, self._begin_again, context=in_life(0))

    def _begin_again(self) -> None:
        if self.daemon is None:
            self.begin_life()

    # Faults

    def strike(self, fault: str) -> None:
        """Let it happen now."""
        self.trace(f"fault {fault}")
        self.counts[fault] = self.counts.get(fault, 0) + 1
        draw, disk = self.chance.random, self.disk
        wires = self.switch.exchange.open_wires()
        lasts = self.chance.delay(0.3, 12.0)
        if fault == "kill":
            self.kill()
        elif fault == "power":
            self.kill()
            disk.power_cut()
        elif fault == "asterisk-dies":
            self.switch.die()
            self.switch.exchange.refuse = True
            self._later(lasts, self._open_exchange)
        elif fault == "party-goes":
            self._later(0.0, self._somebody_goes)
        elif fault == "cut":
            for wire in wires:
                wire.cut("cut")
            if draw.random() < 0.5:
                self.switch.exchange.refuse = True
                self._later(lasts, self._open_exchange)
        elif fault in ("half-open", "half-open-in"):
            for wire in wires:
                wire.deaf_in = True
                wire.deaf_out = fault == "half-open"
        elif fault == "deaf":
            for wire in wires:
                wire.deaf_until = max(wire.deaf_until, self.loop.time() + DEAF + lasts / 4)
        elif fault == "late":
            for wire in wires:
                wire.late = 0.2 + draw.random() * 2.5
                self._later(lasts, lambda wire=wire: setattr(wire, "late", 0.0))
        elif fault == "sync-fails":
            disk.failing_syncs = draw.choice((1, 1, 2))
        elif fault == "disk-away":
            disk.away = True
            self._later(lasts, lambda: setattr(disk, "away", False))
        elif fault == "disk-full":
            disk.full = True
            disk.slow = draw.choice((1.0, 20.0))
            self._later(lasts, disk.heal)
        elif fault == "disk-slow":
            disk.slow = draw.choice((5.0, 40.0))
            self._later(lasts, lambda: setattr(disk, "slow", 1.0))
        elif fault == "disk-stuck":
            disk.stuck_until = self.loop.time() + lasts
        elif fault == "client-goes":
            running = [task for task in self.requests if not task.done()]
            if running and self.daemon is not None:
                draw.choice(running).cancel()

    def _somebody_goes(self) -> None:
        parties = [chan for chan in self.switch.channels.values() if chan.kind != "citizen"]
        if parties and not self.people.calm:
            draw = self.chance.random
            self.switch.hang_up(draw.choice(parties), draw.choice((16, 16, 44)), "party")

    def _knows(self, leg: str) -> bool:
        daemon = self.daemon
        calls = daemon.room.book.calls.values() if daemon and daemon.ready else ()
        return any(leg in call.legs for call in calls)

    def _open_exchange(self) -> None:
        self.switch.exchange.refuse = False

    def _later(self, delay: float, act: Any) -> None:
        self.loop.call_later(delay, act, context=in_life(0))

    def answered(self, key: str, code: str) -> None:
        """A person was told this of a request."""
        self.checks.answered(key, code)

    # The end

    def close(self) -> None:
        """Let every task unwind, so that nothing of this run stays in memory."""
        loop = self.loop
        loop.bury()
        for _ in range(20):
            left = [task for task in asyncio.all_tasks(loop) if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            loop.call_later(1.0, loop.stop)
            loop.run_forever()
        loop.close()


def run(seed: int, kinds: Kinds | None = None) -> Outcome:
    """Play one seed."""
    world = World(seed, kinds or Kinds())
    outcome = Outcome(seed)
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.set_event_loop(world.loop)
    collecting = gc.isenabled()
    gc.disable()
    try:
        main = world.loop.create_task(world.run(), context=in_life(0))
        main.add_done_callback(lambda _: world.loop.stop())
        try:
            world.loop.run_forever()
            if main.done() and main.exception() is not None:
                raise main.exception()  # type: ignore[misc]
        except Spinning as error:
            world.fail(str(error))
        for words in world.loop.errors:
            world.fail(words)
        outcome.broken = world.broken
        outcome.trace = list(world.lines)
        outcome.virtual_s = world.loop.time()
        outcome.counts = dict(world.counts)
    finally:
        world.close()
        asyncio.set_event_loop(None)
        structlog.configure(**before)
        if collecting:
            gc.enable()
    return outcome
