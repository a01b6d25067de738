"""Faxes over the lines of the switch: which call begins when, and what never happens twice. The
real Asterisk is in tests/live/test_fax_lines.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.asterisk.fax_calls import FaxCalls
from bridge.channels.fax import FaxPolicy
from bridge.channels.fax_lines import LineBoard
from bridge.channels.fax_switch import Lines, SwitchFax
from bridge.documents.service import Documents
from bridge.domain.delivery import A, Cause, ChannelKind, Job
from bridge.domain.fax_rules import FaxRules
from bridge.flows.fax_ports import FaxCall
from bridge.flows.ports import ActRefused
from tests.asterisk.ami_peer import AmiPeer
from tests.asterisk.watched import running, settings
from tests.channels.mail_kit import FixedClock, Told
from tests.documents.papers import order_sheet


@dataclass
class Desk:
    """The wire on a link to a switch that takes every call and lets us say what became of it."""

    peer: AmiPeer
    calls: FaxCalls
    channel: SwitchFax
    told: Told
    out: Path
    rules: FaxRules
    boards: list[Mapping[str, Any]]

    async def send(self, attempt: str, number: str = "05391", **more: Any) -> None:
        more.setdefault("sheet", order_sheet(klass="GENERAL"))
        job = Job(attempt=attempt, channel=ChannelKind.FAX, addresses=(number,), **more)
        await self.channel.send(job)

    async def until_told(self, attempt: str, state: A) -> None:
        async with asyncio.timeout(10):
            while not any((p.attempt, p.state) == (attempt, state) for p in self.told.said):
                await asyncio.sleep(0.01)

    def dialled(self) -> list[str]:
        return [one.get("ChannelId") for one in self.peer.asked("Originate")]

    def ended(self, attempt: str, cause: int) -> None:
        self.peer.event("Hangup", f"Uniqueid: fax-{attempt}", f"Cause: {cause}")

    def sent(self, attempt: str, confirmed: int, status: str, words: str) -> None:
        said = f"{attempt}/05391/1/8031x7700/{confirmed}/14400/T38/{status}/{words}/05391"
        lines = ("UserEvent: FaxSent", f"Uniqueid: fax-{attempt}", f"Said: {said}")
        self.peer.event("UserEvent", *lines)


@asynccontextmanager
async def desk(
    documents: Documents, place: Path, *, lines: int = 2, hours: str = ""
) -> AsyncIterator[Desk]:
    out, told, rules = place / "out", Told(), FaxRules()
    for folder in (out, place / "sent"):
        folder.mkdir()
    tasks: list[asyncio.Task[object]] = []
    async with AmiPeer() as peer:
        peer.answers["Originate"] = lambda connection, asked: connection.respond(asked)
        peer.answers["Hangup"] = lambda connection, asked: connection.respond(asked)
        heard: list[FaxCalls] = []
        options = {"on_event": lambda event: heard[0].event(event) if heard else None}
        async with running(settings(peer.port), **options) as watched:
            await watched.wait_up()

            def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
                tasks.append(asyncio.create_task(work, name=name))

            calls = FaxCalls(watched.link, lambda: datetime.now(UTC), lambda _s, do: do())
            calls.settled.set()
            policy = FaxPolicy(lambda: rules, lambda _: hours, "Asia/Shanghai", place / "sent")
            way = Lines(calls, "fax", lines, out)
            boards: list[Mapping[str, Any]] = []
            board = LineBoard(calls.pages, "fax", lines, boards.append)
            channel = SwitchFax(way, documents.paper, told, FixedClock(), policy, spawn, board)
            calls.see = channel.see
            heard.append(calls)
            yield Desk(peer, calls, channel, told, out, rules, boards)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert [one for one in ended if isinstance(one, Exception)] == []


@pytest.mark.req("SB-11")
async def test_one_line_is_kept_for_what_is_urgent(documents: Documents, tmp_path: Path) -> None:
    async with desk(documents, tmp_path) as d:
        await d.send("1.1")
        await d.until_told("1.1", A.SENDING)
        await d.send("1.2")
        await d.send("1.3", urgent=True)
        await d.peer.wait_asked("Originate", 2)
        assert d.dialled() == ["fax-1.1", "fax-1.3"]
        last = d.boards[-1]
        assert [(row["key"], row["state"]) for row in last["modems"]] == [
            ("1.1", "dialling"),
            ("1.3", "dialling"),
        ]
        assert last["waiting"] == [{"key": "1.2", "number": "05391", "urgent": False, "pages": 1}]
        d.sent("1.1", 1, "SUCCESS", "OK")
        await d.until_told("1.1", A.DELIVERED)
        assert not (d.out / "1.1.tif").exists()
        assert d.dialled() == ["fax-1.1", "fax-1.3"], "the urgent one has the other line"
        d.ended("1.3", 17)
        await d.peer.wait_asked("Originate", 3)
        assert (d.out / "1.2.tif").exists()
        assert (tmp_path / "sent" / "sent-1.2.tif").exists(), "the copy for its report"


async def test_the_same_attempt_again_and_a_closed_number_are_not_dialled(
    documents: Documents, tmp_path: Path
) -> None:
    async with desk(documents, tmp_path) as d:
        d.rules.apply(("fax.blocked", "05399", {"reason": "a person answers"}))
        await d.send("1.1", number="05399")
        await d.until_told("1.1", A.FAILED)
        assert [one.cause for one in d.told.said] == [Cause.REFUSED]
        await d.send("1.2")
        await d.send("1.2")
        await d.peer.wait_asked("Originate")
        await d.send("1.3", number="8;x")
        await d.until_told("1.3", A.FAILED)
        assert [one.cause for one in d.told.said if one.attempt == "1.3"] == [Cause.BAD_ADDRESS]
        assert d.dialled() == ["fax-1.2"]


async def test_a_pause_and_the_hours_of_a_number_hold_what_is_not_urgent(
    documents: Documents, tmp_path: Path
) -> None:
    """The clock stands at 16:30 in the zone."""
    async with desk(documents, tmp_path, hours="08:00-16:00") as d:
        await d.channel.pause({"": "paper jam"})
        await d.send("1.1")
        await d.send("1.2", urgent=True)
        async with asyncio.timeout(10):
            while len(list(d.out.glob("*.tif"))) < 2:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert d.dialled() == []
        assert (d.boards[-1]["paused"], len(d.boards[-1]["waiting"])) == ("paper jam", 2)
        await d.channel.pause({"modem-1": "elsewhere"})
        await d.peer.wait_asked("Originate")
        assert d.dialled() == ["fax-1.2"], "the other waits for its hours"
        await d.channel.withdraw("1.1")
        await d.until_told("1.1", A.WITHDRAWN)
        assert d.boards[-1]["waiting"] == []


async def test_a_call_that_rings_is_taken_back_and_a_page_on_the_line_is_not_torn(
    documents: Documents, tmp_path: Path
) -> None:
    async with desk(documents, tmp_path) as d:
        for attempt in ("1.1", "1.2"):
            await d.send(attempt, urgent=True)
        await d.peer.wait_asked("Originate", 2)
        d.peer.event("UserEvent", "UserEvent: FaxAnswered", "Uniqueid: fax-1.2", "Attempt: 1.2")
        await d.until_told("1.2", A.SENT)
        await d.channel.withdraw("1.1")
        await d.channel.withdraw("1.2")
        assert [one.get("Channel") for one in d.peer.asked("Hangup")] == ["fax-1.1"]
        d.ended("1.1", 0)
        d.ended("1.2", 16)
        await d.until_told("1.1", A.WITHDRAWN)
        await d.until_told("1.2", A.UNKNOWN)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [(17, Cause.BUSY), (19, Cause.NO_ANSWER), (21, Cause.REJECTED), (1, Cause.BAD_ADDRESS),
     (34, Cause.CONGESTION)],
)  # fmt: skip
async def test_a_call_that_nobody_answered_has_the_switchs_cause(
    documents: Documents, tmp_path: Path, cause: int, expected: Cause
) -> None:
    async with desk(documents, tmp_path) as d:
        await d.send("1.1", urgent=True)
        await d.peer.wait_asked("Originate")
        d.ended("1.1", cause)
        await d.until_told("1.1", A.FAILED)
        last = d.told.said[-1]
        assert (last.cause, last.data["number"]) == (expected, "05391")


@pytest.mark.parametrize(
    "dial",
    ["PJSIP/1&PJSIP/2", "PJSIP/fax", "Local/800@from-fax", "PJSIP/8x0@fax", "PJSIP/800@fax/n", ""],
)
async def test_nothing_but_a_number_on_the_fax_lines_is_dialled(dial: str) -> None:
    async with AmiPeer() as peer, running(settings(peer.port)) as watched:
        await watched.wait_up()
        calls = FaxCalls(watched.link, lambda: datetime.now(UTC), lambda _s, do: do())
        call = FaxCall(attempt="1.1", dial=dial, caller="110", pages=1, ring_s=60)
        with pytest.raises(ActRefused):
            await calls.call(call)
        good = FaxCall(attempt="../1", dial="PJSIP/800@fax", caller="110", pages=1, ring_s=60)
        with pytest.raises(ActRefused):
            await calls.call(good)
        assert peer.asked("Originate") == []
