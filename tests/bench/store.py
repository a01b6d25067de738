"""Speed of the store, each figure beside the bare disk of the same run (guard rule 30).

`store.single`, `store.grouped32` and `store.loop_lag_ms` run on a disk slowed to 5 ms a sync by a
preloaded library: a sync then costs what an ordinary disk's costs, and the ratios hold still. The
ratio on the disk as found is given in `load`. `backup.stall_ms` runs on the disk as found.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import apsw

from bridge.domain.journal import Fact, Json
from bridge.flows.ports import Message, Row, Transaction
from bridge.store import Options, SqliteStore, open_store

ROOT = Path(__file__).parents[2]
SYNC_US = 5_000
SLICES, SINGLE_COUNT, GROUPED_COUNT, GROUPED = 15, 100, 2_048, 32
RECORD_BYTES = 4_120
"""One WAL frame with its header: what the bare disk appends before each sync."""

FACTS_A_CASE = 15
"""Durable facts of a call (guard 5.3); then its task goes on with a new case."""

BACKUP_BYTES = 250_000_000
START = datetime(2026, 3, 1, 8, tzinfo=UTC)

SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int slow(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    usleep(atoi(getenv("SLOWSYNC_US")));
    return real(fd);
}
int fdatasync(int fd) { return slow("fdatasync", fd); }
int fsync(int fd) { return slow("fsync", fd); }
"""

Record = dict[str, object]


def decision(n: int, case_number: int = 0, pad: int = 300) -> Transaction:
    """What one step of a handoff stores: about 1.3 kB of fact, state and message."""
    case = f"C{case_number:06}"
    doc: dict[str, Json] = {"n": n, "note": "x" * pad}
    return Transaction(
        facts=[Fact("handoff.accepted", START, case=case, call="1700.1", data=doc)],
        rows=[Row("case", case, case, "open", doc)],
        messages=[Message("platform", f"bench/{n}", doc, START)],
    )


