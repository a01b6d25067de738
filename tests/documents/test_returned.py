"""A sheet that comes back: whose it is, which box is ticked, and when a person must look."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from bridge.documents.form import Tick
from bridge.documents.limited import Unreadable, read_bytes, read_file
from bridge.documents.returned import Mark, PageTooLarge, read_page
from bridge.documents.service import Documents
from bridge.documents.slip import GEOMETRY, LAYOUT, parse_payload, payload
from bridge.domain.delivery import Says
from tests.documents.papers import CODE, ORDER, faxed, noisy, order_sheet, pages_of, ticked

TICKS: tuple[tuple[Tick, ...], ...] = (
    (),
    (Tick.ARRIVED,),
    (Tick.RESULT,),
    (Tick.OBJECTION,),
    (Tick.ARRIVED, Tick.RESULT),
)
SAYS = (Says.NOTHING, Says.ARRIVED, Says.RESULT, Says.DISPUTE, Says.RESULT)


@pytest.fixture(scope="module")
def sheet(documents: Documents) -> Image.Image:
    (page,) = pages_of(documents.make(order_sheet()).tiff)
    return page


def moved(page: Image.Image, angle: float, rng: random.Random) -> Image.Image:
    """As a machine feeds it: askew, shifted, a little larger or smaller."""
    shift = rng.randrange(-24, 25), rng.randrange(-24, 25)
    turned = page.convert("L").rotate(
        angle, Image.Resampling.BICUBIC, translate=shift, fillcolor=255
    )
    scale = rng.uniform(0.97, 1.03)
    return turned.resize((int(turned.width * scale), int(turned.height * scale)))


@pytest.mark.parametrize("angle", [-3, 0.7, 3, 180])
def test_ticks_are_found_on_a_page_askew_and_dirty(sheet: Image.Image, angle: float) -> None:
    rng = random.Random(int(angle * 10))
    for ticks, says in zip(TICKS, SAYS, strict=True):
        page = faxed(noisy(moved(ticked(sheet, *ticks), angle, rng), 0.005, rng))
        read = read_page(page)
        assert (read.order, read.code, read.trouble) == (ORDER, CODE, "")
        assert {tick for tick, mark in read.marks.items() if mark is Mark.TICKED} == set(ticks)
        assert Mark.DOUBTFUL not in read.marks.values()
        assert read.says is says


def test_a_page_of_half_the_lines_is_read(sheet: Image.Image) -> None:
    page = ticked(sheet, Tick.RESULT, width=6).resize((1728, 1143), Image.Resampling.NEAREST)
    assert read_page(page.convert("1"), (204.0, 98.0)).says is Says.RESULT
    assert read_page(page.convert("1")).says is Says.RESULT


@pytest.mark.parametrize("side", ["L", "R"])
def test_one_symbol_is_enough(sheet: Image.Image, side: str) -> None:
    page = ticked(sheet, Tick.OBJECTION)
    box = GEOMETRY[LAYOUT].symbols["L" if side == "L" else "R"]
    ImageDraw.Draw(page).rectangle((box.x, box.y, box.right, box.bottom), fill=255)
    assert read_page(page.rotate(2, Image.Resampling.BICUBIC, fillcolor=255)).says is Says.DISPUTE


def test_without_a_symbol_nothing_is_said(sheet: Image.Image) -> None:
    page = ticked(sheet, Tick.ARRIVED)
    for box in GEOMETRY[LAYOUT].symbols.values():
        ImageDraw.Draw(page).rectangle((box.x, box.y, box.right, box.bottom), fill=255)
    read = read_page(page)
    assert (read.order, read.says) == (None, Says.NOTHING)
    assert read_page(Image.new("1", (1728, 2286), 255)).trouble


def test_what_is_not_clear_goes_to_a_person(sheet: Image.Image) -> None:
    both = read_page(ticked(sheet, Tick.ARRIVED, Tick.OBJECTION))
    assert both.says is Says.NOTHING
    assert read_page(ticked(sheet, *Tick)).says is Says.NOTHING
    struck = ticked(sheet)
    box = GEOMETRY[LAYOUT].boxes[Tick.RESULT]
    pen = ImageDraw.Draw(struck)
    pen.rectangle((box.x + 5, box.y + 5, box.right - 5, box.bottom - 5), fill=0)
    assert read_page(struck).marks[Tick.RESULT] is Mark.DOUBTFUL
    covered = ticked(sheet, Tick.ARRIVED)
    ImageDraw.Draw(covered).rectangle((box.x - 9, box.y - 9, box.right + 9, box.bottom + 9), 255)
    assert read_page(covered).says is Says.NOTHING


def test_two_sheets_on_one_page_are_not_guessed(documents: Documents, sheet: Image.Image) -> None:
    (other,) = pages_of(documents.make(order_sheet(order="other-1")).tiff)
    box = GEOMETRY[LAYOUT].symbols["R"]
    page = ticked(sheet, Tick.ARRIVED)
    page.paste(other.crop((box.x, box.y, box.right, box.bottom)), (box.x, box.y))
    read = read_page(page)
    assert read.says is Says.NOTHING
    assert read.order is None


def test_symbols_of_others_are_not_ours() -> None:
    good = payload(ORDER, CODE, "L")
    assert parse_payload(good) is not None
    for text in (
        "",
        "https://example.com",
        good.replace("B110/1", "B110/9"),
        good.replace(CODE, "1234567"),
        good + "\n",
        good.replace("/L", "/X"),
        good.replace(CODE, "１２３４５６７４"),
    ):
        assert parse_payload(text) is None


def test_a_page_too_large_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(PageTooLarge):
        read_page(Image.new("1", (1728, 5001), 255))


async def test_a_received_file_is_read_in_a_child(documents: Documents, tmp_path: Path) -> None:
    paper = documents.make(order_sheet(words="水" * 2_000))
    file = tmp_path / "in.tif"
    file.write_bytes(paper.tiff)
    first, *rest = await read_file(file)
    assert (first.read.order, first.read.code) == (ORDER, CODE)
    assert first.read.marks[Tick.ARRIVED] is Mark.BLANK
    assert rest
    assert all(page.read.order is None for page in rest)


async def test_what_is_no_fax_is_not_decoded(tmp_path: Path) -> None:
    page = Image.new("1", (1728, 30_000), 0)
    bomb, photo, cut = tmp_path / "bomb.tif", tmp_path / "photo.tif", tmp_path / "cut.tif"
    page.save(bomb, compression="group4")
    Image.new("RGB", (64, 64)).save(photo)
    cut.write_bytes(bomb.read_bytes()[:200])
    for file in (bomb, photo, cut, tmp_path / "missing.tif"):
        with pytest.raises(Unreadable):
            await read_file(file)
    with pytest.raises(Unreadable):
        read_bytes(b"\x89PNG\r\n\x1a\n")


def test_more_pages_than_any_fax_has_are_refused() -> None:
    blank = Image.new("1", (64, 64), 255)
    out = io.BytesIO()
    blank.save(out, "TIFF", compression="group4", save_all=True, append_images=[blank] * 200)
    with pytest.raises(Unreadable, match="pages"):
        read_bytes(out.getvalue())
