"""The report line: code and PIN first, then what is reported; wrong ones close the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from bridge.channels.pins import Pins
from bridge.domain.code import make_code
from bridge.domain.order_state import O
from bridge.flows.report_line import ReportLine
from tests.domain.order_story import HOUSING, WATER
from tests.orders.order_kit import Kit, MovedClock, life
from tests.orders.voices_kit import voices_of

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
UNITS = {
    "water": replace(WATER, report_pin=CHEAP.hash("1111")),
    "housing": replace(HOUSING, report_pin=CHEAP.hash("2222")),
}
CALL = "1764000000.7"


@asynccontextmanager
async def report_line(
    directory: Path, clock: MovedClock | None = None
) -> AsyncIterator[tuple[Kit, ReportLine]]:
    async with life(directory, clock, units=UNITS) as kit, voices_of(kit) as (voices, _):
        yield kit, ReportLine(kit.orders, kit.inbox, Pins().verify, voices)


@pytest.mark.req("SB-13")
@pytest.mark.req("LL-55")
async def test_a_unit_calls_in_and_reports_everything_to_the_result(tmp_path: Path) -> None:
    async with report_line(tmp_path) as (kit, line):
        (order,) = await kit.send()
        code = (await kit.order(order)).code
        assert await line.entered(CALL, "6001", code, "1111") == "ok"
        at = kit.clock.now()
        assert await line.said(CALL, "1", "", "", at) == "stored"
        assert (await kit.order(order)).state is O.ARRIVED
        assert (await kit.order(order)).missing == ("situation",)
        assert await line.said(CALL, "2", "", "report-1-1.wav", at) == "stored"
        assert await line.said(CALL, "4", "1201", "", at) == "stored"
        assert await line.said(CALL, "3", "", "report-1-2.wav", at) == "stored"
        found = await kit.order(order)
        assert found.state is O.CLOSED
        progress, promise, result = found.reports[1:]
        assert progress.attachments == ("report-1-1.wav",)
        assert promise.promised_at == datetime(2026, 12, 1, 18, tzinfo=UTC)
        assert result.unit == "water"
        assert await line.said(CALL, "2", "", "", at) == "refused", "it is closed"


async def test_from_a_strange_number_the_pin_alone_tells_the_unit(tmp_path: Path) -> None:
    async with report_line(tmp_path) as (kit, line):
        first, second = await kit.send("water"), await kit.send("housing")
        code = (await kit.order(second[0])).code
        assert await line.entered(CALL, "13900000000", code, "1111") == "wrong"
        assert await line.entered(CALL, "13900000000", code, "2222") == "ok"
        assert await line.said(CALL, "5", "", "", kit.clock.now()) == "stored"
        assert (await kit.order(second[0])).disputed
        assert (await kit.order(first[0])).state is O.DISPATCHED


async def test_five_wrong_pins_close_the_line_for_that_unit_alone(tmp_path: Path) -> None:
    clock = MovedClock()
    async with report_line(tmp_path, clock) as (kit, line):
        (order,), (other,) = await kit.send("water"), await kit.send("housing")
        code = (await kit.order(order)).code
        said = [await line.entered(CALL, "6001", code, f"000{n}") for n in range(5)]
        assert said == ["wrong"] * 4 + ["closed"]
        assert await line.entered(CALL, "6001", code, "1111") == "closed"
        elsewhere = (await kit.order(other)).code
        assert await line.entered(CALL, "6004", elsewhere, "2222") == "ok"
        assert "code.water" in kit.alarms
    async with report_line(tmp_path, clock) as (_, line):
        assert await line.entered(CALL, "6001", code, "1111") == "closed", "over a restart too"
        clock.at = clock.at.replace(hour=clock.at.hour + 2)
        assert await line.entered(CALL, "6001", code, "1111") == "ok"


@pytest.mark.parametrize(("code", "pin"), [("", ""), ("12345678", "1111"), (make_code(5), "1111")])
async def test_guesses_are_wrong(tmp_path: Path, code: str, pin: str) -> None:
    async with report_line(tmp_path) as (kit, line):
        await kit.send()
        assert await line.entered(CALL, "6001", code, pin) == "wrong"
        assert await line.said(CALL, "1", "", "", kit.clock.now()) == "again"


@pytest.mark.parametrize("date", ["", "1332", "0230", "12"])
async def test_a_promise_needs_a_day_that_exists(tmp_path: Path, date: str) -> None:
    async with report_line(tmp_path) as (kit, line):
        (order,) = await kit.send()
        await line.entered(CALL, "6001", (await kit.order(order)).code, "1111")
        assert await line.said(CALL, "4", date, "", kit.clock.now()) == "refused"
        assert (await kit.order(order)).reports == []


async def test_who_has_left_must_say_the_code_again(tmp_path: Path) -> None:
    async with report_line(tmp_path) as (kit, line):
        (order,) = await kit.send()
        await line.entered(CALL, "6001", (await kit.order(order)).code, "1111")
        line.left(CALL, kit.clock.now())
        assert await line.said(CALL, "1", "", "", kit.clock.now()) == "again"


async def test_the_voice_of_a_caller_who_proved_to_be_the_unit_is_on_record(
    tmp_path: Path,
) -> None:
    async with life(tmp_path, units=UNITS) as kit, voices_of(kit) as (voices, closed):
        line = ReportLine(kit.orders, kit.inbox, Pins().verify, voices)
        (order,) = await kit.send()
        line.heard(CALL, kit.clock.now())
        line.left(CALL, kit.clock.now())
        assert closed == [], "nobody is known yet"
        await line.entered(CALL, "6001", (await kit.order(order)).code, "1111")
        line.heard(CALL, kit.clock.now())
        await line.said(CALL, "3", "", "report-1-2.wav", kit.clock.now())
        line.left(CALL, kit.clock.now())
        await kit.settled()
        found = await kit.order(order)
        assert found.state is O.CLOSED
        assert [one["call"] for one in found.recordings] == [CALL]
