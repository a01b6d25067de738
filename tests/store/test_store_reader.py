"""Reads give what was asked for, in pages, and end within their time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.domain.conversation import S
from bridge.domain.journal import Fact, Json, iso
from bridge.domain.reconcile import Verdict
from bridge.flows.ports import Row, StoreError, Transaction
from bridge.store.connection import open_reading
from tests.store.store_kit import at, decision, opened

DAY = 86_400


async def test_cases_are_listed_by_day_and_state_newest_first_in_pages(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for day in range(3):
            for n in range(4):
                work = decision(day * DAY + n // 2, f"case-{day}-{n}", "open" if n else "closed")
                await store.commit(work)
        await store.commit(decision(9 * DAY, "case-1-2"))  # a later change moves no case
        read = store.reader
        of_day = await read.cases(since=at(DAY), until=at(2 * DAY))
        assert [line.row.id for line in of_day] == [f"case-1-{n}" for n in (3, 2, 1, 0)]
        closed = await read.cases(state="closed")
        assert [line.row.id for line in closed] == ["case-2-0", "case-1-0", "case-0-0"]
        first = await read.cases(limit=5)  # cuts between two of the same moment
        second = await read.cases(limit=20, before=first[-1])
        assert [line.row.id for line in (*first, *second)] == [
            f"case-{day}-{n}" for day in (2, 1, 0) for n in (3, 2, 1, 0)
        ]
        case = await read.case("case-1-2")
        assert case is not None
        assert (case.created_seq, case.updated_seq) == (7, 13)
        assert await read.case("case-9") is None


async def test_entries_and_rows_of_a_case_are_its_own(tmp_path: Path) -> None:
    talking = [
        Row("call", "call-1", "case-1", "talking", {}),
        Row("leg", "leg-1", "case-1", "talking", {"who": "市民"}),
        Row("handoff", "handoff-1", "case-1", "requested", {}),
    ]
    work = decision(3, "case-1")
    async with opened(tmp_path) as store:
        await store.commit(decision(1, "case-1"))
        await store.commit(decision(2, "case-2"))
        await store.commit(replace(work, rows=[*work.rows, *talking]))
        entries = await store.reader.entries_of_case("case-1")
        assert [entry.seq for entry in entries] == [1, 3]
        assert [entry.seq for entry in await store.reader.entries_of_case("case-1", after=1)] == [3]
        assert list(await store.reader.rows_of_case("case-1")) == [*work.rows, *talking]
        assert (await store.reader.entries_after(1, limit=1))[0].seq == 2


async def test_live_calls_are_those_not_cleared(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for state in S:
            row = Row("call", f"call-{state.value}", None, state.value, {})
            await store.commit(Transaction(facts=[Fact("call.state", at(0))], rows=[row]))
        live = {row.state for row in await store.reader.live_calls()}
        assert live == {state.value for state in S} - {S.CLEARED.value}
        after = await store.reader.rows("call", after="call-q")
        assert [row.id for row in after] == ["call-queued", "call-waiting"]


async def test_calls_that_are_over_and_were_never_closed_are_found_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        found: tuple[tuple[str, str, Json, float], ...] = (
            ("old", "cleared", None, 0),
            ("left", "cleared", None, 100),
            ("closed", "cleared", {"tracks": []}, 100),
            ("live", "queued", None, 100),
        )
        for name, state, recording, second in found:
            row = Row("call", name, None, state, {"recording": recording})
            await store.commit(
                Transaction(facts=[Fact("call.state", at(second), call=name)], rows=[row])
            )
        assert [row.id for row in await store.reader.unclosed_calls(at(50))] == ["left"]


async def test_calls_of_the_last_days_are_known_with_their_cases(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for day in range(3):
            work = decision(day * DAY, f"case-{day}")
            call = Row("call", f"call-{day}", f"case-{day}", "cleared", {})
            await store.commit(replace(work, rows=[*work.rows, call]))
        since = await store.reader.calls_since(at(DAY))
        assert list(since) == [("call-1", "case-1"), ("call-2", "case-2")]


async def test_differences_of_the_reckoning_are_known_by_call_with_their_last_verdict(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        for call, verdict, second in (("1.0", "missing", 0), ("2.0", "missing", 100),
                                      ("2.0", "open", 101)):  # fmt: skip
            fact = Fact("reconcile.difference", at(second), None, None, call)
            await store.commit(Transaction([replace(fact, data={"verdict": verdict})]))
        assert await store.reader.differences_since(at(100)) == {"2.0": Verdict.OPEN}


async def test_a_read_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    async with opened(tmp_path) as store:
        path = store.path
    with pytest.raises(StoreError, match="longer than"), open_reading(path, 0.05) as connection:
        connection.execute(endless)


async def test_a_reading_connection_cannot_write(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(StoreError, match="readonly"), open_reading(store.path) as connection:
            connection.execute("INSERT INTO cursor VALUES ('a', 'b')")


@pytest.mark.parametrize(
    ("citizen_in", "seat_out", "met"),
    [(1, None, True), (1, 5, True), (1, 1, True), (6, 5, False), (None, 5, False)],
)
async def test_who_left_before_the_citizen_came_has_not_spoken_with_them(
    tmp_path: Path, citizen_in: int | None, seat_out: int | None, met: bool
) -> None:
    def moment(second: int | None) -> Json:
        return None if second is None else iso(at(second))

    work = decision(1, "case-1")
    rows = [
        Row("call", "1.1", "case-1", "cleared", {"legs": ["1.1", "1.2"], "outcome": None}),
        Row("leg", "1.1", "case-1", "over", {"joined_at": moment(citizen_in)}),
        Row("leg", "1.2", "case-1", "over", {"joined_at": moment(1), "left_at": moment(seat_out)}),
    ]
    async with opened(tmp_path) as store:
        await store.commit(replace(work, rows=[*work.rows, *rows]))
        assert (await store.reader.calls_told(["1.1"]))["1.1"].delivered is met
        found = await store.reader.calls_told_between(at(0), at(9))
        assert found["1.1"].delivered is met
