"""Papers as pages: right size, legible, whole, whatever stands in the fields."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import pytest
import zxingcpp
from PIL import ImageChops

from bridge.documents.files import t6, tiff
from bridge.documents.metric import HEIGHT, PX_MM_Y, WIDTH
from bridge.documents.raster import MAX_PAGES, draw
from bridge.documents.service import Documents
from bridge.documents.slip import SlipError, payload
from bridge.documents.typeface import NOT_FIRST, NOT_LAST, SMALLEST, Typeface, tame
from bridge.documents.values import Sheet
from tests.documents.papers import (
    CODE,
    HOSTILE,
    ORDER,
    faxed,
    noisy,
    order_sheet,
    other_sheets,
    pages_of,
)


class _Tags(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[tuple[str, frozenset[str]]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add((tag, frozenset(name for name, _ in attrs)))


def test_a_page_is_what_a_fax_line_carries(documents: Documents) -> None:
    paper = documents.make(order_sheet())
    (page,) = pages_of(paper.tiff)
    assert page.size == (WIDTH, HEIGHT)
    strip = t6(page)
    assert strip in paper.tiff  # one strip, its octets as the line takes them
    end = int.from_bytes(strip[-5:], "little")  # least significant bit first
    assert re.search(r"000000000001000000000001", f"{end:040b}"[::-1])  # EOFB ends it
    (drawn,) = draw(documents.form(order_sheet()), Typeface())
    assert ImageChops.logical_xor(drawn, page).getbbox() is None


def test_nothing_is_smaller_than_three_millimetres(documents: Documents) -> None:
    face = Typeface()
    for em in (1, SMALLEST):
        _, top, _, bottom = face.size(em).getbbox("国")
        assert (bottom - top) / PX_MM_Y >= 3.0


def test_the_symbol_is_read_after_noise_and_compression(documents: Documents) -> None:
    (page,) = pages_of(documents.make(order_sheet()).tiff)
    for seed, part in ((1, 0.005), (2, 0.03)):
        bad = faxed(noisy(page, part, random.Random(seed)))
        texts = {one.text for one in zxingcpp.read_barcodes(bad)}
        assert texts == {payload(ORDER, CODE, "L"), payload(ORDER, CODE, "R")}


def test_a_drill_says_so_everywhere(documents: Documents) -> None:
    paper = documents.make(order_sheet(drill=True))
    assert paper.title.startswith("【演练】")
    for text in (paper.html, paper.text):
        assert text.count("【演练】") >= 2  # title and words of the order
    assert "演练" not in documents.make(order_sheet()).text
    for sheet in other_sheets():
        assert documents.make(replace(sheet, drill=True)).title.startswith("【演练】")


def test_a_repeat_and_a_reminder_are_marked(documents: Documents) -> None:
    form = documents.form(order_sheet(repeat=True, reminder=2, green=True))
    assert form.marks == ["紧急", "绿色通道", "第2次催办", "可能重复"]


def test_the_order_sheet_says_what_an_order_must(documents: Documents) -> None:
    text = documents.make(order_sheet(caller_number="13805391234", caller_name="张先生")).text
    for words in ("20260301-000123", "金雀山路", "13805391234", "供水", "水管爆裂", "15 分钟"):
        assert words in text


def test_what_was_kept_back_leaves_no_row(documents: Documents) -> None:
    paper = documents.make(order_sheet())
    assert "求助人" not in paper.text
    assert "求助人" not in paper.html


def test_the_other_papers_say_what_they_must(documents: Documents) -> None:
    notice, callback, receipt, fax = (documents.make(sheet) for sheet in other_sheets("甲乙丙"))
    assert "督办通知单" in notice.title
    assert "2026年03月02日 16时30分" in notice.text  # the limit, in the site's own time
    assert "服务态度:满意" in callback.text
    assert "处置速度:不满意" in callback.text
    assert "移交状态:已接受" in receipt.text
    assert "结果:已送达，对方逐页确认" in fax.text
    for paper in (notice, callback, receipt, fax):
        assert paper.pages == len(pages_of(paper.tiff)) == 1
        assert paper.pdf.startswith(b"%PDF-")


def test_long_words_flow_to_more_pages_without_losing_any(documents: Documents) -> None:
    words = "".join(f"第{n}句话说明现场情况。" for n in range(400))
    paper = documents.make(order_sheet(words=words))
    assert paper.pages > 2
    pages = pages_of(paper.tiff)
    assert len(pages) == paper.pages
    assert all(
        page.convert("L").getextrema() == (0, 255) and page.size == (WIDTH, HEIGHT)
        for page in pages
    )
    assert len(draw(documents.form(order_sheet(words="字" * 40_000)), Typeface())) == MAX_PAGES


def test_lines_are_broken_as_chinese_is_set() -> None:
    face = Typeface()
    text = "路面自来水管爆裂,积水。(现场)电话 13805391234、“请”立即 repair-work。" * 20
    lines = face.lines(text, 34, 500)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(face.width(line, 34) <= 500 for line in lines)
    assert not any(line[0] in NOT_FIRST or line[-1] in NOT_LAST for line in lines)
    assert "13805391234" in " ".join(lines)
    assert face.lines("", 34, 500) == [""]
    assert all(face.width(line, 34) <= 500 for line in face.lines("W" * 300, 34, 500))


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_stay_words_in_every_field(documents: Documents, words: str) -> None:
    plain = order_sheet()
    kept = {"order", "code", "issued_at", "arrival_limit_s", "result_limit_s", "reminder"}
    more = {
        one.name: words
        for one in fields(plain)
        if one.name not in kept and not isinstance(getattr(plain, one.name), bool)
    }
    sheets: list[Sheet] = [order_sheet(**more), *other_sheets(words)]
    for sheet in sheets:
        paper = documents.make(sheet)
        assert paper.pages == len(pages_of(paper.tiff)) <= 12
        calm = documents.make(order_sheet()) if sheet is sheets[0] else None
        if calm is not None:
            allowed = _Tags(calm.html).seen | {("td", frozenset({"colspan"}))}
            assert _Tags(paper.html).seen <= allowed | {("p", frozenset())}
            assert payload(ORDER, CODE, "L") in {
                one.text for one in zxingcpp.read_barcodes(pages_of(paper.tiff)[0])
            }
        for control in "\x00\x1a\x1b\r\u202e\u2066":
            assert control not in paper.html
            assert control not in paper.text


def test_acting_characters_are_shown_and_never_left_out() -> None:
    assert tame("a\x1ab\u202ec\r\nd\te") == "a〓b〓c\nd e"
    assert tame("\r") == "〓"


@pytest.mark.parametrize("order", ["", "a b", "x" * 41, "号", "a\n", "../x"])
def test_an_order_number_that_is_no_symbol_is_refused(documents: Documents, order: str) -> None:
    with pytest.raises(SlipError):
        documents.make(order_sheet(order=order))
    with pytest.raises(SlipError):
        documents.make(order_sheet(code="1234567x"))


async def test_papers_are_made_beside_the_loop(documents: Documents) -> None:
    papers = await asyncio.gather(*(documents.paper(order_sheet(reminder=n)) for n in range(3)))
    assert [f"第{n}次催办" in paper.text for n, paper in enumerate(papers)] == [False, True, True]


def test_several_pages_are_one_tiff(documents: Documents) -> None:
    pages = draw(documents.form(order_sheet(words="水" * 2_000)), Typeface())
    read = pages_of(tiff(pages))
    assert len(read) == len(pages) > 1
    for drawn, seen in zip(pages, read, strict=True):
        assert ImageChops.logical_xor(drawn, seen).getbbox() is None
