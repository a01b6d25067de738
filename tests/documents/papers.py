"""Sheets and a hand with a pen, for the tests of papers."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from PIL import Image, ImageDraw

from bridge.documents.form import Tick
from bridge.documents.slip import GEOMETRY, LAYOUT
from bridge.domain.delivery import OrderSheet
from bridge.domain.paper import CallbackSheet, FaxReport, NoticeSheet, ReceiptSheet

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
ORDER, CODE = "20260301-000123-02", "12345674"

HOSTILE = (
    "\x1a\rATD112;\r",
    "a\r\nBcc: x@example.com\r\n\r\nb",
    "${SHELL(id)} $[1+1] {order} {{ 7*7 }} {% raw %}",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\u202e倒过来\u2066x\u200f",
    "\x00\x1b[31m\x7f",
    "=?utf-8?q?a=0d=0aBcc:_e@x.cn?=",
    "🚒🔥 𠮷野家 ﷽",
    "长" * 400,
    "W" * 400,
    "（" * 60 + "）" * 60,
    "\n" * 40,
    "",
)


def order_sheet(**more: object) -> OrderSheet:
    """A plain order; `more` are its other fields."""
    said: dict[str, object] = {
        "order": ORDER,
        "code": CODE,
        "kind": "site",
        "klass": "URGENT",
        "case": "20260301-000123",
        "unit": "6001",
        "unit_name": "市供水集团",
        "squad": "抢修二队",
        "place": "兰山区金雀山路与沂蒙路交叉口东北角",
        "words": "路面自来水管爆裂,积水约 30 厘米,两名老人被困二楼。",
        "category": "市政公用 / 供水",
        "centre": "临沂市公安局 110 指挥中心",
        "centre_number": "0539-8110110",
        "issued_at": NOW,
        "arrival_limit_s": 900,
        "result_limit_s": 86400,
    }
    return OrderSheet(**(said | more))  # type: ignore[arg-type]


def other_sheets(
    words: str = "求助内容",
) -> list[NoticeSheet | CallbackSheet | ReceiptSheet | FaxReport]:
    """One of each other paper, with these words in every field of text."""
    return [
        NoticeSheet(
            number="D-1",
            order=ORDER,
            case="C-1",
            unit_name=words,
            place=words,
            words=words,
            category=words,
            demand=words,
            centre=words,
            centre_number=words,
            ordered_at=NOW,
            due_at=NOW + timedelta(days=1),
            issued_at=NOW + timedelta(days=1, minutes=1),
        ),
        CallbackSheet(
            number="H-1",
            case="C-1",
            caller_name=words,
            caller_number=words,
            place=words,
            words=words,
            unit_name=words,
            result=words,
            attitude=True,
            speed=False,
            said=words,
            asked_at=NOW,
            asked_by=words,
            centre=words,
        ),
        ReceiptSheet(
            handoff="Y-1",
            case="C-1",
            from_desk="110",
            to_desk="12345",
            caller_number=words,
            place=words,
            words=words,
            category=words,
            requested_at=NOW,
            accepted_at=NOW + timedelta(seconds=30),
            accepted_by=words,
            ticket=words,
            seat=words,
            centre=words,
        ),
        FaxReport(
            attempt="F-1",
            order=ORDER,
            case="C-1",
            unit_name=words,
            number=words,
            outcome="delivered",
            far_id=words,
            detail=words,
            coding=words,
            bps=14400,
            centre=words,
        ),
    ]


def pages_of(tiff: bytes) -> list[Image.Image]:
    """The pages as another program sees them: decoded by libtiff."""
    made: list[Image.Image] = []
    with Image.open(io.BytesIO(tiff)) as picture:
        while True:
            made.append(picture.convert("1"))
            try:
                picture.seek(len(made))
            except EOFError:
                return made


def ticked(page: Image.Image, *ticks: Tick, width: int = 4) -> Image.Image:
    """The page with strokes of a pen over these boxes."""
    drawn = page.convert("L")
    pen = ImageDraw.Draw(drawn)
    for tick in ticks:
        box = GEOMETRY[LAYOUT].boxes[tick]
        pen.line(
            [(box.x + 10, box.y + 24), (box.x + 22, box.y + 40), (box.x + 56, box.y - 6)],
            fill=0,
            width=width,
        )
    return drawn


def noisy(page: Image.Image, part: float, rng: random.Random) -> Image.Image:
    """Single elements gone wrong, as on a bad line or a dirty scanner."""
    drawn = page.convert("L")
    for _ in range(int(drawn.width * drawn.height * part)):
        place = rng.randrange(drawn.width), rng.randrange(drawn.height)
        drawn.putpixel(place, rng.choice((0, 255)))
    return drawn


def faxed(page: Image.Image) -> Image.Image:
    """Through T.6 and back."""
    out = io.BytesIO()
    page.convert("L").point(lambda value: 255 if value > 127 else 0).convert("1").save(
        out, "TIFF", compression="group4", dpi=(204, 196)
    )
    with Image.open(out) as read:
        return read.convert("1")
