"""`make coverage-req`: which rows of the requirement catalogue have a test, and which test.

Counts `@pytest.mark.req("LL-51")` marks as pytest collects them. Exit status 1 when a mark names
no row of `tests/requirements.tsv`, or when the tests cannot be collected.
"""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

CATALOGUE = Path(__file__).with_name("requirements.tsv")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of the catalogue; the restatement in English, force and kind as `M/I`."""

    id: str
    force_kind: str
    restatement: str


class Marks:
    """A pytest plugin: the tests that name each requirement."""

    def __init__(self) -> None:
        self.tests: dict[str, set[str]] = defaultdict(set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("req"):
                for requirement in mark.args:
                    self.tests[str(requirement)].add(item.nodeid.split("[")[0])


def read_catalogue(file: Path = CATALOGUE) -> dict[str, Requirement]:
    """Every row by its ID, in the catalogue's order."""
    with file.open(encoding="utf-8", newline="") as rows:
        table = csv.DictReader(rows, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {r["id"]: Requirement(r["id"], r["force/kind"], r["restatement"]) for r in table}


def report(catalogue: Mapping[str, Requirement], tests: Mapping[str, Iterable[str]]) -> list[str]:
    """The covered rows with their tests, then one line a notice and the sum."""
    lines: list[str] = []
    for row in catalogue.values():
        if row.id in tests:
            lines.append(f"{row.id}  {row.force_kind}  {row.restatement}")
            lines.extend(f"    {test}" for test in sorted(tests[row.id]))
    for notice in dict.fromkeys(name[:2] for name in catalogue):
        rows = [name for name in catalogue if name.startswith(notice)]
        lines.append(f"{notice}: {sum(name in tests for name in rows)} of {len(rows)} rows")
    done = sum(name in tests for name in catalogue)
    lines.append(f"all: {done} of {len(catalogue)} rows have a test")
    return lines


def main() -> int:
    marks = Marks()
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        status = pytest.main(["--collect-only", "-q"], plugins=[marks])
    if status != pytest.ExitCode.OK:
        print(told.getvalue()[-2000:], "the tests cannot be collected", sep="\n", file=sys.stderr)
        return 1
    catalogue = read_catalogue()
    print("\n".join(report(catalogue, marks.tests)))
    unknown = {name: sorted(marks.tests[name]) for name in marks.tests if name not in catalogue}
    for name, where in sorted(unknown.items()):
        print(f"{name} is no row of {CATALOGUE.name}: marked at {where}", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
