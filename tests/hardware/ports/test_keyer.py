"""The owner's key on a voice gateway: what the line box saw is the judge."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.channels.ports_client import PortsClient
from hardware.rig.line_box import LineBox
from tests.hardware.ports.ports_kit import Terminal, process, terminal
from tests.hardware.pty_kit import until

pytestmark = pytest.mark.req("LL-09")


@dataclass
class Desk:
    box: LineBox
    client: PortsClient
    told: list[Mapping[str, Any]] = field(default_factory=list)

    def keyed(self) -> list[bool]:
        return [move.level for move in self.box.moves if move.line == "rts"]

    def of(self, ident: str) -> list[str]:
        mine = [b for b in self.told if b["type"] == "keying" and b["id"] == ident]
        return [str(b.get("why", b["state"])) for b in mine]


@asynccontextmanager
async def desk(tmp_path: Path, time_out: float = 5) -> AsyncIterator[Desk]:
    box = LineBox(random.Random(1))
    await box.open()
    (tmp_path / "gateways.toml").write_text(
        f'[radio-1]\ndriver = "line-keyed"\nport = "{box.url}"\nptt = "RTS"\nsquelch = "CTS"\n'
        f"lead_in_s = 0.1\ntail_s = 0.05\ntime_out_s = {time_out}\nbusy_max_s = 1.0\n"
    )

    async def take(_body: Mapping[str, Any], _seq: int) -> None:
        return

    told: list[Mapping[str, Any]] = []
    async with process(tmp_path):
        client = PortsClient(tmp_path / "ports.sock", take, told.append)
        running = asyncio.ensure_future(client.run())
        try:
            await until(lambda: client.up)
            yield Desk(box, client, told)
        finally:
            running.cancel()
            await asyncio.wait((running,))
    await box.close()


async def test_a_press_keys_says_ready_after_the_lead_in_and_releases(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        assert d.client.press("v1", "radio-1")
        await until(lambda: d.of("v1") == ["ready"])
        assert d.keyed() == [True]
        d.client.release("v1")
        await until(lambda: d.of("v1") == ["ready", "sent"])
        assert d.keyed() == [True, False]


async def test_a_press_on_a_busy_channel_waits_and_is_let_go_without_keying(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as d:
        d.box.set_squelch(True)
        await until(lambda: any(b.get("state") == "listening" for b in d.told))
        d.client.press("v1", "radio-1")
        await asyncio.sleep(0.3)
        d.client.release("v1")
        await until(lambda: d.of("v1") == ["cut"])
        d.client.press("v2", "radio-1")
        await until(lambda: d.of("v2") == ["busy"])
        assert d.keyed() == []


async def test_a_press_that_is_never_let_go_ends_at_the_time_out_timer(tmp_path: Path) -> None:
    async with desk(tmp_path, time_out=0.6) as d:
        d.client.press("v1", "radio-1")
        await until(lambda: d.of("v1") == ["ready", "time-out"])
        first, last = d.box.moves
        assert d.keyed() == [True, False]
        assert 0.5 <= last.at - first.at <= 0.9


async def test_a_lost_owner_has_let_go(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        d.client.press("v1", "radio-1")
        await until(lambda: d.of("v1") == ["ready"])
        assert d.client._writer is not None
        d.client._writer.transport.abort()
        await until(lambda: d.keyed() == [True, False])


async def test_who_is_no_voice_gateway_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        d.client.press("v1", "radio-9")
        await until(lambda: d.of("v1") == ["refused"])


async def test_pressed_and_let_go_at_once_leaves_nothing_behind(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        for n in range(20):
            d.client.press(f"v{n}", "radio-1")
            d.client.release(f"v{n}")
        await until(lambda: all(d.of(f"v{n}") for n in range(20)))
        d.client.press("last", "radio-1")
        await until(lambda: d.of("last") == ["ready"])
        d.client.release("last")
        await until(lambda: d.of("last") == ["ready", "sent"])
        assert d.keyed()[-1] is False


@asynccontextmanager
async def pei_desk(tmp_path: Path) -> AsyncIterator[tuple[Terminal, PortsClient, Desk]]:
    async def take(_body: Mapping[str, Any], _seq: int) -> None:
        return

    told: list[Mapping[str, Any]] = []
    async with terminal(tmp_path) as t, process(tmp_path):
        client = PortsClient(tmp_path / "ports.sock", take, told.append)
        running = asyncio.ensure_future(client.run())
        try:
            await until(lambda: client.up)
            yield t, client, Desk(LineBox(random.Random(1)), client, told)
        finally:
            running.cancel()
            await asyncio.wait((running,))


async def test_on_a_tetra_terminal_the_key_is_a_demand_and_the_grant_says_ready(
    tmp_path: Path,
) -> None:
    async with pei_desk(tmp_path) as (t, client, d):
        client.press("v1", "radio-1", "1000")
        await until(lambda: d.of("v1") == ["ready"])
        assert "ATD1000" in t.radio.log
        client.release("v1")
        await until(lambda: d.of("v1") == ["ready", "sent"])
        assert "AT+CUTXC=1" in t.radio.log
        client.press("v2", "radio-1", "1000")
        await until(lambda: d.of("v2") == ["ready"])
        assert t.radio.log.count("ATD1000") == 1, "the call is taken up again"
        client.release("v2")
        await until(lambda: d.of("v2") == ["ready", "sent"])
        client.press("v3", "radio-1", "2000")
        await until(lambda: d.of("v3") == ["ready"])
        assert t.radio.log.index("ATH") < t.radio.log.index("ATD2000")


async def test_a_talker_of_the_group_takes_the_air_and_a_group_that_is_none_is_refused(
    tmp_path: Path,
) -> None:
    async with pei_desk(tmp_path) as (t, client, d):
        client.press("v1", "radio-1", "1000")
        await until(lambda: d.of("v1") == ["ready"])
        t.radio.say("+CTXG: 1,3,0,0,0,2269001")
        await until(lambda: d.of("v1") == ["ready", "cut"])
        client.press("v2", "radio-1", "")
        await until(lambda: d.of("v2") == ["refused"])
        t.radio.set_coverage(False)
        await until(lambda: any(b.get("usable") is False for b in d.told))
        client.press("v3", "radio-1", "1000")
        await until(lambda: d.of("v3") == ["cut"])
