"""`make faults`: the fault matrix and random runs on real Asterisk.

One JSON line a cell on standard output, the table on standard error while it runs, REPORT.md at
the end of a whole run. `SEEDS=n` adds n random runs, `SEED=k` replays one and shrinks it if it
fails; `FAULT=words` runs the faults whose name has these words; `KILLS=n` is how often the daemon
is killed at any moment to see that nothing shown is lost, `WORLDS=n` how many worlds stand side by
side (what was only late beside another is judged again alone), `PART=k/n` the k-th of n parts (its
lines make a report with the others by `python -m tests.faults.report`). `SOAK=m`, alone: one call a
second for m minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.faults.cell import LATE
from tests.faults.matrix import FAULTS, kills_once
from tests.faults.order_matrix import OrderFault, order_kills
from tests.faults.programme import FIRST_SEED, batch_of, batches, words
from tests.faults.report import latest, write_report
from tests.faults.soak import soak
from tests.faults.worker import Job, Result, replay, run_jobs

REPORT = Path(__file__).with_name("REPORT.md")
KILLS = 150
"""At random moments; beside one at every named step."""
AT_ONCE = 15
"""Kills in one world, one after the other."""


def jobs(environment: Mapping[str, str]) -> list[Job]:
    """What is to be run, long ones first. Raises ValueError naming the variable."""
    part, _, parts = (environment.get("PART") or "1/1").partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise ValueError(f"PART={environment.get('PART')}: must be k/n, as 1/3")
    seeds = environment.get("SEEDS") or "0"
    if not seeds.isdigit():
        raise ValueError(f"SEEDS={seeds}: must be a number")
    wanted = environment.get("FAULT") or ""
    slow = ("silent", "machine", "black hole")
    faults = sorted(
        (n for n, fault in enumerate(FAULTS) if wanted in fault.name),
        key=lambda n: not any(word in FAULTS[n].name for word in slow),
    )
    kills = [n for n, kill in enumerate(kills_once()) if wanted in kill.name]
    found = [Job("fault", (n,)) for n in faults] + [Job("kill", (n,)) for n in kills]
    found += [Job("order", (n,)) for n, f in enumerate(OrderFault) if wanted in f"order {f.value}"]
    found += [
        Job("order-kill", (n,))
        for n, order_kill in enumerate(order_kills())
        if wanted in f"order {order_kill.name}"
    ]
    kills_at_random = environment.get("KILLS") or ("0" if wanted else str(KILLS))
    if not kills_at_random.isdigit():
        raise ValueError(f"KILLS={kills_at_random}: must be a number")
    moments = range(int(kills_at_random))
    found += [Job("shown", tuple(moments[at : at + AT_ONCE])) for at in moments[::AT_ONCE]]
    numbers = range(FIRST_SEED, FIRST_SEED + int(seeds))
    found += [Job("random", batch) for batch in batches(numbers)]
    return found[int(part) - 1 :: int(parts)]


def late(results: Iterable[Result]) -> list[Job]:
    """What broke nothing but the time of the truth: judged again without a world beside it, for a
    site has one daemon, and two worlds on two cores start two at the same time."""
    kills = [(kill.state.value, kill.name) for kill in kills_once()]
    faults = [fault.name for fault in FAULTS]
    found: dict[Job, None] = {}
    for result in results:
        line = result.line
        if not result.broken or not all(words.startswith(LATE) for words in result.broken):
            continue
        if line["cell"] == "random":
            found[Job("random", batch_of(line["seed"]))] = None
        elif line["fault"] in faults:
            found[Job("fault", (faults.index(line["fault"]),))] = None
        else:
            found[Job("kill", (kills.index((line["state"], line["fault"])),))] = None
    return list(found)


def shown(results: Iterator[Result]) -> list[Result]:
    """Print each as it comes; all of them at the end."""
    kept = []
    for result in results:
        kept.append(result)
        print(json.dumps(result.line, ensure_ascii=False), flush=True)
        print(row(result), file=sys.stderr, flush=True)
    return kept


def row(result: Result) -> str:
    """A cell as a line of the table."""
    line: Mapping[str, Any] = result.line
    mark = "✗" if result.broken else "✓"
    if "kills" in line:
        told = f"{line['kills']} kills at any moment: {line['shown']} things shown before, "
        return f"{mark} {told}{line['lost']} lost  {line['detail']}"
    if "order" in line:
        on = "–" if line["on_s"] is None else f"{line['on_s']:.1f}"
        kept = f"{line['acks_lost']} signatures lost, {line['unmarked']} unmarked"
        return (
            f"{mark} {line['cell']:<72.72} {on:>5} s  {kept}  "
            f"{'; '.join(result.broken)}  {line.get('detail', '')}"
        )
    truth = "–" if line["truth_s"] is None else f"{line['truth_s']:.1f}"
    name = str(line["cell"]) if line["cell"] != "random" else f"random, seed {line['seed']}"
    told = f"  {'; '.join(result.broken)}  {line.get('detail', '')}" if result.broken else ""
    return (
        f"{mark} {name:<72.72} {line['citizen']:<8.8} {line['silence_ms']:>5} ms {truth:>4} s{told}"
    )


def main() -> int:
    environment = os.environ
    seed = environment.get("SEED") or ""
    if seed:
        if not seed.isdigit():
            print(f"SEED={seed}: must be a number", file=sys.stderr)
            return 2
        result, shortest = replay(int(seed))
        shown(iter([result]))
        if shortest:
            print("最短的失败形式 / its shortest failing form:", file=sys.stderr)
        for of, part in shortest:
            print(f"  {of}: {words(part)}", file=sys.stderr)
        return 1 if result.broken else 0
    minutes = environment.get("SOAK") or ""
    if minutes:
        if not minutes.isdigit():
            print(f"SOAK={minutes}: must be a number of minutes", file=sys.stderr)
            return 2
        soaked = asyncio.run(soak(int(minutes)))
        print(json.dumps(soaked.json(), ensure_ascii=False))
        print("; ".join(soaked.broken) or "✓", file=sys.stderr)
        return 1 if soaked.broken else 0
    try:
        todo = jobs(environment)
    except ValueError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    began = time.monotonic()
    worlds = int(environment.get("WORLDS") or "2")
    results = shown(run_jobs(todo, worlds, ahead=True))
    again = late(results) if worlds > 1 else []
    if again:
        print(f"单独再判 {len(again)} 项 / judging {len(again)} again, alone", file=sys.stderr)
        results += shown(run_jobs(again, 1, ahead=True))
    took = (time.monotonic() - began) / 60
    whole = not (environment.get("PART") or environment.get("FAULT"))
    if whole:
        told = [{**result.line, "broken": result.broken} for result in results]
        write_report(REPORT, told, f"{took:.0f} min, {worlds} worlds side by side")
    lines = latest([{**result.line, "broken": result.broken} for result in results])
    failed = [line for line in lines if line["broken"]]
    print(
        f"{len(lines)} 格,{len(failed)} 格未达标 / {len(lines)} cells, {len(failed)} not as "
        f"promised; {took:.1f} min",
        file=sys.stderr,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
