"""An order from the desk to a TETRA set and back: order flow, channel, socket, driver, terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.channels.ports_client import PortsClient
from bridge.channels.radio import GatewayChannel, GatewayPost
from bridge.channels.radio_words import code_in, meaning, order_text
from bridge.domain.delivery import A, ChannelKind, Progress, Received, Says
from bridge.domain.ladder import Step
from bridge.domain.order import Order
from bridge.domain.order_state import O
from bridge.domain.unit import Unit
from hardware.radio import sds
from hardware.rig.air import Set
from tests.hardware.ports.ports_kit import OFFICER, Terminal, process, terminal
from tests.hardware.pty_kit import until
from tests.orders.order_kit import Kit, life

WORDS = "水管爆裂，路面积水已漫过人行道，请速到现场关阀抢修并回告。" * 11
WATER = Unit(
    id="water",
    name="供水集团",
    tier=1,
    ssi=(OFFICER,),
    sms=("13800138000",),
    ladders={
        "GENERAL": (
            Step((ChannelKind.RADIO,), over_s=60),
            Step((ChannelKind.SMS,), over_s=60),
        )
    },
)


@dataclass
class Post:
    """What channels tell, to this kit's flows."""

    kit: Kit

    async def progress(self, progress: Progress) -> None:
        await self.kit.orders.progress(progress)

    async def received(self, received: Received) -> None:
        await self.kit.inbox.received(received)


@dataclass
class Desk:
    kit: Kit
    radio: Terminal

    async def order(self, ident: str) -> Order:
        return await self.kit.order(ident)

    def states(self, order: Order) -> list[A]:
        return [attempt.state for attempt in order.attempts.values()]

    async def wait(self, ident: str, state: A) -> None:
        async with asyncio.timeout(20):
            while state not in self.states(await self.order(ident)):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    channels = frozenset({ChannelKind.RADIO, ChannelKind.SMS})
    async with (
        terminal(tmp_path) as t,
        process(tmp_path),
        life(tmp_path, channels=channels, units={"water": WATER}) as kit,
    ):
        post = Post(kit)
        client = PortsClient(tmp_path / "ports.sock", GatewayPost(post).take)
        running = asyncio.ensure_future(client.run())
        kit.orders.use(GatewayChannel(ChannelKind.RADIO, client, post, kit.clock))
        await until(lambda: client.up)
        try:
            yield Desk(kit, t)
        finally:
            running.cancel()
            await asyncio.wait((running,))


