"""The machine's own Debian mirror is read from apt's sources, whatever their form."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.lab.aptsources import Source, debian_mirrors, parse_deb822, parse_one_line
from bridge.lab.progress import SetupError


def etc_apt(place: Path, **files: str) -> Path:
    """An /etc/apt with `sources.list` (key `list`) and parts (`a_sources` is `a.sources`)."""
    (place / "sources.list.d").mkdir()
    for name, text in files.items():
        if name == "list":
            (place / "sources.list").write_text(text, encoding="utf-8")
        else:
            (place / "sources.list.d" / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (
            "deb http://m.example/debian bookworm main contrib",
            Source("http://m.example/debian", "bookworm", ("main", "contrib")),
        ),
        (
            "  deb [arch=amd64 signed-by=/k.gpg]  https://m.example/debian/ sid main # c",
            Source("https://m.example/debian/", "sid", ("main",), "/k.gpg"),
        ),
        (
            "deb [ signed-by=/k.gpg ] http://m.example/debian trixie main",
            Source("http://m.example/debian", "trixie", ("main",), "/k.gpg"),
        ),
        ("deb http://m.example/flat ./", Source("http://m.example/flat", "./", ())),
        ("# deb http://m.example/debian bookworm main", None),
        ("deb-src http://m.example/debian bookworm main", None),
        ("", None),
    ],
)
def test_one_line_form(line: str, source: Source | None) -> None:
    assert list(parse_one_line(line)) == ([] if source is None else [source])


def test_deb822_gives_each_uri_with_each_suite_and_knows_enabled_no() -> None:
    text = """\
# installer's comment
Types: deb deb-src
URIs: http://a.example/debian
  http://b.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By:
 /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://c.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://d.example/debian
Suites: trixie
Components: main
"""
    sources = list(parse_deb822(text))
    assert [(s.uri, s.suite) for s in sources] == [
        ("http://a.example/debian", "trixie"),
        ("http://a.example/debian", "trixie-updates"),
        ("http://b.example/debian", "trixie"),
        ("http://b.example/debian", "trixie-updates"),
    ]
    assert {s.signed_by for s in sources} == {"/usr/share/keyrings/debian-archive-keyring.gpg"}


def test_other_vendors_and_security_are_not_taken_for_the_archive(tmp_path: Path) -> None:
    place = etc_apt(
        tmp_path,
        list="deb http://m.example/debian-security bookworm-security main\n"
        "deb https://vendor.example bookworm stable\n"
        "deb https://vendor.example nodistro main\n"
        "deb http://m.example/debian bookworm main\n",
    )
    assert debian_mirrors(place) == ["http://m.example/debian"]


def test_the_archive_signed_by_debian_goes_before_look_alikes(tmp_path: Path) -> None:
    place = etc_apt(
        tmp_path,
        a_list="deb https://vendor.example/apt bookworm main\n",
        b_list="deb https://other.example/debian bookworm main\n",
        c_sources="Types: deb\nURIs: http://m.example/debian/\nSuites: bookworm\n"
        "Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
    )
    assert debian_mirrors(place) == [
        "http://m.example/debian",
        "https://other.example/debian",
        "https://vendor.example/apt",
    ]


def test_a_mirror_list_of_this_machine_is_followed(tmp_path: Path) -> None:
    listing = tmp_path / "debian.list"
    listing.write_text("# cloud\nhttp://m.example/debian/ priority:1\n\nhttp://n.example/debian\n")
    place = etc_apt(tmp_path, list=f"deb mirror+file://{listing} bookworm main\n")
    assert debian_mirrors(place) == ["http://m.example/debian", "http://n.example/debian"]


def test_no_mirror_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"sources\.list"):
        debian_mirrors(etc_apt(tmp_path, list="# nothing\n"))


@given(st.text(max_size=300))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    for source in [*parse_one_line(text), *parse_deb822(text)]:
        assert source.uri
        assert source.suite
