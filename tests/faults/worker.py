"""Worlds side by side: each is a process of its own that takes jobs until none is left."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any, Final, Literal

from bridge.domain.conversation import S
from bridge.lab.root import AsteriskRoot
from bridge.lab.rootbuild import ensure_root
from tests.faults.matrix import FAULTS, LASTING, kills_once
from tests.faults.order_matrix import OrderFault, OrderKill, OrderLine, order_kills
from tests.faults.order_rounds import OrderStage, order_stage, run_order_fault, run_order_kill
from tests.faults.parent import die_with_parent, go_ahead
from tests.faults.programme import Programme, Together, apart, batch_of, programme, shrink, together
from tests.faults.random_runs import run_batch
from tests.faults.rounds import Judged, run_fault, run_kill
from tests.faults.shown import Kept, kill_and_ask
from tests.faults.stage import Stage, stage

TRIES: Final = 2
"""A round whose calls do not even come about is tried again in a new world."""
ROUND_S: Final = 150.0
"""No round takes longer: the longest waits 45 s for a third party."""


@dataclass(frozen=True, slots=True)
class Job:
    """A fault or kill by its number in the matrix (of calls or of orders), the seeds of a batch, or
    numbers of kills at any moment."""

    kind: Literal["fault", "kill", "random", "shown", "order", "order-kill"]
    numbers: tuple[int, ...]
    states: tuple[S, ...] = LASTING
    """In which a fault strikes."""


@dataclass(frozen=True, slots=True)
class Result:
    """A line of output and the promises it broke."""

    line: dict[str, Any]
    broken: tuple[str, ...]


def result_of(judged: Judged) -> Result:
    return Result(judged.line.json(), judged.broken)


async def run_job(there: Stage, job: Job) -> list[Result]:
    """All cells of one job."""
    async with asyncio.timeout(ROUND_S):
        if job.kind == "fault":
            found = [one for _, one in await run_fault(there, FAULTS[job.numbers[0]], job.states)]
        elif job.kind == "kill":
            found = [await run_kill(there, kills_once()[job.numbers[0]])]
        elif job.kind == "shown":
            kept = await kill_and_ask(there, job.numbers[0], len(job.numbers))
            line = kept.line()
            return [Result(line, (f"{line['lost']} things lost",) if line["lost"] else ())]
        else:
            found = await run_batch(there, [(seed, programme(seed)) for seed in job.numbers])
    return [result_of(one) for one in found]


ORDER_KINDS: Final = ("order", "order-kill")


def order_fault(job: Job) -> str:
    """The fault's name."""
    return list(OrderFault)[job.numbers[0]].value


def order_kill(job: Job) -> OrderKill:
    return list(order_kills())[job.numbers[0]]


async def run_order_job(there: OrderStage, job: Job) -> list[Result]:
    """All cells of one job about orders."""
    async with asyncio.timeout(ROUND_S):
        if job.kind == "order":
            found = await run_order_fault(there, OrderFault(order_fault(job)))
        else:
            found = [await run_order_kill(there, order_kill(job))]
    return [Result(line.json(), line.broken) for line in found]


def not_run(job: Job, why: str) -> list[Result]:
    """A job whose calls did not come about: a failure, and said so."""
    if job.kind == "shown":
        return [Result({**Kept().line(), "detail": why}, (f"not run: {why}",))]
    if job.kind in ORDER_KINDS:
        name = order_fault(job) if job.kind == "order" else order_kill(job).name
        line = OrderLine(job.kind, name, None, detail=why)
        return [Result(line.json(), (f"not run: {why}",))]
    names = {
        "fault": lambda n: FAULTS[n].name,
        "kill": lambda n: kills_once()[n].name,
        "random": lambda n: f"seed {n}",
    }
    return [
        Result(
            {
                "cell": "random" if job.kind == "random" else names[job.kind](n),
                "state": "",
                "fault": names[job.kind](n),
                "citizen": "dropped",
                "silence_ms": 0,
                "handoffs_lost": 0,
                "double_acts": 0,
                "truth_s": None,
                "detail": why,
                **({"seed": n} if job.kind == "random" else {}),
            },
            (f"not run: {why}",),
        )
        for n in job.numbers
    ]


