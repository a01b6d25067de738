"""The radios of a laboratory with the real port process on them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.channels.ports_client import PortsClient
from bridge.lab.child import free_port
from bridge.lab.process import PortsProcess
from bridge.lab.progress import SetupError
from bridge.lab.radios import ANSWERS, ARRIVED, WIRES, Radios, displayed, on_air
from bridge.lab.settings_file import gateways_toml, lab_units
from bridge.settings.units import parse_units

WORDS = "水管爆裂，路面积水已漫过人行道，请速到现场关阀抢修并回告。" * 11


async def test_every_set_of_the_field_gets_its_message_and_answers(tmp_path: Path) -> None:
    radios = Radios(tmp_path, free_port())
    (tmp_path / "gateways.toml").write_text(gateways_toml(radios.gateways))
    owner = PortsProcess(
        *(tmp_path / "gateways.toml", tmp_path / "state", tmp_path / "ports.sock"),
        log=tmp_path / "ports.log",
    )
    things: list[Mapping[str, Any]] = []

    async def take(body: Mapping[str, Any], seq: int) -> None:
        things.append(body)

    client = PortsClient(tmp_path / "ports.sock", take)
    running = asyncio.ensure_future(client.run())
    await radios.open()
    try:
        await owner.start()
        assert [one["name"] for one in await owner.listed()] == list(radios.gateways)
        ways = {"2269001": "radio", "31/2001": "radio", "13900006001": "sms"}
        for number, channel in ways.items():
            body = {"key": number, "channel": channel, "address": number, "text": WORDS}
            await client.submit(body)
        async with asyncio.timeout(20):
            while len(answers := [one for one in things if one["kind"] in ("status", "text")]) < 3:
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await owner.stop()
        await radios.close()
    found = {one["source"]: one.get("value", one.get("text")) for one in answers}
    assert found == {"2269001": ARRIVED, "31/2001": 2, "13900006001": "收到"}
    air = on_air(radios.log, "radio-1")
    assert [text for _, text in displayed(air)] == [WORDS]
    assert air[-1].way == "said"
    assert [one.way for one in air].count("said") == 1, "one answer to a text of many parts"
    assert not on_air(radios.log, "channel-1")
    assert not any((tmp_path / name).is_symlink() for name in radios.gateways)


async def test_a_port_process_without_its_gateways_is_not_up(tmp_path: Path) -> None:
    (tmp_path / "gateways.toml").write_text("[radio-1]\ndriver = 'fm'\n")
    owner = PortsProcess(
        *(tmp_path / "gateways.toml", tmp_path / "state", tmp_path / "ports.sock"),
        log=tmp_path / "ports.log",
    )
    with pytest.raises(SetupError, match="one of tetra-pei"):
        await owner.start()


def test_units_have_the_sets_that_are_in_the_field() -> None:
    units = parse_units(lab_units(wires=WIRES).encode(), "units.toml")
    reached = {way for unit in units.values() for way in (*unit.ssi, *unit.map27, *unit.sms)}
    assert reached == {number for sets in ANSWERS.values() for number in sets}
