"""Healthy code keeps every promise under every seed; the same seed is the same run."""

from __future__ import annotations

import os

from tests.simulation.world import run

SEEDS = int(os.environ.get("SIM_SEEDS", "200"))
FIRST = int(os.environ.get("SIM_FIRST", "1"))


def test_nothing_is_dropped_lost_or_done_twice_whatever_fails() -> None:
    broken = {seed: run(seed).broken for seed in range(FIRST, FIRST + SEEDS)}
    assert {seed: words for seed, words in broken.items() if words} == {}
