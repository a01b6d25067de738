"""Orders by fax over emulated modems: what became of each is told as it was."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import io
import itertools
import json
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bridge.app.fax import modems_of, read_returned
from bridge.channels.fax import FaxChannel, FaxInbox, FaxPolicy, page_name
from bridge.channels.ports_client import PortsClient
from bridge.channels.radio import GatewayPost
from bridge.documents.form import Tick
from bridge.documents.returned import read_page
from bridge.documents.service import Documents
from bridge.domain.delivery import A, Cause, ChannelKind, Job, Says
from bridge.domain.fax_rules import FaxRules
from bridge.settings.model import SettingsError
from hardware.fax.class2_dialect import chosen_of
from hardware.fax.gateway import FaxGateway
from hardware.fax.line import FaxLine
from hardware.fax.model import Model
from hardware.fax.number import Hours, same_number
from hardware.fax.page import page_of_image, read_tiff
from hardware.fax.plan import FaxJob, FaxRefused, Habit, Plan
from hardware.fax.received import ReceivedPage
from hardware.fax.spool import Spool
from hardware.fax.t30 import Cause as Why
from hardware.fax.t30 import Outcome, Result
from hardware.fax.t30_frames import Coding
from hardware.gateways import read_gateways
from hardware.port import PortSettings
from hardware.ports.journal import Journal, State
from hardware.ports.process import PortProcess
from hardware.ports.question import question
from hardware.ports.server import PortServer
from hardware.rig.class2_far import Far, FarMachine, Quirks
from hardware.rig.class2_line import Class2Line
from hardware.rig.class2_modem import Class2Modem
from tests.channels.mail_kit import FixedClock, Told
from tests.documents.papers import CODE, ORDER, order_sheet, pages_of
from tests.hardware.fax.pages import faxed_back, plain_page, printed

NUMBER = "05398110119"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = 30.0
pytestmark = pytest.mark.timeout(120)


class QuickLine(FaxLine):
    """A line whose modem takes a page as fast as it comes."""

    def __init__(self, port: PortSettings, **more: Any) -> None:
        super().__init__(port, model=Model(name="rig", ahead_s=1000.0), locks=LOCKS, **more)


LOCKS = Path("/nowhere")


@dataclass
class FaxDesk:
    """The daemon's wire, the port process behind its socket, emulated modems behind that."""

    rules: FaxRules
    channel: FaxChannel
    process: PortProcess
    gateway: FaxGateway
    rigs: list[Class2Line]
    told: Told
    inbox: Path
    owner: asyncio.Task[None]
    """The daemon's connection; cancelled, the daemon is dead."""

    @property
    def far(self) -> FarMachine:
        return self.rigs[0].modem.far

    async def send(self, attempt: str = "1", address: str = NUMBER, **more: Any) -> None:
        more.setdefault("sheet", order_sheet())
        job = Job(attempt=attempt, channel=ChannelKind.FAX, addresses=(address,), **more)
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

    def board(self) -> list[str]:
        return [str(modem.state) for modem in self.gateway.pool.board()]


