"""`bridge110 reconcile`: the day's sum, which calls differ, and the exit status."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
from pathlib import Path

import pytest

from bridge.cli.output import CommandError, settings_of
from bridge.cli.reconcile import cel_files, reconcile
from tests.asterisk.test_cel_calls import CAPTURE
from tests.cli.cli_kit import CALL, NUMBER, facts, fill, make_config, run

DAY = ("--day", "2026-11-24")


def rows(*, left: bool = True) -> str:
    """The switch's log of the case that `facts` tells."""
    citizen, seat, bridge = "PJSIP/trunk-1", "PJSIP/8001-2", '"{""bridge_id"":""b1""}"'
    end = f'"{{""hangupcause"":16,""hangupsource"":""{citizen if left else ""}""}}"'
    lines = [
        ("CHAN_START", 0, CALL, citizen, '""', '""', '"from-trunk","110"'),
        ("CASE", 0, CALL, citizen, '"CASE"', f'"{{""extra"":""{CALL}/110/{NUMBER}/""}}"', None),
        ("CHAN_START", 1, "s1", seat, '""', '""', '"from-seat","s"'),
        ("BRIDGE_ENTER", 2, "s1", seat, '""', bridge, None),
        ("BRIDGE_ENTER", 2, CALL, citizen, '""', bridge, None),
        ("HANGUP", 60, CALL, citizen, '""', end, None),
    ]
    begun = 1795482000
    return "".join(
        f'"{kind}","{begun + after}.000000","{unique}","{CALL}","{channel}",{user},{extra},'
        f"{place or chr(34) * 2 + ',' + chr(34) * 2}\n"
        for kind, after, unique, channel, user, extra, place in lines
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    made = make_config(tmp_path)
    asyncio.run(fill(made, facts()))
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "cel.csv"
    file.write_text(rows())
    return file


def test_a_day_on_which_both_agree(config: Path, log: Path) -> None:
    answer = run("reconcile", *DAY, "--cel", log, "--config", config)
    assert answer.status == 0
    assert "2026-11-24 来电 / came in: 1" in answer.out
    assert "接通 / delivered: 1" in answer.out
    document = json.loads(run("reconcile", *DAY, "--cel", log, "--config", config, "--json").out)
    assert document["exact"] is True
    assert (document["came_in"], document["delivered"], document["explained"]) == (1, 1, {})


def test_another_day_has_none_of_these_calls(config: Path, log: Path) -> None:
    answer = run("reconcile", "--day", "2026-11-23", "--cel", log, "--config", config, "--json")
    assert json.loads(answer.out)["came_in"] == 0
    assert run("reconcile", "--day", "24.11.", "--cel", log, "--config", config).status == 2


def test_a_call_that_the_switch_let_go_is_named_with_what_to_do(config: Path, log: Path) -> None:
    log.write_text(rows(left=False))
    with pytest.raises(CommandError, match=r"2026-11-24: 对账不符 1 件.*differ on 1 call"):
        run("reconcile", *DAY, "--cel", log, "--config", config)


def differences(capsys: pytest.CaptureFixture[str], config: Path, *files: Path) -> list[object]:
    """What the command said before it failed, each as call, what, number."""
    with pytest.raises(CommandError):
        reconcile(day=DAY[1], cel=list(files), config=config, as_json=True)
    document = json.loads(capsys.readouterr().out)
    return [(d["call"], d["what"], d["number"]) for d in document["differences"]]


def test_calls_that_only_one_of_both_knows(
    config: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.write_text("")
    assert differences(capsys, config, log) == [(CALL, "not_in_switch", "138****1234")]
    log.write_text(rows() + rows().replace(CALL, "1732412345.18"))
    assert differences(capsys, config, log) == [("1732412345.18", "missing", "138****1234")]
    captured = CAPTURE.read_text().replace("1795645", "1795482")
    log.write_text(rows() + captured)
    found = differences(capsys, config, log)
    assert len(found) == 3


def test_rotated_files_count_as_one(config: Path, log: Path) -> None:
    whole = rows().splitlines(keepends=True)
    older = log.with_name("cel.csv.2.gz")
    older.write_bytes(gzip.compress("".join(whole[:3]).encode()))
    log.write_text("".join(whole[3:]))
    both = ("--cel", older, "--cel", log)
    assert run("reconcile", *DAY, *both, "--config", config).status == 0


def test_the_configured_file_is_read_with_its_rotated_ones(config: Path, log: Path) -> None:
    place = settings_of(config).asterisk.cel_file
    with pytest.raises(CommandError, match="没有交换机日志"):
        cel_files(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(log, place)
    shutil.copy(log, place.with_name(place.name + ".1"))
    assert {file.name for file in cel_files(place)} == {place.name, place.name + ".1"}
    assert run("reconcile", *DAY, "--config", config).status == 0
    broken = place.with_name(place.name + ".2.gz")
    broken.write_bytes(gzip.compress(b"x" * 100)[:20])
    with pytest.raises(CommandError, match="无法读取"):
        run("reconcile", *DAY, "--config", config)
