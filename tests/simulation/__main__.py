"""Many seeds, one seed's whole story, or how soon each planted bug is found.

python -m tests.simulation --seeds 10000        # one JSON line at the end
python -m tests.simulation --seed 52            # replay, with its trace
python -m tests.simulation --seed 52 --mutant no-canary
python -m tests.simulation --mutants            # one JSON line for each planted bug
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext

from tests.simulation.mutants import MUTANTS
from tests.simulation.world import Kinds, Outcome, run


def _brief(seed: int) -> tuple[int, str, float, dict[str, int]]:
    outcome = run(seed)
    return seed, outcome.broken, outcome.virtual_s, outcome.counts


def _many(first: int, seeds: int) -> int:
    began, virtual = time.monotonic(), 0.0
    broken: dict[int, str] = {}
    faults: dict[str, int] = {}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for seed, words, seconds, counts in pool.map(
            _brief, range(first, first + seeds), chunksize=20
        ):
            virtual += seconds
            for fault, times in counts.items():
                faults[fault] = faults.get(fault, 0) + times
            if words:
                broken[seed] = words
                print(f"{seed}: {words}", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    line = {
        "seeds": seeds,
        "broken": broken,
        "seconds": round(took, 1),
        "virtual_s": round(virtual),
        "faults": faults,
    }
    print(json.dumps(line))
    return int(bool(broken))


def _mutants(bound: int) -> int:
    away = 0
    for mutant in MUTANTS:
        began = time.monotonic()
        found = mutant.find(bound)
        away += found is None
        line = {
            "mutant": mutant.name,
            "seed": found.seed if found else None,
            "seconds": round(time.monotonic() - began, 2),
            "found": found.broken if found else None,
        }
        print(json.dumps(line, ensure_ascii=False), flush=True)
    return int(away > 0)


def _one(outcome: Outcome, digest: bool) -> int:
    if digest:
        print(outcome.seed, outcome.digest)
    else:
        print("\n".join(outcome.trace))
        print(f"seed {outcome.seed}: {outcome.broken or 'every promise kept'}")
    return int(bool(outcome.broken))


def main() -> int:
    """Exit status 1 when a promise broke, or a planted bug got away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, action="append", default=[])
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--mutant", choices=[mutant.name for mutant in MUTANTS])
    asked = parser.parse_args()
    if asked.mutants:
        return _mutants(asked.seeds)
    if asked.seed:
        planted = next((one for one in MUTANTS if one.name == asked.mutant), None)
        with planted.planted() if planted else nullcontext(Kinds()) as kinds:
            return max(_one(run(seed, kinds), asked.digest) for seed in asked.seed)
    return _many(asked.first, asked.seeds)


if __name__ == "__main__":
    sys.exit(main())
