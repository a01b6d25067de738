"""Orders by fax over emulated modems: what became of each is told as it was."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bridge.app_fax import open_fax, read_returned
from bridge.channels.fax import FaxChannel, FaxInbox, FaxSite, same_number
from bridge.documents.form import Tick
from bridge.documents.service import Documents
from bridge.domain.delivery import A, Cause, ChannelKind, Job, Says
from bridge.flows.view import View
from bridge.settings_wires import Fax
from hardware.fax.line import FaxLine, LineState
from hardware.fax.model import Model
from hardware.fax.page import Page, page_of_image, page_of_lines, read_tiff
from hardware.fax.pool import FaxJob, FaxRefused, Habit, Plan
from hardware.fax.t4 import T4Decoder
from hardware.fax.t30 import Cause as Why
from hardware.fax.t30 import Outcome, Result
from hardware.fax.t30_frames import Coding
from hardware.fax.t30_receiver import ReceiverSettings
from hardware.port import PortSettings
from hardware.rig.class2_line import Class2Line
from hardware.rig.class2_modem import Class2Modem, Far, FarMachine, Quirks
from tests.channels.mail_kit import FixedClock, Told
from tests.documents.papers import CODE, ORDER, ZONE, noisy, order_sheet, pages_of, ticked
from tests.hardware.fax.pages import plain_page

NUMBER = "05398110119"
PATIENCE = 30.0
QUICK = Model(name="rig", ahead_s=1000.0)
"""Takes a page as fast as it comes."""
pytestmark = pytest.mark.timeout(120)


@dataclass
class FaxDesk:
    """A channel on emulated modems, and somebody who is told."""

    channel: FaxChannel
    rigs: list[Class2Line]
    lines: list[FaxLine]
    told: Told
    inbox: Path
    tasks: list[asyncio.Task[object]] = field(default_factory=list)

    @property
    def far(self) -> FarMachine:
        return self.rigs[0].modem.far

    async def send(self, attempt: str = "1", **more: Any) -> None:
        job = Job(
            attempt=attempt,
            channel=ChannelKind.FAX,
            sheet=order_sheet(),
            addresses=(NUMBER,),
            **more,
        )
        await self.channel.send(job)

    async def until(self, what: str, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, f"{what}: {self.told.said} {self.told.got}"
            await asyncio.sleep(0.02)

    async def ended(self, attempt: str = "1") -> None:
        over = (A.DELIVERED, A.FAILED, A.UNKNOWN, A.WITHDRAWN)
        await self.until(
            attempt, lambda: any(p.attempt == attempt and p.state in over for p in self.told.said)
        )


@contextlib.asynccontextmanager
async def fax_desk(
    documents: Documents, place: Path, *fars: FarMachine, quirks: Quirks | None = None
) -> AsyncIterator[FaxDesk]:
    told = Told()
    tasks: list[asyncio.Task[object]] = []

    def spawn(work: Coroutine[Any, Any, object], _name: str) -> None:
        tasks.append(asyncio.ensure_future(work))

    site = FaxSite(identity="+86539110", inbox=place / "inbox")
    site.inbox.mkdir()
    inbox = FaxInbox(site, read_returned, told, FixedClock(), spawn)
    rigs, lines = [], []
    for number, far in enumerate(fars):
        device = place / f"modem-{number}"
        rigs.append(Class2Line(Class2Modem(far, quirks, pace=0.05), device))
        port = PortSettings(name=str(device), rate=115200)
        answers = ReceiverSettings(identity="+86539110")
        lines.append(FaxLine(port, model=QUICK, answers=answers, on_received=inbox.take))
    channel = FaxChannel(lines, site, documents.paper, told, FixedClock(), spawn)
    running = asyncio.create_task(channel.run())
    desk = FaxDesk(channel, rigs, lines, told, site.inbox, tasks)
    try:
        for line in lines:
            await desk.until("ready", lambda line=line: line.state[0] is LineState.READY)  # type: ignore[misc]
        yield desk
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        for rig in rigs:
            rig.close()
        await asyncio.gather(*tasks)


def printed(octets: bytes) -> Page:
    """What the far machine prints."""
    decoder = T4Decoder(1728, two_dimensional=False, max_lines=5000)
    decoder.feed(octets + b"\0\0\x80")
    return page_of_lines(decoder.lines, 1728, fine=True)


@pytest.mark.req("SB-11")
async def test_an_order_is_delivered_and_its_sheet_is_what_comes_out(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine(identity="0539 8110119")
    async with fax_desk(documents, tmp_path, far) as desk:
        await desk.send()
        await desk.send()  # the same attempt: nothing more
        await desk.ended()
        assert desk.told.states() == [A.SENDING, A.DELIVERED]
        last = desk.told.said[-1]
        assert (last.data["pages"], last.data["far_id_matches"]) == (1, True)
        (sheet,) = pages_of((await documents.paper(order_sheet())).tiff)
        (octets,) = far.received
        assert printed(octets) == page_of_image(sheet)
        assert read_returned(printed(octets).image()).order == ORDER


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("busy", Cause.BUSY), ("no answer", Cause.NO_ANSWER), ("voice", Cause.VOICE_ANSWERED),
     ("no dial tone", Cause.DEVICE_GONE), ("blocked", Cause.REFUSED)],
)  # fmt: skip
async def test_each_cause_is_the_ladders_own(
    documents: Documents, tmp_path: Path, kind: Far, cause: Cause
) -> None:
    async with fax_desk(documents, tmp_path, FarMachine(kind=kind)) as desk:
        await desk.send()
        await desk.ended()
        assert (desk.told.said[-1].state, desk.told.said[-1].cause) == (A.FAILED, cause)


async def test_a_page_that_was_not_confirmed_is_unknown_and_said_so(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine(identity="021", hang_up_at={"status": 54})
    async with fax_desk(documents, tmp_path, far) as desk:
        await desk.send()
        await desk.ended()
        last = desk.told.said[-1]
        assert last.state is A.UNKNOWN
        assert "may hold unconfirmed pages" in last.detail
        assert "is not" in last.detail  # another station than the number's
        assert await desk.channel.look("1") is None


async def test_a_modem_lost_in_a_page_ends_the_attempt_and_another_line_goes_on(
    documents: Documents, tmp_path: Path
) -> None:
    fars = (FarMachine(), FarMachine())
    async with fax_desk(documents, tmp_path, *fars) as desk:
        desk.rigs[0].modem.far.kind = "no answer"  # stays in dialling
        await desk.send("1", urgent=True)
        await desk.until("dialled", lambda: bool(desk.rigs[0].modem.number))
        desk.rigs[0].pull()
        await desk.ended("1")
        assert desk.told.said[-1].cause is Cause.DEVICE_GONE
        await desk.send("2", urgent=True)
        await desk.ended("2")
        assert desk.told.said[-1].state is A.DELIVERED
        assert len(fars[1].received) == 1
        assert await desk.channel.test((NUMBER,)) == ""
        desk.rigs[0].plug()
        await desk.until("back", lambda: desk.lines[0].state[0] is LineState.READY)


async def test_without_any_modem_the_order_goes_another_way_at_once(
    documents: Documents, tmp_path: Path
) -> None:
    async with fax_desk(documents, tmp_path, FarMachine()) as desk:
        desk.rigs[0].pull()
        await desk.until("away", lambda: desk.lines[0].state[0] is LineState.AWAY)
        await desk.send()
        await desk.ended()
        assert (desk.told.said[-1].state, desk.told.said[-1].cause) == (
            A.FAILED, Cause.DEVICE_GONE,
        )  # fmt: skip
        assert "modem-0" in await desk.channel.test((NUMBER,))


async def test_what_waits_can_be_withdrawn_and_what_is_on_the_line_is_finished(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine()
    async with fax_desk(documents, tmp_path, far) as desk:
        await desk.send("1")
        await desk.until("on the line", lambda: desk.channel.pool.sending("1"))
        await desk.send("2")
        await desk.channel.withdraw("2")
        await desk.channel.withdraw("1")
        await desk.ended("1")
        await desk.ended("2")
        ends = {p.attempt: p.state for p in desk.told.said}
        assert ends == {"1": A.DELIVERED, "2": A.WITHDRAWN}
        assert len(far.received) == 1


async def test_a_bad_number_is_not_dialled(documents: Documents, tmp_path: Path) -> None:
    async with fax_desk(documents, tmp_path, FarMachine()) as desk:
        job = Job(
            attempt="1", channel=ChannelKind.FAX, sheet=order_sheet(), addresses=("8;ATH",)
        )  # fmt: skip
        await desk.channel.send(job)
        await desk.ended()
        assert desk.told.said[-1].cause is Cause.BAD_ADDRESS
        assert desk.rigs[0].modem.number == ""
        assert "8;ATH" in await desk.channel.test(("8;ATH",))


def faxed_back(sheet: Image.Image, *ticks: Tick) -> bytes:
    """The sheet, ticked by hand, put into a fax machine askew and dirty."""
    askew = ticked(sheet, *ticks).convert("L").rotate(3.0, fillcolor=255)
    return page_of_image(noisy(askew.convert("1"), 0.002, random.Random(5))).coded(Coding.MH)


@pytest.mark.req("SB-13")
@pytest.mark.parametrize(
    ("ticks", "says"),
    [((Tick.RESULT,), Says.RESULT), ((Tick.ARRIVED,), Says.ARRIVED),
     ((Tick.OBJECTION,), Says.DISPUTE), ((), Says.NOTHING)],
)  # fmt: skip
async def test_a_returned_sheet_says_what_its_ticked_box_says(
    documents: Documents, tmp_path: Path, ticks: tuple[Tick, ...], says: Says
) -> None:
    (sheet,) = pages_of((await documents.paper(order_sheet())).tiff)
    far = FarMachine(identity="05398110119", documents=[faxed_back(sheet, *ticks)])
    async with fax_desk(documents, tmp_path, far) as desk:
        desk.rigs[0].ring()
        await desk.until("read", lambda: bool(desk.told.got))
        (got,) = desk.told.got
        assert (got.channel, got.says, got.order, got.code) == (ChannelKind.FAX, says, ORDER, CODE)
        assert got.source == "05398110119"
        (name,) = got.attachments
        assert len(read_tiff(desk.inbox / name)) == 1


async def test_a_page_without_our_symbol_goes_to_a_person(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine(documents=[plain_page(1, 300).coded(Coding.MH)])
    async with fax_desk(documents, tmp_path, far) as desk:
        desk.rigs[0].ring()
        await desk.until("told", lambda: bool(desk.told.got))
        (got,) = desk.told.got
        assert (got.says, got.order) == (Says.NOTHING, None)
        assert "no symbol of ours" in got.words
        assert len(got.attachments) == 1


async def test_the_desk_sees_each_modem(documents: Documents, tmp_path: Path) -> None:
    view = View("test", FixedClock().now, ZONE)
    device = tmp_path / "modem-0"
    rig = Class2Line(Class2Modem(FarMachine(), pace=0.05), device)
    site = Fax(
        ports=(str(device), str(tmp_path / "modem-1")), identity="110", inbox=tmp_path / "in"
    )
    tasks: list[asyncio.Task[object]] = []

    def spawn(work: Coroutine[Any, Any, object], _name: str) -> None:
        tasks.append(asyncio.ensure_future(work))

    channel = await open_fax(site, documents.paper, Told(), view, FixedClock(), spawn)
    running = asyncio.create_task(channel.run())

    async def until(what: str, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, (what, view.links, view.alarms)
            await asyncio.sleep(0.02)

    try:
        await until("one of two", lambda: view.links.get("fax", {}).get("state") == "degraded")
        await until("alarm", lambda: "fax.modem-1" in view.alarms)
        assert "fax.modem-0" not in view.alarms
        rig.pull()
        await until("none", lambda: view.links["fax"]["state"] == "down")
        assert "fax.modem-0" in view.alarms
        assert "modem-0" in await channel.test(("110",))
        rig.plug()
        await until("back", lambda: "fax.modem-0" not in view.alarms)
        assert await channel.test(("110",)) == ""
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        rig.close()
        await asyncio.gather(*tasks)


# The plan, without modems


def job(key: str, number: str = "1", *, urgent: bool = False, pages: int = 1) -> FaxJob:
    return FaxJob(key, number, tuple(plain_page(n, 20) for n in range(pages)), urgent)


def test_urgent_goes_first_and_one_line_is_kept_for_it() -> None:
    plan = Plan(lines=2)
    for key, urgent in (("a", False), ("b", True), ("c", False)):
        plan.add(job(key, urgent=urgent))
    first, second = plan.next(2), plan.next(2)
    assert first is not None
    assert second is not None
    assert (first.key, second.key) == ("b", "a")
    assert plan.next(1) is None  # the last line is for urgent jobs and for calls that come in
    plan.add(job("d", urgent=True))
    urgent_job = plan.next(1)
    assert urgent_job is not None
    assert urgent_job.key == "d"
    alone = Plan(lines=1)
    alone.add(job("e"))
    assert alone.next(1) is not None


def test_a_document_goes_on_at_the_first_page_that_was_not_confirmed() -> None:
    plan, document = Plan(lines=1), job("a", pages=3)
    assert len(plan.begin(document)[0]) == 3
    cut = Outcome(Result.NOT_DELIVERED, Why.LINE_CUT, 2)
    assert plan.ended(document, cut) == 2
    again = job("b", pages=3)
    assert plan.begin(again)[0] == document.pages[2:]
    assert len(plan.begin(job("c", "2", pages=3))[0]) == 3  # another number begins anew
    assert plan.ended(again, Outcome(Result.DELIVERED, Why.DONE, 1)) == 3
    assert len(plan.begin(job("d", pages=3))[0]) == 3


def test_a_number_that_could_not_be_trained_is_called_slower_then_without_ecm() -> None:
    plan, document = Plan(lines=1), job("a")
    seen = []
    for _ in range(4):
        plan.ended(document, Outcome(Result.NOT_DELIVERED, Why.NOT_TRAINED, 0))
        habit = plan.begin(document)[1]
        seen.append((habit.max_bps, habit.ecm))
    assert seen == [(9600, True), (4800, True), (2400, False), (2400, False)]
    plan.ended(document, Outcome(Result.DELIVERED, Why.DONE, 1, far_id="7"))
    assert plan.begin(document)[1] == Habit(far_id="7")


def test_what_waits_is_bounded() -> None:
    plan = Plan(lines=1)
    for n in range(1000):
        plan.add(job(str(n)))
    with pytest.raises(FaxRefused):
        plan.add(job("more"))
    assert plan.withdraw("5")
    assert not plan.withdraw("5")
    plan.add(job("more"))


@pytest.mark.parametrize(
    ("identity", "number", "same"),
    [("+86 539 8110119", "05398110119", True), ("8110119", "9,05398110119", True),
     ("021", NUMBER, False), ("", NUMBER, False)],
)  # fmt: skip
def test_a_far_identity_is_compared_by_its_last_digits(
    identity: str, number: str, same: bool
) -> None:
    assert same_number(identity, number) is same