def bare_rate(directory: Path, count: int) -> float:
    """Appends with a sync each, per second, by the bare disk."""
    file = os.open(directory / "bare", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    data = bytes(RECORD_BYTES)
    started = time.perf_counter()
    for _ in range(count):
        os.write(file, data)
        os.fdatasync(file)
    taken = time.perf_counter() - started
    os.close(file)
    return count / taken


async def with_store(
    directory: Path, use: Callable[[SqliteStore], Awaitable[None]], group_limit: int = 64
) -> None:
    """Open a store in `directory` for `use`."""
    async with open_store(
        directory / "site.db",
        site="bench",
        now=lambda: START,
        monotonic=time.monotonic,
        publish=lambda _: None,
        options=Options(ballast_bytes=0, group_limit=group_limit),
    ) as store:
        await use(store)


async def paired(
    tasks: int, group_limit: int, slices: int, count: int, whole: int
) -> Mapping[str, list[float]]:
    """Slices of `count` commits by `tasks` tasks, each after a slice of the bare disk.

    `whole` = 1 stores whole decisions (fact, state, message), 0 a fact in each transaction.
    """
    found: dict[str, list[float]] = {"bare": [], "ratio": [], "lag_ms": []}
    numbers, cases = itertools.count(), itertools.count()

    def works(share: int) -> Iterator[Transaction]:
        case = 0
        for n in range(share):
            case = next(cases) if n % FACTS_A_CASE == 0 else case
            work = decision(next(numbers), case)
            yield work if whole else Transaction(facts=work.facts)

    async def commit_all(store: SqliteStore, share: Sequence[Transaction]) -> None:
        for work in share:
            await store.commit(work)

    async def use(store: SqliteStore) -> None:
        await commit_all(store, [*works(100)])
        for _ in range(slices):
            bare = await asyncio.to_thread(bare_rate, Path(store.path.parent), 50)
            shares = [[*works(count // tasks)] for _ in range(tasks)]
            lag = asyncio.create_task(longest_lag() if tasks == GROUPED else no_lag())
            started = time.perf_counter()
            await asyncio.gather(*(commit_all(store, share) for share in shares))
            rate = count / (time.perf_counter() - started)
            lag.cancel()
            found["bare"].append(bare)
            found["ratio"].append(rate / bare)
            found["lag_ms"].append(1000 * await lag)

    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        await with_store(Path(name), use, group_limit)
    return found


async def no_lag() -> float:
    """Without grouping: looking at the loop would cost more than it measures."""
    return 0.0


async def longest_lag(period: float = 0.002) -> float:
    """Seconds by which the loop was late at most, until cancelled."""
    worst = 0.0
    try:
        while True:
            due = time.perf_counter() + period
            await asyncio.sleep(period)
            worst = max(worst, time.perf_counter() - due)
    except asyncio.CancelledError:
        return worst


@cache
def measured(
    tasks: int, slow: bool, whole: bool, group_limit: int = 64
) -> Mapping[str, list[float]]:
    """`paired` in a process of its own, on the slowed disk or on the one as found."""
    count = GROUPED_COUNT if tasks == GROUPED else SINGLE_COUNT
    numbers = [tasks, group_limit, SLICES, count, int(whole)]
    with tempfile.TemporaryDirectory() as name:
        environment = dict(os.environ)
        if slow:
            source, library = Path(name, "slow.c"), Path(name, "slow.so")
            source.write_text(SLOW_SYNC)
            compiler = ["gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
            subprocess.run(compiler, check=True, timeout=60)
            environment |= {"LD_PRELOAD": str(library), "SLOWSYNC_US": str(SYNC_US)}
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.store", *map(str, numbers)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
            timeout=300,
        )
    found: Mapping[str, list[float]] = json.loads(done.stdout)
    return found


def record(name: str, value: float, unit: str, **more: object) -> Record:
    """One line as the architecture's section 6 words it."""
    versions = {"python": platform.python_version(), "sqlite": apsw.sqlite_lib_version()}
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "baseline": None,
        "worst": None,
        "n": 1,
        **more,
        "versions": versions,
    }


def ratio(name: str, tasks: int, group_limit: int, count: int, what: str) -> Record:
    """Facts a second, divided by the syncs a second of the bare disk."""
    slow = measured(tasks, True, False, group_limit)
    others = {
        "whole decisions (fact, state, message)": measured(tasks, True, True, group_limit),
        "facts on the disk as found": measured(tasks, False, False, group_limit),
    }
    if group_limit == 1:
        others["facts of one task that waits for each"] = measured(1, True, False)
    beside = [f"{what}: {statistics.median(one['ratio']):.2f}" for what, one in others.items()]
    return record(
        name,
        statistics.median(slow["ratio"]),
        "ratio",
        baseline=round(statistics.median(slow["bare"]), 1),
        worst=round(min(slow["ratio"]), 3),
        n=SLICES * count,
        load=f"{what}, 5 ms disk; " + "; ".join(beside),
    )


def single() -> Record:
    """The one writer without grouping: every fact has a sync of its own, and one always waits."""
    what = "a sync for each fact, one more waiting"
    return ratio("store.single", 2, 1, SINGLE_COUNT, what)


def grouped32() -> Record:
    """32 tasks whose facts share a sync."""
    return ratio("store.grouped32", GROUPED, 64, GROUPED_COUNT, "32 tasks, facts share a sync")


def loop_lag_ms() -> Record:
    """How late the event loop was at most while 32 tasks committed whole decisions."""
    lags = measured(32, True, True)["lag_ms"] + measured(32, True, False)["lag_ms"]
    found = measured(32, False, False)["lag_ms"]
    return record(
        "store.loop_lag_ms",
        max(lags),
        "ms",
        baseline=round(max(found), 3),
        worst=round(max(*lags, *found), 3),
        n=len(lags),
        load="32 tasks, 5 ms disk; baseline: the same on the disk as found",
    )


async def _stall() -> Record:
    """Commits go on one after the other while another process makes and proves a backup."""
    before: list[float] = []
    during: list[float] = []
    seconds = 0.0
    size = 0

    async def use(store: SqliteStore) -> None:
        nonlocal seconds, size
        numbers = itertools.count()

        async def timed(into: list[float]) -> None:
            started = time.perf_counter()
            await store.commit(decision(next(numbers)))
            into.append(1000 * (time.perf_counter() - started))
            await asyncio.sleep(0.002)

        async def fill() -> None:
            while store.path.stat().st_size < BACKUP_BYTES:
                await store.commit(decision(n := next(numbers), n // 15, 8_000))

        await asyncio.gather(*(fill() for _ in range(64)))
        for _ in range(1_000):
            await timed(before)
        size = store.path.stat().st_size
        script = "import sys; from pathlib import Path; from bridge.store.backup import backup; "
        script += "backup(Path(sys.argv[1]), Path(sys.argv[2]))"
        target = store.path.with_name("copy.db")
        started = time.perf_counter()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, str(store.path), str(target), cwd=ROOT
        )
        ended = asyncio.create_task(child.wait())
        while not ended.done():
            await timed(during)
        seconds = time.perf_counter() - started
        if await ended:
            raise RuntimeError("the backup failed; its message is above")

    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        await with_store(Path(name), use)
    return record(
        "backup.stall_ms",
        max(during),
        "ms",
        baseline=round(max(before), 3),
        worst=round(max(during), 3),
        n=len(during),
        load=f"{size / 1e6:.0f} MB copied and proved in {seconds:.1f} s, commits meanwhile: "
        f"median {statistics.median(during):.2f} ms; baseline: longest of 1000 before",
    )


def backup_stall_ms() -> Record:
    """Longest wait for a commit while the store is backed up."""
    return asyncio.run(_stall())


BENCHES: dict[str, Callable[[], Record]] = {
    "store.single": single,
    "store.grouped32": grouped32,
    "store.loop_lag_ms": loop_lag_ms,
    "backup.stall_ms": backup_stall_ms,
}


if __name__ == "__main__":
    if len(sys.argv) == 6:
        print(json.dumps(asyncio.run(paired(*map(int, sys.argv[1:])))))
    else:
        for bench in BENCHES.values():
            print(json.dumps(bench()), flush=True)
