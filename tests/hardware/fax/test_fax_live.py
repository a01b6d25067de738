"""One fax each way over soft modems and Asterisk, in real time, by lines in their own threads."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from queue import Empty, Queue

import pytest
import pytest_asyncio

from bridge.lab.faxnet import FAX_IDENTITY, MACHINE, FaxNetwork
from bridge.lab.packages import find_program
from bridge.lab.rootbuild import ensure_root
from hardware.fax.line import FaxLine, LineState
from hardware.fax.modem import Received
from hardware.fax.page import Page, read_tiff, write_tiff
from hardware.fax.t30 import Cause, Outcome, PageStarted, Result
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.port import PortSettings
from tests.hardware.fax.pages import text_page

CALL_SECONDS = 100.0
"""Far more than the 22 s a call takes: a loaded machine may repeat parts of it."""
TRIES = 4
"""A soft modem that was kept from the processor loses its line, as telephone lines do."""
MODEM_REST = 6.0
"""iaxmodem answers BUSY for 5 s after its start and after each call."""

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_program("iaxmodem") is None, reason="iaxmodem is on Debian 12 alone"),
]


@pytest_asyncio.fixture
async def network() -> AsyncIterator[FaxNetwork]:
    path = Path(tempfile.mkdtemp(prefix="bridge110-fax-"))
    made = FaxNetwork(ensure_root(), path, lines=("7001", "7002", "7003"))
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        shutil.rmtree(path, ignore_errors=True)


def port(network: FaxNetwork, line: str) -> PortSettings:
    return PortSettings(name=str(network.device(line)), rate=115200)


async def until(what: str, true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}"
        await asyncio.sleep(0.02)


async def send_one(line: FaxLine, network: FaxNetwork, page: Page) -> None:
    """A fax to Asterisk's ReceiveFAX, whose file is then looked at."""
    for number in range(TRIES):
        before = set(network.received.glob("7001-*.tif"))
        sent = line.send(MACHINE, [page], SenderSettings(identity="7001"))
        outcome: Outcome = await asyncio.wait_for(asyncio.wrap_future(sent), CALL_SECONDS)
        if outcome.result is not Result.DELIVERED and number + 1 < TRIES:
            await asyncio.sleep(MODEM_REST)
            continue
        assert (outcome.result, outcome.far_id) == (Result.DELIVERED, FAX_IDENTITY)
        (file,) = set(network.received.glob("7001-*.tif")) - before
        assert read_tiff(file) == (page,)
        return


async def receive_one(inbox: Queue[Received], network: FaxNetwork, page: Page) -> None:
    """A fax from Asterisk's SendFAX."""
    document = network.path / "document.tif"
    document.write_bytes(write_tiff([page]))
    await asyncio.sleep(MODEM_REST)
    for number in range(TRIES):
        await network.send("7002", document)
        try:
            outcome, pages = await asyncio.to_thread(inbox.get, True, CALL_SECONDS)
        except Empty:
            outcome = None
        if outcome is None or (outcome.result is not Result.DELIVERED and number + 1 < TRIES):
            await asyncio.sleep(MODEM_REST)
            continue
        assert (outcome.result, outcome.far_id) == (Result.DELIVERED, FAX_IDENTITY)
        assert [received.page() for received in pages] == [page]
        return
    pytest.fail("no fax came")


async def lose_one(line: FaxLine, states: list[LineState], network: FaxNetwork) -> None:
    """The modem dies in the middle of a page: known at once, and back without our restart."""
    await until("modem ready", lambda: line.state[0] is LineState.READY)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch(seen: object) -> None:
        if isinstance(seen, PageStarted):
            loop.call_soon_threadsafe(started.set)

    for _ in range(TRIES):
        sent = line.send(MACHINE, [text_page(2)], SenderSettings(), watch)
        ended, on_page = asyncio.wrap_future(sent), asyncio.create_task(started.wait())
        await asyncio.wait((ended, on_page), return_when=asyncio.FIRST_COMPLETED)
        if started.is_set():
            break
        await asyncio.sleep(MODEM_REST)
    await network.kill_modem("7003")
    outcome = await asyncio.wait_for(ended, 20.0)
    assert (outcome.result, outcome.cause) == (Result.NOT_DELIVERED, Cause.MODEM)
    await until("the line is away", lambda: line.state[0].lost)
    refused = line.send(MACHINE, [text_page(2)], SenderSettings()).result(1.0)
    assert refused.cause is Cause.MODEM
    await network.start_modem("7003")
    await until("the modem is back", lambda: line.state[0] is LineState.READY)
    assert states.count(LineState.READY) >= 2


async def test_faxes_both_ways_and_a_modem_lost_in_a_page(network: FaxNetwork) -> None:
    page = text_page(1, 640, lines=10)
    inbox: Queue[Received] = Queue()
    states: list[LineState] = []
    sends = FaxLine(port(network, "7001"))
    takes = FaxLine(
        port(network, "7002"), answers=ReceiverSettings(identity="7002"), on_received=inbox.put
    )
    loses = FaxLine(port(network, "7003"), on_state=lambda state, _: states.append(state))
    lines = (sends, takes, loses)
    for line in lines:
        line.start()
    try:
        for line in lines:
            await until("modem ready", lambda line=line: line.state[0] is LineState.READY)  # type: ignore[misc]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send_one(sends, network, page))
            tasks.create_task(receive_one(inbox, network, page))
            tasks.create_task(lose_one(loses, states, network))
    finally:
        for line in lines:
            await asyncio.to_thread(line.stop)
