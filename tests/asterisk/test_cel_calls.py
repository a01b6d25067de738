"""Calls that came in, out of rows that a real Asterisk 22.10.1 wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bridge.asterisk.cel import Position, parse_rows
from bridge.asterisk.cel_calls import CelLog, Tally, end_of

CAPTURE = Path(__file__).parents[1] / "captures" / "cel" / "three-way.csv"
"""A three-way call, a call by the hotline that nobody took, a call ended from outside."""


def tally_of(data: bytes) -> Tally:
    made = Tally()
    made.take(parse_rows(data))
    return made


def test_calls_from_outside_and_nothing_else_are_counted() -> None:
    calls = tally_of(CAPTURE.read_bytes()).calls
    assert {call.id: (call.number, call.named) for call in calls.values()} == {
        "1795645836.0": ("13900000001", True),
        "1795645837.3": ("12345", True),
        "1795645838.4": ("13900000002", True),
    }


def test_who_met_whom_and_who_ended_it() -> None:
    calls = tally_of(CAPTURE.read_bytes()).calls
    talked, alone, cut = calls.values()
    assert talked.met_at == datetime.fromtimestamp(1795645836.442139, UTC)
    assert (talked.let_go, talked.source) == (False, "PJSIP/trunk-00000000")
    assert alone.met_at is None
    assert alone.ended_at is not None
    assert not alone.let_go
    assert cut.met_at is not None
    assert cut.let_go


def test_rows_of_an_older_form_name_calls_by_the_plan_alone() -> None:
    rows = CAPTURE.read_bytes().splitlines(keepends=True)
    older = b"".join(b",".join(row.rsplit(b",", 2)[:1]) + b"\n" for row in rows)
    calls = tally_of(older).calls
    assert len(calls) == 3
    assert all(call.ended_at for call in calls.values())


def test_a_call_without_a_case_is_counted() -> None:
    rows = CAPTURE.read_bytes().splitlines(keepends=True)
    calls = tally_of(b"".join(row for row in rows if not row.startswith(b'"CASE"'))).calls
    assert [call.named for call in calls.values()] == [False] * 3


def test_rows_arriving_in_any_pieces_give_the_same_calls() -> None:
    rows = list(parse_rows(CAPTURE.read_bytes()))
    whole = tally_of(CAPTURE.read_bytes()).calls
    for size in (1, 2, 3, 7):
        made = Tally()
        for at in range(0, len(rows), size):
            made.take(rows[at : at + size])
        assert made.calls == whole


def test_too_many_calls_are_let_go_and_counted() -> None:
    made = Tally(most=2)
    made.take(parse_rows(CAPTURE.read_bytes()))
    assert list(made.calls) == ["1795645837.3", "1795645838.4"]
    assert made.let_go == 1


async def test_the_file_is_read_along_from_its_end_or_where_we_were(tmp_path: Path) -> None:
    file = tmp_path / "cel.csv"
    rows = CAPTURE.read_bytes().splitlines(keepends=True)
    log = CelLog(file, None)
    assert await log.read() == {}
    file.write_bytes(b"".join(rows[:3]))
    assert list(await log.read()) == ["1795645836.0"], "a file made later is read from its start"
    start = log.position
    with file.open("ab") as more:
        more.write(b"".join(rows[3:]))
    assert len(await log.read()) == 3
    for call in ("1795645837.3", "1795645838.4"):
        log.settle(call)
    assert log.position == start, "what is not settled is read again after a restart"
    assert next(iter(await CelLog(file, log.position).read())) == "1795645836.0"
    log.settle("1795645836.0")
    assert log.position == end_of(file)
    assert await CelLog(file, None).read() == {}, "what was before us is in no journal of ours"


async def test_a_rotated_file_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "cel.csv"
    rows = CAPTURE.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(rows[:9]))
    log = CelLog(file, Position(0, 0, 0))
    assert list(await log.read()) == ["1795645836.0"]
    file.rename(tmp_path / "cel.csv.1")
    file.write_bytes(b"".join(rows[9:]))
    calls = await log.read()
    assert calls["1795645836.0"].ended_at is not None
    assert len(calls) == 3
