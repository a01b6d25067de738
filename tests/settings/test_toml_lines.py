"""Every key of a TOML text has its line, however it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.settings.toml_lines import KeyPath, key_lines, line_of
from bridge.share import share

HARD = '''# a [comment] = not a key
title = "a # b [c]" # words
a.b = 1
[one."two.three"]
k = """
x = 1
[not.a.table]
"""
'quo ted' = 2026-11-24 07:32:00
list = [
  "first", # one
  [1, 2],

  { x = 1.5, y = "}" },
]
[[rows]]
n = 1
[rows.sub]
m = 1
[[rows]]
n = 2
[[rows.deep]]
z = \'\'\'
[[no]]\'\'\'
[after]
inline = { a = { b = [1,
 2] } }
'''


def paths(value: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key and item of a document."""
    if above:
        yield above
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in items if isinstance(value, dict | list) else ():
        yield from (
            paths(inner, (*above, name)) if isinstance(inner, dict | list) else [(*above, name)]
        )


def test_every_key_and_item_is_found_and_nothing_else() -> None:
    assert set(key_lines(HARD)) == set(paths(tomllib.loads(HARD)))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("title",), "title ="),
        (("a", "b"), "a.b = 1"),
        (("one", "two.three", "k"), 'k = """'),
        (("one", "two.three", "quo ted"), "'quo ted'"),
        (("one", "two.three", "list", 0), '"first"'),
        (("one", "two.three", "list", 2, "y"), "x = 1.5"),
        (("rows", 0, "sub", "m"), "m = 1"),
        (("rows", 1, "n"), "n = 2"),
        (("rows", 1, "deep", 0, "z"), "z ="),
        (("after", "inline", "a", "b", 1), "2] } }"),
    ],
)
def test_line_is_the_one_that_holds_it(path: KeyPath, words: str) -> None:
    assert words in HARD.split("\n")[key_lines(HARD)[path] - 1]


def test_what_is_absent_is_told_at_the_nearest_table() -> None:
    lines = key_lines("[a]\nx = 1\n\n[a.b]\ny = 2\n")
    assert line_of(lines, ("a", "b", "missing")) == 4
    assert line_of(lines, ("a", "missing")) == 1
    assert line_of(lines, ("none",)) == 1


def test_shipped_settings_are_found_whole() -> None:
    text = (share("config") / "bridge.toml").read_text(encoding="utf-8")
    assert set(key_lines(text)) == set(paths(tomllib.loads(text)))


NAMES = st.text("abc-_1", min_size=1, max_size=4)
VALUES = st.recursive(
    st.sampled_from(["1", '"a]b"', "'c#d'", "true", "1.5", '"""x\ny=1"""', "07:32:00"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[\n{','.join(items)}]"),
    max_leaves=5,
)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4))
def test_generated_documents_are_found_whole(tables: dict[str, dict[str, str]]) -> None:
    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
        for name, keys in tables.items()
    )
    assert set(key_lines(text)) == set(paths(tomllib.loads(text)))
