"""Programs that know nothing of us, against our modem and our driver: `make test-hardware`.

Not in the ordinary suite: they are downloaded, some need root, and the calls over soft modems take
their time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from queue import Empty, Queue

import pytest
import pytest_asyncio

from bridge.lab.faxnet import FaxNetwork
from bridge.lab.rootbuild import ensure_root
from hardware.fax.line import FaxLine, LineState
from hardware.fax.modem import Received
from hardware.fax.page import Page, read_tiff
from hardware.fax.t30 import Outcome, Result
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.port import PortSettings
from hardware.rig.class2_far import FarMachine
from hardware.rig.class2_line import Class2Line
from hardware.rig.class2_modem import Class2Modem
from tests.hardware.fax.pages import text_page
from tests.hardware.fax.programs import HylaFax, efax_send, end_getty, mgetty_send
from tests.hardware.fax.test_class2 import pictures

PAGE = text_page(1, 640, lines=10)
TRIES = 3
CALL_SECONDS = 150.0
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="HylaFAX's programs start as root")
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that programs of another user may enter, with a short name. HylaFAX takes every
    `_` in the name of a device for a `/`."""
    path = Path(f"/tmp/fax-{secrets.token_hex(4)}")
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@contextlib.asynccontextmanager
async def emulated(place: Path) -> AsyncIterator[tuple[Path, FarMachine]]:
    far = FarMachine()
    line = Class2Line(Class2Modem(far), place / "modem")
    try:
        yield place / "modem", far
    finally:
        line.close()


@pytest.mark.parametrize("fax_class", ["2", "2.0"])
async def test_efax_drives_our_modem(place: Path, fax_class: str) -> None:
    async with emulated(place) as (device, far):
        ran = await efax_send(device, fax_class, PAGE, "800", place)
        assert ran.status == 0, ran.words
        (picture,) = pictures(far.received)
        assert picture.rows.endswith(PAGE.rows)  # efax puts a line of its own above


@pytest.mark.parametrize("fax_class", ["2", "2.0"])
async def test_mgetty_drives_our_modem(place: Path, fax_class: str) -> None:
    async with emulated(place) as (device, far):
        ran = await mgetty_send(device, fax_class, PAGE, "800", place)
        assert ran.status == 0, ran.words
        assert pictures(far.received) == [PAGE]


@needs_root
@pytest.mark.parametrize("fax_class", ["2", "2.0"])
async def test_hylafax_drives_our_modem(place: Path, fax_class: str) -> None:
    async with emulated(place) as (device, far):
        hylafax = HylaFax(place / "spool", device, f"class{fax_class}")
        ran = await hylafax.send(PAGE, "800")
        assert hylafax.delivered, (ran, hylafax.log())
        assert pictures(far.received) == [PAGE]


@pytest_asyncio.fixture
async def network(place: Path) -> AsyncIterator[FaxNetwork]:
    made = FaxNetwork(ensure_root(), place / "net")
    try:
        await made.start()
        await asyncio.sleep(6.0)  # iaxmodem answers BUSY for 5 s after its start
        yield made
    finally:
        await made.stop()


@contextlib.asynccontextmanager
async def our_line(
    network: FaxNetwork, name: str
) -> AsyncIterator[tuple[FaxLine, Queue[Received]]]:
    inbox: Queue[Received] = Queue()
    settings = PortSettings(name=str(network.device(name)), rate=115200)
    line = FaxLine(settings, answers=ReceiverSettings(identity=name), on_received=inbox.put)
    line.start()
    try:
        deadline = time.monotonic() + 30
        while line.state[0] is not LineState.READY:
            assert time.monotonic() < deadline, line.state
            await asyncio.sleep(0.05)
        yield line, inbox
    finally:
        await asyncio.to_thread(line.stop)


async def taken(inbox: Queue[Received]) -> Received | None:
    with contextlib.suppress(Empty):
        return await asyncio.to_thread(inbox.get, True, 30.0)
    return None


async def test_efax_sends_to_our_class_1_driver(network: FaxNetwork, place: Path) -> None:
    """Without ECM: every line is there, at most ten are damaged."""
    async with our_line(network, "7002") as (_, inbox):
        for _ in range(TRIES):
            ran = await efax_send(network.device("7001"), "1", PAGE, "7002", place)
            received = await taken(inbox)
            if received is not None and received[0].result is Result.DELIVERED:
                break
            await asyncio.sleep(6.0)
        assert received is not None, ran.words
        outcome, (page,) = received
        assert (outcome.result, ran.status) == (Result.DELIVERED, 0)
        assert page.bad_lines <= 10
        differing = differences(page.page(), PAGE)
        assert differing <= 10, f"{differing} lines differ"


def differences(received: Page, sent: Page) -> int:
    """Lines of the sent page that are not where they belong, below what the sender put above."""
    above = received.height - sent.height
    assert above >= 0
    return sum(received.row(above + n) != sent.row(n) for n in range(sent.height))


@needs_root
async def test_hylafax_sends_to_our_class_1_driver(network: FaxNetwork, place: Path) -> None:
    hylafax = HylaFax(place / "spool", network.device("7001"), "iaxmodem")
    async with our_line(network, "7002") as (_, inbox):
        for _ in range(TRIES):
            ran = await hylafax.send(PAGE, "7002")
            received = await taken(inbox)
            if received is not None and received[0].result is Result.DELIVERED:
                break
            await asyncio.sleep(6.0)
        assert received is not None, (ran, hylafax.log())
        outcome, pages = received
        assert outcome.result is Result.DELIVERED, hylafax.log()
        assert hylafax.delivered
        assert [page.page() for page in pages] == [PAGE]
        assert outcome.chosen is not None
        assert outcome.chosen.ecm


@needs_root
async def test_hylafax_receives_from_our_class_1_driver(network: FaxNetwork, place: Path) -> None:
    hylafax = HylaFax(place / "spool", network.device("7001"), "iaxmodem")
    getty = await hylafax.getty()
    try:
        await asyncio.sleep(12.0)  # faxgetty resets the modem first
        async with our_line(network, "7002") as (line, _):
            for _ in range(TRIES):
                sent = line.send("7001", [PAGE], SenderSettings(identity="7002"))
                outcome: Outcome = await asyncio.wait_for(asyncio.wrap_future(sent), CALL_SECONDS)
                if outcome.result is Result.DELIVERED:
                    break
                await asyncio.sleep(8.0)
            assert outcome.result is Result.DELIVERED, hylafax.log()
            deadline = time.monotonic() + 20
            while not hylafax.received() and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
            file = hylafax.received()[-1]
            assert read_tiff(file) == (PAGE,)
    finally:
        await end_getty(getty)
