"""A bug planted in the daemon is found by a seed, on real Asterisk, and the seed is shrunk."""

from __future__ import annotations

import pytest

from tests.faults.doomed import PLANT
from tests.faults.programme import Programme, programme
from tests.faults.worker import replay

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

TRIES = 9


def asks(steps: Programme) -> bool:
    """Whether a third is called soon, by a call-taker who is there."""
    return any(step.do == "ask" and step.what == "three-way" for step in steps[2:4])


def test_a_planted_bug_is_found_and_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLANT, "dials twice")
    seed = next(n for n in range(1, 500) if asks(programme(n)))
    result, shortest = replay(seed, TRIES)
    assert any("acts twice" in words for words in result.broken), result
    ((of, steps),) = shortest
    assert of == seed
    assert len(steps) < len(programme(seed)) / 2
    assert {step.do for step in steps} >= {"dial", "ask"}
