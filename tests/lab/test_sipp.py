"""SIPp's scenarios are filled safely, its files read as they are."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.lab.sipp import (
    DEFAULTS,
    SCENARIOS,
    fill,
    milliseconds,
    parse_statistics,
    report_from,
)

FILLED_BY_THE_RUNNER: dict[str, str | int] = {"tone": "/t", "account": "8001", "contact_port": 5}
STATISTICS = (
    "StartTime;TotalCallCreated;SuccessfulCall(C);FailedCall(C);ResponseTime1(C);\n"
    "x;1;0;0;00:00:00:000000;\n"
    "x;3;2;1;00:00:01:250500;\n"
)


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_every_scenario_is_whole_with_its_default_values(name: str) -> None:
    template = (SCENARIOS / f"{name}.xml").read_text(encoding="utf-8")
    needed = {k: v for k, v in FILLED_BY_THE_RUNNER.items() if f"{{{{{k}}}}}" in template}
    text = fill(template, dict(DEFAULTS[name]) | needed)
    labels = {label.get("id") for label in ET.fromstring(text).iter("label")}
    jumps = {
        step.get(kind)
        for step in ET.fromstring(text).iter()
        for kind in ("next", "ontimeout")
        if step.get(kind)
    }
    assert jumps <= labels
    assert "{{" not in text


def test_a_blank_without_value_and_a_value_without_blank_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="needs \\['b'\\]"):
        fill("{{a}} {{b}}", {"a": 1})
    with pytest.raises(ValueError, match="has no \\['c'\\], only \\['a'\\]"):
        fill("{{a}}", {"a": 1, "c": 2})


@given(st.text(max_size=30))
def test_a_value_never_adds_a_line_a_tag_or_a_keyword_of_sipp(value: str) -> None:
    try:
        text = fill("<a>{{a}}</a>", {"a": value})
    except ValueError:
        assert set(value) & set('\r\n<>&[]"')
    else:
        assert text == f"<a>{value}</a>"


def test_the_last_line_of_the_statistics_counts() -> None:
    report = report_from(1, STATISTICS, "", "e" * 9000)
    assert (report.created, report.successful, report.failed) == (3, 2, 1)
    assert report.answer_ms == 1250.5
    assert len(report.errors) == 4000


def test_without_statistics_nothing_is_counted_as_successful() -> None:
    report = report_from(255, "", "", "no such scenario")
    assert parse_statistics("") == {}
    assert (report.created, report.successful, report.failed) == (0, 0, 0)
    assert report.answer_ms is None


@pytest.mark.parametrize(
    ("clock", "expected"),
    [("01:02:03:004000", 3_723_004.0), ("00:00:00:000000", None), ("", None), ("3 s", None)],
)
def test_a_time_that_nobody_measured_is_none(clock: str, expected: float | None) -> None:
    assert milliseconds(clock) == expected
