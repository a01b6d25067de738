"""The file of gateways: the shipped one works as it stands, faults name place and mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.share import share
from hardware.gateways import DRIVERS, GatewayError, read_gateways
from hardware.radio.keying import KeyingTimes

pytestmark = pytest.mark.req("LL-09")

SHIPPED = share("config") / "gateways.toml"


def test_the_shipped_file_is_good_and_says_every_time_of_a_keyed_radio() -> None:
    (radio,) = read_gateways(SHIPPED)
    assert (radio.name, radio.driver) == ("radio-1", "line-keyed")
    times = {key: value for key, value in radio.options.items() if key.endswith("_s")}
    assert KeyingTimes(**times) == KeyingTimes()


def test_every_commented_gateway_is_a_good_one(tmp_path: Path) -> None:
    lines = [
        line[2:] if line.startswith("# [") or (line.startswith("# ") and " = " in line) else line
        for line in SHIPPED.read_text(encoding="utf-8").split("\n")
    ]
    kept = [line for line in lines if line.startswith(("[", "#")) or " = " in line]
    kept = [line for line in kept if "say interlock" not in line and "并写" not in line]
    file = tmp_path / "gateways.toml"
    file.write_text("\n".join(kept), encoding="utf-8")
    assert {gateway.driver for gateway in read_gateways(file)} == set(DRIVERS)


GOOD = '[radio-1]\ndriver = "line-keyed"\nport = "rfc2217://192.0.2.7:5190"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "tail = 1\n", "unknown key; remove it, or use one of: driver, model, port"),
        (GOOD + 'lead_in_s = "0.3"\n', "lead_in_s = '0.3',应为秒数"),
        (GOOD + "time_out_s = 900\n", "time_out_s = 900: 0.5–180 s"),
        (GOOD + "tail_s = true\n", "tail_s = True,应为秒数"),
        (GOOD + "rate = 1\n", "rate = 1,应为 / must be one of 50–4000000"),
        (GOOD + 'parity = "X"\n', "parity = 'X',应为 / must be one of 'N', 'E', 'O'"),
        (GOOD + "rts = 1\n", "rts = 1,应为 / must be one of True, False"),
        (GOOD + "bits = true\n", "bits = True,应为 / must be one of 8, 7"),
        (GOOD + 'interlock = "no"\n', "interlock = true | false"),
        (GOOD + 'ptt = "CTS"\n', "'CTS': RTS, !RTS, DTR"),
        (GOOD.replace("line-keyed", "keyed"), "driver = 'keyed', one of tetra-pei, map27"),
        (GOOD.replace("port", "ports"), "需要 port / port is needed"),
        (GOOD.replace("rfc2217://192.0.2.7:5190", "/dev/ttyS0"), 'wire ptt = "RTS!DTR"'),
        ('[t]\ndriver = "tetra-pei"\nmodel = "none"\nport = "/dev/radio-1"\n', "[t]"),
    ],
)
def test_a_fault_names_file_gateway_and_mend(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "gateways.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(GatewayError) as refused:
        read_gateways(file)
    assert str(file) in str(refused.value)
    assert said in str(refused.value)
