"""Shared cases: told before the ring within a bound, answered once, followed by the call."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.app.platforms import described_by
from bridge.domain.acts import DialThird, Target
from bridge.domain.call import Call, Handoff, Role
from bridge.domain.case_file import Description
from bridge.domain.errors import Refused
from bridge.domain.journal import Entry, Fact
from bridge.domain.shared_case import CaseStatus, SharedCase, digest
from bridge.domain.territory import Territory
from bridge.flows.case_desk import CaseDesk
from bridge.flows.order_desk import Asker
from bridge.flows.peer_words import Alias, Asking, Described, Peer
from bridge.flows.peers import BEFORE_RINGING_S, Peers
from bridge.flows.ports import StoreError, StoreUnknown, Transaction
from bridge.flows.recorder import Recorder
from bridge.flows.rows import replay
from bridge.store import SqliteStore
from bridge.store.rebuild import check
from tests.orders.order_kit import CASE, a_case
from tests.store.store_kit import START, busy_writer, opened, until


@dataclass
class Now:
    """Wall time that the test moves."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Kit:
    """The flow on a real store; whoever would carry messages is the test."""

    store: SqliteStore
    clock: Now = field(default_factory=Now)
    poked: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[object]] = field(default_factory=set)
    peers: Peers = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.store, lambda _: None)
        self.peers = self.another_life()

    def another_life(self) -> Peers:
        return Peers(
            site="linyi",
            centre="临沂",
            peers={
                "12345": Peer(
                    "12345",
                    "热线",
                    "https://x",
                    [
                        Alias("12319", date(2024, 1, 1)),
                        Alias("12315", date(2024, 1, 1), date(2025, 1, 1)),
                        Alias("12358", date(2099, 1, 1)),
                    ],
                )
            },
            recorder=self.recorder,
            clock=self.clock,
            spawn=self.spawn,
            poke=self.poked.append,
            tell_link=lambda peer, words: self.links.append(words),
        )

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        self.tasks.add(asyncio.create_task(work, name=name))

    async def waiting(self) -> int:
        return (await self.store.reader.messages_waiting("platform.12345"))[0]


@contextlib.asynccontextmanager
async def kit_in(directory: Path) -> AsyncIterator[Kit]:
    async with opened(directory) as store:
        kit = Kit(store)
        writing = asyncio.create_task(kit.recorder.run())
        try:
            yield kit
        finally:
            await kit.recorder.drain(20)
            writing.cancel()


TARGET = Target("12345", "热线", "PJSIP/12345@x", Role.HOTLINE, "hotline", "press", 20)


def dialled(handoff: str = "h-1") -> tuple[DialThird, Call]:
    """A third is about to be called for a citizen's call."""
    call = Call("1700.1", "20260301-0001", "PJSIP/t-1", "13805391234", "110")
    call.offered_at = START
    asked = Handoff(handoff, "three-way", "12345", "8001", "w", times={"requested": START})
    call.handoffs[handoff] = asked
    return DialThird(call.id, call.channel, "leg-1", handoff, TARGET, call.number), call


def incoming(**more: Any) -> SharedCase:
    """What the platform sends about our case."""
    said: dict[str, Any] = {"case": "20260301-0001", "origin": "linyi", "revision": None}
    return SharedCase(**(said | more))


