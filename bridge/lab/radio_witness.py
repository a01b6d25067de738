"""What the set in the field showed and its user said (the air log), beside the daemon's journal."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridge.lab.radio_play import WORDS
from bridge.lab.radios import ARRIVED, SSI, displayed, on_air
from bridge.lab.witness import Fact, Record, near, when

GATEWAY: Final = "radio-1"


def radio_facts(order: str, log: Path, record: Record) -> list[Fact]:
    """The facts of an order by radio. Blocks; a small file."""
    air = [one for one in on_air(log, GATEWAY) if one.number == SSI]
    shown = [at for at, text in displayed(air) if order in text and WORDS in text]
    heard = shown[0] - record.clock if shown else None
    said = [
        one.at - record.clock
        for one in air
        if heard is not None
        and one.way == "said"
        and one.at - record.clock > heard
        and int.from_bytes(one.data, "big") == ARRIVED
    ]
    pressed = said[0] if said else None
    signed = record.at("order.acknowledged", channel="radio")
    met = record.at("clock.met", clock="arrival")
    runs_on = record.at("clock.started", clock="result") is not None
    runs_on &= record.at("clock.met", clock="result") is None
    read = record.at("attempt.read")
    return [
        Fact(
            "指令显示在电台上",
            "the order is on the radio's display",
            when(record.clock, heard),
            f"{when(record.clock, read)} read",
            near(heard, read),
        ),
        Fact(
            "电台状态 到场:指令签收,到场时限停止,24 小时时限继续",
            "status 到场 signs it, the arrival clock stops, the 24 h clock runs on",
            when(record.clock, pressed),
            when(record.clock, signed),
            near(pressed, signed) and near(pressed, met) and runs_on,
        ),
    ]
