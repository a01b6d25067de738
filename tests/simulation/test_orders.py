"""Orders under daemons that die and disks that fail: no key lost, no call twice, never silence."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.simulation import summary
from tests.simulation.orders import FAULTS, STATES, run_orders

SEEDS = int(os.environ.get("SIM_SEEDS", "200"))
FIRST = int(os.environ.get("SIM_FIRST", "1"))


@pytest.mark.timeout(600)
def test_no_key_is_lost_and_nobody_is_called_twice_whatever_fails(
    record_property: Callable[[str, object], None],
) -> None:
    """And every fault strikes in every state of an order's table."""
    broken, dialled, lives, faxes, texts, answers = {}, 0, 0, 0, 0, 0
    called: set[str] = set()
    met: Counter[tuple[str, str]] = Counter()
    began = time.process_time()
    for seed in range(FIRST, FIRST + SEEDS):
        words, world = run_orders(seed)
        dialled, lives = dialled + len(world.dialled), lives + world.lives
        faxes += sum(fax.confirmed for fax in world.line.calls)
        texts += sum(text.shown for text in world.air.texts)
        answers += len(world.air.answers)
        called |= {fax.number for fax in world.line.calls if not fax.sheet["repeat"]}
        called |= {text.ssi for text in world.air.texts if not text.marked}
        met.update(world.met)
        if words:
            broken[seed] = words
    took = time.process_time() - began
    record_property(summary.NAME, summary.orders(SEEDS, took, met))
    assert broken == {}
    assert dialled > SEEDS, "calls were really made"
    assert faxes > SEEDS / 2, "faxes really arrived"
    assert texts > SEEDS, "texts were really shown"
    assert answers > SEEDS / 2, "people really answered"
    assert {"1003", "7004"} <= called, "the other number of a unit was tried in its turn"
    assert lives > 2 * SEEDS, "daemons really died"
    assert {(state, fault) for state in STATES for fault in FAULTS} <= met.keys()
