"""How much faster than the clock the simulation runs: virtual seconds for each real one."""

from __future__ import annotations

import os
import platform
import time

from tests.simulation.world import LONG_EVERY, run

SEEDS = range(LONG_EVERY, 41 * LONG_EVERY, LONG_EVERY)
"""Long runs: people act at the pace of people."""


def speedup() -> dict[str, object]:
    """Virtual ÷ processor time of 40 long runs: domain, flows, outbox, link and resync."""
    run(0)
    ratios: list[float] = []
    virtual = used = 0.0
    for seed in SEEDS:
        began = time.process_time()
        outcome = run(seed)
        seconds = time.process_time() - began
        ratios.append(outcome.virtual_s / seconds)
        virtual, used = virtual + outcome.virtual_s, used + seconds
    return {
        "name": "sim.speedup",
        "value": round(virtual / used),
        "unit": "virtual s / s of one core",
        "baseline": "the clock",
        "worst": round(min(ratios)),
        "n": len(ratios),
        "load": {"seconds_a_seed": round(used / len(ratios), 4), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version()},
    }


BENCHES = {"sim.speedup": speedup}
