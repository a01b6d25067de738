"""Every hostile string through every codec, and what the corpus itself must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attack import doors
from tests.attack.corpus import STRINGS, TOLL, load
from tests.attack.outputs import is_plain, nothing_was_run

doors.find()

WANTED = {
    *("ami", "sip", "agi", "cel", "log", "control", "plan", "toll"),
    *("file", "sql", "html", "mail", "modem", "format", "size", "bytes"),
}


def test_the_corpus_has_every_kind_and_each_string_once() -> None:
    assert {one.kind for one in STRINGS} == WANTED
    assert len({one.raw for one in STRINGS}) == len(STRINGS) >= 60
    assert len(TOLL) >= 12
    assert any(len(one.raw) >= 4096 for one in STRINGS)


@pytest.mark.parametrize("line", ["nonsense", "name kind not-a-literal", "a b 'x'\na c 'y'"])
def test_a_line_of_another_form_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "corpus.txt"
    file.write_text(line)
    with pytest.raises((ValueError, SyntaxError)):
        load(file)


def test_what_is_plain_is_told_from_what_acts_on_a_terminal() -> None:
    assert is_plain("市民 110\nline two")
    assert not any(
        is_plain(text) for text in ("\x1b[2J", "\x9b", "\u202e", "\u2028", "\r", "\ud800")
    )


@pytest.mark.parametrize("name", sorted(doors.DOORS["codec"]))
async def test_door(name: str) -> None:
    await doors.DOORS["codec"][name](None, STRINGS)
    nothing_was_run()
