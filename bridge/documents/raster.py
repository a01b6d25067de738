"""A form as fax pages: a ruled table that flows over as many pages as its words need."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from PIL import Image

from bridge.documents.canvas import RULE, Canvas, pitch
from bridge.documents.form import Cell, Form, Row, Slip
from bridge.documents.metric import BOTTOM, INNER, MARGIN_X, TOP, WIDTH, Box, px, py
from bridge.documents.slip import GEOMETRY, LAYOUT, MODULE, modules, payload
from bridge.documents.typeface import Typeface, fit

TITLE: Final = (62, 54, 46, 38, 30)
ISSUER: Final = (40, 34, 28)
BODY: Final = 34
LABEL: Final = (34, 30, 28)
SMALL: Final = 28
LABEL_WIDTH: Final = px(24)
PAD_X: Final = px(2)
PAD_Y: Final = py(1.3)
FOOT: Final = py(6)
GAP: Final = py(3)
MAX_PAGES: Final = 20
"""More is no order but an attack; the last page says that the rest is kept at the centre."""
LEAST_PICTURE: Final = py(110)
"""A picture of a page that is lower than this cannot be read: it goes on a page of its own."""
CUT_WORDS: Final = "（未完，其余内容请向指挥中心查询）"


def draw(form: Form, face: Typeface) -> list[Image.Image]:
    """The pages. Raises SlipError where number or code cannot be a symbol."""
    return _Pages(form, face).drawn()


class _Pages:
    """Draws one form; `_y` is where the next row begins on the page at hand."""

    def __init__(self, form: Form, face: Typeface) -> None:
        self._form = form
        self._face = face
        self._pages: list[Canvas] = []
        self._y = 0
        self._limit = 0
        self._ruled_from: int | None = None
        self._full = False

    def drawn(self) -> list[Image.Image]:
        self._first_page()
        for row in self._form.rows:
            self._row(row)
        self._end_table()
        for note in self._form.notes:
            self._note(note)
        if self._form.signs:
            self._signs()
        if self._form.picture:
            self._picture(self._form.picture)
        for number, page in enumerate(self._pages, 1):
            words = f"第 {number} 页  共 {len(self._pages)} 页"
            page.centred(Box(MARGIN_X, BOTTOM - FOOT, INNER, FOOT), [words], SMALL)
        return [page.image for page in self._pages]

    # Pages

    def _first_page(self) -> None:
        form, page = self._form, self._new_page()
        self._y = TOP
        if form.marks:
            self._marks()
        for words, ems in ((form.issuer, ISSUER), (form.title, TITLE)):
            em = fit(self._face, words, ems, INNER)
            for line in self._face.lines(words, em, INNER):
                box = Box(MARGIN_X, self._y, INNER, pitch(em))
                page.centred(box, [line], em, bold=ems is TITLE)
                self._y += pitch(em)
        self._y += GAP // 2
        page.lines(MARGIN_X, self._y, [form.number], SMALL)
        self._y += pitch(SMALL) + GAP // 2
        if form.slip is not None:
            self._limit = GEOMETRY[LAYOUT].area.y - GAP
            self._slip(form.slip)
        self._begin_table()

    def _new_page(self) -> Canvas:
        self._pages.append(Canvas(self._face))
        self._limit = BOTTOM - FOOT - GAP
        return self._pages[-1]

    def _next_page(self) -> None:
        self._end_table()
        page = self._new_page()
        self._y = TOP
        em = fit(self._face, f"{self._form.title}（续）  {self._form.number}", (SMALL,), INNER)
        words = self._face.lines(f"{self._form.title}（续）  {self._form.number}", em, INNER)
        page.lines(MARGIN_X, self._y, words, em)
        self._y += pitch(em) * len(words)
        self._begin_table()

    def _marks(self) -> None:
        em, x, h = 46, MARGIN_X, pitch(46) + py(2)
        for mark in self._form.marks:
            w = round(self._face.width(mark, em)) + px(5)
            if x + w > MARGIN_X + INNER and x > MARGIN_X:
                x, self._y = MARGIN_X, self._y + h + GAP
            box = Box(x, self._y, min(w, INNER), h)
            self._pages[-1].frame(box, RULE)
            self._pages[-1].centred(box, [mark], em, bold=True)
            x += w + px(3)
        self._y += h + GAP

    # The table

    def _begin_table(self) -> None:
        self._ruled_from = self._y
        self._pages[-1].across(MARGIN_X, MARGIN_X + INNER - 1, self._y, RULE)

    def _end_table(self) -> None:
        if self._ruled_from is None:
            return
        page = self._pages[-1]
        if self._y > self._ruled_from:
            page.across(MARGIN_X, MARGIN_X + INNER - 1, self._y - 2, RULE)
            for x in (MARGIN_X, MARGIN_X + INNER - RULE):
                page.down(x, self._ruled_from, self._y, RULE)
        self._ruled_from = None
        self._y += GAP

    def _row(self, row: Row) -> None:
        width = INNER // len(row.cells)
        set_lines = [
            self._face.lines(cell.text, BODY, width - LABEL_WIDTH - 2 * PAD_X) for cell in row.cells
        ]
        if len(row.cells) == 1 and len(set_lines[0]) > 3:
            self._long_row(row.cells[0], set_lines[0], row.least_lines)
            return
        high = max(row.least_lines, *map(len, set_lines), *map(self._label_lines, row.cells))
        if self._y + _height(high) > self._limit and not self._turn():
            return
        self._cells(row.cells, set_lines, high)

    def _long_row(self, cell: Cell, lines: Sequence[str], least: int) -> None:
        """A row that may be continued on the next page; never a single line left behind."""
        label, rest = cell.label, list(lines)
        while rest:
            room = (self._limit - self._y - 2 * PAD_Y) // pitch(BODY)
            if room < min(len(rest), 3) or room < self._label_lines(cell):
                if not self._turn():
                    return
                continue
            taken = rest[: min(room, len(rest) - 1 if len(rest) == room + 1 else len(rest))]
            rest = rest[len(taken) :]
            if rest and len(self._pages) == MAX_PAGES:
                taken[-1], rest = CUT_WORDS, []
            shown = Cell(label, "")
            high = max(len(taken), min(least, room), self._label_lines(shown))
            self._cells([shown], [taken], high)
            label, least = f"{cell.label}\n（续）", 1

    def _turn(self) -> bool:
        """To the next page; False where there may be no more."""
        if len(self._pages) >= MAX_PAGES:
            return False
        self._next_page()
        return True

    def _label_lines(self, cell: Cell) -> int:
        return len(self._label(cell)[0])

    def _label(self, cell: Cell) -> tuple[list[str], int]:
        width = LABEL_WIDTH - PAD_X
        em = fit(self._face, cell.label, LABEL, width)
        return self._face.lines(cell.label, em, width), em

    def _cells(self, cells: Sequence[Cell], lines: Sequence[Sequence[str]], high: int) -> None:
        page, h, width = self._pages[-1], _height(high), INNER // len(cells)
        for number, (cell, words) in enumerate(zip(cells, lines, strict=True)):
            x = MARGIN_X + number * width
            label, em = self._label(cell)
            page.centred(Box(x, self._y, LABEL_WIDTH, h), label, em)
            page.down(x + LABEL_WIDTH, self._y, self._y + h)
            if number:
                page.down(x, self._y, self._y + h)
            top = self._y + PAD_Y
            if len(words) == 1 and high <= 3:
                top = self._y + (h - pitch(BODY)) // 2
            page.lines(x + LABEL_WIDTH + PAD_X, top, words, BODY)
        self._y += h
        page.across(MARGIN_X, MARGIN_X + INNER - 1, self._y)

    # Below the table

    def _note(self, words: str) -> None:
        for line in self._face.lines(words, SMALL, INNER):
            if self._y + pitch(SMALL) > self._limit:
                if not self._turn():
                    return
                self._ruled_from = None
            self._pages[-1].lines(MARGIN_X, self._y, [line], SMALL)
            self._y += pitch(SMALL)

    def _signs(self) -> None:
        high = py(12)
        if self._y + high > self._limit and not self._turn():
            return
        self._ruled_from = None
        width = INNER // len(self._form.signs)
        for number, words in enumerate(self._form.signs):
            self._pages[-1].lines(MARGIN_X + number * width, self._y + py(4), [words], BODY)

    def _picture(self, tiff: bytes) -> None:
        """The first page that was sent, as large as the rest of the page lets it be."""
        self._ruled_from = None
        shown = first_page(tiff)
        if self._limit - self._y < LEAST_PICTURE:
            self._pages.append(Canvas(self._face))
            self._y = TOP
        room = self._limit - self._y - 2 * RULE - GAP
        scale = min(room / shown.height, (INNER - 2 * RULE) / shown.width, 1.0)
        size = (round(shown.width * scale), round(shown.height * scale))
        small = shown.convert("L").resize(size, Image.Resampling.BOX)
        x, y = (WIDTH - size[0]) // 2, self._y + GAP + RULE
        page = self._pages[-1]
        page.paste(small.point(_darker), x, y)
        page.frame(Box(x - RULE, y - RULE, size[0] + 2 * RULE, size[1] + 2 * RULE), RULE)

    def _slip(self, slip: Slip) -> None:
        page, places = self._pages[-1], GEOMETRY[LAYOUT]
        area = places.area
        page.dashed(area.x, area.right, area.y)
        head = Box(area.x, area.y + py(2), area.w, pitch(40))
        page.centred(head, [slip.heading], 40, bold=True)
        for side, box in places.symbols.items():
            page.symbol(box, modules(payload(slip.order, slip.code, side)), MODULE)
        left, right = places.symbols["L"], places.symbols["R"]
        code = f"{slip.code_label} {slip.code[:4]} {slip.code[4:]}"
        inside = Box(left.right, area.y + py(10.5), right.x - left.right, pitch(36))
        page.centred(inside, [code], 36, bold=True)
        for tick, word, blank in slip.ticks:
            box = places.boxes[tick]
            page.frame(box, RULE)
            y = box.y + (box.h - pitch(BODY)) // 2
            page.lines(box.right + px(2), y, [word], BODY)
            page.lines(box.right + px(26), y, [blank], SMALL)
        low = area.bottom - py(12)
        page.lines(area.x, low, [slip.sign], BODY)
        page.lines(
            area.x, low + pitch(BODY), self._face.lines(slip.notes, SMALL, area.w)[:1], SMALL
        )


def first_page(tiff: bytes) -> Image.Image:
    """The first page of a file of ours."""
    with Image.open(io.BytesIO(tiff), formats=["TIFF"]) as picture:
        return picture.convert("1")


def _darker(shade: int) -> int:
    """Thin strokes stay when a page is made smaller: what is a quarter dark is black."""
    return 0 if shade < 255 * 0.75 else 255


def _height(lines: int) -> int:
    return lines * pitch(BODY) + 2 * PAD_Y