class World:
    """A stage that is built when it is needed, and anew after a round that broke."""

    def __init__(self, root: AsteriskRoot) -> None:
        self._root = root
        self._ends = contextlib.AsyncExitStack()
        self._stage: Stage | None = None
        self._orders: OrderStage | None = None
        self._before: Job | None = None

    async def __aenter__(self) -> World:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.end()

    async def end(self) -> None:
        """Take it down."""
        self._stage = self._orders = None
        ends, self._ends = self._ends, contextlib.AsyncExitStack()
        await ends.aclose()

    async def _tell(self) -> None:
        """What the desk and the queue say of the seats, where a round did not come about."""
        if self._stage is None:
            return
        with contextlib.suppress(Exception):
            console = self._stage.world.switch.console
            print(await console("queue show q110"), file=sys.stderr)
            seats = (await self._stage.leader.must("GET", "seats"))["seats"]
            print([(s["id"], s["state"], s["phone"]) for s in seats[:10]], file=sys.stderr)

    async def _calls(self) -> Stage:
        """A world of calls."""
        if self._stage is None or self._orders is not None:
            await self.end()
            self._stage = await self._ends.enter_async_context(stage(self._root))
        return self._stage

    async def _with_orders(self) -> OrderStage:
        """A world with wires of orders."""
        if self._orders is None:
            await self.end()
            self._orders = await self._ends.enter_async_context(order_stage(self._root))
            self._stage = self._orders.stage
        return self._orders

    async def run_programmes(self, programmes: Sequence[tuple[int, Programme]]) -> list[Result]:
        """These at the same time. Raises what a round raises whose calls do not come about."""
        return [result_of(one) for one in await run_batch(await self._calls(), programmes)]

    async def run(self, job: Job) -> list[Result]:
        """The job's cells; never raises for what a round does."""
        why = ""
        for _ in range(TRIES):
            try:
                if job.kind in ORDER_KINDS:
                    found = await run_order_job(await self._with_orders(), job)
                else:
                    found = await run_job(await self._calls(), job)
                self._before = job
                return found
            except Exception as error:  # noqa: BLE001 - told as a failing cell
                why = f"{type(error).__name__}: {error}"[:300]
                print(f"{job}, after {self._before}: {why}", file=sys.stderr)
                await self._tell()
                traceback.print_exc(limit=-3)
                with contextlib.suppress(Exception):
                    await self.end()
        return not_run(job, why)


def _work(todo: Queue[Job | None], done: Queue[list[Result] | None], ahead: bool) -> None:
    async def work() -> None:
        async with World(ensure_root()) as world:
            while (job := await asyncio.to_thread(todo.get)) is not None:
                done.put(await world.run(job))

    die_with_parent()
    if ahead:
        go_ahead()
    try:
        asyncio.run(work())
    finally:
        done.put(None)


def run_jobs(jobs: Sequence[Job], worlds: int, *, ahead: bool = False) -> Iterator[Result]:
    """Every cell as soon as it is known, from `worlds` worlds at a time; `ahead` of other
    programs of this machine where figures are wanted."""
    ensure_root()
    context = multiprocessing.get_context("spawn")
    todo: Queue[Job | None] = context.Queue()
    done: Queue[list[Result] | None] = context.Queue()
    for job in [*jobs, *([None] * worlds)]:
        todo.put(job)
    workers = [context.Process(target=_work, args=(todo, done, ahead)) for _ in range(worlds)]
    for worker in workers:
        worker.start()
    working = worlds
    while working:
        results = done.get()
        if results is None:
            working -= 1
        else:
            yield from results
    for worker in workers:
        worker.join()


Shortest = list[tuple[int, Programme]]


def replay(seed: int, tries: int = 40) -> tuple[Result, Shortest]:
    """Run one seed again, alone and then with those it ran with; when it fails, also its shortest
    failing form, found in at most `tries` runs."""
    return asyncio.run(_replay(seed, tries))


async def _replay(seed: int, tries: int) -> tuple[Result, Shortest]:
    async with World(ensure_root()) as world:

        async def once(steps: Together) -> Result:
            found = await world.run_programmes(apart(steps))
            return next(one for one in found if one.line.get("seed") == seed)

        async def fails(steps: Together) -> bool:
            if not any(of == seed for of, _ in steps):
                return False
            await world.end()
            return bool((await once(steps)).broken)

        for seeds in ((seed,), batch_of(seed)):
            steps = together(seeds)
            first = await once(steps)
            if first.broken:
                return first, apart(await shrink(steps, fails, tries))
            await world.end()
        return first, []
