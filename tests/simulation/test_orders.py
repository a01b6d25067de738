"""Orders under daemons that die and disks that fail: no key lost, no call twice, never silence."""

from __future__ import annotations

import os

from tests.simulation.orders import run_orders

SEEDS = int(os.environ.get("SIM_SEEDS", "40"))
FIRST = int(os.environ.get("SIM_FIRST", "1"))


def test_no_key_is_lost_and_nobody_is_called_twice_whatever_fails() -> None:
    broken, dialled, lives, faxes = {}, 0, 0, 0
    for seed in range(FIRST, FIRST + SEEDS):
        words, world = run_orders(seed)
        dialled, lives = dialled + len(world.dialled), lives + world.lives
        faxes += sum(fax.confirmed for fax in world.ports.calls)
        if words:
            broken[seed] = words
    assert broken == {}
    assert dialled > SEEDS, "calls were really made"
    assert faxes > SEEDS / 2, "faxes really arrived"
    assert lives > 2 * SEEDS, "daemons really died"
