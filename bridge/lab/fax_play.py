"""The order by fax of a played case: given while the citizen is on the line, printed by the unit's
fax machine, ticked there by hand and faxed back, askew and not quite clean.

Faxes take their time: half a minute each way.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image, ImageDraw

from bridge.documents.form import Tick
from bridge.documents.slip import GEOMETRY, LAYOUT
from bridge.lab.desk_client import DeskClient
from bridge.lab.faxes import IN, UNIT
from bridge.lab.faxnet import FaxNetwork
from bridge.lab.progress import say
from hardware.fax.page import Page, PageError, page_of_image, read_tiff, write_tiff

T = TypeVar("T")
WORDS: Final = "解放路12号地下供水管网资料及现场照片,请连同处置结果一并回传"
ORDER_S: Final = 150.0
"""Deadline of each way. A modem that was kept from the processor calls again in half a minute."""
POLL_S: Final = 0.5
PROGRESS_S: Final = 5.0
TAKEN_S: Final = 20.0
"""From the end of the returned call until its order is closed."""
SKEW: Final = 2.0
NOISE: Final = 0.002


@dataclass
class FaxPlayed:
    """What happened on the fax machine. Moments are monotonic seconds, 0: it did not happen."""

    order: str
    held: frozenset[Path]
    """What the machine held before."""
    printed: tuple[Page, ...] = ()
    printed_at: float = 0.0
    returned: str = ""
    """What the machine says of its own call, when it had ended."""
    returned_at: float = 0.0


async def give(desk: DeskClient, case: str, network: FaxNetwork) -> FaxPlayed:
    """Give the order. Raises RuntimeError or OSError."""
    held = _held(network)
    body = {"units": [UNIT], "words": WORDS}
    answer = await desk.must("POST", f"cases/{case}/orders", body)
    return FaxPlayed(str(answer["orders"][0]["order"]), held)


async def send_back(desk: DeskClient, network: FaxNetwork, fax: FaxPlayed) -> None:
    """Until the sheet has been printed, ticked, faxed back and read. Raises TimeoutError."""
    say("指令由传真发出,请稍候", "the order goes out by fax: half a minute")
    file = await _until(lambda: _printed(network, fax.held), "the order on the fax machine")
    assert file is not None
    fax.printed = await asyncio.to_thread(read_tiff, file)
    fax.printed_at = file.stat().st_mtime - time.time() + time.monotonic()
    say("传真机打印完毕,勾选 处置完毕 后回传", "printed; ticked 'result' and faxed back")
    document = network.path / "returned.tif"
    document.write_bytes(await asyncio.to_thread(ticked, fax.printed[0]))
    before = len(network.sent())
    await network.send(IN, document)
    said = await _until(lambda: network.sent()[before:], "the end of the returned fax")
    fax.returned, fax.returned_at = said[0], time.monotonic()

    async def closed() -> bool:
        return bool((await desk.must("GET", f"orders/{fax.order}"))["state"] == "closed")

    await desk.wait_for(closed, TAKEN_S, f"{fax.order} closed by the returned sheet")


def _held(network: FaxNetwork) -> frozenset[Path]:
    return frozenset(network.received.glob("*.tif"))


def _printed(network: FaxNetwork, held: frozenset[Path]) -> Path | None:
    """A page that the machine has whole."""
    for file in sorted(_held(network) - held):
        try:
            if read_tiff(file):
                return file
        except PageError:
            continue
    return None


async def _until(look: Callable[[], T], what: str) -> T:
    """The first true thing; tells now and then that it still waits. Raises TimeoutError."""
    began = told = time.monotonic()
    while True:
        found = await asyncio.to_thread(look)
        if found:
            return found
        now = time.monotonic()
        if now - began > ORDER_S:
            raise TimeoutError(f"not seen within {ORDER_S:g} s: {what}")
        if now - told > PROGRESS_S:
            told = now
            say(
                f"传真进行中,已 {now - began:.0f} 秒",
                f"the fax is on the line: {now - began:.0f} s",
            )
        await asyncio.sleep(POLL_S)


def ticked(sheet: Page) -> bytes:
    """The sheet with a stroke of a pen over 'result', put into the machine askew and dirty."""
    drawn = sheet.image().convert("L")
    box = GEOMETRY[LAYOUT].boxes[Tick.RESULT]
    stroke = [(box.x + 10, box.y + 24), (box.x + 22, box.y + 40), (box.x + 56, box.y - 6)]
    ImageDraw.Draw(drawn).line(stroke, fill=0, width=4)
    askew = drawn.rotate(SKEW, Image.Resampling.BILINEAR, fillcolor=255)
    chance = random.Random(sheet.height)
    for _ in range(int(askew.width * askew.height * NOISE)):
        place = chance.randrange(askew.width), chance.randrange(askew.height)
        askew.putpixel(place, chance.choice((0, 255)))
    bilevel = askew.point([0] * 128 + [255] * 128).convert("1")
    return write_tiff([page_of_image(bilevel)])