@contextlib.asynccontextmanager
async def fax_desk(
    documents: Documents, place: Path, *fars: FarMachine, quirks: Quirks | None = None
) -> AsyncIterator[FaxDesk]:
    told = Told()
    devices = [place / f"modem-{number}" for number in range(len(fars))]
    rigs = [
        Class2Line(Class2Modem(far, quirks, pace=0.05), device)
        for far, device in zip(fars, devices, strict=True)
    ]
    (place / "gateways.toml").write_text(
        f'[fax]\ndriver = "fax"\nport = "{devices[0]}"\nidentity = "+86539110"\n'
        f"more = {[str(device) for device in devices[1:]]}\nrtscts = false\n"
    )
    gateways = read_gateways(place / "gateways.toml")
    journal = Journal(place / "ports.journal")
    process = PortProcess(gateways, journal, rng=random.Random(3), now=lambda: datetime.now(UTC))
    spool = place / "fax-in"
    spool.mkdir(exist_ok=True)
    gateway = process.drivers["fax"] = FaxGateway(
        [PortSettings(name=str(device), rate=115200) for device in devices],
        "+86539110",
        answers=True,
        emit=functools.partial(process._event, "fax"),
        rng=random.Random(3),
        synced=process._synced,
        spool=spool,
        make_line=QuickLine,
    )
    await process.open()
    server = PortServer(process, place / "ports.sock")
    post = GatewayPost(told)
    client = PortsClient(place / "ports.sock", post.take)
    sent = place / "inbox" / "sent"
    sent.mkdir(parents=True, exist_ok=True)
    rules = FaxRules()
    policy = FaxPolicy(lambda: rules, lambda job: "", "UTC", sent)
    channel = FaxChannel(client, documents.paper, told, FixedClock(), policy)
    post.fax = FaxInbox(place / "inbox", read_returned, told)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.run(stop))
        tasks.create_task(server.run(stop))
        owner = tasks.create_task(client.run())
        desk = FaxDesk(rules, channel, process, gateway, rigs, told, place / "inbox", owner)
        try:
            await desk.until("ready", lambda: set(desk.board()) == {"idle"} and client.up)
            yield desk
        finally:
            owner.cancel()
            stop.set()
    for rig in rigs:
        rig.close()


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
        assert "1/1" in desk.told.said[-1].detail
        assert "is not" not in desk.told.said[-1].detail
        (sheet,) = pages_of((await documents.paper(order_sheet())).tiff)
        (octets,) = far.received
        assert printed(octets) == page_of_image(sheet)
        image = printed(octets).image()
        assert read_page(image, image.info.get("dpi")).order == ORDER


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
        assert last.data["other_station"] is True
        assert await desk.channel.look("1") is None  # nothing more is known


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
        await desk.until("back", lambda: desk.board() == ["idle", "idle"])


@pytest.mark.req("LL-09")
async def test_without_any_modem_the_order_goes_another_way_at_once(
    documents: Documents, tmp_path: Path
) -> None:
    async with fax_desk(documents, tmp_path, FarMachine()) as desk:
        desk.rigs[0].pull()
        await desk.until("away", lambda: not desk.gateway.health.usable)
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
        await desk.until("on the line", lambda: desk.gateway.pool.sending("1"))
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
        await desk.send(address="8;ATH")
        await desk.ended()
        assert desk.told.said[-1].cause is Cause.BAD_ADDRESS
        assert desk.rigs[0].modem.number == ""


async def test_a_fax_on_the_line_outlives_the_daemon(documents: Documents, tmp_path: Path) -> None:
    """What became of it while nobody owned the port process is told to the next owner."""
    far = FarMachine()
    async with fax_desk(documents, tmp_path, far) as desk:
        await desk.send()
        await desk.until("on the line", lambda: desk.gateway.pool.sending("1"))
        desk.owner.cancel()
        later = Told()
        post = GatewayPost(later)
        client = PortsClient(tmp_path / "ports.sock", post.take)
        running = asyncio.create_task(client.run())  # a new life takes over
        try:
            await desk.until("told", lambda: A.DELIVERED in later.states())
            assert len(far.received) == 1
        finally:
            running.cancel()
            await asyncio.wait((running,))


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
        await desk.until("let go", lambda: desk.process.things() == [])


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


