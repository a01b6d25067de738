"""Every planted bug is found by some seed; a seed is the same run to its last step, wherever."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation import summary
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.order_mutants import ORDER_MUTANTS, OrderMutant
from tests.simulation.orders import run_orders
from tests.simulation.world import REPLAY, Kinds, run

BOUND = 2_000
"""Seeds within which every planted bug is found."""
ORDER_BOUND = 200
"""The same for those of orders; a seed of them takes longer."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant.name))
def test_a_planted_bug_is_found(
    mutant: Mutant, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    found = mutant.find(BOUND)
    took = time.monotonic() - began
    assert found is not None, f"{mutant.name} gets away in {BOUND} seeds"
    assert run(found.seed, Kinds(bias=mutant.bias)).broken == "", "the healthy code, in that run"
    record_property(summary.NAME, summary.bug(mutant.name, found.seed, took, found.broken))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", ORDER_MUTANTS, ids=lambda mutant: str(mutant.name))
def test_a_planted_bug_of_orders_is_found(
    mutant: OrderMutant, record_property: Callable[[str, object], None]
) -> None:
    began = time.monotonic()
    found = mutant.find(ORDER_BOUND)
    took = time.monotonic() - began
    assert found is not None, f"{mutant.name} gets away in {ORDER_BOUND} seeds"
    seed, broken = found
    assert run_orders(seed, mutant.bias)[0] == "", "the healthy code, in that run"
    record_property(summary.NAME, summary.bug(mutant.name, seed, took, broken))


def _told(command: str, hash_seed: str, *more: str) -> str:
    words = [sys.executable, *shlex.split(command)[1:], *more]
    done = subprocess.run(
        words,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout


def test_the_same_seed_is_the_same_run_in_every_process() -> None:
    told = [_told(REPLAY.format(7), seed, "--seed", "10", "--digest") for seed in ("1", "2")]
    assert told[0] == told[1] != ""
    assert told[0].split()[1] == run(7).digest


def test_a_failing_seed_replays_alone_to_the_same_step() -> None:
    """The command that a failing test names ends in the same words at the same time."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "no-sync-at-restart")
    found = mutant.find(BOUND)
    assert found is not None
    told = _told(REPLAY.format(found.seed), "3", "--mutant", mutant.name).splitlines()
    assert told[:-1] == found.trace
    assert told[-1] == f"seed {found.seed}: {found.broken}"
