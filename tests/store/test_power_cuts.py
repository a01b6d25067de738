"""What was shown survives a power cut at any operation; each planted bug is caught."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.store.power_cuts import MEMORY, cut_many
from tests.store.power_recording import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_power_cut_loses_nothing_shown_and_every_planted_bug_is_caught(
    mutant: str,
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        count = cut_many(mutant, 2_500 if mutant == "none" else 300, 1, Path(name, "cut"))
    assert count.cuts >= 300
    if mutant == "none":
        assert count.broken == 0, count.first
    else:
        assert count.broken > 0