async def test_a_page_that_cannot_be_kept_is_not_let_go(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine(documents=[plain_page(1, 300).coded(Coding.MH)])
    async with fax_desk(documents, tmp_path, far) as desk:
        shutil.rmtree(desk.inbox)
        desk.rigs[0].ring()
        await desk.until("came", lambda: len(desk.process.things()) == 1)
        await asyncio.sleep(0.3)
        assert desk.told.got == []
        desk.inbox.mkdir()
        desk.owner.cancel()
        later = Told()
        post = GatewayPost(later)
        post.fax = FaxInbox(desk.inbox, read_returned, later)
        client = PortsClient(tmp_path / "ports.sock", post.take)
        running = asyncio.create_task(client.run())
        try:
            await desk.until("said again", lambda: bool(later.got))
            assert (desk.inbox / later.got[0].attachments[0]).exists()
        finally:
            running.cancel()
            await asyncio.wait((running,))


def tiff_of(*pages: Image.Image) -> bytes:
    """One file with these pages."""
    out = io.BytesIO()
    pages[0].save(
        out, "TIFF", compression="group4", save_all=True, append_images=pages[1:], dpi=(204, 196)
    )
    return out.getvalue()


BLANK = Image.new("1", (1728, 400), 1)


@pytest.mark.parametrize(
    ("tiff", "words"),
    [
        (tiff_of(BLANK, BLANK), "2 pages"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "cannot be read"),
        (b"no picture", "cannot be read"),
        (tiff_of(Image.new("1", (9000, 40), 1)), "cannot be read"),
    ],
    ids=["two pages", "no page", "no tiff", "too wide"],
)
async def test_a_file_that_is_not_one_page_of_ours_goes_to_a_person(
    tmp_path: Path, tiff: bytes, words: str
) -> None:
    told = Told()
    body = {
        "at": "2026-03-01T08:00:00+00:00",
        "document": "ab12",
        "page": 1,
        "whole": True,
        "tiff": base64.b64encode(tiff).decode(),
    }
    await FaxInbox(tmp_path, read_returned, told).take(body, 1)
    (got,) = told.got
    assert (got.says, got.order, got.code) == (Says.NOTHING, None, None)
    assert words in got.words
    assert (tmp_path / got.attachments[0]).read_bytes() == tiff


def test_a_page_has_a_name_of_ours_whatever_it_is_called() -> None:
    at = datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert page_name({"document": "ab12", "page": 2}, at, 7) == "fax-20260301T080000-ab12-002.tif"
    hostile = page_name({"document": "../../etc/x", "page": -1}, at, 255)
    assert hostile == "fax-20260301T080000-ff-000.tif"


def test_fax_without_the_port_process_is_refused() -> None:
    with pytest.raises(SettingsError, match="ports"):
        modems_of(None, None)


async def test_a_number_that_is_closed_is_not_dialled_and_the_next_of_the_unit_is(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine()
    async with fax_desk(documents, tmp_path, far) as desk:
        desk.rules.apply(("fax.blocked", "111", {"reason": "错号"}))
        await desk.send("1", "111")
        await desk.ended("1")
        last = desk.told.said[-1]
        assert (last.state, last.cause) == (A.FAILED, Cause.REFUSED)
        assert "111: 错号" in last.detail
        assert far.received == []
        job = Job(
            attempt="2", channel=ChannelKind.FAX, sheet=order_sheet(), addresses=("1-11", NUMBER)
        )
        await desk.channel.send(job)
        await desk.ended("2")
        assert desk.told.said[-1].state is A.DELIVERED
        assert desk.told.said[-1].data["number"] == NUMBER
        assert [file.name for file in (desk.inbox / "sent").iterdir()] == ["sent-2.tif"]


# The plan, without modems


def job(key: str, number: str = "1", *, urgent: bool = False, pages: int = 1) -> FaxJob:
    return FaxJob(key, number, tuple(plain_page(n, 20) for n in range(pages)), urgent)


def test_urgent_goes_first_and_one_line_is_kept_for_it() -> None:
    plan = Plan(lines=2)
    for key, urgent in (("a", False), ("b", True), ("c", False)):
        plan.add(job(key, urgent=urgent))
    first, second = plan.next(2, NOON), plan.next(2, NOON)
    assert first is not None
    assert second is not None
    assert (first.key, second.key) == ("b", "a")
    assert plan.next(1, NOON) is None  # the last line is for urgent jobs and for calls that come in
    plan.add(job("d", urgent=True))
    urgent_job = plan.next(1, NOON)
    assert urgent_job is not None
    assert urgent_job.key == "d"
    alone = Plan(lines=1)
    alone.add(job("e"))
    assert alone.next(1, NOON) is not None


def test_a_document_goes_on_at_the_first_page_that_was_not_confirmed() -> None:
    plan, document = Plan(lines=1), job("a", pages=3)
    assert plan.begin(document)[0] == 0
    cut = Outcome(Result.NOT_DELIVERED, Why.LINE_CUT, 2)
    assert plan.ended(document, cut) == 2
    again = job("b", pages=3)
    assert plan.begin(again)[0] == 2
    assert plan.begin(job("c", "2", pages=3))[0] == 0  # another number begins anew
    assert plan.ended(again, Outcome(Result.DELIVERED, Why.DONE, 1)) == 3
    assert plan.begin(job("d", pages=3))[0] == 0


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


def test_a_job_with_hours_waits_for_them_and_lets_others_pass() -> None:
    hours = Hours.parse("08:00-18:00", "Asia/Shanghai")
    plan = Plan(lines=1)
    for key, urgent in (("day", False), ("urgent", True)):
        plan.add(FaxJob(key, "1", (plain_page(1, 20),), urgent, hours))
    plan.add(job("any"))
    midnight = datetime(2026, 3, 1, 16, tzinfo=UTC)  # of Shanghai
    assert [found.key for _ in range(2) if (found := plan.next(1, midnight))] == ["urgent", "any"]
    assert plan.next(1, midnight) is None
    morning = datetime(2026, 3, 2, 0, tzinfo=UTC)
    found = plan.next(1, morning)
    assert found is not None
    assert found.key == "day"


@pytest.mark.parametrize(
    ("span", "hour", "inside"),
    [("08:00-18:00", 7, False), ("08:00-18:00", 8, True), ("08:00-18:00", 18, False),
     ("22:00-06:00", 23, True), ("22:00-06:00", 5, True), ("22:00-06:00", 6, False)],
)  # fmt: skip
def test_hours_may_go_over_midnight(span: str, hour: int, inside: bool) -> None:
    at = datetime(2026, 3, 1, hour, tzinfo=UTC)
    assert Hours.parse(span, "UTC").hold(at) is inside


@pytest.mark.parametrize(
    ("span", "zone"), [("", "UTC"), ("8-18", "UTC"), ("08:00", "UTC"), ("08:00-18:00", "Mars/X")]
)
def test_hours_that_are_none_are_refused(span: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Hours.parse(span, zone)


def test_nothing_goes_while_a_person_has_paused_everything() -> None:
    plan = Plan(lines=1, paused="维修")
    plan.add(job("a", urgent=True))
    assert plan.next(1, NOON) is None
    plan.paused = None
    assert plan.next(1, NOON) is not None


async def test_a_paused_modem_sends_nothing_and_another_does(
    documents: Documents, tmp_path: Path
) -> None:
    fars = (FarMachine(), FarMachine())
    async with fax_desk(documents, tmp_path, *fars) as desk:
        await desk.process.pause({"modem-0": "维修"})
        assert desk.board() == ["paused", "idle"]
        await desk.send("1", urgent=True)
        await desk.ended("1")
        assert (len(fars[0].received), len(fars[1].received)) == (0, 1)
        await desk.process.pause({"": "停用"})
        assert not desk.gateway.health.usable
        assert "停用" in await desk.channel.test((NUMBER,))
        await desk.send("2", urgent=True)
        await desk.until("waits", lambda: bool(desk.gateway.board().waiting))
        await asyncio.sleep(0.3)
        assert desk.board() == ["idle", "idle"]
        await desk.process.pause({})
        await desk.ended("2")
        assert len(fars[0].received) + len(fars[1].received) == 2


async def test_the_board_follows_a_call(documents: Documents, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    far = FarMachine(identity="05398110119")
    async with fax_desk(documents, tmp_path, far) as desk:
        said = desk.process.say

        def say(body: dict[str, Any]) -> None:
            if body["type"] == "board":
                seen.append(body["modems"][0])
            said(body)

        desk.process.say = say
        await desk.send()
        await desk.ended()
        states = [state for state, _ in itertools.groupby(row["state"] for row in seen)]
        assert states[states.index("dialling") :] == ["dialling", "sending", "idle"]
        (last,) = [row for row in seen if row["state"] == "sending"][-1:]
        assert (last["page"], last["of"], last["confirmed"]) == (1, 1, 1)
        assert (last["number"], last["bps"], last["far_id"]) == (NUMBER, 14400, far.identity)
        desk.rigs[0].pull()
        await desk.until("unplugged", lambda: desk.board() == ["unplugged"])
        desk.rigs[0].plug()
        await desk.until("back", lambda: desk.board() == ["idle"])
        far.documents.append(plain_page(1, 300).coded(Coding.MH))
        desk.rigs[0].ring()
        await desk.until("came", lambda: bool(desk.told.got))
        assert "receiving" in [row["state"] for row in seen]


async def test_the_journal_as_it_stood_at_each_moment_of_a_call_tells_the_truth(
    documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each copy is an earlier death of the port process: what it leads to is never a page that is
    lost, and never *delivered* without the far machine's confirmation."""
    copies: list[tuple[Path, int]] = []
    far = FarMachine()
    real = Journal._write

    def copying(self: Journal, data: bytes) -> None:
        real(self, data)
        copy = tmp_path / f"dead-{len(copies)}.journal"
        shutil.copy(tmp_path / "ports.journal", copy)
        copies.append((copy, len(far.received)))

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_write", copying)
        async with fax_desk(documents, tmp_path, far) as desk:
            await desk.send()
            await desk.ended()
    ends = set()
    for number, (copy, confirmed) in enumerate(copies):
        place = tmp_path / f"life-{number}"
        place.mkdir()
        shutil.copy(copy, place / "ports.journal")
        later = FarMachine()
        async with fax_desk(documents, place, later) as desk:
            state = State()
            for line in copy.read_bytes().splitlines():
                state.apply(json.loads(line))
            stage = state.jobs.get("1", {"stage": None}).get("stage", "queued")
            if stage not in ("queued", "sending") and not state.things:
                continue  # it had not been taken, or its outcome is stored
            await desk.ended()
            last = desk.told.said[-1].state
            ends.add(last)
            if last is A.DELIVERED:
                assert confirmed + len(later.received) == 1, "delivered, and nobody confirmed it"
            else:
                assert last is A.UNKNOWN
                assert later.received == [], "sent again without the mark"
    assert ends == {A.DELIVERED, A.UNKNOWN}


async def test_what_a_number_could_do_outlives_the_port_process(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine(identity="05398110119", max_bps=9600)
    async with fax_desk(documents, tmp_path, far) as desk:
        await desk.send()
        await desk.ended()
    async with fax_desk(documents, tmp_path, FarMachine()) as desk:
        habit = desk.gateway.pool.plan.habit(NUMBER)
        assert (habit.far_id, habit.last[:10]) == (far.identity, "9600 bit/s")


async def test_a_document_goes_on_at_its_unconfirmed_page_after_a_restart(
    documents: Documents, tmp_path: Path
) -> None:
    sheet = order_sheet(words="水管爆裂," * 400)
    far = FarMachine(statuses=[1] + [2] * 20)
    async with fax_desk(documents, tmp_path, far) as desk:
        await desk.send("1", sheet=sheet)
        await desk.ended("1")
        last = desk.told.said[-1]
        assert (last.state, last.data["pages"]) == (A.FAILED, 1)
        pages = int(str(last.data["of"]))
        assert pages > 1
    far = FarMachine()
    async with fax_desk(documents, tmp_path, far) as desk:
        await desk.send("2", sheet=sheet)
        await desk.ended("2")
        last = desk.told.said[-1]
        assert (last.state, last.data["pages"]) == (A.DELIVERED, pages)
        assert len(far.received) == pages - 1, "the first page is there already"
    async with fax_desk(documents, tmp_path, FarMachine()) as desk:
        assert desk.gateway.pool.plan.partly(NUMBER) == {}


async def test_a_tool_that_looks_sees_the_board(documents: Documents, tmp_path: Path) -> None:
    async with fax_desk(documents, tmp_path, FarMachine()):
        answer = await question(tmp_path / "ports.sock", "list")
        (gateway,) = answer["gateways"]
        assert [row["state"] for row in gateway["board"]["modems"]] == ["idle"]


def spooled(place: Path) -> list[str]:
    return sorted(file.name for file in (place / "fax-in").iterdir())


async def test_a_page_is_on_the_disk_before_the_far_machine_is_told_that_we_have_it(
    documents: Documents, tmp_path: Path
) -> None:
    pages = [plain_page(n, 300).coded(Coding.MH) for n in (1, 2)]
    far = FarMachine(identity="05398110119", documents=pages)
    async with fax_desk(documents, tmp_path, far) as desk:
        receive, seen = desk.rigs[0].modem._receive_page, list[int]()

        def asked_for_the_next() -> None:
            """The modem says MCF to the page before."""
            seen.append(len(spooled(tmp_path)))
            receive()

        desk.rigs[0].modem._receive_page = asked_for_the_next  # type: ignore[method-assign]
        desk.rigs[0].ring()
        await desk.until("told", lambda: len(desk.told.got) == 2)
        assert seen == [0, 1, 2]
        await desk.until("let go", lambda: spooled(tmp_path) == [])


async def test_a_page_that_was_confirmed_survives_the_death_of_the_port_process(
    documents: Documents, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "fax-in")
    (tmp_path / "fax-in").mkdir()
    pages = [plain_page(n, 300) for n in (1, 2, 3)]
    chosen = chosen_of("1,5,0,2,0,0,0,0")
    coded = [ReceivedPage(chosen, confirmed=True, octets=p.coded(Coding.MH)) for p in pages]
    calls = (("a" * 32, 1), ("a" * 32, 2), ("b" * 32, 1))
    names = [spool.keep(page, *call, "7") for page, call in zip(coded, calls, strict=True)]
    (tmp_path / "fax-in" / ".torn").write_bytes(b"II")
    known = {"kind": "fax", "spool": names[2], "at": "2026-01-01T00:00:00+00:00"}
    lines = [{"e": "thing", "seq": 1, "body": known}, {"e": "ack", "seq": 1}]
    (tmp_path / "ports.journal").write_text("".join(json.dumps(line) + "\n" for line in lines))
    async with fax_desk(documents, tmp_path, FarMachine()) as desk:
        await desk.until("told", lambda: len(desk.told.got) == 2)
        await desk.until("let go", lambda: spooled(tmp_path) == [])
        assert [got.source for got in desk.told.got] == ["7", "7"]
        assert all(got.says is Says.NOTHING for got in desk.told.got), "a person looks"
        held = [read_tiff(desk.inbox / got.attachments[0])[0] for got in desk.told.got]
        assert held == pages[:2]
    async with fax_desk(documents, tmp_path, FarMachine()) as again:
        await asyncio.sleep(0.3)
        assert again.told.got == [], "once is enough"


async def test_a_page_that_cannot_be_kept_is_not_confirmed(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine(documents=[plain_page(1, 300).coded(Coding.MH)])
    async with fax_desk(documents, tmp_path, far) as desk:
        shutil.rmtree(tmp_path / "fax-in")
        desk.rigs[0].ring()
        await desk.until("refused", lambda: bool(desk.rigs[0].modem.overruled))
        assert desk.rigs[0].modem.overruled == [2], "RTN"


@pytest.mark.req("SB-11")
async def test_a_modem_pulled_in_the_middle_of_a_page_is_noticed_in_two_seconds_and_comes_back(
    documents: Documents, tmp_path: Path
) -> None:
    far = FarMachine()
    async with fax_desk(documents, tmp_path, far) as desk:
        desk.rigs[0].modem._pace = 1.0  # the page takes its time
        await desk.send()
        await desk.until("a page is on the line", lambda: bool(desk.rigs[0].modem._page))
        pulled = time.monotonic()
        desk.rigs[0].pull()
        await desk.ended()
        assert time.monotonic() - pulled < 2.0
        last = desk.told.said[-1]
        assert last.state is A.UNKNOWN, "the modem had the whole page"
        assert "may hold" in last.detail
        assert far.received == []
        assert desk.board() == ["unplugged"]
        desk.rigs[0].modem._pace = 0.05
        desk.rigs[0].plug()
        await desk.until("back", lambda: desk.board() == ["idle"])
        await desk.send("2")
        await desk.ended("2")
        assert desk.told.said[-1].state is A.DELIVERED