@pytest.mark.req("SB-11")
@pytest.mark.req("SB-13")
@pytest.mark.req("LL-54")
async def test_a_chinese_order_is_received_read_and_signed_by_the_status_of_arrival(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as d:
        assert len(WORDS) >= 300
        (ident,) = await d.kit.send("water", words=WORDS)
        await d.wait(ident, A.READ)
        texts = [sds.text_of(sds.decode(pdu)) for _, pdu in d.radio.air.heard]
        whole = "".join(text.text for text in texts if text is not None)
        assert WORDS in whole
        order = await d.order(ident)
        assert order.state is O.DISPATCHED, "what machines say signs nothing"
        assert order.code in whole
        d.radio.radio.status_from(OFFICER, 0x8003)
        async with asyncio.timeout(20):
            while (await d.order(ident)).state is O.DISPATCHED:
                await asyncio.sleep(0.01)
        order = await d.order(ident)
        assert order.state is O.ARRIVED
        assert not order.clocks["arrival"].running
        assert order.clocks["result"].running, "the 24 h clock runs on"
        assert order.missing == ("situation",), "a number tells nothing of the situation"
        d.radio.radio.text_from(OFFICER, "已到场,水深约半米,正在关阀")
        async with asyncio.timeout(20):
            while (await d.order(ident)).missing:
                await asyncio.sleep(0.01)


async def test_a_set_that_is_off_is_sent_not_delivered_and_the_next_channel_starts(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as d:
        d.radio.air.sets[OFFICER] = Set(on=False, stored=True)
        (ident,) = await d.kit.send("water")
        await d.wait(ident, A.SENT)
        assert d.kit.wires[ChannelKind.SMS].sent == []
        await d.kit.later(61)
        await until(lambda: bool(d.kit.wires[ChannelKind.SMS].sent))
        order = await d.order(ident)
        assert order.state is O.DISPATCHED
        assert A.SENT in d.states(order), "the radio attempt keeps its true state"


async def test_a_cable_pulled_in_the_middle_is_unknown_and_the_repeat_carries_the_mark(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as d:
        d.radio.radio.ways.answer_s = 0.4
        (ident,) = await d.kit.send("water")
        await until(lambda: any("CMGS" in line for line in d.radio.radio.log))
        d.radio.pty.pull()
        await d.wait(ident, A.UNKNOWN)
        d.radio.radio.ways.answer_s = 0
        d.radio.radio.restart()
        d.radio.pty.plug()
        await d.kit.later(30)
        await d.wait(ident, A.READ)
        texts = [sds.text_of(sds.decode(pdu)) for _, pdu in d.radio.radio.sent]
        said = "".join(text.text for text in texts if text is not None)
        assert said.count("可能重复") == 1
        assert 1 <= said.count("110指令") <= 2, "never twice without the mark"


async def test_a_reply_in_words_is_the_persons_own_report(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        d.radio.air.sets[OFFICER] = Set(reply_text="收到，马上出发")
        (ident,) = await d.kit.send("water")
        async with asyncio.timeout(20):
            while (await d.order(ident)).state is O.DISPATCHED:
                await asyncio.sleep(0.01)
        assert (await d.order(ident)).state is O.ACKNOWLEDGED


async def test_what_cannot_be_shown_and_what_came_in_parts_goes_to_a_person(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        (ident,) = await d.kit.send("water")
        await d.wait(ident, A.READ)
        octets = bytes((sds.UCS2,)) + "到场\x1b".encode("utf-16-be")
        hidden = sds.encode(sds.Transfer(sds.TEXT, 7, octets))
        d.radio.radio.say(f"+CTSDSR: 12,{OFFICER},0,9001,0,{len(hidden) * 8}", hidden.hex().upper())
        async with asyncio.timeout(20):
            while not d.kit.alarms:
                await asyncio.sleep(0.01)
        (look,) = await d.kit.facts("inbox.look")
        assert look.data["unit"] == "water"
        assert "not to be shown as text (control characters)" in str(look.data["words"])
        assert (await d.order(ident)).state is O.DISPATCHED
        post = GatewayPost(Post(d.kit))
        body = {"kind": "text", "channel": "radio", "source": OFFICER, "gateway": "radio-1"}
        body |= {"text": "…到场", "at": d.kit.clock.now().isoformat()}
        assert post.received_of({**body, "whole": True}, 1).says is Says.ARRIVED
        assert post.received_of({**body, "whole": False}, 1).says is Says.NOTHING


async def test_a_stranger_and_an_emergency_go_to_a_person(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        (ident,) = await d.kit.send("water")
        await d.wait(ident, A.READ)
        d.radio.radio.status_from("4711", 0x8003)
        d.radio.radio.status_from(OFFICER, 0)
        async with asyncio.timeout(20):
            while len(d.kit.alarms) < 2:
                await asyncio.sleep(0.01)
        assert (await d.order(ident)).state is O.DISPATCHED


@pytest.mark.req("LL-09")
async def test_the_way_to_a_unit_is_tested_and_a_silent_gateway_named(tmp_path: Path) -> None:
    async with desk(tmp_path) as d:
        channel = d.kit.orders.channels[ChannelKind.RADIO]
        assert await channel.test([OFFICER]) == ""
        d.radio.radio.set_coverage(False)
        async with asyncio.timeout(20):
            while not (words := await channel.test([OFFICER])):
                await asyncio.sleep(0.02)
        assert "radio-1" in words
        assert "no gateway" in await channel.test(["31/2001"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("收到", Says.SIGN),
        ("收到，已到场", Says.ARRIVED),
        ("处置完毕", Says.RESULT),
        ("不属于我单位", Says.DISPUTE),
        ("路上堵车", Says.PROGRESS),
        ("未到场", Says.PROGRESS),
        ("收到，马上到场", Says.SIGN),
        ("明白,预计10分钟后到达", Says.SIGN),
        ("堵车,还没到达现场", Says.PROGRESS),
        ("已到达，尚未处置完", Says.ARRIVED),
        ("处置完毕，无异议", Says.RESULT),
        ("无异议", Says.PROGRESS),
        ("没收到", Says.PROGRESS),
        ("  ", Says.NOTHING),
    ],
)
def test_what_a_reply_means(text: str, says: Says) -> None:
    assert meaning(text) is says


def test_the_code_of_a_reply() -> None:
    assert code_in("收到 12345670") == "12345670"
    assert code_in("13800138000") is None
    assert order_text.__doc__