async def test_the_telephone_waits_for_the_document_but_not_long(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        act, call = dialled()
        begun = time.monotonic()
        await kit.peers.before_dial(act, call)
        took = time.monotonic() - begun
        assert took >= BEFORE_RINGING_S * 0.9  # nobody delivered it
        assert await kit.waiting() == 1  # it is kept all the same
        assert kit.poked == ["12345"]
        record = kit.peers.book.cases["linyi/20260301-0001"]
        assert record.case.caller.number == "13805391234"
        assert record.case.handoff.requested_at == START
        again, call = dialled("h-2")
        telling = asyncio.create_task(kit.peers.before_dial(again, call))
        await until(lambda: kit.poked == ["12345"] * 2)
        case = kit.peers.book.cases["linyi/20260301-0001"].case
        await kit.peers.delivered("12345", case.id, digest(case), START)
        await asyncio.wait_for(telling, 30)
        assert kit.peers.status()[0]["sent"] == 1


async def test_a_way_known_to_be_gone_holds_no_telephone(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        await kit.peers.link("12345", "connection refused")
        await kit.peers.link("12345", "connection refused")
        assert kit.links == ["connection refused"]
        act, call = dialled()
        await kit.peers.before_dial(act, call)
        assert not kit.peers._arrived
        assert await kit.waiting() == 1
        await kit.peers.link("12345", "")
        assert kit.links[-1] == ""


async def test_others_and_lost_calls_are_let_through(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        act, call = dialled()
        await kit.peers.before_dial(act, None)
        await kit.peers.before_dial(replace(act, target=replace(TARGET, id="6001")), call)
        assert await kit.waiting() == 0


async def test_the_call_is_followed_by_its_document(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        for handoff, kind, status in (
            ("h-1", "handoff.accepted", CaseStatus.ACCEPTED),
            ("h-2", "handoff.ended", CaseStatus.CANCELLED),
        ):
            act, call = dialled(handoff)
            await kit.peers.before_dial(act, call)
            fact = Fact(kind, START, call.case, call.id, handoff, data={"outcome": "busy"})
            kit.peers.see([Entry("linyi", 1, fact, "", "")])
            await until(
                lambda status=status: (
                    kit.peers.book.cases["linyi/20260301-0001"].case.status  # type: ignore[misc]
                    is status
                ),
                30,
            )


async def test_the_same_post_is_answered_as_the_first_time_for_a_day(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        case = incoming(ticket="T-1")
        first = await kit.peers.receive("12345", "post-0001", case, "hash", START)
        kit.clock.at += timedelta(hours=23)
        assert await kit.peers.receive("12345", "post-0001", case, "hash", START) == first
        with pytest.raises(Refused, match="key-reused"):
            await kit.peers.receive("12345", "post-0001", case, "other", START)
        assert kit.peers.status()[0]["received"] == 1
        later = kit.another_life()  # also after a restart
        later.restore(await kit.store.reader.peer_cases(START - timedelta(days=1)))
        assert await later.receive("12345", "post-0001", case, "hash", START) == first
        assert later.book.cases[case.id].case.ticket == "T-1"


async def test_what_is_not_stored_is_not_known(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        kit.recorder.trouble = "no space left"
        with pytest.raises(StoreError):
            await kit.peers.receive("12345", "post-0001", incoming(), "hash", START)
        with pytest.raises(Refused, match="store-cannot-write"):
            await kit.peers.open(Asking("8001", "key-0001"), "C-1", "12345", Described())
        assert kit.peers.book.cases == {}
        kit.recorder.trouble = ""
        await kit.peers.receive("12345", "post-0001", incoming(), "hash", START)
        assert len(kit.peers.book.cases) == 1


class Doubtful:
    """A store whose commit ends without a word, after or before it has happened."""

    def __init__(self, store: SqliteStore, *, happens: bool, tells: bool = True) -> None:
        self._store = store
        self._happens = happens
        self._tells = tells

    async def commit(self, work: Transaction) -> Sequence[Entry]:
        made: Sequence[Entry] = ()
        if self._happens:
            made = await self._store.commit(work)
        elif self._tells:
            made = [Entry("site", 10**6, work.facts[0], "0" * 64, "1" * 64)]
        raise StoreUnknown("EIO at the sync", made)

    async def happened(self, entries: Sequence[Entry]) -> bool:
        return await self._store.happened(entries)


@pytest.mark.parametrize(
    ("happens", "tells", "refusal"),
    [(True, True, ""), (False, True, "store-cannot-write"), (False, False, "outcome-unknown")],
)
async def test_a_commit_of_which_nobody_saw_the_end_is_looked_up_before_anything_is_said(
    tmp_path: Path, happens: bool, tells: bool, refusal: str
) -> None:
    async with kit_in(tmp_path) as kit:
        doubtful = Doubtful(kit.store, happens=happens, tells=tells)
        kit.recorder._store = doubtful
        opening = kit.peers.open(Asking("8001", "key-0001"), "C-1", "12345", Described())
        if refusal:
            with pytest.raises(Refused, match=refusal):
                await opening
        else:
            await opening
        assert set(kit.peers.book.cases) == ({"linyi/C-1"} if happens else set())
        assert kit.poked == (["12345"] if happens else [])
        rows = await kit.store.reader.peer_cases(START - timedelta(days=1))
        assert {row.id for row in rows} == set(kit.peers.book.cases)


async def test_the_tables_follow_from_the_journal(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        await kit.peers.open(Asking("8001", "key-0001"), "C-1", "12345", Described(place="路口"))
        await kit.peers.take_over(Asking("8001", "key-0002"), "linyi/C-1", "李", "T-1")
        await kit.peers.receive("12345", "post-0001", incoming(place="桥头"), "h", START)
        case = kit.peers.book.cases["linyi/C-1"].case
        await kit.peers.delivered("12345", case.id, digest(case), START)
        assert check(tmp_path / "site.db", replay) == []
        again = kit.another_life()
        again.restore(await kit.store.reader.peer_cases(START))
        assert {i: r.case for i, r in again.book.cases.items()} == {
            i: r.case for i, r in kit.peers.book.cases.items()
        }


@pytest.mark.req("LY-13")
@pytest.mark.parametrize(
    ("number", "today", "desk"),
    [
        ("12319", date(2023, 12, 31), "12319"),
        ("12319", date(2024, 1, 1), "12345"),
        ("12315", date(2024, 12, 31), "12345"),
        ("12315", date(2025, 1, 1), "12315"),
        ("12358", date(2026, 3, 1), "12358"),
        ("12345", date(2026, 3, 1), "12345"),
    ],
)
async def test_an_old_hotline_number_is_12345s_from_its_day_on(
    tmp_path: Path, number: str, today: date, desk: str
) -> None:
    async with kit_in(tmp_path) as kit:
        assert kit.peers.resolve(number, today) == desk


async def test_who_gives_up_while_it_is_being_stored_loses_nothing(tmp_path: Path) -> None:
    """The telephone does not wait for a slow disk; what was stored is known here all the same."""
    async with kit_in(tmp_path) as kit, busy_writer(kit.store):
        act, call = dialled()
        await kit.peers.before_dial(act, call)
        giving_up = asyncio.create_task(kit.peers.receive("12345", "post-0001", OTHER, "h", START))
        await asyncio.sleep(0)
        giving_up.cancel()
        assert kit.peers.book.cases == {}
    async with kit_in(tmp_path) as kit:
        found = kit.another_life()
        found.restore(await kit.store.reader.peer_cases(START))
        assert set(found.book.cases) == {"linyi/20260301-0001", OTHER.id}


OTHER = SharedCase(case="9", origin="12345")


async def until_sent(kit: Kit, condition: Callable[[], bool]) -> None:
    """What was begun behind the request has come about."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.req("LY-10")
async def test_what_a_seat_wrote_of_a_case_goes_over_with_it_and_after_it(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        await kit.store.commit(a_case())
        cases = CaseDesk(
            recorder=kit.recorder,
            clock=kit.clock,
            memory=kit.store.reader,
            alarm=lambda *_: None,
            spawn=kit.spawn,
        )
        kit.peers.described = described_by(cases, "")
        written = Description(
            klass="GENERAL",
            category="WAT.02",
            area="兰山区",
            place="解放路1号",
            words="水管爆裂\n<b>",
            caller_name="王某",
        )
        await cases.describe(Asker("T-8001"), CASE, written, "describe-1")
        act, call = dialled()
        call.case = CASE
        await kit.peers.before_dial(act, call)
        case = kit.peers.book.cases[f"linyi/{CASE}"].case
        assert (case.klass, case.category, case.area) == ("GENERAL", "WAT.02", "兰山区")
        assert (case.place, case.words, case.caller.name) == ("解放路1号", "水管爆裂\n<b>", "王某")
        await cases.describe(Asker("T-8001"), CASE, Description(place="人民路2号"), "describe-2")
        kit.peers.see(await kit.store.reader.entries_after(0))
        await until_sent(kit, lambda: kit.peers.book.cases[case.id].case.place == "人民路2号")
        followed = kit.peers.book.cases[case.id].case
        assert followed.revision == (case.revision or 0) + 1
        await asyncio.gather(*kit.tasks)
        kit.peers.see((await kit.store.reader.entries_after(0))[-1:])
        await kit.peers.catch_up()
        await asyncio.gather(*kit.tasks)
        assert kit.peers.book.cases[case.id].case == followed, "nothing new, nothing sent"
        kit.clock.at += timedelta(minutes=1)
        theirs = Described(place="人民路2号院内")
        await kit.peers.describe(Asking("12345", "key-theirs"), case.id, theirs)
        kit.clock.at += timedelta(minutes=1)
        await cases.describe(Asker("T-8001"), CASE, Description(category="WAT.01"), "describe-3")
        kit.peers.see((await kit.store.reader.entries_after(0))[-1:])
        await until_sent(kit, lambda: kit.peers.book.cases[case.id].case.category == "WAT.01")
        place = kit.peers.book.cases[case.id].case.place
        assert place == "人民路2号院内", "only what was written now goes over"
        kit.clock.at += timedelta(minutes=1)
        await cases.describe(Asker("T-8001"), CASE, Description(place="北京路3号"), "describe-4")
        again = kit.another_life()  # it died before it was sent
        again.restore(await kit.store.reader.peer_cases(START))
        again.described = described_by(cases, "")
        await again.catch_up()
        assert again.book.cases[case.id].case.place == "北京路3号"


async def test_a_case_that_cannot_be_read_rings_in_time_and_follows(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        away = [StoreError("the store cannot be read")]

        async def described(_: str) -> Described:
            if away:
                raise away.pop()
            return Described(place="解放路1号")

        kit.peers.described = described
        act, call = dialled()
        await kit.peers.before_dial(act, call)
        ident = f"linyi/{call.case}"
        assert kit.peers.book.cases[ident].case.place == ""
        await until_sent(kit, lambda: kit.peers.book.cases[ident].case.place == "解放路1号")


@pytest.mark.req("LY-12")
async def test_the_document_goes_to_the_peer_of_the_cases_area(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        kit.peers.peers["123451"] = Peer("123451", "兰山区热线", "https://y")
        kit.peers.territory = Territory({"12345": (), "123451": ("兰山区",)})
        for number, area, peer in (("1", "兰山区", "123451"), ("2", "河东区", "12345")):
            ask = Asking("T-8001", f"key-{number}")
            await kit.peers.open(ask, number, "12345", Described(area=area))
            assert list(kit.peers.book.cases[f"linyi/{number}"].queued) == [peer]
