"""A locality's template: used where it is right, refused at start with place and mend if not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.documents.service import Documents, FontError
from bridge.documents.template import TemplateError, parse, read_templates
from bridge.domain.paper import PaperKind
from bridge.share import share
from tests.documents.papers import ZONE, order_sheet

SHIPPED = share("config") / "documents"


def order_text() -> str:
    return (SHIPPED / "order.toml").read_text(encoding="utf-8")


def refused(text: str, kind: PaperKind = PaperKind.ORDER) -> str:
    with pytest.raises(TemplateError) as found:
        parse(text.encode(), kind, "order.toml")
    return str(found.value)


def test_a_locality_changes_its_paper(tmp_path: Path) -> None:
    changed = order_text().replace("社会应急联动指令单", "应急联动派单").replace("地点", "事发地")
    (tmp_path / "order.toml").write_text(changed, encoding="utf-8")
    documents = Documents(ZONE, tmp_path)
    paper = documents.make(order_sheet())
    documents.close()
    assert paper.title == "应急联动派单"
    assert "事发地:兰山区" in paper.text
    assert set(read_templates(tmp_path)) == set(PaperKind)  # the others are the shipped ones


def test_a_fault_is_named_with_its_line_and_the_mend() -> None:
    line = order_text().splitlines().index('cells = [["地点", "{place}"]]') + 1
    said = refused(order_text().replace("{place}", "{plcae}"))
    assert f"order.toml:{line}: " in said
    assert "did you mean place?" in said
    assert "no row shows {place}" in said


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title = ", "titel = ", "title is missing"),
        ("title = ", "titel = ", "unknown key"),
        ('"{words}"', '"{words"', "brace"),
        ('"{words}"', '"{words.__class__}"', "there is no word"),
        ('"{words}"', '"{code}"', "there is no word"),
        ('when = "limits"', 'when = "limit"', "did you mean limits?"),
        ("lines = 4", "lines = 400", "correct the value"),
        ("[slip]", "[slap]", "needs its [slip]"),
        ("[[rows]]", "[rows", "no TOML"),
        ("说明：", "说明\\u0007：", "correct the value"),
    ],
)
def test_every_fault_has_words(old: str, new: str, words: str) -> None:
    said = refused(order_text().replace(old, new, 1))
    assert words in said
    assert " / " in said


def test_bytes_that_are_no_template_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="UTF-8"):
        parse("标题".encode("gb18030"), PaperKind.ORDER, "x.toml")
    with pytest.raises(TemplateError, match="larger"):
        parse(b"#" * 70_000, PaperKind.ORDER, "x.toml")
    (tmp_path / "order.toml").mkdir()
    with pytest.raises(TemplateError, match="cannot be read"):
        read_templates(tmp_path)


def test_only_the_order_sheet_comes_back() -> None:
    notice = (SHIPPED / "notice.toml").read_text(encoding="utf-8")
    slip = order_text()[order_text().index("[slip]") :]
    assert "only the order sheet" in refused(notice + "\n" + slip, PaperKind.NOTICE)


def test_a_form_that_no_page_takes_is_refused_at_start(tmp_path: Path) -> None:
    rows = '[[rows]]\ncells = [["空", ""]]\nlines = 20\n' * 8
    head, slip = order_text().split("[slip]")
    (tmp_path / "order.toml").write_text(f"{head}\n{rows}\n[slip]{slip}", encoding="utf-8")
    with pytest.raises(TemplateError, match="two pages"):
        Documents(ZONE, tmp_path)


def test_a_missing_typeface_is_named(tmp_path: Path) -> None:
    with pytest.raises(FontError, match="fonts-wqy-zenhei"):
        Documents(ZONE, font=tmp_path / "none.ttc")
