"""What is too long for the ordinary suite is run by `make test-hardware`."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_make_test_hardware_runs_each_long_test() -> None:
    """They would be left out by a pattern that matches nothing, or by paths put together."""
    make = ["make", "-n", "test-hardware", "PYTEST=--collect-only -qq"]
    words = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    command = words[words.index("BRIDGE110_STATEFUL_EXAMPLES") :].splitlines()
    line = " ".join(part.rstrip("\\") for part in command)
    found = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    counts = dict(row.rsplit(": ", 1) for row in found.stdout.splitlines() if ": " in row)
    for path in sorted(ROOT.glob("tests/hardware/**/with_*.py")):
        assert int(counts[str(path.relative_to(ROOT))]) > 0
