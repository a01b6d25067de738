"""CEL rows as a real Asterisk 22.10.1 wrote them: read once each, understood as things seen."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bridge.asterisk.cel import CelReader, Position, parse_rows, read_rows
from bridge.asterisk.translate import Translator
from bridge.domain.conversation import E
from bridge.domain.seen import Arrived, Entered, Gone, Noted

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ARRIVAL = (
    b'"CHAN_START","1795494325.403034","1795494325.0","1795494325.0","PJSIP/trunk-00000000","",""\n'
    b'"CASE","1795494325.403317","1795494325.0","1795494325.0","PJSIP/trunk-00000000","CASE",'
    b'"{""extra"":""1795494325.0/110/13800138000/""}"\n'
    b'"BRIDGE_ENTER","1795494326.1","1795494325.0","1795494325.0","PJSIP/trunk-00000000","",'
    b'"{""bridge_id"":""b-1"",""bridge_technology"":""simple_bridge""}"\n'
    b'"GOODBYE","1795494327.2","1795494325.0","1795494325.0","PJSIP/trunk-00000000","GOODBYE",'
    b'"{""extra"":""1795494325.0/16""}"\n'
    b'"HANGUP","1795494327.909068","1795494325.0","1795494325.0","PJSIP/trunk-00000000","",'
    b'"{""hangupcause"":16,""hangupsource"":""PJSIP/trunk-00000000"",""dialstatus"":""""}"\n'
)


def test_a_call_that_nobody_watched_is_told_whole() -> None:
    reader = CelReader(Translator(lambda _: False, lambda: NOW), lambda _: None)
    seen = [one for row in parse_rows(ARRIVAL) for one in reader.translate(row, NOW)]
    assert [type(one) for one in seen] == [Arrived, Entered, Noted, Gone]
    assert all(one.learnt == NOW for one in seen)
    arrived, entered, noted, gone = seen
    assert isinstance(arrived, Arrived)
    assert arrived.number == "13800138000"
    assert isinstance(entered, Entered)
    assert entered.bridge == "b-1"
    assert isinstance(noted, Noted)
    assert (noted.what, noted.cause) == (E.GOODBYE, 16)
    assert isinstance(gone, Gone)
    assert gone.cause == 16


def test_each_row_is_read_once_and_half_a_line_waits(tmp_path: Path) -> None:
    file = tmp_path / "bridge110.csv"
    half = len(ARRIVAL) - 20
    file.write_bytes(ARRIVAL[:half])
    first, position = read_rows(file, None)
    assert len(first) == 4
    with file.open("ab") as more:
        more.write(ARRIVAL[half:])
    second, after = read_rows(file, position)
    assert [row.kind for row in second] == ["HANGUP"]
    assert read_rows(file, after)[0] == []


def test_a_rotated_file_is_read_from_its_start(tmp_path: Path) -> None:
    file = tmp_path / "bridge110.csv"
    file.write_bytes(ARRIVAL)
    _, position = read_rows(file, None)
    file.rename(tmp_path / "old.csv")
    file.write_bytes(ARRIVAL)
    assert len(read_rows(file, position)[0]) == 5


def test_no_file_is_no_rows_and_a_bad_position_is_none(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "absent.csv", None) == ([], None)
    assert Position.parse("1:2") is None
    assert Position.parse("a:b:c") is None
    assert Position.parse(Position(1, 2, 3).text()) == Position(1, 2, 3)


def test_damaged_lines_are_passed_over() -> None:
    bad = b'"x"\n"A","nan-time","1","1","c","",""\n\xff\xfe,,,,,,\n' + ARRIVAL
    assert len(list(parse_rows(bad))) == 5
