"""Orders into a radio channel: real port process and line box, the switch played in its words."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.channels.ports_client import PortsClient
from bridge.channels.radio_spoken import Line, SpokenOrders, selcall_tones
from bridge.channels.spoken import Speech
from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress, Received
from bridge.flows.ports import ActRefused, RadioSeen, RadioWhat
from hardware.radio.selcall import SelcallError
from hardware.rig.line_box import LineBox
from tests.channels.test_phone import SHEET
from tests.hardware.ports.ports_kit import process
from tests.hardware.pty_kit import until

pytestmark = [pytest.mark.req("SB-11"), pytest.mark.timeout(60)]

WAY = "voice:7801:ZVEI1:12345"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class PlayedSwitch:
    """Says what Asterisk says of the plan `radio-order`; an over lasts `over_s`."""

    over_s: float = 0.2
    refuses: bool = False
    calls: list[tuple[str, str]] = field(default_factory=list)
    spoke: list[str] = field(default_factory=list)
    up: set[str] = field(default_factory=set)
    see: Any = None
    overs: int = 0

    def tell(self, attempt: str, what: RadioWhat, **more: Any) -> None:
        self.see(RadioSeen(attempt=attempt, what=what, at=now(), call=f"rad-{attempt}", **more))

    async def call(self, attempt: str, dial: str, way: str, tones: str, words: str) -> None:
        if self.refuses:
            raise ActRefused("switch-refused", "no line")
        assert Path(words + ".wav").stat().st_size > 44
        assert not tones or Path(tones + ".wav").stat().st_size == 44 + int(0.35 * 8000) * 2
        self.calls.append((attempt, dial))
        self.up.add(attempt)
        self.tell(attempt, "waits")

    async def go(self, attempt: str) -> None:
        self.spoke.append(attempt)
        asyncio.get_running_loop().call_later(self.over_s, self._over, attempt)

    def _over(self, attempt: str) -> None:
        if attempt not in self.up:
            return
        self.tell(attempt, "spoken")
        self.overs += 1
        self.tell(attempt, "waits" if self.spoke.count(attempt) < 2 else "ended")

    async def hang_up(self, attempt: str) -> bool:
        there = attempt in self.up
        self.up.discard(attempt)
        if there:
            self.tell(attempt, "ended")
        return there


@dataclass
class Told:
    progress_: list[tuple[str, A, Cause | None]] = field(default_factory=list)
    received_: list[Received] = field(default_factory=list)

    async def progress(self, progress: Progress) -> None:
        self.progress_.append((progress.attempt, progress.state, progress.cause))

    async def received(self, received: Received) -> object:
        self.received_.append(received)
        return True

    def of(self, attempt: str) -> list[tuple[A, Cause | None]]:
        return [(state, cause) for ident, state, cause in self.progress_ if ident == attempt]


@dataclass
class Channel:
    box: LineBox
    client: PortsClient
    switch: PlayedSwitch
    told: Told
    spoken: SpokenOrders

    def keyed(self) -> list[bool]:
        return [move.level for move in self.box.moves if move.line == "rts"]

    async def send(self, attempt: str, way: str = WAY, *, urgent: bool = False) -> None:
        job = Job(
            attempt=attempt,
            channel=ChannelKind.RADIO,
            sheet=SHEET,
            addresses=(way,),
            urgent=urgent,
        )
        await self.spoken.send(job, way)


@asynccontextmanager
async def channel(tmp_path: Path, time_out: float = 5, busy: float = 1.0) -> AsyncIterator[Channel]:
    box = LineBox(random.Random(1))
    await box.open()
    (tmp_path / "gateways.toml").write_text(
        f'[radio-1]\ndriver = "line-keyed"\nport = "{box.url}"\nptt = "RTS"\nsquelch = "CTS"\n'
        f"lead_in_s = 0.1\ntail_s = 0.05\ntime_out_s = {time_out}\nbusy_max_s = {busy}\n"
    )
    tasks: set[asyncio.Task[object]] = set()

    def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def take(_body: Mapping[str, Any], _seq: int) -> None:
        return

    switch, told = PlayedSwitch(), Told()
    async with process(tmp_path):
        client = PortsClient(tmp_path / "ports.sock", take, lambda body: spoken.passing(body))
        lines = {"7801": Line("PJSIP/radio1", "radio-1")}
        speech = Speech(tmp_path / "spoken")
        spoken = SpokenOrders(switch, client, told, speech, lines, now=now, spawn=spawn)
        switch.see = spoken.see
        running = asyncio.ensure_future(client.run())
        try:
            await until(lambda: client.up)
            yield Channel(box, client, switch, told, spoken)
        finally:
            running.cancel()
            await asyncio.wait((running, *tasks))
    await box.close()


async def test_spoken_twice_with_the_key_down_and_sent_is_no_person(tmp_path: Path) -> None:
    async with channel(tmp_path) as c:
        await c.send("o.1")
        await c.send("o.1")
        await until(lambda: c.switch.overs == 2)
        await until(lambda: c.keyed() == [True, False, True, False])
        assert c.told.of("o.1") == [(A.SENDING, None), (A.SENT, None)]
        assert c.switch.calls == [("o.1", "PJSIP/radio1")]
        assert c.told.received_ == []


async def test_nothing_is_said_before_the_lead_in_is_over(tmp_path: Path) -> None:
    async with channel(tmp_path) as c:
        await c.send("o.1")
        await until(lambda: c.keyed() == [True])
        assert c.switch.spoke == []
        await until(lambda: c.switch.spoke == ["o.1"])


@pytest.mark.parametrize("urgent", [False, True])
async def test_a_channel_that_stays_busy_fails_and_is_overridden_by_what_is_urgent(
    tmp_path: Path, urgent: bool
) -> None:
    async with channel(tmp_path) as c:
        c.box.set_squelch(True)
        await asyncio.sleep(0.5)
        await c.send("o.1", urgent=urgent)
        if urgent:
            await until(lambda: (A.SENT, None) in c.told.of("o.1"))
            assert True in c.keyed()
        else:
            await until(lambda: (A.FAILED, Cause.BUSY) in c.told.of("o.1"))
            assert c.keyed() == []
            assert c.switch.spoke == []


async def test_cut_by_the_time_out_timer_it_is_unknown_what_was_heard(tmp_path: Path) -> None:
    async with channel(tmp_path, time_out=0.6) as c:
        c.switch.over_s = 30.0
        await c.send("o.1")
        await until(lambda: (A.UNKNOWN, None) in c.told.of("o.1"))
        assert c.keyed() == [True, False]
        await until(lambda: c.switch.up == set())


async def test_the_cable_pulled_before_the_key_is_a_failure_while_speaking_unknown(
    tmp_path: Path,
) -> None:
    async with channel(tmp_path) as c:
        c.switch.over_s = 30.0
        await c.send("o.1")
        await until(lambda: c.switch.spoke == ["o.1"])
        await c.box.close()
        await until(lambda: (A.UNKNOWN, None) in c.told.of("o.1"))
        await c.send("o.2")
        await until(lambda: (A.FAILED, Cause.DEVICE_GONE) in c.told.of("o.2"))
        assert c.switch.spoke == ["o.1"]


async def test_withdrawn_before_the_air_is_silent_in_an_over_that_one_is_finished(
    tmp_path: Path,
) -> None:
    async with channel(tmp_path) as c:
        c.box.set_squelch(True)
        await asyncio.sleep(0.5)
        await c.send("o.1")
        await until(lambda: c.switch.calls != [])
        await c.spoken.withdraw("o.1")
        await until(lambda: (A.WITHDRAWN, None) in c.told.of("o.1"))
        assert c.keyed() == []
        c.box.set_squelch(False)
        await asyncio.sleep(0.5)
        await c.send("o.2")
        await until(lambda: "o.2" in c.switch.spoke)
        await c.spoken.withdraw("o.2")
        await until(lambda: (A.SENT, None) in c.told.of("o.2"))
        await until(lambda: c.switch.up == set())
        await until(lambda: c.keyed() == [True, False])
        assert c.switch.spoke == ["o.2"]


async def test_the_code_is_told_with_the_way_it_came(tmp_path: Path) -> None:
    async with channel(tmp_path) as c:
        c.switch.tell("o.1", "code", code="12345678", way=WAY, learnt=True)
        await until(lambda: c.told.received_ != [])
        (received,) = c.told.received_
        assert (received.source, received.code, received.attempt) == (WAY, "12345678", "o.1")
        assert c.told.of("o.1") == [(A.UNKNOWN, None)]


async def test_signed_by_its_code_it_is_not_spoken_again(tmp_path: Path) -> None:
    async with channel(tmp_path) as c:
        await c.send("o.1")
        await until(lambda: c.switch.spoke == ["o.1"])
        c.switch.tell("o.1", "code", code="12345678", way=WAY)
        await until(lambda: c.switch.up == set())
        assert c.switch.spoke == ["o.1"]
        await until(lambda: c.keyed() == [True, False])


async def test_what_an_earlier_life_began_is_ended_and_unknown(tmp_path: Path) -> None:
    async with channel(tmp_path) as c:
        c.switch.up.add("o.1")
        assert await c.spoken.look("o.1") is None
        assert c.switch.up == set()


async def test_a_refused_call_and_an_unknown_group_fail(tmp_path: Path) -> None:
    async with channel(tmp_path) as c:
        c.switch.refuses = True
        await c.send("o.1")
        await until(lambda: (A.FAILED, Cause.CONGESTION) in c.told.of("o.1"))
        await c.send("o.2", "voice:7809")
        await until(lambda: (A.FAILED, Cause.ERROR) in c.told.of("o.2"))
        assert "7809" in c.spoken.test("voice:7809")
        assert c.spoken.test(WAY) == ""


def test_selective_calls_by_their_names() -> None:
    assert selcall_tones("", "") == []
    assert [t.frequencies[0] for t in selcall_tones("ZVEI1", "12")] == [1060, 1160]
    assert len(selcall_tones("DTMF", "12#")) == 6
    assert [t.seconds for t in selcall_tones("QC2", "1523")] == [1.0, 3.0]
    for system, digits in (("QC2", "152"), ("QC2", "4523"), ("XYZ", "1"), ("ZVEI1", "12E")):
        with pytest.raises(SelcallError):
            selcall_tones(system, digits)
