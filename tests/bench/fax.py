"""Speed of faxes: over soft modems and Asterisk in real time, beside efax and HylaFAX.

One run, the same page, the same line. The line's own limit is what was given to the modem at the
speed agreed, and each handshake step as measured on a local line (STEPS). Every number is the
middle of the calls that a figure is made of; `worst` is the slowest of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import platform
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

import PIL

from bridge.lab.faxnet import PLAIN, FaxNetwork
from bridge.lab.rootbuild import ensure_root
from hardware.fax.line import FaxLine, LineState
from hardware.fax.modem import Received
from hardware.fax.page import Page, read_tiff, write_tiff
from hardware.fax.t30 import Ended, Outcome, PageStarted, Report, Result
from hardware.fax.t30_frames import Coding
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.watch import FrameSeen
from hardware.port import PortSettings
from tests.hardware.fax.pages import text_page
from tests.hardware.fax.programs import HylaFax, Ran, efax_send

STEPS: Final = {
    "dial to CONNECT": 3.06, "DIS": 1.22, "TSI and DCS": 1.95, "pause and training check": 3.3,
    "CFR": 1.15, "short training and drain": 0.2, "pause and PPS": 1.3, "MCF": 1.25,
    "pause and DCN": 1.2,
}  # fmt: skip
"""Seconds that T.30 itself takes at 14400 bit/s on a local line that answers at once."""
CALLS: Final = 3
PAIRS: Final = 2
"""Calls of each program beside ours; a pair takes a minute and a half."""
BUSY_PAGES: Final = 20
BUSY_LINES: Final = 4
REST: Final = 6.0
"""iaxmodem answers BUSY for 5 s after each call."""
CALL_SECONDS: Final = 180.0
PREPARED: Final = 200
Record = dict[str, Any]


def dense_page() -> Page:
    """An order sheet full of text: 20 kB in T.6, some 45 kB in MH."""
    return text_page(7, lines=17)


def _record(name: str, value: float, unit: str, **more: Any) -> Record:
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "baseline": more.pop("baseline", None),
        "worst": more.pop("worst", None),
        "n": more.pop("n"),
        "load": more.pop("load", "idle"),
        "versions": {"python": platform.python_version(), "pillow": PIL.__version__}
        | more.pop("versions", {}),
    } | more


@contextlib.asynccontextmanager
async def _network(lines: int) -> AsyncIterator[FaxNetwork]:
    path = Path(f"/tmp/faxbench-{secrets.token_hex(4)}")  # HylaFAX takes `_` for `/`
    path.mkdir(mode=0o755)
    names = tuple(str(7001 + n) for n in range(lines))
    network = FaxNetwork(ensure_root(), path, lines=names)
    try:
        await network.start()
        await asyncio.sleep(REST)
        yield network
    finally:
        await network.stop()
        shutil.rmtree(path, ignore_errors=True)


@contextlib.asynccontextmanager
async def _line(
    network: FaxNetwork, name: str, inbox: Queue[Received] | None = None
) -> AsyncIterator[FaxLine]:
    settings = PortSettings(name=str(network.device(name)), rate=115200)
    if inbox is None:
        line = FaxLine(settings)
    else:
        line = FaxLine(settings, answers=ReceiverSettings(), on_received=inbox.put)
    line.start()
    try:
        while line.state[0] is not LineState.READY:
            await asyncio.sleep(0.05)
        yield line
    finally:
        await asyncio.to_thread(line.stop)


class _Watch:
    """What a call put on the line, and when it was confirmed."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.octets = 0
        self.confirmed = 0.0

    def seen(self, item: Report | FrameSeen) -> None:
        if isinstance(item, PageStarted):
            self.octets += item.octets
        if isinstance(item, Ended):
            self.confirmed = time.monotonic() - self.began


async def _our_call(line: FaxLine, page: Page, number: str) -> tuple[Outcome, _Watch, float]:
    """One call: outcome, what was seen, seconds from submission to the line being free."""
    watch = _Watch()
    sent = line.send(number, [page], SenderSettings(identity="7001"), watch.seen)
    outcome: Outcome = await asyncio.wait_for(asyncio.wrap_future(sent), CALL_SECONDS)
    return outcome, watch, time.monotonic() - watch.began


def page_over_limit_s() -> Record:
    """What a call takes beyond the line's own limit."""

    async def measure() -> Record:
        over: list[float] = []
        async with _network(1) as network, _line(network, "7001") as line:
            for _ in range(CALLS):
                outcome, watch, seconds = await _our_call(line, dense_page(), PLAIN)
                assert outcome.result is Result.DELIVERED, outcome
                assert outcome.chosen is not None
                limit = watch.octets * 8 / outcome.chosen.rate.bps + sum(STEPS.values())
                over.append(seconds - limit)
                await asyncio.sleep(REST)
        return _record(
            "fax.page_over_limit_s", statistics.median(over), "s",
            worst=round(max(over), 3), n=CALLS, octets=watch.octets,
        )  # fmt: skip

    return asyncio.run(measure())


