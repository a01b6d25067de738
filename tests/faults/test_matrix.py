"""The matrix, the programmes, the shrinking and the judging, without any telephone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.domain.conversation import S
from tests.faults.__main__ import jobs, late
from tests.faults.cell import Bounds, Line, broken
from tests.faults.matrix import FAULTS, LASTING, NO_STATE, Trouble, bounds, kills_once, nonsense
from tests.faults.programme import (
    Programme,
    Step,
    apart,
    batch_of,
    batches,
    programme,
    shrink,
    together,
)
from tests.faults.report import report
from tests.faults.steps import Doom, parse
from tests.faults.steps import Step as Named
from tests.faults.worker import Job, Result

WELL = Line("c", "established", "AMI cut", "alive", 20, 0, 0, 0.4)


def test_every_state_of_the_table_is_struck_or_says_why_not() -> None:
    assert {*LASTING, *NO_STATE} == set(S)
    struck = {kill.state for kill in kills_once()}
    assert struck >= set(NO_STATE), "states too short for a fault are struck at their steps"


def test_every_trouble_strikes_somewhere() -> None:
    for trouble in Trouble:
        if trouble is Trouble.NONE:
            continue
        cells = [f for f in FAULTS if f.trouble is trouble for s in S if not nonsense(s, f)]
        assert cells, trouble


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"citizen": "dropped"}, "citizen dropped"),
        ({"citizen": "ended"}, "citizen ended"),
        ({"silence_ms": 1001}, "silence 1001 ms > 1000"),
        ({"handoffs_lost": 1}, "1 handoffs lost"),
        ({"double_acts": 1}, "1 acts twice"),
        ({"truth_s": 3.1}, "truth after 3.1 s > 3"),
        ({"truth_s": None}, "truth never shown"),
    ],
)
def test_each_broken_promise_is_told(change: dict[str, object], words: str) -> None:
    assert broken(WELL, Bounds()) == []
    assert broken(replace(WELL, **change), Bounds()) == [words]  # type: ignore[arg-type]


def test_a_citizen_who_is_to_leave_or_be_told_goodbye_is_not_dropped() -> None:
    hangs_up = next(f for f in FAULTS if f.name == "citizen hangs up")
    assert broken(replace(WELL, citizen="left"), bounds(S.TALKING, hangs_up)) == []
    seat = next(f for f in FAULTS if f.name == "seat hangs up")
    assert broken(replace(WELL, citizen="ended"), bounds(S.TALKING, seat)) == []
    assert broken(replace(WELL, citizen="ended"), bounds(S.CONFERENCED, seat)) != []


def test_a_seed_gives_the_same_programme_and_another_seed_another() -> None:
    assert [programme(n) for n in range(50)] == [programme(n) for n in range(50)]
    assert len({programme(n) for n in range(50)}) == 50
    everything = {step.what for n in range(400) for step in programme(n)}
    assert everything >= {"kill", "cut", "dead", "full", "fails", "transfer", "clear", "busy"}


async def test_a_failing_programme_is_shrunk_to_what_makes_it_fail() -> None:
    runs = 0

    async def fails(part: Programme) -> bool:
        nonlocal runs
        runs += 1
        return part.count(POISON) == 1 and DIAL in part and part.index(DIAL) < part.index(POISON)

    long = (DIAL, *(Step("wait", pause=n) for n in range(9)), POISON, Step("wait"))
    assert await shrink(long, fails) == (DIAL, POISON)
    assert runs <= 40


async def test_shrinking_ends_after_its_tries() -> None:
    runs = 0

    async def fails(part: Programme) -> bool:
        nonlocal runs
        runs += 1
        return False

    await shrink(tuple(Step("wait", pause=n) for n in range(64)), fails, tries=10)
    assert runs <= 10


DIAL, POISON = Step("dial"), Step("die", what="seat")


def test_seeds_run_in_batches() -> None:
    assert batches(range(1, 8)) == [(1, 2, 3, 4, 5), (6, 7)]
    assert batch_of(7) == (6, 7, 8, 9, 10)
    assert apart(together((3, 4))) == [(3, programme(3)), (4, programme(4))]


def test_parts_make_up_the_whole() -> None:
    whole = jobs({"SEEDS": "7"})
    parts = [jobs({"SEEDS": "7", "PART": f"{k}/3"}) for k in (1, 2, 3)]
    assert sorted(map(repr, whole)) == sorted(repr(job) for part in parts for job in part)
    for wrong in ({"PART": "0/3"}, {"PART": "x"}, {"SEEDS": "many"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            jobs(wrong)


def test_a_report_shows_every_fault_and_marks_what_broke() -> None:
    held = {**WELL.json(), "cell": "held", "state": "held"}
    text = report([WELL.json(), held, {**held, "citizen": "dropped"}])
    assert all(f"| {fault.name} |" in text for fault in FAULTS)
    assert "| alive 20 0.4 |" in text
    assert "**dropped 20 0.4**" in text
    assert "2 cells, 1 not as promised" in text


def test_what_was_only_late_beside_another_world_is_judged_again_alone() -> None:
    well, fault = WELL.json(), FAULTS[0].name
    kill = kills_once()[0]
    words = ("truth after 3.4 s > 3",)
    cell = {**well, "cell": f"queued × {fault}", "state": "queued", "fault": fault}
    killed = {**well, "cell": kill.name, "state": kill.state.value, "fault": kill.name}
    seed = {**well, "cell": "random", "fault": "dial", "seed": 47, "truth_s": 3.4}
    dropped = {**seed, "seed": 3}
    results = [
        Result(cell, words),
        Result(killed, words),
        Result({**seed, "seed": 46}, ()),
        Result(seed, words),
        Result({**seed, "seed": 50}, words),
        Result(dropped, (*words, "the citizen was dropped")),
        Result(well, ()),
    ]
    batch = (46, 47, 48, 49, 50)
    assert late(results) == [Job("fault", (0,)), Job("kill", (0,)), Job("random", batch)]

    first = [{**result.line, "broken": result.broken} for result in results]
    text = report([*first, {**seed, "truth_s": 2.1, "broken": ()}])
    assert "* seed 47: truth after 3.4 s > 3. Alone: truth after 2.1 s" in text
    assert "seed 50" in text.split("## Random programmes")[1]
    assert "seed 47" not in text.split("## Random programmes")[1].split("## Late")[0]


def test_the_daemon_dies_at_its_named_step_and_nowhere_else(tmp_path: Path) -> None:
    died: list[str] = []
    order = tmp_path / "step"
    doom = Doom(order, lambda: died.append("here"))
    doom.at("committed", "call.state", "1.1")
    order.write_text(str(Named("committed", "call.state", "1.1")))
    doom.at("published", "call.state", "1.1")
    doom.at("committed", "call.offered", "1.1")
    doom.at("committed", "call.state", "2.2")
    assert died == []
    doom.at("committed", "call.state", "1.1")
    assert died == ["here"]
    assert parse("") is None
    with pytest.raises(ValueError, match="no place of a step"):
        parse("somewhere call.state *")
