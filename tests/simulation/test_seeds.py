"""Healthy code keeps every promise under every seed.

SIM_SEEDS=100000 python -m pytest tests/simulation/test_seeds.py   # more seeds
python -m tests.simulation --seed 52                               # one run, its whole story
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.simulation import summary
from tests.simulation.world import REPLAY, run

SEEDS = int(os.environ.get("SIM_SEEDS", "10000"))
FIRST = int(os.environ.get("SIM_FIRST", "1"))
CHUNK = 250
"""Seeds of one test: a few seconds, so that several processes share them evenly."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, CHUNK))
def test_nothing_is_dropped_lost_or_done_twice_whatever_fails(
    first: int, record_property: Callable[[str, object], None]
) -> None:
    broken: dict[str, str] = {}
    faults: Counter[str] = Counter()
    seeds = range(first, min(first + CHUNK, FIRST + SEEDS))
    began = time.process_time()
    for seed in seeds:
        outcome = run(seed)
        faults.update(outcome.counts)
        if outcome.broken:
            broken[REPLAY.format(seed)] = outcome.broken
    took = round(time.process_time() - began, 2)
    record_property(summary.NAME, summary.runs("calls", len(seeds), took, faults))
    assert broken == {}
