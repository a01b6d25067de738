"""What a soak may not show. The soak itself takes minutes: `make faults SOAK=30`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.soak import Footprint, Soaked

CALM = Footprint(rss_mb=120.0, files=40, tasks=30)
SUM = {"came_in": 900, "delivered": 890, "exact": True, "waiting": 0, "differences": []}
WELL = Soaked(30.0, CALM, replace(CALM, rss_mb=124.9, files=39), 900, SUM)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"after": replace(CALM, rss_mb=125.1)}, "memory + 5.1 MB > 5"),
        ({"after": replace(CALM, files=41)}, "open files 40 → 41"),
        ({"after": replace(CALM, tasks=31)}, "tasks 30 → 31"),
        ({"made": 901}, "901 calls were made, 900 came in"),
        (
            {"sum_": {**SUM, "exact": False, "differences": ["x"]}},
            "switch and journal differ: ['x']",
        ),
        ({"sum_": {**SUM, "waiting": 1}}, "switch and journal differ: []"),
    ],
)
def test_whatever_grows_or_differs_is_told(change: dict[str, object], words: str) -> None:
    assert WELL.broken == ()
    assert replace(WELL, **change).broken == (words,)  # type: ignore[arg-type]
