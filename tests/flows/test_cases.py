"""Case numbers: counted by the local day; a hand-back keeps its number."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bridge.domain.seen import Arrived
from bridge.flows.cases import CaseNumbers

ZONE = ZoneInfo("Asia/Shanghai")


def arrived(call: str, back: str = "", hour: int = 3, day: int = 24) -> Arrived:
    at = datetime(2026, 11, day, hour, tzinfo=UTC)
    return Arrived(call=call, at=at, channel="PJSIP/t-1", number="1", entry="110", back=back)


def test_cases_are_counted_by_the_local_day() -> None:
    numbers = CaseNumbers(ZONE)
    assert numbers.number_for(arrived("1.1")) == ("20261124-0001", True)
    assert numbers.number_for(arrived("1.2")) == ("20261124-0002", True)
    assert numbers.number_for(arrived("1.3", hour=17)) == ("20261125-0001", True)


@pytest.mark.req("LU-06")
def test_a_hand_back_keeps_its_number_by_call_or_by_case() -> None:
    numbers = CaseNumbers(ZONE)
    number, _ = numbers.number_for(arrived("1.1"))
    assert numbers.number_for(arrived("2.1", back="1.1", day=26)) == (number, False)
    assert numbers.number_for(arrived("2.2", back=number, day=26)) == (number, False)


def test_an_unknown_hand_back_is_a_new_case() -> None:
    numbers = CaseNumbers(ZONE)
    assert numbers.number_for(arrived("1.1", back="20200101-0009")) == ("20261124-0001", True)


def test_numbers_go_on_after_a_restart() -> None:
    numbers = CaseNumbers(ZONE)
    numbers.remember("0.9", "20261124-0041")
    assert numbers.number_for(arrived("1.1")) == ("20261124-0042", True)
    assert numbers.knows("0.9")
    assert not numbers.knows("7.7")