async def _beside(
    theirs: Callable[[FaxNetwork, Page], Coroutine[Any, Any, Ran]], confirmed: bool
) -> tuple[list[float], list[float]]:
    """Seconds of our calls and of theirs, in turn, on the same line."""
    ours: list[float] = []
    other: list[float] = []
    page = dense_page()
    async with _network(1) as network:
        for _ in range(PAIRS):
            async with _line(network, "7001") as line:
                outcome, watch, seconds = await _our_call(line, page, PLAIN)
                assert outcome.result is Result.DELIVERED, outcome
                ours.append(watch.confirmed if confirmed else seconds)
            await asyncio.sleep(REST)
            ran = await theirs(network, page)
            assert ran.status == 0, ran.words
            other.append(ran.seconds)
            await asyncio.sleep(REST)
    return ours, other


def vs_efax() -> Record:
    """Our call ÷ efax's, whole calls."""

    async def theirs(network: FaxNetwork, page: Page) -> Ran:
        return await efax_send(network.device("7001"), "1", page, PLAIN, network.path)

    ours, other = asyncio.run(_beside(theirs, confirmed=False))
    ratios = [a / b for a, b in zip(ours, other, strict=True)]
    return _record(
        "fax.vs_efax", statistics.median(ratios), "ratio",
        baseline=round(statistics.median(other), 2),
        worst=round(max(ratios), 3), n=PAIRS, ours_s=round(statistics.median(ours), 2),
    )  # fmt: skip


def vs_hylafax() -> Record:
    """Submission to confirmation ÷ that of HylaFAX's faxsend, without its scheduler's share."""

    async def theirs(network: FaxNetwork, page: Page) -> Ran:
        place = network.path / "spool"
        shutil.rmtree(place, ignore_errors=True)
        hylafax = HylaFax(place, network.device("7001"), "iaxmodem")
        ran = await hylafax.send(page, PLAIN)
        return Ran(0 if hylafax.delivered else 1, ran.words + hylafax.log(), ran.seconds)

    ours, other = asyncio.run(_beside(theirs, confirmed=True))
    ratios = [a / b for a, b in zip(ours, other, strict=True)]
    return _record(
        "fax.vs_hylafax", statistics.median(ratios), "ratio",
        baseline=round(statistics.median(other), 2), worst=round(max(ratios), 3), n=PAIRS,
        ours_s=round(statistics.median(ours), 2),
    )  # fmt: skip


@contextlib.contextmanager
def _busy_cores() -> Any:
    """Every core kept busy by other processes."""
    spin = [sys.executable, "-c", "while True: pass"]
    spinning = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait()


def busy_failures() -> Record:
    """Pages that did not come over within their call while every core was busy: half of them sent,
    half received, two lines each way at once."""
    page = text_page(3, 640, lines=10)

    async def sends(network: FaxNetwork, name: str, pages: int) -> int:
        failed = 0
        async with _line(network, name) as line:
            for _ in range(pages):
                outcome, _, _ = await _our_call(line, page, PLAIN)
                failed += outcome.result is not Result.DELIVERED
                await asyncio.sleep(REST)
        return failed

    async def takes(network: FaxNetwork, name: str, pages: int) -> int:
        inbox: Queue[Received] = Queue()
        failed = 0
        document = network.path / f"{name}.tif"
        document.write_bytes(write_tiff([page]))
        async with _line(network, name, inbox):
            for _ in range(pages):
                await network.send(name, document)
                try:
                    outcome, _ = await asyncio.to_thread(inbox.get, True, CALL_SECONDS)
                    failed += outcome.result is not Result.DELIVERED
                except Empty:
                    failed += 1
                await asyncio.sleep(REST)
        return failed

    async def measure() -> int:
        share = BUSY_PAGES // BUSY_LINES
        async with _network(BUSY_LINES) as network:
            with _busy_cores():
                both = [
                    *(sends(network, name, share) for name in network.lines[:2]),
                    *(takes(network, name, share) for name in network.lines[2:]),
                ]
                return sum(await asyncio.gather(*both))

    failed = asyncio.run(measure())
    return _record(
        "fax.busy_failures", failed, "pages", worst=failed, n=BUSY_PAGES,
        load=f"{os.cpu_count()} busy cores",
    )  # fmt: skip


def prepare_ms() -> Record:
    """An order sheet drawn, and its pages coded in T.6; p99."""
    from zoneinfo import ZoneInfo

    from bridge.documents.service import Documents
    from tests.bench.documents import sheet

    async def measure() -> list[float]:
        documents = Documents(ZoneInfo("Asia/Shanghai"))
        taken = []
        for n in range(PREPARED + 10):
            began = time.perf_counter()
            paper = await documents.paper(sheet(n))
            await asyncio.to_thread(_coded, paper.tiff)
            taken.append(1000 * (time.perf_counter() - began))
        documents.close()
        return taken[10:]

    taken = sorted(asyncio.run(measure()))
    p99 = taken[int(len(taken) * 0.99) - 1]
    return _record(
        "fax.prepare_ms", p99, "ms", worst=round(taken[-1], 1), n=PREPARED,
        baseline=round(statistics.median(taken), 1),
    )  # fmt: skip


def _coded(tiff: bytes) -> list[bytes]:
    """What a job does before it dials."""
    return [page.coded(Coding.MMR) for page in read_tiff(io.BytesIO(tiff))]


BENCHES: dict[str, Callable[[], Record]] = {
    "fax.page_over_limit_s": page_over_limit_s,
    "fax.vs_efax": vs_efax,
    "fax.vs_hylafax": vs_hylafax,
    "fax.busy_failures": busy_failures,
    "fax.prepare_ms": prepare_ms,
}
