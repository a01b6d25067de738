"""The directory of units: what is wrong is named with its line and mend."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge.domain.delivery import ChannelKind
from bridge.domain.ladder import GENERAL, To
from bridge.settings.model import SettingsError
from bridge.settings.units import parse_units
from bridge.share import share

SHIPPED = (share("config") / "units.toml").read_text(encoding="utf-8")


def refused(text: str) -> str:
    with pytest.raises(SettingsError) as error:
        parse_units(text.encode(), "units.toml")
    return str(error.value)


def test_the_shipped_directory_is_read_whole() -> None:
    units = parse_units(SHIPPED.encode(), "units.toml")
    water = units["water"]
    assert water.tier == 1
    assert water.channels() == tuple(ChannelKind)
    assert water.addresses(ChannelKind.RADIO) == ("1001", "31/2001", "voice:7801:ZVEI1:12345")
    night = datetime(2026, 11, 23, 2, tzinfo=UTC)
    assert [step.to for step in water.ladder(GENERAL, night)] == [To.UNIT, To.LEADER, To.ABOVE]
    assert len(water.ladder(GENERAL, night.replace(hour=9))) == 5


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("squads =", "squad =", "squad =", "squads"),
        ("tier = 1\n# 中队", "tier = 4\n# 中队", "tier = 4", "must be 1, 2 or 3"),
        ('"PJSIP/05390000001@trunk"', '"Local/1&PJSIP/2"', "Local/1&", "one channel only"),
        ('"duty@water.example"', '"a b@x"', "a b@x", "no mail address"),
        ('"13900000001"', '"1;rm"', "1;rm", "form"),
        ('deputy = "housing"', 'deputy = "water"', 'deputy = "water"', "no other unit"),
        ('span = "08:00-18:00"', 'span = "8-18"', 'span = "8-18"', "must be like"),
        ("# report_pin = ", "report_pin = ", "report_pin = ", "never a PIN itself"),
        ('users = ["U-housing"]', 'users = ["U-water"]', 'users = ["U-water"] }\n', "registered"),
        ('"31/2001"', '"2001"', 'map27 = ["2001"]', "form"),
        ('"1001"', '"31/1001"', 'ssi = ["31/1001"]', "form"),
        ("over_s = 120 },", "over_s = 0 },", "over_s = 0", "greater than"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, at: str, words: str) -> None:
    text = SHIPPED.replace(old, new, 1)
    assert text != SHIPPED
    said = refused(text)
    assert words in said
    line = int(said.split(":")[1])
    shown = text.split("\n")[line - 1]
    assert at.strip() in shown


def test_a_file_that_is_no_toml_is_refused() -> None:
    assert "units.toml:1" in refused("units = [")
