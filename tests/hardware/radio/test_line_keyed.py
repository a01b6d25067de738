"""A radio keyed over a network line box: what the box saw is the judge."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hardware.port import Backend, NoModemLines, PortError, PortSettings, open_port
from hardware.port_hidraw import output_report, parse_name
from hardware.radio.events import CallChange, RadioEvent
from hardware.radio.keying import Act, KeyingTimes
from hardware.radio.line_keyed import IDLE_LOOK_S, LineKeyed, LinesError, Wiring
from hardware.rig.line_box import LineBox
from tests.hardware.pty_kit import device, until

TIMES = KeyingTimes(lead_in_s=0.1, tail_s=0.05, time_out_s=5, busy_max_s=3, hang_s=0.05)
BACKENDS: tuple[Backend, ...] = ("pyserial", "serialx")


@dataclass
class Rig:
    box: LineBox
    radio: LineKeyed
    told: list[RadioEvent] = field(default_factory=list)

    def keyed(self, line: str = "rts") -> list[bool]:
        return [move.level for move in self.box.moves if move.line == line]


@asynccontextmanager
async def rig(
    wiring: Wiring = Wiring("RTS", "CTS"),  # noqa: B008
    times: KeyingTimes = TIMES,
    backend: Backend = "pyserial",
) -> AsyncIterator[Rig]:
    box = LineBox(random.Random(1))
    await box.open()
    told: list[RadioEvent] = []
    radio = LineKeyed(
        PortSettings(name=box.url, backend=backend),
        wiring,
        times,
        emit=told.append,
        rng=random.Random(2),
    )
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(radio.run(stop))
            try:
                await until(lambda: radio.health.usable)
                yield Rig(box, radio, told)
            finally:
                stop.set()
    finally:
        await box.close()


@pytest.mark.parametrize("backend", BACKENDS)
async def test_no_key_up_is_ever_seen_when_a_network_port_opens_or_closes(
    backend: Backend,
) -> None:
    async with rig(backend=backend) as r:
        for _ in range(2):
            count = r.radio._link.opens
            r.box.cut()
            await until(lambda count=count: r.radio._link.opens > count)  # type: ignore[misc]
        assert r.box.moves == []
    assert r.box.moves == []


@pytest.mark.parametrize("backend", BACKENDS)
async def test_lead_in_sound_and_tail_stand_between_key_and_release(backend: Backend) -> None:
    moments: list[float] = []

    async def play() -> None:
        moments.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.2)
        moments.append(asyncio.get_running_loop().time())

    async with rig(backend=backend) as r:
        assert await r.radio.transmit(play) is Act.SENT
        await until(lambda: r.keyed() == [True, False])
        up, down = (move.at for move in r.box.moves)
        assert moments[0] - up >= 0.05, "the sound waited for the lead-in"
        assert down >= moments[1], "released after the sound"


@pytest.mark.parametrize(
    ("ptt", "levels"),
    [
        ("RTS!DTR", {"rts": [True, False], "dtr": [True, False, True]}),
        ("DTR", {"rts": [], "dtr": [True, False]}),
    ],
)
async def test_other_wirings_move_their_own_lines(ptt: str, levels: dict[str, list[bool]]) -> None:
    async def play() -> None:
        return

    async with rig(Wiring(ptt, "DCD")) as r:
        assert await r.radio.transmit(play) is Act.SENT
        await until(lambda: all(len(r.keyed(line)) >= len(want) for line, want in levels.items()))
        assert r.keyed("rts") == levels["rts"]
        assert r.keyed("dtr") == levels["dtr"]


async def test_a_busy_channel_is_waited_for(tmp_path: Path) -> None:
    async def play() -> None:
        return

    async with rig() as r:
        r.box.set_squelch(True)
        await until(lambda: r.radio.busy)
        sending = asyncio.ensure_future(r.radio.transmit(play))
        await asyncio.sleep(0.3)
        assert r.box.moves == []
        r.box.set_squelch(False)
        assert await sending is Act.SENT
        assert [c.state for c in r.told if isinstance(c, CallChange)][:2] == ["listening", "idle"]


async def test_a_channel_that_stays_busy_ends_the_try_without_keying() -> None:
    async def play() -> None:
        return

    async with rig(times=KeyingTimes(busy_max_s=0.3, lead_in_s=0.05)) as r:
        r.box.set_squelch(True)
        await until(lambda: r.radio.busy)
        assert await r.radio.transmit(play) is Act.BUSY
        assert await r.radio.transmit(play, override=True) is Act.SENT
        assert r.keyed()[:1] == [True]


async def test_the_time_out_timer_releases_a_sound_that_hangs() -> None:
    async def play() -> None:
        await asyncio.sleep(60)

    async with rig(times=KeyingTimes(time_out_s=0.5, lead_in_s=0.05)) as r:
        assert await r.radio.transmit(play) is Act.TIME_OUT
        await until(lambda: r.keyed() == [True, False])


async def test_a_cancelled_caller_a_failing_sound_and_the_end_release_the_transmitter() -> None:
    async def play() -> None:
        await asyncio.sleep(60)

    async def fail() -> None:
        raise OSError("sound device gone")

    async with rig() as r:
        sending = asyncio.ensure_future(r.radio.transmit(play))
        await until(lambda: r.keyed() == [True])
        sending.cancel()
        await until(lambda: r.keyed() == [True, False])
        assert await r.radio.transmit(fail) is Act.SENT
        await until(lambda: r.keyed() == [True, False] * 2)
        last = asyncio.ensure_future(r.radio.transmit(play))
        await until(lambda: len(r.keyed()) == 5)
    assert r.keyed()[-1] is False
    assert await last is Act.CUT


async def test_a_lost_box_ends_the_transmission_and_comes_back_released() -> None:
    async def play() -> None:
        await asyncio.sleep(60)

    async with rig() as r:
        sending = asyncio.ensure_future(r.radio.transmit(play))
        await until(lambda: r.keyed() == [True])
        r.box.cut()
        assert await sending is Act.CUT
        await until(lambda: r.radio.health.usable)
        assert r.keyed() == [True, False]


@pytest.mark.parametrize(
    "ptt", ["", "CTS", "!RTS", "!RTS!DTR", "RTS,DTR", "rts", "RTS!DTR!RTS", "RTS;rm"]
)
def test_a_notation_that_is_none_is_refused(ptt: str) -> None:
    with pytest.raises(LinesError):
        Wiring(ptt)


def test_opposite_lines_are_safe_while_a_port_is_opened() -> None:
    assert Wiring("RTS!DTR").two_lines
    assert not Wiring("RTS").two_lines
    assert Wiring("RTS!DTR").outputs(False) == {"rts": False, "dtr": True}


def test_cm108_reports() -> None:
    assert output_report(3, True).hex(" ") == "00 00 04 04 00"
    assert output_report(3, False).hex(" ") == "00 00 00 04 00"
    assert output_report(1, True).hex(" ") == "00 00 01 01 00"
    assert parse_name("hidraw:/dev/radio-2?gpio=1") == ("/dev/radio-2", 1)
    assert parse_name("hidraw:/dev/radio-2") == ("/dev/radio-2", 3)
    assert parse_name("hidraw:/dev/radio-2?gpio=9") is None


async def test_a_sound_chip_is_keyed_by_reports_and_its_buttons_are_the_squelch() -> None:
    async with device() as chip:
        port = await open_port(PortSettings(name=f"hidraw:{chip.name}?gpio=3"))
        gone: list[str] = []
        port.start(lambda _: None, gone.append)
        await chip.wait_heard(output_report(3, False))
        await port.set_lines(rts=True)
        await chip.wait_heard(output_report(3, True))
        assert not (await port.lines()).cts
        chip.say(bytes((2, 0, 0, 0)))
        for _ in range(400):
            if (await port.lines()).cts:
                break
            await asyncio.sleep(0.01)
        assert (await port.lines()).cts
        with pytest.raises(NoModemLines):
            await port.set_lines(dtr=True)
        with pytest.raises(PortError):
            await open_port(PortSettings(name=f"hidraw:{chip.name}?gpio=3"))
        await port.close()
        await until(lambda: bytes(chip.heard).endswith(output_report(3, False)))
        assert not gone
        assert os.path.exists(chip.name)


async def test_a_network_box_tells_of_its_squelch_before_the_next_look() -> None:
    async with rig() as r:
        clock = asyncio.get_running_loop().time
        seconds = []
        for n in range(10):
            await asyncio.sleep(0.3 + 0.02 * n)
            moved, count = clock(), len(r.told)
            r.box.set_squelch(n % 2 == 0)
            await until(lambda count=count: len(r.told) > count)  # type: ignore[misc]
            seconds.append(clock() - moved)
        changes = [e.state for e in r.told if isinstance(e, CallChange)]
        assert changes == ["listening", "idle"] * 5
        assert sorted(seconds)[5] <= 0.15, seconds
        assert max(seconds) <= IDLE_LOOK_S, "a poll alone needs two looks"
