"""Faxes over Asterisk's own lines while something dies: `make test-hardware`, for each takes its
time."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.lab.faxnet import SOUND
from bridge.lab.root import AsteriskRoot
from bridge.lab.rootbuild import ensure_root
from tests.live.fax_room import OVER, FaxRoom, fax_room, printed, units_toml

MID_PAGE_S = 10.0
"""After the answer: the page is on the line then, for some more seconds."""

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def asterisk_root() -> AsteriskRoot:
    return ensure_root()


@pytest.fixture
def place() -> Iterator[Path]:
    """Short enough for a control socket."""
    path = Path(tempfile.mkdtemp(prefix="b110-fax-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def until_printed(room: FaxRoom, count: int, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while "0 active calls" not in await room.network.console("core show channels") or (
        len(list(room.network.received.glob("*.tif"))) < count
    ):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)


@pytest.mark.req("SB-11")
async def test_a_page_on_the_line_outlives_the_daemon_and_the_link(
    asterisk_root: AsteriskRoot, place: Path
) -> None:
    """Killed until the call is over, killed for a moment, cut off from Asterisk: each time the fax
    goes on, its true outcome is told, and nothing is dialled twice."""
    units = units_toml(a="8051", b="8052", c="8053")
    async with fax_room(asterisk_root, place, units) as room:
        daemon = room.world.daemon
        orders = []
        for number, unit in enumerate("abc", 1):
            (order,) = await room.give(unit)
            orders.append(order)
            await room.answered(order)
            await asyncio.sleep(MID_PAGE_S)
            if unit == "a":
                daemon.kill()
                await until_printed(room, number)
                await daemon.start()
            elif unit == "b":
                daemon.kill()
                await daemon.start()
            else:
                await room.cut_link()
            end = await room.attempt(order, *OVER)
            assert end["state"] == "delivered", end
            assert "1/1" in end["detail"]
        for order in orders:
            attempts = (await room.order(order))["attempts"]
            assert len(attempts) == 1, attempts
        assert len(printed(room)) == 3


async def test_a_page_lost_with_asterisk_is_unknown_and_sent_again_with_the_mark(
    asterisk_root: AsteriskRoot, place: Path
) -> None:
    async with fax_room(asterisk_root, place, units_toml(a=SOUND)) as room:
        (order,) = await room.give("a")
        await room.answered(order)
        await asyncio.sleep(MID_PAGE_S)
        await room.world.switch.kill()
        await room.world.switch.start()
        first = await room.attempt(order, *OVER)
        assert first["state"] == "unknown"
        again = await room.attempt(order, "delivered", number=1)
        assert again["repeat"], "the sheet says that it may be a repeat"
        assert len(printed(room)) == 1
