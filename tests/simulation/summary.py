"""What the simulation says at the end of a test run, whichever processes its seeds ran in.

Tests hand on what they measured by `record_property(NAME, …)`, which travels with their report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

NAME = "simulation"

_runs: Counter[str] = Counter()
_faults: Counter[str] = Counter()
_seconds: dict[str, float] = {}
_bugs: list[str] = []
_met: Counter[tuple[str, str]] = Counter()


def runs(kind: str, seeds: int, seconds: float, faults: Mapping[str, int]) -> dict[str, object]:
    """So many seeds of a kind were played, in that time of one core."""
    return {"kind": kind, "seeds": seeds, "seconds": seconds, "faults": dict(faults)}


def bug(name: str, seed: int, seconds: float, words: str) -> dict[str, object]:
    """A planted bug was found by this seed, the first that did, so long after the search began."""
    line = f"{name}: seed {seed}, {seconds:.1f} s: {words}"
    return {"bug": line}


def orders(seeds: int, seconds: float, met: Mapping[tuple[str, str], int]) -> dict[str, object]:
    """So many seeds of orders; `met`: state of an order and fault that struck in it, how often."""
    told = runs("orders", seeds, seconds, {})
    return {**told, "met": [[state, fault, times] for (state, fault), times in met.items()]}


def take(given: Mapping[str, object]) -> None:
    """What one test handed on."""
    if "bug" in given:
        _bugs.append(str(given["bug"]))
        return
    kind = str(given["kind"])
    _runs[kind] += int(str(given["seeds"]))
    _seconds[kind] = _seconds.get(kind, 0.0) + float(str(given["seconds"]))
    faults = given["faults"]
    assert isinstance(faults, dict)
    _faults.update(faults)
    met = given.get("met", [])
    assert isinstance(met, list)
    for state, fault, times in met:
        _met[state, fault] += times


def lines() -> Iterator[str]:
    """For the end of the run; none where no simulation ran."""
    for kind, seeds in _runs.items():
        yield f"simulation: {seeds} seeds of {kind}, {_seconds[kind]:.0f} s of a core"
    if _faults:
        told = ", ".join(f"{fault} {times}" for fault, times in sorted(_faults.items()))
        yield f"simulation: faults: {told}"
    for state in dict.fromkeys(state for state, _ in _met):
        told = ", ".join(f"{fault} {n}" for (at, fault), n in sorted(_met.items()) if at == state)
        yield f"simulation: an order {state} met {told}"
    if _bugs:
        yield f"simulation: {len(_bugs)} planted bugs, each found:"
    yield from (f"  {line}" for line in _bugs)
