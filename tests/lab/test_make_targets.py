"""What stands behind `make bench` and `make coverage-req`."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.coverage_req import Requirement, read_catalogue, report

bench = importlib.import_module("tests.bench.__main__")


def line() -> dict[str, Any]:
    return {}


def test_bench_runs_all_or_the_named_ones_and_refuses_unknown_names() -> None:
    benches = {"a.x": line, "a.y": line, "b.z": line}
    assert list(bench.choose(benches, "")) == ["a.x", "a.y", "b.z"]
    assert list(bench.choose(benches, " b.z,a.x ")) == ["b.z", "a.x"]
    with pytest.raises(ValueError, match=r"a\.q"):
        bench.choose(benches, "a.q")


def test_bench_finds_the_figures_of_every_module() -> None:
    ours = {"ami.vs_panoramisk", "ami.handlers_flat", "ami.away_ms", "call.added_ms"}
    ours |= {"call.added_p99_ms", "call.citizen_gap_ms", "call.daemon_cpu", "call.rss_mb"}
    assert ours <= set(bench.find_benches())


def test_the_catalogue_has_every_row_of_the_five_notices() -> None:
    catalogue = read_catalogue()
    assert len(catalogue) == 249
    assert {name[:2] for name in catalogue} == {"LL", "SB", "LY", "YJ", "LU"}
    assert catalogue["LL-51"].force_kind == "M/I"


def test_coverage_counts_a_row_once_and_names_its_tests() -> None:
    rows = [Requirement(name, "M/I", f"words of {name}") for name in ("LL-01", "LL-02", "SB-01")]
    told = report({row.id: row for row in rows}, {"LL-02": {"t.py::b", "t.py::a"}, "XX-9": {"t"}})
    assert told == [
        "LL-02  M/I  words of LL-02",
        "    t.py::a",
        "    t.py::b",
        "LL: 1 of 2 rows",
        "SB: 0 of 1 rows",
        "all: 1 of 3 rows have a test",
    ]
