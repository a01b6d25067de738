"""`.conf` files are read as Asterisk reads them, and every error names place and mend (C1)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.asterisk.conf import Conf, Section, read_conf
from bridge.asterisk.conf_text import MAX_LINE_BYTES, ConfError, text_lines

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files by name; gives the path of the first."""

    def files(**texts: str | bytes) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.conf"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / f"{next(iter(texts)).replace('__', '/')}.conf"

    return files


def section(conf: Conf, name: str) -> Section:
    found = conf.section(name)
    assert found is not None
    return found


def items(conf: Conf, name: str) -> list[tuple[str, str, int]]:
    return [(i.name, i.value, i.place.line) for i in section(conf, name).items]


def test_items_keep_file_and_line(write: Write) -> None:
    path = write(a="[x]\n a = 1 ; words\n\nb=>2\nc =  3 \n")
    conf = read_conf(path)
    assert items(conf, "x") == [("a", "1", 2), ("b", "2", 4), ("c", "3", 5)]
    assert str(section(conf, "x").items[0].place) == f"{path}:2"


def test_block_comments_nest_and_lines_keep_their_numbers(write: Write) -> None:
    text = "[x]\na=1 ;-- one\nb=2\n;-- inner --;\nc=3\n--; d=4\n;--- a rule\ne=5;--x--;6\n"
    assert items(read_conf(write(a=text)), "x") == [("a", "1", 2), ("d", "4", 6), ("e", "56", 8)]


def test_block_comment_without_end_is_told_where_it_began(write: Write) -> None:
    with pytest.raises(ConfError, match=r"a\.conf:2: block comment never ends; add --;"):
        read_conf(write(a="[x]\n;-- begins\na=1\n"))


def test_escaped_semicolon_is_part_of_the_value(write: Write) -> None:
    conf = read_conf(write(a="[x]\na = one\\;two ; words\\;more\n"))
    assert items(conf, "x") == [("a", "one;two", 2)]


def test_plus_equals_joins_to_the_value_before(write: Write) -> None:
    conf = read_conf(write(a="[t](!)\nallow = ulaw\n[x](t)\nallow += ,alaw\nnew += 1\n"))
    assert items(conf, "x") == [("allow", "ulaw,alaw", 4), ("new", "1", 5)]
    assert [i.value for i in conf.sections[0].items] == ["ulaw"]


def test_templates_give_their_items_first(write: Write) -> None:
    text = "[t](!)\na=1\nb=1\n[u](!,t)\nb=2\n[x](u) ; words\nc=3\n[x](+)\nd=4\n"
    conf = read_conf(write(a=text))
    assert [(n, v) for n, v, _ in items(conf, "x")] == [
        ("a", "1"),
        ("b", "1"),
        ("b", "2"),
        ("c", "3"),
        ("d", "4"),
    ]
    assert section(conf, "x").get("b") == "2"
    assert [s.template for s in conf.sections] == [True, True, False]
    assert conf.section("t") is None


@pytest.mark.parametrize("header", ["[x](nobody)", "[x](+)"])
def test_unknown_template_is_refused(write: Write, header: str) -> None:
    with pytest.raises(ConfError, match=r"a\.conf:2: .*above"):
        read_conf(write(a=f"\n{header}\n"))


def test_comments_above_below_and_beside_a_header_belong_to_it(write: Write) -> None:
    text = "; stray\n\n; one\n; two\n[x] ; three\n; four\na=1\n; not of x\n[y]\n"
    conf = read_conf(write(a=text))
    assert section(conf, "x").comment == ("one", "two", "three", "four")
    assert section(conf, "y").comment == ("not of x",)


def test_block_comment_above_a_header_describes_it(write: Write) -> None:
    conf = read_conf(write(a=";--\n what it is for\n--;\n[x]\n"))
    assert "what it is for" in section(conf, "x").comment


def test_includes_are_read_beside_the_file_below_roots_and_by_pattern(
    write: Write, tmp_path: Path
) -> None:
    path = write(
        main__a='[x]\n#include "b.conf"\n#include <more/*.conf>\n#tryinclude nothing.conf\nz=9\n',
        main__b="b=1\n",
        more__2="two=2\n",
        more__1="one=1\n",
    )
    conf = read_conf(path, roots=[tmp_path])
    assert [(n, v) for n, v, _ in items(conf, "x")] == [
        ("b", "1"),
        ("one", "1"),
        ("two", "2"),
        ("z", "9"),
    ]
    assert [Path(f).name for f in conf.files] == ["a.conf", "b.conf", "1.conf", "2.conf"]
    assert str(section(conf, "x").items[0].place).endswith("b.conf:1")


