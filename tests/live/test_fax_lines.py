"""Orders by fax over Asterisk's own lines, and faxes that come in there: real fax machines
(res_fax_spandsp of another exchange), with T.38 and without, in real time."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.documents.form import Tick
from bridge.lab.faxnet import BUSY, FAX_IDENTITY, MACHINE, PERSON, RINGS, SOUND
from bridge.lab.root import AsteriskRoot
from hardware.fax.page import Page, page_of_image, read_tiff, write_tiff
from tests.documents.papers import noisy, ticked
from tests.live.fax_room import OVER, POLL_S, FaxRoom, fax_room, printed, units_toml

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture
def place() -> Iterator[Path]:
    """Short enough for a control socket."""
    path = Path(tempfile.mkdtemp(prefix="b110-fax-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def on_the_board(room: FaxRoom, attempt: str) -> tuple[object, ...]:
    """What the board says of a fax once its speed is known."""
    names = ("state", "page", "of", "confirmed", "bps", "ecm")
    async with asyncio.timeout(60):
        while True:
            (board,) = (await room.desk.must("GET", "fax"))["boards"]
            for row in board["modems"]:
                if row["key"] == attempt and row["bps"]:
                    return tuple(row[name] for name in names)
            await asyncio.sleep(POLL_S)


async def waits(room: FaxRoom) -> tuple[list[str], str | None]:
    """Which faxes wait, once some do, and why nothing is sent."""
    async with asyncio.timeout(20):
        while True:
            (board,) = (await room.desk.must("GET", "fax"))["boards"]
            if board["waiting"]:
                return [one["key"] for one in board["waiting"]], board["paused"]
            await asyncio.sleep(POLL_S)


def sheet_of(room: FaxRoom, order: str) -> tuple[Page, ...]:
    """What lies in the spool for the order's first attempt."""
    return read_tiff(room.spool / "out" / f"{order}.1.tif")


@pytest.mark.req("SB-11")
async def test_what_each_far_end_does_is_told_as_it_was(
    asterisk_root: AsteriskRoot, place: Path
) -> None:
    units = units_toml(t38=MACHINE, sound=SOUND, busy=BUSY, person=PERSON, rings=RINGS, none="999")
    async with fax_room(asterisk_root, place, units, lines=7) as room:
        t38, sound, *others = await room.give("t38", "sound", "busy", "person", "rings", "none")
        for order in (t38, sound):
            await room.attempt(order, "sent")
        sheets = [sheet_of(room, order) for order in (t38, sound)]
        for order in (t38, sound):
            assert await on_the_board(room, f"{order}.1") == ("sending", 1, 1, 0, 14_400, True)
        ends: list[Any] = [await room.attempt(order, *OVER) for order in (t38, sound, *others)]
        assert [(end["state"], end["cause"]) for end in ends] == [
            ("delivered", None),
            ("delivered", None),
            ("failed", "busy"),
            ("failed", "voice-answered"),
            ("failed", "no-answer"),
            ("failed", "bad-address"),
        ]
        assert sorted(printed(room), key=repr) == sorted(sheets, key=repr), "pel by pel"
        for end, mode in zip(ends, ("T38", "audio"), strict=False):
            assert end["detail"].startswith(f"1/1 页已确认 / pages confirmed; 14400 bit/s {mode}")
            assert f"far identity {FAX_IDENTITY} is not" in end["detail"]
        assert list((room.spool / "out").iterdir()) == [], "documents go when they are not needed"


@pytest.mark.req("SB-13")
async def test_a_sheet_that_is_faxed_back_reports_and_any_other_page_goes_to_a_person(
    asterisk_root: AsteriskRoot, place: Path
) -> None:
    """What the machine printed is ticked by hand, put in askew, and comes back: to the report line,
    where the calling tone is heard, and to the fax lines."""
    async with fax_room(asterisk_root, place, units_toml(a=MACHINE)) as room:
        leader = room.world.leader
        await leader.must("POST", "fax/pause", {"reason": "缺纸"})
        await room.world.daemon.stop()
        await room.world.daemon.start()
        (order,) = await room.give("a")
        assert await waits(room) == ([f"{order}.1"], "缺纸"), "a pause outlasts the daemon"
        await leader.must("POST", "fax/resume", {})
        await room.attempt(order, "delivered")
        ((sheet,),) = printed(room)
        await room.fax("7110@unit", back(sheet, Tick.ARRIVED))
        arrived = await room.until(order, "arrived")
        assert [report["says"] for report in arrived["reports"]] == ["arrived"]
        await room.fax("7120@bridge", back(sheet, Tick.RESULT))
        closed = await room.until(order, "closed")
        assert [report["says"] for report in closed["reports"]] == ["arrived", "result"]
        assert len(list(room.inbox.glob("fax-*.tif"))) == 2
        assert list((room.spool / "in").iterdir()) == [], "let go once it was durable"


def back(sheet: Page, *ticks: Tick) -> bytes:
    """The sheet, ticked by hand, put into a fax machine askew and dirty."""
    askew = ticked(sheet.image(), *ticks).convert("L").rotate(3.0, fillcolor=255)
    return write_tiff([page_of_image(noisy(askew.convert("1"), 0.002, random.Random(5)))])
