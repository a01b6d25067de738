"""A cut of the fault matrix: every fault once, on real Asterisk, and some named steps.

`make faults` runs all of it. Here the machine may be busy with other things, so what depends on
its speed has room; that nobody is dropped, nothing lost and nothing done twice has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from bridge.domain.conversation import S
from tests.faults.cell import Bounds, Line, broken
from tests.faults.matrix import (
    FAULTS,
    LASTING,
    Fault,
    Kill,
    Party,
    Trouble,
    bounds,
    kills_once,
    nonsense,
)
from tests.faults.worker import Job, run_jobs

pytestmark = [pytest.mark.live, pytest.mark.timeout(420), pytest.mark.req("LL-51")]

WORLDS: Final = 3
SLACK_MS: Final = 1_000
SLACK_S: Final = 12.0
CELLS: Final = 2
"""States in which each fault strikes here."""
PREFERRED: Final = (S.TALKING, S.CONFERENCED, S.CONSULTING, S.ALTERNATED, S.WAITING, S.HELD)

SLOW: Final = (Trouble.PEER_SILENT, Trouble.PEER_MACHINE, Trouble.AGI_HOLE)
LEFT_OUT: Final = frozenset({"citizen dies silent"})
"""Asterisk clears a dead citizen after 30 s: only in the whole matrix."""


def cut() -> list[tuple[Fault, tuple[S, ...]]]:
    """Each trouble alone, and each party's; in other states each time, so that all are there."""
    found = []
    turn = 0
    for fault in FAULTS:
        if fault.does is not None or fault.name in LEFT_OUT:
            continue
        order = [*PREFERRED[turn % 6 :], *PREFERRED[: turn % 6], *LASTING]
        if fault.party is Party.SEAT:
            order.insert(0, S.TALKING)
        states = [s for s in dict.fromkeys(order) if not nonsense(s, fault)][:CELLS]
        found.append((fault, tuple(states)))
        turn += 1
    return sorted(found, key=lambda one: one[0].trouble not in SLOW)


STEPS: Final = (
    ("three-way", "committed", "handoff.requested"),
    ("transfer", "after-action", "Originate"),
    ("consult", "after-action", "Redirect"),
    ("answer", "published", "call.established"),
)


def steps() -> list[Kill]:
    return [kill for kill in kills_once() if (kill.doing, kill.place, kill.what) in STEPS]


Seen = Mapping[tuple[str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Every cell of the cut, run once, several worlds at a time."""
    numbers = {fault.name: n for n, fault in enumerate(FAULTS)}
    jobs = [Job("fault", (numbers[fault.name],), states) for fault, states in cut()]
    kills = kills_once()
    jobs += [Job("kill", (kills.index(kill),)) for kill in steps()]
    lines = [result.line for result in run_jobs(jobs, WORLDS)]
    return {(line["state"], line["fault"]): line for line in lines}


def judge(seen: Seen, state: S, name: str, limit: Bounds) -> None:
    line = seen.get((state.value, name)) or seen.get(("", name))
    assert line is not None, f"not run; there are {sorted(seen)}"
    roomy = replace(limit, silence_ms=limit.silence_ms + SLACK_MS, truth_s=limit.truth_s + SLACK_S)
    assert not broken(Line(**line), roomy), line


@pytest.mark.parametrize(
    ("fault", "state"),
    [pytest.param(f, s, id=f"{s.value}-{f.name}") for f, states in cut() for s in states],
)
def test_the_promises_hold(seen: Seen, fault: Fault, state: S) -> None:
    judge(seen, state, fault.name, bounds(state, fault))


@pytest.mark.parametrize("kill", [pytest.param(k, id=k.name) for k in steps()])
def test_the_promises_hold_when_the_daemon_dies_at(seen: Seen, kill: Kill) -> None:
    judge(seen, kill.state, kill.name, kill.bounds)
    assert "detail" not in seen[kill.state.value, kill.name]
