"""`make bench`: every figure, one JSON line each on standard output.

A module of this directory offers its figures as `BENCHES`, a dictionary from the figure's name to
a function that measures it and returns the line. `BENCH=name,name` in the environment runs some.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

Bench = Callable[[], dict[str, Any]]


def find_benches(directory: Path = Path(__file__).parent) -> dict[str, Bench]:
    """Every figure that the modules of this directory offer. Raises ValueError on a name twice."""
    found: dict[str, Bench] = {}
    for file in sorted(directory.glob("*.py")):
        if file.stem.startswith("_"):
            continue
        offered = getattr(importlib.import_module(f"tests.bench.{file.stem}"), "BENCHES", {})
        if twice := found.keys() & offered.keys():
            raise ValueError(f"{file}: {sorted(twice)} are measured elsewhere too")
        found |= offered
    return found


def choose(benches: Mapping[str, Bench], wanted: str) -> dict[str, Bench]:
    """The figures named in `wanted` (commas), or all. Raises ValueError on an unknown name."""
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if unknown := [name for name in names if name not in benches]:
        raise ValueError(f"BENCH={wanted}: no figure {unknown}; there are {sorted(benches)}")
    return {name: benches[name] for name in names or benches}


def main() -> int:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        chosen = choose(find_benches(), os.environ.get("BENCH", ""))
    except ValueError as wrong:
        print(wrong, file=sys.stderr)
        return 2
    for name, measure in chosen.items():
        print(f"正在测量 {name} / measuring {name}", file=sys.stderr, flush=True)
        print(json.dumps(measure(), ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