def test_example_of_the_site_is_read_only_when_asked_for(write: Write, tmp_path: Path) -> None:
    path = write(a='[x]\n#include "site/q.conf"\n')
    (tmp_path / "site.example").mkdir()
    (tmp_path / "site.example" / "q.conf").write_text("q=1\n")
    assert items(read_conf(path, examples=True), "x") == [("q", "1", 1)]
    with pytest.raises(ConfError, match=r"a\.conf:2: no file 'site/q\.conf'"):
        read_conf(path)


def test_include_inside_a_block_comment_is_not_read(write: Write) -> None:
    conf = read_conf(write(a='[x]\n;--\n#include "nothing.conf"\n--;\na=1\n'))
    assert items(conf, "x") == [("a", "1", 5)]


def test_include_in_a_circle_is_refused(write: Write) -> None:
    path = write(a='#include "b.conf"\n', b='[x]\n\n#include "a.conf"\n')
    with pytest.raises(ConfError, match=r"b\.conf:3: .*includes itself"):
        read_conf(path)


def test_includes_that_multiply_are_stopped(write: Write) -> None:
    twice = {f"f{n}": f'#include "f{n + 1}.conf"\n' * 9 for n in range(9)}
    with pytest.raises(ConfError, match="lines with all includes"):
        read_conf(write(**twice, f9="; words\n" * 9))


def test_includes_nested_too_deep_are_refused(write: Write) -> None:
    chain = {f"f{n}": f'#include "f{n + 1}.conf"\n' for n in range(12)}
    with pytest.raises(ConfError, match="deeper than 10"):
        read_conf(write(**chain))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"\xef\xbb\xbf[x]\na=1\n", ""),
        (b"[x]\r\na=1\r\n", ""),
        ("[x]\n; 张三\na=1\n".encode("gbk"), r":2: bytes look like GBK, not UTF-8; .*iconv"),
        (b"[x]\na=\xff\xff\n", r":2: bytes of an unknown encoding"),
        ("[x]\na=1\n".encode("utf-16"), r":1: file is UTF-16"),
        (b"[x]\na=\x00\n", r":2: control character"),
        (b"[x]\na=" + b"1" * MAX_LINE_BYTES + b"\n", r":2: Asterisk would cut"),
        (b"a=1\n", r":1: setting before any"),
        (b"[]\na=1\n", r":1: section without a name"),
        (b"[x\na=1\n", r":1: .*write \[section\]"),
        (b"[x](t\n", r":1: .*write \[section\]"),
        (b"[x]\njust words\n", r":2: .*name = value"),
        (b"[x]\n#exec rm\n", r":2: directive"),
        (b"[x]\n#include\n", r":2: #include without a file"),
        (b'[x]\n#include "b.conf"\n', r":2: no file 'b\.conf'"),
    ],
)
def test_what_cannot_be_read_names_place_and_mend(write: Write, text: bytes, problem: str) -> None:
    path = write(a=text)
    if problem:
        with pytest.raises(ConfError, match=rf"a\.conf{problem}") as refused:
            read_conf(path)
        assert str(refused.value).endswith(f"; {refused.value.mend}")
    else:
        assert items(read_conf(path), "x") == [("a", "1", 2)]


def test_missing_file_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfError, match="No such file"):
        read_conf(tmp_path / "nothing.conf")


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["[x]", "[x](!)", "[y](x)", "[y](+)", "a=1", "a+=2", "same => n,X()", ";--", "--;", ";"]
        ),
        st.text('[]();=>+-#\\ a,\t"<!', max_size=12),
        st.text(max_size=12),
    ),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@example(["[x]", ";--;", "--;a=1"])
@given(LINES)
def test_any_text_is_read_or_refused_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.conf"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        conf = read_conf(path)
    except ConfError as error:
        places = [error.place.line]
    else:
        places = [i.place.line for s in conf.sections for i in s.items]
    assert all(1 <= line <= path.read_bytes().count(b"\n") + 1 for line in places)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    with contextlib.suppress(ConfError):
        assert len(text_lines(data, "x.conf")) == data.count(b"\n") + 1
