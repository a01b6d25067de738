"""Makes papers off the event loop: one thread, a bounded line of work before it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from bridge.documents.files import pdf, tiff
from bridge.documents.form import Form
from bridge.documents.raster import draw
from bridge.documents.slip import SlipError
from bridge.documents.template import TemplateError, read_templates
from bridge.documents.typeface import DEFAULT_FONT, Typeface
from bridge.documents.values import Sheet, kind_of
from bridge.documents.words import html, text
from bridge.domain.delivery import OrderSheet
from bridge.domain.paper import (
    CallbackSheet,
    FaxReport,
    NoticeSheet,
    Paper,
    PaperError,
    ReceiptSheet,
)

MAX_WAITING: Final = 2_000
"""Papers asked for and not yet made; 200 orders at once are a tenth of it."""
_MOMENT: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)


class DocumentsBusy(PaperError):
    """More papers are waiting than `MAX_WAITING`; ask again."""


class FontError(Exception):
    """The typeface cannot be used; the text names the file and the mend."""


class Documents:
    """Papers of one site. `close` when done."""

    def __init__(
        self, zone: tzinfo, templates: Path | None = None, font: Path = DEFAULT_FONT
    ) -> None:
        """Raises FontError, and TemplateError: a template has a fault or leaves no page whole."""
        try:
            self._face = Typeface(font)
        except OSError as error:
            raise FontError(
                f"{font}: 无法读取字体,请安装 fonts-wqy-zenhei 或更正 documents.font / no usable "
                f"typeface ({error}); install fonts-wqy-zenhei or correct documents.font"
            ) from error
        self._zone = zone
        self._templates = read_templates(templates)
        self._waiting = 0
        for sheet in specimens():
            self._prove(sheet)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="documents")

    def _prove(self, sheet: Sheet) -> None:
        """A template whose empty form does not fit two pages would bury what matters."""
        form = self.form(sheet)
        if len(draw(form, self._face)) > 2:
            kind = kind_of(sheet).value
            raise TemplateError(
                f"{kind}.toml: 模板超过两页,请减少行数 / the form alone takes more than two pages; "
                "give it fewer rows or lines"
            )

    def close(self) -> None:
        """Let go of the thread; what is being made is finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def form(self, sheet: Sheet) -> Form:
        """What the paper says."""
        return self._templates[kind_of(sheet)].fill(sheet, self._zone)

    async def paper(self, sheet: Sheet) -> Paper:
        """The paper of a sheet. Raises DocumentsBusy, and SlipError where an order's number or
        code cannot be printed."""
        if self._waiting >= MAX_WAITING:
            raise DocumentsBusy(f"{self._waiting} papers are waiting")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self.make, sheet)
        finally:
            self._waiting -= 1

    def make(self, sheet: Sheet) -> Paper:
        """The paper at once, in the thread that calls; one thread at a time."""
        form = self.form(sheet)
        pages = draw(form, self._face)
        kind = kind_of(sheet)
        return Paper(
            kind=kind,
            name=kind.value,
            title=form.title,
            pages=len(pages),
            tiff=tiff(pages),
            pdf=pdf(pages, kind.value),
            html=html(form),
            text=text(form),
        )


def specimens() -> list[Sheet]:
    """One plain sheet of each kind, to prove templates with."""
    centre = "110 指挥中心"
    unit, place, words = "某联动单位", "某路某号", "求助内容"
    return [
        OrderSheet(
            order="specimen",
            code="00000000",
            kind="site",
            klass="URGENT",
            case="specimen",
            unit="6001",
            unit_name=unit,
            place=place,
            words=words,
            caller_number="110",
            equipment="装备",
            arrival_limit_s=900,
            result_limit_s=86400,
            centre=centre,
            centre_number="110",
            issued_at=_MOMENT,
        ),
        NoticeSheet(
            number="specimen",
            order="specimen",
            case="specimen",
            unit_name=unit,
            place=place,
            words=words,
            ordered_at=_MOMENT,
            due_at=_MOMENT + timedelta(days=1),
            issued_at=_MOMENT + timedelta(days=1),
            centre=centre,
        ),
        CallbackSheet(number="specimen", case="specimen", asked_at=_MOMENT, centre=centre),
        ReceiptSheet(
            handoff="specimen",
            case="specimen",
            from_desk="110",
            to_desk="12345",
            requested_at=_MOMENT,
            centre=centre,
        ),
        FaxReport(
            attempt="specimen",
            order="specimen",
            case="specimen",
            unit_name=unit,
            number="110",
            outcome="delivered",
            centre=centre,
        ),
    ]


__all__ = ["Documents", "DocumentsBusy", "FontError", "SlipError", "TemplateError", "specimens"]
