"""`bridge110 check` on the file of gateways, with the settings and units that mean it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.cli.check_gateways import gateways
from bridge.cli.check_result import Found
from tests.settings.settings_kit import settings, shipped

GATEWAYS = """
[radio-1]
driver = "line-keyed"
port = "rfc2217://192.0.2.7:5190"
[radio-2]
driver = "tetra-pei"
port = "/dev/radio-2"
[sms-1]
driver = "sms"
port = "/dev/sms-1"
"""
UNITS = '[units.water]\nname = "供水"\nradio = { voice = ["7801:ZVEI1:12345"] }\n'
GROUP = """
[ports]
socket = "/run/bridge110-ports/ports.sock"
[radio_groups.7801]
title = "城区电台组"
dial = "PJSIP/radio1"
gateway = "radio-1"
hang_s = 0.5
"""


def looked(root: Path, group: str, units: str, file: str) -> Found:
    (root / "units.toml").write_text(units, encoding="utf-8")
    (root / "gateways.toml").write_text(file, encoding="utf-8")
    text = shipped().replace("/etc/bridge110/units.toml", str(root / "units.toml")) + group
    found = settings(text)
    assert found.orders is not None
    return gateways(found, found.orders)


@pytest.mark.req("LL-09")
def test_what_fits_is_good(tmp_path: Path) -> None:
    found = looked(tmp_path, GROUP, UNITS, GATEWAYS)
    assert found.good is True, found.what


@pytest.mark.req("LL-09")
@pytest.mark.parametrize(
    ("group", "units", "file", "said"),
    [
        (GROUP, UNITS, GATEWAYS.replace("radio-1]", "radio-9]"), "no gateway 'radio-1'"),
        (GROUP.replace("radio-1", "sms-1"), UNITS, GATEWAYS, "cannot be keyed for voice"),
        (GROUP.replace("radio-1", "radio-2"), UNITS, GATEWAYS, "belongs to TETRA"),
        (GROUP + 'group = "5001"\n', UNITS, GATEWAYS, "belongs to TETRA"),
        (GROUP, UNITS.replace("7801", "7809"), GATEWAYS, "no radio group 7809"),
        (GROUP, UNITS.replace("ZVEI1", "ZVEI9"), GATEWAYS, "units.water: 'ZVEI9'"),
        (GROUP, UNITS, GATEWAYS + "baud = 1\n", "gateways.toml: [sms-1]"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, group: str, units: str, file: str, said: str
) -> None:
    found = looked(tmp_path, group, units, file)
    assert found.good is False
    assert said in found.what
    assert "config/gateways.toml" in found.mend
