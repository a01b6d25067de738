"""Which tests run on a real Asterisk, what goes where in several processes, and the last lines."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from tests.simulation import summary

LIVE_FIXTURES = frozenset({"switch", "new_switch", "world", "new_world"})

LIVE = ("asterisk", "real")
"""Travels with the report of a test, also from another process."""

SPREAD = ("tests/simulation/test_seeds.py", "tests/simulation/test_planted_bugs.py")
"""Files whose tests share nothing: each test goes to whatever process is free."""

_outcomes: dict[str, int] = {}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With `--dist loadfile` a file's tests stay together, but for those of SPREAD."""
    if config.getoption("dist") != "loadfile":
        return None
    scheduler = LoadFileScheduling(config, log)
    file_of = scheduler._split_scope

    def unit(nodeid: str) -> str:
        file = str(file_of(nodeid))
        return nodeid if file in SPREAD else file

    scheduler._split_scope = unit
    return scheduler


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if LIVE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.live)
            item.user_properties.append(LIVE)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if LIVE in report.user_properties and (report.when == "call" or report.outcome != "passed"):
        _outcomes[report.outcome] = _outcomes.get(report.outcome, 0) + 1
    for name, value in report.user_properties:
        if name == summary.NAME and report.when == "call" and isinstance(value, dict):
            summary.take(value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in summary.lines():
        terminalreporter.write_line(line)
    ran = ", ".join(f"{count} {outcome}" for outcome, count in sorted(_outcomes.items()))
    terminalreporter.write_line(f"live-Asterisk tests: {ran or 'none ran'}")
