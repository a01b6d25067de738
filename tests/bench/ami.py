"""AMI benches: `ami.vs_panoramisk`, `ami.handlers_flat`, `ami.away_ms`. Over loopback TCP, sender
in a process of its own; ratios from paired slices of one run (guard.md). One JSON line each.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import json
import os
import platform
import random
import selectors
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from panoramisk.manager import Manager

from bridge.asterisk.link_state import AmiSettings
from bridge.asterisk.manager import AmiLink
from bridge.wire.ami import Message
from tests.asterisk.ami_peer import SECRET, USERNAME
from tests.bench.ami_sender import sender
from tests.bench.ami_stream import EVENTS_A_CALL, NAMES

CALLS: Final = 300
SLICES: Final = 9
HANDLED: Final = tuple(n for n in NAMES if n not in ("RTCPSent", "RTCPReceived", "NewCallerid"))
AWAY_RATE: Final = 3000
AWAY_S: Final = 8

Record = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Translated:
    """What a translation makes of an event: six headers, as our own frozen type."""

    uniqueid: str
    linkedid: str
    channel: str
    caller: str
    connected: str
    case: str


class Counter:
    """Reads a slice: asks for the stream and waits until the last event went to `*`."""

    def __init__(self) -> None:
        self.seen = 0
        self.translated = 0
        self._first = 0.0
        self._wanted = 0
        self._done: asyncio.Future[float] | None = None

    def star(self, name: str) -> None:
        """One event of whatever name."""
        if name == "UserEvent" or name == "FullyBooted":
            return
        if self.seen == 0:
            self._first = time.perf_counter()
        self.seen += 1
        if self.seen == self._wanted and self._done is not None:
            self._done.set_result(time.perf_counter() - self._first)

    async def slice(self, ask: Callable[[dict[str, str]], Awaitable[Any]], **more: str) -> float:
        """Events a second over one stream; every event must have come."""
        self.seen = self.translated = 0
        calls = int(more.get("Calls", CALLS))
        self._wanted = calls * EVENTS_A_CALL
        self._done = asyncio.get_running_loop().create_future()
        await ask({"Calls": str(calls), **more})
        async with asyncio.timeout(60):
            seconds = await self._done
        return self.seen / seconds


@asynccontextmanager
async def ours(port: int, names: Sequence[str]) -> AsyncIterator[tuple[Counter, AmiLink]]:
    """Our link, with a translating handler for each name and one for `*`."""
    counter = Counter()

    def translate(event: Message) -> None:
        get = event.get
        Translated(
            get("Uniqueid"),
            get("Linkedid"),
            get("Channel"),
            get("CallerIDNum"),
            get("ConnectedLineNum"),
            event.variables.get("CASE", ""),
        )
        counter.translated += 1

    up = asyncio.Event()
    settings = AmiSettings(port=port, username=USERNAME, secret=SECRET)
    link = AmiLink(settings, rng=random.Random(1), on_up=lambda _: up.set())
    link.register("*", lambda event: counter.star(event.name))
    for name in names:
        link.register(name, translate)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(link.run(stop))
        await up.wait()
        yield counter, link
        stop.set()


@asynccontextmanager
async def stock(port: int, names: Sequence[str]) -> AsyncIterator[tuple[Counter, Any]]:
    """Stock panoramisk with the same handlers reading the same headers."""
    counter = Counter()

    def translate(_: Any, event: Any) -> None:
        get = event.get
        variables = event.get("ChanVariable", [])
        pairs = [variables] if isinstance(variables, str) else variables
        case = dict([pair.split("=", 1) for pair in pairs]).get("CASE", "")
        Translated(
            get("Uniqueid", ""),
            get("Linkedid", ""),
            get("Channel", ""),
            get("CallerIDNum", ""),
            get("ConnectedLineNum", ""),
            case,
        )
        counter.translated += 1

    loop = asyncio.get_running_loop()
    manager = Manager(
        loop=loop, host="127.0.0.1", port=port, username=USERNAME, secret=SECRET, ssl=False
    )
    manager.register_event("*", lambda _, event: counter.star(event.event))
    for name in names:
        manager.register_event(name, translate)
    await manager.connect()
    while not manager.authenticated:
        await asyncio.sleep(0.01)
    try:
        yield counter, manager
    finally:
        manager.close()


def _ask_ours(link: AmiLink) -> Callable[[dict[str, str]], Awaitable[Any]]:
    return lambda headers: link.call("Bench", headers)


def _ask_stock(manager: Any) -> Callable[[dict[str, str]], Awaitable[Any]]:
    return lambda headers: manager.send_action({"Action": "Bench", **headers})


async def _vs_panoramisk(variables: bool) -> Record:
    more = {"Variables": "yes" if variables else "no"}
    pairs: list[tuple[float, float]] = []
    async with (
        sender() as port,
        ours(port, HANDLED) as (mine, link),
        stock(port, HANDLED) as (theirs, manager),
    ):
        for _ in range(SLICES + 1):
            gc.collect()
            rate = await mine.slice(_ask_ours(link), **more)
            gc.collect()
            base = await theirs.slice(_ask_stock(manager), **more)
            assert mine.translated == theirs.translated > 0
            pairs.append((rate, base))
    pairs = pairs[1:]  # the first one warms up
    ratios = [rate / base for rate, base in pairs]
    name = "ami.vs_panoramisk" + ("_chanvariable" if variables else "")
    baseline = statistics.median(base for _, base in pairs)
    return record(name, ratios, "ratio", round(baseline), min(ratios))


async def _handlers_flat() -> Record:
    few = HANDLED[:10]
    many = (*few, *(f"Never{number}" for number in range(190)))
    pairs: list[tuple[float, float]] = []
    async with (
        sender() as port,
        ours(port, few) as (ten, link_ten),
        ours(port, many) as (two_hundred, link_many),
    ):
        for turn in range(2 * SLICES + 2):
            order = [(ten, link_ten), (two_hundred, link_many)]
            rates = {}
            for counter, link in order if turn % 2 else reversed(order):
                gc.collect()
                rates[counter] = await counter.slice(_ask_ours(link))
            pairs.append((rates[two_hundred], rates[ten]))
    pairs = pairs[2:]
    ratios = [rate / base for rate, base in pairs]
    baseline = statistics.median(base for _, base in pairs)
    return record("ami.handlers_flat", ratios, "ratio", round(baseline), min(ratios))


class AwaySelector(selectors.DefaultSelector):
    """Measures how long the loop stays away from its sockets between two looks at them."""

    def __init__(self) -> None:
        super().__init__()
        self.away: list[float] = []
        self._left: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._left is not None:
            self.away.append(time.perf_counter() - self._left)
        try:
            return super().select(timeout)
        finally:
            self._left = time.perf_counter()


async def _away(selector: AwaySelector) -> float:
    async with sender() as port, ours(port, HANDLED) as (counter, link):
        await counter.slice(_ask_ours(link), Calls="10")
        gc.collect()
        await asyncio.sleep(0)  # our own collection belongs to no figure
        selector.away.clear()
        calls = AWAY_RATE * AWAY_S // EVENTS_A_CALL
        await counter.slice(_ask_ours(link), Calls=str(calls), Rate=str(AWAY_RATE))
    return 1000 * max(selector.away)


def away_ms() -> Record:
    """Longest time away from the socket at 3 000 events a second, ms; median of three runs."""
    longest = []
    for _ in range(3):
        selector = AwaySelector()
        with asyncio.Runner(loop_factory=lambda s=selector: asyncio.SelectorEventLoop(s)) as runner:  # type: ignore[misc]
            longest.append(runner.run(_away(selector)))
    return record("ami.away_ms", longest, "ms", None, max(longest))


def vs_panoramisk() -> Record:
    """Events a second with translation, ours over stock panoramisk 1.4."""
    return _run(_vs_panoramisk(variables=False))


def vs_panoramisk_chanvariable() -> Record:
    """The same with the three `ChanVariable` headers that our own account asks for."""
    return _run(_vs_panoramisk(variables=True))


def handlers_flat() -> Record:
    """Events a second with 200 handlers over that with 10."""
    return _run(_handlers_flat())


def _run(bench: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(bench)


def record(name: str, values: Sequence[float], unit: str, baseline: Any, worst: float) -> Record:
    """One line of `make bench`."""
    return {
        "name": name,
        "value": round(statistics.median(values), 3),
        "unit": unit,
        "baseline": baseline,
        "worst": round(worst, 3),
        "n": len(values),
        "load": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            "panoramisk": importlib.metadata.version("panoramisk"),
        },
    }


BENCHES: Final[dict[str, Callable[[], Record]]] = {
    "ami.vs_panoramisk": vs_panoramisk,
    "ami.vs_panoramisk_chanvariable": vs_panoramisk_chanvariable,
    "ami.handlers_flat": handlers_flat,
    "ami.away_ms": away_ms,
}


if __name__ == "__main__":
    wanted = os.environ.get("BENCH")
    for bench_name, bench in BENCHES.items():
        if not wanted or bench_name in wanted.split(","):
            print(json.dumps(bench(), ensure_ascii=False), flush=True)
