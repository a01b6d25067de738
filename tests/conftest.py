"""Which tests run on a real Asterisk, and a last line that says how many did."""

from __future__ import annotations

import pytest

LIVE_FIXTURES = frozenset({"switch", "new_switch", "world", "new_world"})

LIVE = ("asterisk", "real")
"""Travels with the report of a test, also from another process."""

_outcomes: dict[str, int] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if LIVE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.live)
            item.user_properties.append(LIVE)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if LIVE in report.user_properties and (report.when == "call" or report.outcome != "passed"):
        _outcomes[report.outcome] = _outcomes.get(report.outcome, 0) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ran = ", ".join(f"{count} {outcome}" for outcome, count in sorted(_outcomes.items()))
    terminalreporter.write_line(f"live-Asterisk tests: {ran or 'none ran'}")
