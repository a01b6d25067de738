"""What a dialplan text refers to, and where: the ground under every rule about outside values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.asterisk.expression import balanced, references, split, with_globals


def found(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(str(r), r.around) for r in references(text)]


def test_references_know_what_is_around_them() -> None:
    assert found("${A}") == [("${A}", ())]
    assert found("${CALLERID(num)} and ${B:1:2}") == [("${CALLERID(num)}", ()), ("${B}", ())]
    assert found("${FILTER(0-9,${CALLERID(num)})}") == [
        ("${FILTER(0-9,${CALLERID(num)})}", ()),
        ("${CALLERID(num)}", ("FILTER",)),
    ]
    assert found('$["${X}"="1" & $[${Y}]]') == [("${X}", ("$[",)), ("${Y}", ("$[", "$["))]
    assert found('${IF($["${E}"=""]?a:${F})}')[1:] == [
        ("${E}", ("IF", "$[")),
        ("${F}", ("IF",)),
    ]


def test_names_put_together_are_looked_into() -> None:
    assert found("${${WHICH}}") == [("${WHICH}", ())]
    assert found("${A${B}}") == [("${A}", ()), ("${B}", ())]


def test_split_respects_brackets_quotes_and_escapes() -> None:
    assert split('a,"b,c",${D(e,f)},$[g,h],i\\,j, k ') == [
        "a",
        '"b,c"',
        "${D(e,f)}",
        "$[g,h]",
        "i\\,j",
        "k",
    ]
    assert split("a,b,c", limit=1) == ["a", "b,c"]
    assert split("", ",") == [""]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Set(A=${B})", True),
        ("Set(A=${B)", False),
        ("Set(A=$[1)", False),
        ("Set(A=1))", False),
        ("Set(A=\\()", True),
        ("Set(A=[x)", True),  # a lone square bracket is only a sign
    ],
)
def test_brackets_that_do_not_match_are_seen(text: str, whole: bool) -> None:
    assert balanced(text) is whole


def test_globals_are_filled_in_within_one_another_and_never_for_ever() -> None:
    assert with_globals("${A}", {"A": "${B}", "B": "c"}) == "c"
    assert with_globals("${GLOBAL(A)}-${X}", {"A": "1"}) == "1-${X}"
    assert len(with_globals("${A}", {"A": "${A}${A}"})) < 1000


@given(st.text('${}[]()",:?\\ABn', max_size=60))
def test_any_text_is_taken_apart_without_an_error(text: str) -> None:
    assert isinstance(list(references(text)), list)
    assert isinstance(balanced(text), bool)
    assert "".join(split(text, ";")) == text.strip()
